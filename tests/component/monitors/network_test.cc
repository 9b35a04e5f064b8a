// arpw, ipw and miiw on the real kernel: two network namespaces and a cable.
#include "tests/component/host/two_namespaces.h"
#include "tests/component/monitors/watched.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using kagami::testing::wait_until;
using testing::Texts;

namespace {

struct Wire {
    host::TwoNamespaces names;
    std::unique_ptr<host::LinuxHost> machine = host::make_linux_host(nullptr);
    Finding look(const std::string& word, const Texts& values, const Texts& target = {}) {
        Context context = context_of(word, values, 300ms);
        context.target_resource = "fip1";
        context.target_values = config::Values(target);
        return find(word)->make(machine->host())->check(context).value();
    }
};

}  // namespace

TEST_CASE("arpw draws a host that remembers the wrong machine to this one") {
    Wire wire;
    const std::string mac = wire.names.mac(wire.names.here({"-o", "link", "show", "v0"}));
    for (const std::string address : {"10.9.0.100", "fd09::100"}) {
        const std::string bits = address.find(':') == std::string::npos ? "/24" : "/64";
        const Texts target{{"address", {address + bits}}};
        wire.names.peer({"neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "v1", "nud", "stale"});
        CHECK(wire.look("arpw", {}, target).health == Health::kCaution);
        CHECK_THAT(wire.names.peer({"neigh", "show", address}), Contains("02:00:00:00:00:99"));
        wire.names.here({"address", "add", address + bits, "dev", "v0"});
        CHECK(wait_until([&] {
            CHECK(wire.look("arpw", {}, target).message == address + " was announced on v0");
            return wire.names.peer({"neigh", "show", address}).find(mac) != std::string::npos;
        }));
    }
    wire.names.here({"link", "set", "v0", "down"});
    CHECK(wire.look("arpw", {}, {{"address", {"10.9.0.100/24"}}}).health == Health::kCaution);
}

TEST_CASE("ipw with rule all misses one real host") {
    Wire wire;
    // The kernel drops what is sent in the first moments of a new cable.
    CHECK(wait_until([&] {
        return wire.look("ipw", {{"addresses", {"10.9.0.2", "fd09::2"}}, {"rule", {"all"}}}).health == Health::kNormal;
    }));
    const Finding found = wire.look("ipw", {{"addresses", {"10.9.0.2", "10.9.0.77"}}, {"rule", {"all"}}});
    CHECK(found.health == Health::kError);
    CHECK(found.message == "no answer to a ping: 10.9.0.77");
}

TEST_CASE("miiw asks a real driver by ethtool") {
    Wire wire;
    const auto miiw = [&](const char* name) {
        return wire.look("miiw", {{"interface", {name}}, {"ethtool", {"true"}}});
    };
    CHECK(miiw("v0").message == "interface v0 has a link");
    CHECK_THAT(miiw("none0").message, Contains("there is no interface none0"));
    CHECK(wire.machine->host().network->ethtool_link("v0").value() == std::optional(true));
    CHECK(wire.machine->host().network->ethtool_link("none0").error().code == ErrorCode::kNotFound);
    wire.names.peer({"link", "set", "v1", "down"});
    CHECK(wait_until([&] { return wire.machine->host().network->ethtool_link("v0").value() == std::optional(false); }));
    CHECK(miiw("v0").health == Health::kError);
}
