#include "tests/unit/resources/resource_fixture.h"

using namespace kagami;
using namespace kagami::resources;
using Catch::Matchers::Contains;

namespace {

using Calls = std::vector<std::string>;

struct FipFixture : ResourceFixture {
    explicit FipFixture(testing::Texts values = {}) : ResourceFixture("fip", with_address(std::move(values))) {
        fake.network.networks["10.77.1.100"] = "eth0";
    }
    static testing::Texts with_address(testing::Texts values) {
        values.insert({"address", {"10.77.1.100/24"}});
        return values;
    }
    Calls& calls() { return fake.network.calls; }
};

const Calls kProbed = {"probe 10.77.1.100/24 eth0", "add 10.77.1.100/24 eth0", "announce 10.77.1.100/24 eth0"};
const Calls kNotProbed = {"add 10.77.1.100/24 eth0", "announce 10.77.1.100/24 eth0"};

}  // namespace

TEST_CASE("activation probes for 50 ms, adds and announces") {
    FipFixture fip;
    CHECK(fip.activation_error() == "");
    CHECK(fip.calls() == kProbed);
    CHECK(fip.fake.network.waits == std::vector<Duration>{50ms});
    CHECK(fip.resource->probe(fip.context).value() == Probe::kActive);
}

TEST_CASE("the probe is left out with a proven stop, when switched off, and when forced") {
    FipFixture proven;
    proven.context.proven_stopped = true;
    CHECK(proven.activation_error() == "");
    CHECK(proven.calls() == kNotProbed);
    FipFixture off(testing::Texts{{"probe", {"false"}}});
    CHECK(off.activation_error() == "");
    CHECK(off.calls() == kNotProbed);
    FipFixture forced(testing::Texts{{"force", {"true"}}});
    forced.fake.network.duplicates["10.77.1.100"] = "02:00:00:00:00:99";
    CHECK(forced.activation_error() == "");
    CHECK(forced.calls() == kNotProbed);
}

TEST_CASE("an address that another host answers for is refused with its MAC and what to do, and not added") {
    FipFixture fip;
    fip.fake.network.duplicates["10.77.1.100"] = "02:00:00:00:00:99";
    CHECK_THAT(fip.activation_error(),
               Contains("web.nginx: another host answers for 10.77.1.100 on eth0: 02:00:00:00:00:99") &&
                   Contains("or set force = true in resource nginx"));
    CHECK(fip.resource->activate(fip.context).error().code == ErrorCode::kRefused);
    CHECK(fip.fake.network.known_addresses.empty());
}

TEST_CASE("an address that is here already is announced again and not probed") {
    FipFixture fip;
    fip.fake.network.known_addresses = {{"10.77.1.100", 24, "eth0"}};
    CHECK(fip.activation_error() == "");
    CHECK(fip.calls() == Calls{"announce 10.77.1.100/24 eth0"});
}

TEST_CASE("an address that is here in another place is refused with the command that removes it") {
    FipFixture fip;
    fip.fake.network.known_addresses = {{"10.77.1.100", 32, "eth1"}};
    CHECK_THAT(
        fip.activation_error(),
        Contains(
            "is on interface eth1 of this node already, with prefix /32 | ip address del 10.77.1.100/32 dev eth1"));
}

TEST_CASE("the interface is the named one, else that of the subnet") {
    FipFixture named(testing::Texts{{"interface", {"eth7"}}});
    named.fake.network.known_links.push_back({"eth7", 7, true, true});
    CHECK(named.activation_error() == "");
    CHECK(named.calls().back() == "announce 10.77.1.100/24 eth7");
    FipFixture nowhere;
    nowhere.fake.network.networks.clear();
    CHECK_THAT(nowhere.activation_error(), Contains("web.nginx: 10.77.1.100: no interface of this node"));
}

TEST_CASE("an interface that is missing, down or without link is named") {
    FipFixture fip;
    fip.fake.network.known_links = {{"eth0", 2, true, false}};
    CHECK_THAT(fip.activation_error(), Contains("interface eth0 has no link | check its cable"));
    fip.fake.network.known_links = {{"eth0", 2, false, false}};
    CHECK_THAT(fip.activation_error(), Contains("interface eth0 is down | ip link set eth0 up"));
    fip.fake.network.known_links = {};
    CHECK_THAT(fip.activation_error(), Contains("there is no interface eth0 on this node"));
    CHECK(fip.calls().empty());
}

TEST_CASE("deactivation removes the address from wherever it is, and is done when it is nowhere") {
    FipFixture fip;
    CHECK(fip.deactivation_error() == "");
    CHECK(fip.calls().empty());
    fip.fake.network.known_addresses = {
        {"10.77.1.100", 24, "eth0"}, {"10.77.1.100", 32, "eth1"}, {"10.77.1.1", 24, "eth0"}};
    CHECK(fip.deactivation_error() == "");
    CHECK(fip.calls() == Calls{"remove 10.77.1.100/24 eth0", "remove 10.77.1.100/32 eth1"});
    CHECK(fip.fake.network.known_addresses.size() == 1);
    CHECK(fip.resource->probe(fip.context).value() == Probe::kInactive);
}

TEST_CASE("errors of the machine come through") {
    FipFixture fip;
    fip.fake.network.broken = Error{ErrorCode::kFailed, "no netlink", "run as root"};
    CHECK_THAT(fip.activation_error(), Contains("no netlink | run as root"));
    CHECK_THAT(fip.deactivation_error(), Contains("no netlink"));
    CHECK_FALSE(fip.resource->probe(fip.context));
    CHECK_FALSE(fip.resource->footprint(fip.context));
}

TEST_CASE("the guard covers the address on its interface") {
    FipFixture fip;
    CHECK(fip.resource->footprint(fip.context)->addresses == std::vector{host::Address{"10.77.1.100", 24, "eth0"}});
}
