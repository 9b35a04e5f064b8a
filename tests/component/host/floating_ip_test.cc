// fip, fipw, miiw and ipw on the real kernel: two network namespaces and a cable.
#include <atomic>
#include <catch2/catch.hpp>

#include "common/host/boot_clock.h"
#include "common/host/linux_host.h"
#include "monitors/monitor.h"
#include "resources/resource.h"
#include "tests/component/host/two_namespaces.h"
#include "tests/support/type_values.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::host;
using Catch::Matchers::Contains;
using kagami::testing::wait_until;

namespace {

struct FipFixture {
    TwoNamespaces names;
    std::unique_ptr<LinuxHost> machine = make_linux_host(nullptr);

    resources::Context context(const std::string& address, const testing::Texts& more = {}) {
        testing::Texts texts = {{"address", {address}}};
        texts.insert(more.begin(), more.end());
        resources::Context made;
        made.group = "web";
        made.resource = "fip1";
        made.values = testing::type_values(resources::find("fip")->description, texts);
        made.deadline = boot_now() + 10s;
        return made;
    }
    std::unique_ptr<resources::Resource> fip() { return resources::find("fip")->make(machine->host()); }
    monitors::Finding check(const std::string& word, const testing::Texts& values, const testing::Texts& target = {}) {
        monitors::Context made;
        made.target_resource = "fip1";
        made.values = testing::type_values(monitors::find(word)->description, values);
        made.target_values = config::Values(target);
        made.deadline = boot_now() + 300ms;
        return monitors::find(word)->make(machine->host())->check(made).value();
    }
};

}  // namespace

TEST_CASE("an address answered by another host is refused, naming its MAC; with force it is taken") {
    FipFixture fixture;
    const std::string mac = fixture.names.mac(fixture.names.peer({"-o", "link", "show", "v1"}));
    fixture.names.peer({"address", "add", "10.9.0.100/24", "dev", "v1"});
    fixture.names.peer({"address", "add", "fd09::100/64", "dev", "v1", "nodad"});
    for (const std::string address : {"10.9.0.100/24", "fd09::100/64"}) {
        const Status refused = fixture.fip()->activate(fixture.context(address));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::kRefused);
        CHECK_THAT(refused.error().message,
                   Contains("another host answers for " + address.substr(0, address.find('/')) + " on v0: " + mac));
        CHECK(fixture.fip()->probe(fixture.context(address)).value() == resources::Probe::kInactive);
        CHECK(fixture.fip()->activate(fixture.context(address, testing::Texts{{"force", {"true"}}})));
        CHECK(fixture.fip()->deactivate(fixture.context(address)));
    }
}

TEST_CASE("a free address is active within the probe's wait, watched, and gone after deactivation") {
    FipFixture fixture;
    for (const std::string address : {"10.9.0.100/24", "fd09::100/64"}) {
        const testing::Texts target{{"address", {address}}};
        CHECK(fixture.check("fipw", {}, target).health == monitors::Health::kError);
        const Instant begin = boot_now();
        REQUIRE(fixture.fip()->activate(fixture.context(address)));
        CHECK(boot_now() - begin < 250ms);
        CHECK(fixture.fip()->activate(fixture.context(address)));
        CHECK(fixture.fip()->probe(fixture.context(address)).value() == resources::Probe::kActive);
        CHECK(fixture.fip()->footprint(fixture.context(address))->addresses.at(0).interface == "v0");
        CHECK(fixture.check("fipw", {}, target).health == monitors::Health::kNormal);
        REQUIRE(fixture.fip()->deactivate(fixture.context(address)));
        CHECK(fixture.fip()->deactivate(fixture.context(address)));
        CHECK(fixture.fip()->probe(fixture.context(address)).value() == resources::Probe::kInactive);
    }
    auto proven = fixture.context("10.9.0.100/24");
    proven.proven_stopped = true;
    const Instant begin = boot_now();
    REQUIRE(fixture.fip()->activate(proven));
    CHECK(boot_now() - begin < 40ms);
}

TEST_CASE("an address that somebody removes is told at once") {
    FipFixture fixture;
    REQUIRE(fixture.fip()->activate(fixture.context("10.9.0.100/24")));
    std::atomic<int> stirred = 0;
    const auto fipw = monitors::find("fipw")->make(fixture.machine->host());
    const auto subscription = fipw->subscribe({}, [&] { ++stirred; });
    const int before = stirred;
    fixture.names.here({"address", "del", "10.9.0.100/24", "dev", "v0"});
    CHECK(wait_until([&] { return stirred > before; }, 1s));
    CHECK_THAT(fixture.check("fipw", {}, testing::Texts{{"address", {"10.9.0.100/24"}}}).message,
               Contains("is not on this node any more"));
}

TEST_CASE("a pulled cable is an error of miiw and keeps an address from being taken") {
    FipFixture fixture;
    CHECK(fixture.check("miiw", testing::Texts{{"interface", {"v0"}}}).health == monitors::Health::kNormal);
    fixture.names.peer({"link", "set", "v1", "down"});
    CHECK(wait_until([&] {
        return fixture.check("miiw", testing::Texts{{"interface", {"v0"}}}).health == monitors::Health::kError;
    }));
    const Status refused = fixture.fip()->activate(fixture.context("10.9.0.100/24"));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Contains("interface v0 has no link"));
}

TEST_CASE("ipw asks real hosts") {
    FipFixture fixture;
    CHECK(fixture.check("ipw", testing::Texts{{"addresses", {"10.9.0.77", "fd09::2"}}}).health ==
          monitors::Health::kNormal);
    CHECK(fixture.check("ipw", testing::Texts{{"addresses", {"10.9.0.77", "10.9.0.78"}}}).health ==
          monitors::Health::kError);
}
