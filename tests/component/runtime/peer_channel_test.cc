#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/socket_address.h"
#include "tests/component/runtime/peer_fixture.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;

namespace {

struct Pair {
    Credential ca = create_ca(kTestCluster).value();
    Member one{ca, node_identity(1)};
    Member two{ca, node_identity(2)};
    void start() {
        one.start();
        two.start();
    }
    void connect() {
        one.knows({&two});
        two.knows({&one});
        REQUIRE(wait_until([&] { return one.up(2) && two.up(1); }));
    }
};

// Accepts connections in its backlog and never says a word: a network that swallows packets looks the same to a client.
struct SilentPeer {
    UniqueFd fd = std::move(open_bound_socket(SOCK_STREAM, "127.0.0.1:0").value());
    SilentPeer() { REQUIRE(::listen(fd.get(), 16) == 0); }
    std::string address() const { return bound_address(fd.get()); }
};

}  // namespace

TEST_CASE("two nodes and a witness exchange messages, each known by its certificate") {
    Pair pair;
    Member witness(pair.ca, {kTestCluster, Role::kWitness, kWitnessId, "witness"});
    pair.start();
    witness.start();
    pair.one.knows({&pair.two, &witness});
    pair.two.knows({&pair.one, &witness});
    witness.knows({&pair.one, &pair.two});
    REQUIRE(wait_until([&] { return pair.one.up(2) && pair.one.up(1000) && witness.up(1) && witness.up(2); }));
    CHECK(pair.one.network->send(NodeId{2}, bytes("to node2")));
    CHECK(pair.one.network->send(kWitnessId, bytes("to the witness")));
    CHECK(witness.network->send(NodeId{1}, bytes("from the witness")));
    CHECK(wait_until([&] { return pair.two.received_from(1) == std::vector<std::string>{"to node2"}; }));
    CHECK(wait_until([&] { return witness.received_from(1) == std::vector<std::string>{"to the witness"}; }));
    CHECK(wait_until([&] { return pair.one.received_from(1000) == std::vector<std::string>{"from the witness"}; }));
}

TEST_CASE("many messages arrive in order") {
    Pair pair;
    pair.one.options.queue_limit_messages = 5000;
    pair.start();
    pair.connect();
    for (int i = 0; i < 2000; ++i) pair.one.network->send(NodeId{2}, bytes(std::to_string(i)));
    REQUIRE(wait_until([&] { return pair.two.received_from(1).size() == 2000; }));
    const auto received = pair.two.received_from(1);
    for (size_t i = 0; i < received.size(); ++i) REQUIRE(received[i] == std::to_string(i));
    CHECK(wait_until([&] { return pair.one.status_of(2).sent == 2000; }));
    CHECK(pair.two.status_of(1).received == 2000);
}

TEST_CASE("a message of the limit passes, an empty one too, a larger one is refused at once") {
    Pair pair;
    pair.start();
    pair.connect();
    CHECK(pair.one.network->send(NodeId{2}, Bytes(kPeerMessageLimitBytes, 7)));
    CHECK(pair.one.network->send(NodeId{2}, Bytes{}));
    CHECK_FALSE(pair.one.network->send(NodeId{2}, Bytes(kPeerMessageLimitBytes + 1)));
    CHECK(pair.one.status_of(2).too_large == 1);
    REQUIRE(wait_until([&] { return pair.two.received_from(1).size() == 2; }));
    CHECK(pair.two.received_from(1)[0].size() == kPeerMessageLimitBytes);
    CHECK(pair.two.received_from(1)[1].empty());
}

TEST_CASE("sending to somebody who is not in the table fails") {
    Pair pair;
    pair.start();
    pair.connect();
    CHECK_FALSE(pair.one.network->send(NodeId{9}, bytes("x")));
    CHECK_FALSE(pair.one.network->send(NodeId{1}, bytes("to myself")));
}

TEST_CASE("while a peer is away the oldest messages give way and are counted, the newest arrive later") {
    Pair pair;
    pair.one.options.queue_limit_messages = 4;
    pair.start();
    const std::string address = pair.two.address();
    pair.one.knows({&pair.two});
    pair.two.stop();
    for (int i = 0; i < 10; ++i) CHECK(pair.one.network->send(NodeId{2}, bytes(std::to_string(i))));
    CHECK(pair.one.status_of(2).waiting <= 4);
    pair.two.start(address);
    pair.two.knows({&pair.one});
    REQUIRE(wait_until([&] { return pair.two.received_from(1).size() >= 4; }));
    CHECK(pair.two.received_from(1).back() == "9");
    const PeerStatus status = pair.one.status_of(2);
    CHECK(status.sent + status.dropped == 10);
}

TEST_CASE("a queue is bounded in bytes as well") {
    Pair pair;
    pair.one.options.queue_limit_bytes = 3000;
    pair.start();
    pair.one.knows({&pair.two});
    pair.two.stop();
    REQUIRE(wait_until([&] { return !pair.one.up(2); }));
    for (int i = 0; i < 10; ++i) pair.one.network->send(NodeId{2}, Bytes(1000));
    CHECK(pair.one.status_of(2).waiting <= 3);
}

TEST_CASE("a peer that restarts is connected again, and up and down alternate") {
    Pair pair;
    pair.start();
    pair.connect();
    const std::string address = pair.two.address();
    for (int round = 0; round < 3; ++round) {
        pair.two.stop();
        REQUIRE(wait_until([&] { return !pair.one.up(2); }));
        pair.two.start(address);
        REQUIRE(wait_until([&] { return pair.one.up(2) && pair.two.up(1); }));
    }
    REQUIRE(wait_until([&] { return pair.one.events().size() == 7; }));
    const auto events = pair.one.events();
    for (size_t i = 0; i < events.size(); ++i) CHECK(events[i] == (i % 2 == 0 ? "up 2" : "down 2"));
    pair.one.network->send(NodeId{2}, bytes("hello again"));
    CHECK(wait_until([&] { return pair.two.received_from(1) == std::vector<std::string>{"hello again"}; }));
}

TEST_CASE("the first network that answers is used: one refuses, one swallows, the third works") {
    Pair pair;
    pair.start();
    const SilentPeer silent;
    PeerEntry entry = pair.two.entry();
    entry.addresses = {"127.0.0.1:1", silent.address(), "", pair.two.address()};
    pair.two.knows({&pair.one});
    pair.one.network->set_peers({entry});
    REQUIRE(wait_until([&] { return pair.one.up(2); }));
    CHECK(pair.one.status_of(2).network == 3U);
}

TEST_CASE("a network that heartbeats report lost is left at once for the next one") {
    Pair pair;
    pair.start();
    pair.two.knows({&pair.one});
    PeerEntry entry = pair.two.entry();
    entry.addresses = {pair.two.address(), pair.two.address()};
    pair.one.network->set_peers({entry});
    REQUIRE(wait_until([&] { return pair.one.up(2); }));
    CHECK(pair.one.status_of(2).network == 0U);
    pair.one.network->path_lost(NodeId{2}, 1);  // not the one in use
    CHECK(pair.one.up(2));
    pair.one.network->path_lost(NodeId{2}, 0);
    REQUIRE(wait_until([&] { return pair.one.up(2) && pair.one.status_of(2).network == 1U; }));
    CHECK(pair.one.network->send(NodeId{2}, bytes("over the other one")));
    CHECK(wait_until([&] { return pair.two.received_from(1).size() == 1; }));
}

TEST_CASE("a network that goes silent is noticed by keepalive and the other one used") {
    Pair pair;
    pair.one.options.timing.keepalive_timeout = 500ms;
    pair.start();
    pair.two.knows({&pair.one});
    Relay relay(pair.two.address());
    PeerEntry entry = pair.two.entry();
    entry.addresses = {relay.address(), pair.two.address()};
    pair.one.network->set_peers({entry});
    REQUIRE(wait_until([&] { return pair.one.up(2); }));
    REQUIRE(pair.one.status_of(2).network == 0U);
    relay.freeze();
    REQUIRE(wait_until([&] { return pair.one.up(2) && pair.one.status_of(2).network == 1U; }));
    CHECK(pair.one.network->send(NodeId{2}, bytes("over the other one")));
    CHECK(wait_until([&] { return pair.two.received_from(1).size() == 1; }));
}

TEST_CASE("a peer whose address changes is dialled there, and up and down alternate") {
    Pair pair;
    pair.start();
    pair.connect();
    const Relay elsewhere(pair.two.address());
    PeerEntry entry = pair.two.entry();
    entry.addresses = {elsewhere.address()};
    pair.one.network->set_peers({entry});
    REQUIRE(wait_until([&] { return pair.one.events().size() == 3; }));
    CHECK(pair.one.events() == std::vector<std::string>{"up 2", "down 2", "up 2"});
    pair.one.network->set_peers({entry});  // nothing changed
    CHECK(pair.one.up(2));
    entry.addresses = {"", "", elsewhere.address()};
    pair.one.network->set_peers({entry});
    REQUIRE(wait_until([&] { return pair.one.up(2) && pair.one.status_of(2).network == 2U; }));
    CHECK(pair.one.network->send(NodeId{2}, bytes("moved")));
    CHECK(wait_until([&] { return pair.two.received_from(1).size() == 1; }));
    pair.one.network->set_peers({{NodeId{2}, "node2", {}}});
    CHECK(wait_until([&] { return !pair.one.up(2); }));
}

TEST_CASE("a peer taken out of the table is cut off in both directions") {
    Pair pair;
    pair.start();
    pair.connect();
    pair.one.network->set_peers({});
    CHECK(wait_until([&] { return !pair.two.up(1); }));
    pair.two.network->send(NodeId{1}, bytes("still there?"));
    CHECK(wait_until([&] { return !pair.one.refusals().empty(); }));
    CHECK(pair.one.received_from(2).empty());
}

TEST_CASE("an occupied port and a name instead of an address are refused with the remedy") {
    Pair pair;
    pair.one.start();
    pair.two.options.listen = {pair.one.address()};
    const auto occupied = PeerNetwork::start(pair.two.options, pair.two.callbacks);
    REQUIRE_FALSE(occupied);
    CHECK_THAT(occupied.error().message, Catch::Contains(pair.one.address()));
    CHECK_THAT(occupied.error().remedy, Catch::Contains("stop the other program"));
    pair.two.options.listen = {"node2:29001"};
    CHECK_FALSE(PeerNetwork::start(pair.two.options, pair.two.callbacks));
}

TEST_CASE("an address that this machine does not have yet can be listened on") {
    Pair pair;
    pair.one.start("192.0.2.77:0");
    CHECK_THAT(pair.one.address(), Catch::StartsWith("192.0.2.77:"));
}

// gRPC 1.51 corrupts memory when its last user is a channel that ends on gRPC's own thread; see PeerNetwork::Impl::stop().
TEST_CASE("networks can come and go many times, in the middle of whatever they do") {
    for (int round = 0; round < 40; ++round) {
        Pair pair;
        pair.start();
        pair.one.knows({&pair.two});
        pair.two.knows({&pair.one});
        for (int i = 0; i < 20; ++i) pair.one.network->send(NodeId{2}, Bytes(1000));
        if (round % 4 > 0) REQUIRE(wait_until([&] { return pair.one.up(2); }));
        if (round % 4 > 1) REQUIRE(wait_until([&] { return pair.two.up(1); }));
        (round % 2 == 0 ? pair.one : pair.two).stop();
    }
}
