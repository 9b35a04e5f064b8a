// Whoever is not meant to speak here is refused, and as early as possible: S1, S2, S3, S4 of the security checklist.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <random>

#include "cluster-daemon/runtime/socket_address.h"
#include "tests/component/runtime/peer_fixture.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;
using std::chrono::hours;

namespace {

Validity past() {
    const auto now = std::chrono::system_clock::now();
    return {now - hours(48), now - hours(1)};
}
Validity future() {
    const auto now = std::chrono::system_clock::now();
    return {now + hours(48), now + hours(96)};
}
std::string uri(const std::string& rest) {
    return "URI:kagami:" + to_string(kTestCluster) + rest;
}

struct Server {
    Credential ca = create_ca(kTestCluster).value();
    Member one{ca, node_identity(1)};
    Credential good = issue(ca, node_identity(2)).value();
    Server() {
        one.options.timing.handshake_timeout = 500ms;
        one.start();
        one.options.peers = {{NodeId{2}, "node2", {"127.0.0.1:1"}}};
        one.network->set_peers(one.options.peers);
    }
    bool lets_in(const Credential& credential) const {
        return reaches_http2(one.address(), {ca.certificate_pem, &credential, 0});
    }
};

// A network that dials node1 with the given certificate; what its stream was told in the end.
std::string told_by_node1(const Server& server, const Credential& own) {
    Member caller(server.ca.certificate_pem, own);
    caller.start();
    PeerEntry entry = server.one.entry();
    if (caller.options.keys.info.identity.node.value == 1) {
        entry.node =
            NodeId{2};  // one's own number cannot be in the table; the server's identity check is not what is tested
        entry.name = "node1";
    }
    caller.network->set_peers({entry});
    const uint16_t node = entry.node.value;
    REQUIRE(wait_until([&] { return !caller.status_of(node).last_error.empty(); }));
    CHECK_FALSE(caller.up(node));
    return caller.status_of(node).last_error;
}

}  // namespace

TEST_CASE("the right certificate reaches HTTP/2, so the refusals below mean something") {
    const Server server;
    CHECK(server.lets_in(server.good));
}

TEST_CASE("TLS 1.2 is refused even with the right certificate") {
    const Server server;
    CHECK_FALSE(reaches_http2(server.one.address(), {server.ca.certificate_pem, &server.good, TLS1_2_VERSION}));
    CHECK(reaches_http2(server.one.address(), {server.ca.certificate_pem, &server.good, TLS1_3_VERSION}));
}

TEST_CASE("no client certificate, no HTTP/2") {
    const Server server;
    CHECK_FALSE(reaches_http2(server.one.address(), {server.ca.certificate_pem, nullptr, 0}));
}

TEST_CASE("certificates of a wrong CA, expired and early ones end in the handshake") {
    const Server server;
    const Credential stranger = create_ca(kTestCluster).value();
    const Credential other = create_ca(kOtherCluster).value();
    CHECK_FALSE(server.lets_in(issue(stranger, node_identity(2)).value()));
    CHECK_FALSE(server.lets_in(issue(other, {kOtherCluster, Role::kNode, NodeId{2}, "node2"}).value()));
    CHECK_FALSE(server.lets_in(issue(server.ca, node_identity(2), past()).value()));
    CHECK_FALSE(server.lets_in(issue(server.ca, node_identity(2), future()).value()));
    CHECK_FALSE(server.lets_in(stranger));
    CHECK_FALSE(server.lets_in(server.ca));
}

TEST_CASE("people's certificates end in the handshake, and the refusal is reported") {
    const Server server;
    for (const Role role : {Role::kAdmin, Role::kOperator, Role::kViewer})
        CHECK_FALSE(server.lets_in(issue(server.ca, {kTestCluster, role, kNobody, "alice"}).value()));
    CHECK(server.one.refusals().size() == 3);
}

TEST_CASE("certificates of our own CA without exactly one right name end in the handshake") {
    const Server server;
    for (const std::string& san :
         {std::string(), std::string("DNS:node2"), uri("/node/2/node2") + ",DNS:node2",
          uri("/node/2/node2") + "," + uri("/node/1/node1"), "URI:kagami:" + to_string(kOtherCluster) + "/node/2/node2",
          uri("/node/02/node2"), uri("/root/0/x"), uri("/node/2/"), std::string("URI:spiffe://kagami/node2"),
          std::string("IP:127.0.0.1"), std::string("email:node2@example.com")}) {
        CAPTURE(san);
        CHECK_FALSE(server.lets_in(forge(server.ca, san)));
    }
    CHECK(server.lets_in(forge(server.ca, uri("/node/2/node2"))));
}

TEST_CASE("a certificate with somebody else's key cannot be used") {
    const Server server;
    Member thief(server.ca.certificate_pem, {server.good.certificate_pem, create_key().value()});
    thief.start();
    thief.network->set_peers({server.one.entry()});
    CHECK(wait_until([&] { return !thief.status_of(1).last_error.empty(); }));
    CHECK_FALSE(thief.up(1));
    CHECK_FALSE(server.one.status_of(2).incoming);
}

TEST_CASE("a node that is not in the table, has another name, our own number or only a join token may not deliver") {
    const Server server;
    CHECK_THAT(told_by_node1(server, issue(server.ca, node_identity(3)).value()),
               Catch::Contains("is not a peer of node1"));
    CHECK_THAT(told_by_node1(server, issue(server.ca, node_identity(2, "impostor")).value()),
               Catch::Contains("is not a peer of node1"));
    CHECK_THAT(told_by_node1(server, issue(server.ca, {kTestCluster, Role::kWitness, kWitnessId, "witness"}).value()),
               Catch::Contains("is not a peer of node1"));
    CHECK_THAT(told_by_node1(server, issue(server.ca, {kTestCluster, Role::kJoin, NodeId{2}, "node2"}).value()),
               Catch::Contains("is not a peer of node1"));
    CHECK(server.one.refusals().size() >= 4);
    CHECK(server.one.received_from(2).empty());
}

TEST_CASE("a client sends nothing to a server that is not exactly the node it meant") {
    const Credential ca = create_ca(kTestCluster).value();
    Member one(ca, node_identity(1));
    Member three(ca, node_identity(3));
    one.start();
    three.start();
    three.knows({&one});
    for (const PeerEntry& wrong :
         {PeerEntry{NodeId{2}, "node2", {three.address()}}, PeerEntry{NodeId{3}, "another", {three.address()}},
          PeerEntry{kWitnessId, "node3", {three.address()}}}) {
        one.network->set_peers({wrong});
        one.network->send(wrong.node, bytes("secret"));
        REQUIRE(wait_until([&] { return !one.status_of(wrong.node.value).last_error.empty(); }));
        CHECK_FALSE(one.up(wrong.node.value));
        CHECK_FALSE(three.status_of(1).incoming);
    }
    CHECK(three.received_from(1).empty());
}

TEST_CASE("a server of a wrong CA, an expired one and one of role join are not spoken to") {
    const Credential ca = create_ca(kTestCluster).value();
    const Credential stranger = create_ca(kTestCluster).value();
    for (const Credential& bad :
         {issue(stranger, node_identity(2)).value(), issue(ca, node_identity(2), past()).value(),
          issue(ca, {kTestCluster, Role::kJoin, NodeId{2}, "node2"}).value(),
          forge(ca, "URI:kagami:" + to_string(kOtherCluster) + "/node/2/node2")}) {
        Member one(ca, node_identity(1));
        Member two(ca.certificate_pem, bad);
        one.start();
        two.start();
        one.network->set_peers({{NodeId{2}, "node2", {two.address()}}});
        one.network->send(NodeId{2}, bytes("secret"));
        REQUIRE(wait_until([&] { return !one.status_of(2).last_error.empty(); }));
        CHECK_FALSE(one.up(2));
        CHECK(two.received_from(1).empty());
    }
}

TEST_CASE("plaintext HTTP/2, HTTP/1 and random bytes get no answer but a TLS alert") {
    const Server server;
    std::vector<std::string> streams{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0", 9),
                                     "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""};
    std::mt19937 random(7);
    for (int i = 0; i < 20; ++i) {
        std::string noise(1U << (random() % 14), '\0');
        for (char& c : noise) c = static_cast<char>(random());
        streams.push_back(noise);
        streams.push_back(std::string("\x16\x03\x01\xff\xff", 5) + noise);  // a TLS record that lies about its length
    }
    for (const std::string& stream : streams) {
        const std::string answer = plain_answer(server.one.address(), stream);
        CHECK((answer.empty() || answer[0] == '\x15'));
    }
    CHECK(server.lets_in(server.good));
}

TEST_CASE("a flood of silent connections is turned away or timed out, and an established stream goes on") {
    const Credential ca = create_ca(kTestCluster).value();
    Member one(ca, node_identity(1));
    Member two(ca, node_identity(2));
    one.options.timing.handshake_timeout = 500ms;
    one.options.descriptor_limit = 200;
    one.start();
    two.start();
    one.knows({&two});
    two.knows({&one});
    REQUIRE(wait_until([&] { return two.up(1); }));
    const SocketAddress target = parse_socket_address(one.address()).value();
    std::vector<UniqueFd> flood;
    for (int i = 0; i < 300; ++i) {
        flood.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ::connect(flood.back().get(), target.get(), target.length_bytes);
    }
    CHECK(wait_until([&] { return one.network->turned_away() > 0; }));
    CHECK(two.network->send(NodeId{1}, bytes("still here")));
    CHECK(wait_until([&] { return one.received_from(2) == std::vector<std::string>{"still here"}; }));
    flood.clear();
    const Credential three = issue(ca, node_identity(3)).value();
    CHECK(wait_until([&] { return reaches_http2(one.address(), {ca.certificate_pem, &three, 0}); }));
}
