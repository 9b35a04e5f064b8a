// LinuxNetwork against the real kernel: two network namespaces and a cable.
#include <atomic>
#include <catch2/catch.hpp>

#include "common/host/boot_clock.h"
#include "common/host/event_thread.h"
#include "common/host/linux_network.h"
#include "tests/component/host/two_namespaces.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::host;
using Catch::Matchers::Contains;
using kagami::testing::wait_until;

namespace {

struct Net {
    TwoNamespaces names;
    EventThread thread;
    LinuxNetwork network{thread};

    std::optional<Link> link(const std::string& name) {
        const auto links = network.links();
        for (const Link& one : links.value()) {
            if (one.name == name) return one;
        }
        return std::nullopt;
    }
    bool has(const Address& address) {
        const auto addresses = network.addresses();
        REQUIRE(addresses);
        return std::find(addresses->begin(), addresses->end(), address) != addresses->end();
    }
    // What the peer believes to be the link-layer address.
    bool peer_believes(const std::string& address, const std::string& mac) {
        return names.peer({"neigh", "show", "to", address, "dev", "v1"}).find(mac) != std::string::npos;
    }
    void mislead_peer(const std::string& address) {
        names.peer({"neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", "v1"});
    }
};

const Address kFloating4{"10.9.0.100", 24, "v0"};
const Address kFloating6{"fd09::100", 64, "v0"};

}  // namespace

TEST_CASE("links tell their carrier, and a pulled cable is told at once") {
    Net net;
    const auto link = net.link("v0");
    REQUIRE(link);
    CHECK(link->up);
    CHECK(link->carrier);
    CHECK(link->index > 0);
    std::atomic<int> changes = 0;
    auto subscription = net.network.on_change([&] { ++changes; });
    net.names.peer({"link", "set", "v1", "down"});
    CHECK(wait_until([&] { return changes > 0; }, 2s));
    CHECK(wait_until([&] { return !net.link("v0")->carrier; }));
    CHECK(net.link("v0")->up);
    net.names.here({"link", "set", "v0", "down"});
    CHECK_FALSE(net.link("v0")->up);
    CHECK(wait_until([&] { return changes > 1; }));
    subscription.reset();
    const int before = changes;
    net.names.here({"link", "set", "v0", "up"});
    CHECK_FALSE(wait_until([&] { return changes != before; }, 50ms));
}

TEST_CASE("addresses are added and removed, twice makes no difference, and the change is told") {
    Net net;
    std::atomic<int> changes = 0;
    const auto subscription = net.network.on_change([&] { ++changes; });
    for (const Address& address : {kFloating4, kFloating6}) {
        changes = 0;
        CHECK_FALSE(net.has(address));
        REQUIRE(net.network.add_address(address));
        CHECK(net.network.add_address(address));
        CHECK(net.has(address));
        CHECK(wait_until([&] { return changes > 0; }));
        REQUIRE(net.network.remove_address(address));
        CHECK(net.network.remove_address(address));
        CHECK_FALSE(net.has(address));
    }
    CHECK(net.has({"10.9.0.1", 24, "v0"}));
    CHECK(net.has({"fd09::1", 64, "v0"}));
}

TEST_CASE("a floating IPv6 address serves at once but is never the source of the node's own connections") {
    Net net;
    REQUIRE(net.network.add_address(kFloating6));
    CHECK_THAT(net.names.here({"-o", "address", "show", "to", "fd09::100"}),
               Contains("deprecated") && !Contains("tentative"));
    CHECK_THAT(net.names.here({"route", "get", "fd09::2"}), Contains("src fd09::1 "));
}

TEST_CASE("the interface of an address is the one on its subnet") {
    Net net;
    CHECK(net.network.interface_for({"10.9.0.77", 24, ""}).value() == "v0");
    CHECK(net.network.interface_for({"fd09::77", 64, ""}).value() == "v0");
    const auto none = net.network.interface_for({"10.8.0.77", 24, ""});
    REQUIRE_FALSE(none);
    CHECK_THAT(none.error().message, Contains("10.8.0.77: no interface of this node"));
    CHECK_FALSE(net.network.interface_for({"fd08::77", 64, ""}));
}

TEST_CASE("an interface that does not exist is named; removing from it is done already") {
    Net net;
    const auto added = net.network.add_address({"10.9.0.100", 24, "eth7"});
    REQUIRE_FALSE(added);
    CHECK_THAT(added.error().message, Contains("there is no interface eth7 on this node"));
    CHECK(net.network.remove_address({"10.9.0.100", 24, "eth7"}));
}

TEST_CASE("an address that another host has is found within the wait, a free one is not") {
    Net net;
    const std::string peer_mac = net.names.mac(net.names.peer({"-o", "link", "show", "v1"}));
    net.names.peer({"address", "add", "10.9.0.100/24", "dev", "v1"});
    net.names.peer({"address", "add", "fd09::100/64", "dev", "v1", "nodad"});
    for (const Address& address : {kFloating4, kFloating6}) {
        const auto claim = net.network.probe_duplicate(address, 50ms);
        REQUIRE(claim);
        CHECK(*claim == peer_mac);
    }
    for (const Address& address : {Address{"10.9.0.101", 24, "v0"}, Address{"fd09::101", 64, "v0"}}) {
        const Instant begin = boot_now();
        const auto claim = net.network.probe_duplicate(address, 50ms);
        const Duration took = boot_now() - begin;
        REQUIRE(claim);
        CHECK_FALSE(*claim);
        CHECK(took >= 50ms);
        CHECK(took < 250ms);
    }
    CHECK(net.network.probe_duplicate({"10.9.0.101", 24, "lo"}, 50ms).value() == std::nullopt);
}

TEST_CASE("an announcement corrects the peer's neighbour table, three times, and not after the address has gone") {
    Net net;
    const std::string own_mac = net.names.mac(net.names.here({"-o", "link", "show", "v0"}));
    for (const Address& address : {kFloating4, kFloating6}) {
        net.mislead_peer(address.text);
        REQUIRE(net.network.add_address(address));
        REQUIRE(net.network.announce(address));
        CHECK(wait_until([&] { return net.peer_believes(address.text, own_mac); }, 80ms));
        net.mislead_peer(address.text);
        CHECK(wait_until([&] { return net.peer_believes(address.text, own_mac); }, 300ms));
        net.mislead_peer(address.text);
        CHECK(wait_until([&] { return net.peer_believes(address.text, own_mac); }, 1200ms));

        REQUIRE(net.network.announce(address));
        REQUIRE(net.network.remove_address(address));
        net.mislead_peer(address.text);
        CHECK_FALSE(wait_until([&] { return net.peer_believes(address.text, own_mac); }, 1200ms));
    }
}

TEST_CASE("an address that somebody else removed is not announced any more") {
    Net net;
    const std::string own_mac = net.names.mac(net.names.here({"-o", "link", "show", "v0"}));
    REQUIRE(net.network.add_address(kFloating4));
    REQUIRE(net.network.announce(kFloating4));
    net.names.here({"address", "del", "10.9.0.100/24", "dev", "v0"});
    net.mislead_peer(kFloating4.text);
    CHECK_FALSE(wait_until([&] { return net.peer_believes(kFloating4.text, own_mac); }, 1200ms));
}

TEST_CASE("ping tells who answers, over both protocols") {
    Net net;
    // A link that has just come up may lose the first question for the neighbour's hardware address.
    CHECK(wait_until([&] { return net.network.ping("10.9.0.2", 1s).value(); }, 10s));
    CHECK(wait_until([&] { return net.network.ping("fd09::2", 1s).value(); }, 10s));
    CHECK(net.network.ping("127.0.0.1", 1s).value());
    CHECK(net.network.ping("::1", 1s).value());
    const Instant begin = boot_now();
    CHECK_FALSE(net.network.ping("10.9.0.3", 90ms).value());
    CHECK_FALSE(net.network.ping("fd09::3", 90ms).value());
    CHECK(boot_now() - begin < 1s);
    CHECK_THAT(net.network.ping("example", 90ms).error().message, Contains("is not an IPv4 or IPv6 address"));
    CHECK_THAT(net.network.ping("192.0.2.1", 90ms).error().message, Contains("cannot ping 192.0.2.1"));
}
