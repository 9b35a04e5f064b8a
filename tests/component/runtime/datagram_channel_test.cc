#include "cluster-daemon/runtime/datagram_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <random>

#include "common/hash.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

constexpr size_t kHeader = 52;
constexpr size_t kTag = 16;
const std::vector<std::string> kTwoNetworks{"127.0.0.1:0", "127.0.0.1:0"};

Instant at(Duration since_boot) {
    return Instant(1000s + since_boot);
}
Bytes bytes(const std::string& text) {
    return {text.begin(), text.end()};
}

void wait_readable(int fd) {
    pollfd wait{fd, POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 5000) == 1);
}

// A socket in a peer's place: what is sent to the peer can be kept, changed and sent on.
struct Tap {
    UniqueFd fd = std::move(open_bound_socket(SOCK_DGRAM, "127.0.0.1:0").value());
    std::string address() const { return bound_address(fd.get()); }
    Bytes next() const {
        wait_readable(fd.get());
        Bytes datagram(4096);
        const ssize_t length = ::recv(fd.get(), datagram.data(), datagram.size(), 0);
        REQUIRE(length >= 0);
        datagram.resize(static_cast<size_t>(length));
        return datagram;
    }
    bool silent() const {
        pollfd wait{fd.get(), POLLIN, 0};
        return ::poll(&wait, 1, 0) == 0;
    }
    void send_to(const std::string& address, const Bytes& datagram) const {
        const SocketAddress target = parse_socket_address(address).value();
        REQUIRE(::sendto(fd.get(), datagram.data(), datagram.size(), 0, target.get(), target.length_bytes) ==
                static_cast<ssize_t>(datagram.size()));
    }
};

struct Delivered {
    uint16_t from = 0;
    size_t network = 0;
    std::string payload;
    bool operator==(const Delivered&) const = default;
};

// node1 sends to node2, and everything between them goes through two taps, a network each.
struct Wire {
    DatagramChannel one = std::move(DatagramChannel::open(NodeId{1}, kTwoNetworks).value());
    DatagramChannel two = std::move(DatagramChannel::open(NodeId{2}, kTwoNetworks).value());
    std::array<Tap, 2> taps;
    PairKey key = make_key().value();
    Instant now = at(0s);

    Wire() {
        REQUIRE(one.set_peers({{NodeId{2}, {taps[0].address(), taps[1].address()}}}));
        REQUIRE(two.set_peers({{NodeId{1}, one.bound()}, {NodeId{3}, {}}}));
        one.install_send_key(NodeId{2}, key);
        two.install_receive_key(NodeId{1}, key);
    }
    // The copies for both networks.
    std::array<Bytes, 2> sent(const std::string& payload) {
        REQUIRE(one.send(NodeId{2}, bytes(payload), now));
        return {taps[0].next(), taps[1].next()};
    }
    std::vector<Delivered> arrive(const Bytes& datagram, size_t network = 0) {
        const auto target = two.bound()[network];
        taps[network].send_to(target, datagram);
        wait_readable(two.descriptors()[network]);
        std::vector<Delivered> delivered;
        two.receive_all(now, [&](NodeId from, size_t on, std::span<const uint8_t> payload) {
            delivered.push_back({from.value, on, std::string(payload.begin(), payload.end())});
        });
        return delivered;
    }
    // Nothing is delivered, exactly one refusal is counted, under `counter`.
    void refused(const Bytes& datagram, uint64_t DatagramRefusals::* counter, size_t network = 0) {
        DatagramRefusals expected = two.refusals();
        ++(expected.*counter);
        CHECK(arrive(datagram, network).empty());
        CHECK(two.refusals() == expected);
    }
};

// The same datagram with another header or payload, signed again with `key`.
Bytes resigned(Bytes datagram, const PairKey& key, size_t offset, uint8_t value) {
    datagram[offset] = value;
    const std::span whole(datagram);
    const Hash tag = hmac_sha256(key.secret, whole.first(datagram.size() - kTag));
    std::copy_n(tag.begin(), kTag, datagram.end() - kTag);
    return datagram;
}

}  // namespace

TEST_CASE("a datagram goes out on every network and is delivered once, the first copy") {
    Wire wire;
    const auto copies = wire.sent("renew");
    CHECK(copies[0] != copies[1]);
    CHECK(wire.arrive(copies[1], 1) == std::vector<Delivered>{{1, 1, "renew"}});
    CHECK(wire.arrive(copies[0], 0).empty());
    const auto paths = wire.two.paths(NodeId{1});
    REQUIRE(paths.size() == 2);
    CHECK(paths[0].received == 1);
    CHECK(paths[1].received == 1);
    CHECK(wire.two.refusals() == DatagramRefusals{});
}

TEST_CASE("two nodes on loopback talk in both directions") {
    DatagramChannel one = std::move(DatagramChannel::open(NodeId{1}, {"127.0.0.1:0", ""}).value());
    DatagramChannel two = std::move(DatagramChannel::open(NodeId{2}, {"127.0.0.1:0", "127.0.0.1:0"}).value());
    REQUIRE(one.set_peers({{NodeId{1}, one.bound()}, {NodeId{2}, two.bound()}}));
    REQUIRE(two.set_peers({{NodeId{1}, one.bound()}}));
    const PairKey there = make_key().value();
    const PairKey back = make_key().value();
    one.install_send_key(NodeId{2}, there);
    two.install_receive_key(NodeId{1}, there);
    two.install_send_key(NodeId{1}, back);
    one.install_receive_key(NodeId{2}, back);
    std::string heard;
    const auto listen = [&](NodeId, size_t, std::span<const uint8_t> payload) {
        heard.assign(payload.begin(), payload.end());
    };
    REQUIRE(one.send(NodeId{2}, bytes("ping"), at(0s)));
    wait_readable(two.descriptors()[0]);
    CHECK(two.receive_all(at(0s), listen));
    CHECK(heard == "ping");
    REQUIRE(two.send(NodeId{1}, bytes("pong"), at(0s)));
    wait_readable(one.descriptors()[0]);
    CHECK(one.receive_all(at(0s), listen));
    CHECK(heard == "pong");
    CHECK_FALSE(one.send(NodeId{1}, bytes("myself"), at(0s)));
}

TEST_CASE("payloads of no length and of the limit pass, a longer one is not sent") {
    Wire wire;
    CHECK(wire.arrive(wire.sent("")[0]).size() == 1);
    const std::string longest(kDatagramPayloadLimitBytes, 'x');
    CHECK(wire.arrive(wire.sent(longest)[0]) == std::vector<Delivered>{{1, 0, longest}});
    CHECK_FALSE(wire.one.send(NodeId{2}, Bytes(kDatagramPayloadLimitBytes + 1), wire.now));
    CHECK(wire.taps[0].silent());
}

TEST_CASE("without a send key nothing goes out, without a receive key nothing comes in") {
    Wire wire;
    const Bytes datagram = wire.sent("x")[0];
    DatagramChannel deaf = std::move(DatagramChannel::open(NodeId{2}, kTwoNetworks).value());
    REQUIRE(deaf.set_peers({{NodeId{1}, {}}}));
    wire.two = std::move(deaf);
    wire.refused(datagram, &DatagramRefusals::no_key);
    CHECK_FALSE(wire.two.send(NodeId{1}, bytes("x"), wire.now));
}

TEST_CASE("every truncation is refused before anything is parsed") {
    Wire wire;
    const Bytes datagram = wire.sent("payload")[0];
    for (size_t length = 0; length < datagram.size(); ++length)
        wire.refused(Bytes(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(length)),
                     &DatagramRefusals::malformed);
    CHECK(wire.arrive(datagram).size() == 1);
}

TEST_CASE("datagrams that are longer than they say, or than any may be, are refused") {
    Wire wire;
    Bytes datagram = wire.sent("payload")[0];
    datagram.push_back(0);
    wire.refused(datagram, &DatagramRefusals::malformed);
    datagram.resize(kHeader + kDatagramPayloadLimitBytes + kTag + 1);
    wire.refused(datagram, &DatagramRefusals::oversized);
    datagram.resize(4096);
    wire.refused(datagram, &DatagramRefusals::oversized);
    // A length field of all ones.
    Bytes liar = wire.sent("payload")[0];
    liar[10] = liar[11] = 0xff;
    wire.refused(liar, &DatagramRefusals::malformed);
}

TEST_CASE("a flipped bit anywhere makes a datagram worthless") {
    Wire wire;
    const Bytes datagram = wire.sent("payload")[0];
    for (size_t bit = 0; bit < datagram.size() * 8; ++bit) {
        Bytes changed = datagram;
        changed[bit / 8] = static_cast<uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
        CHECK(wire.arrive(changed).empty());
    }
    CHECK(wire.two.paths(NodeId{1})[0].received == 0);
    CHECK(wire.arrive(datagram).size() == 1);
}

TEST_CASE("a replay is refused on its own network, on another one, and much later") {
    Wire wire;
    const auto first = wire.sent("first");
    CHECK(wire.arrive(first[0]).size() == 1);
    wire.refused(first[0], &DatagramRefusals::replayed);
    wire.refused(first[0], &DatagramRefusals::forged, 1);  // it says network 0
    for (int i = 0; i < 300; ++i) wire.arrive(wire.sent("more")[0]);
    wire.refused(first[0], &DatagramRefusals::replayed);
    CHECK(wire.arrive(first[1], 1).empty());  // never seen there, but delivered long ago
}

TEST_CASE("datagrams that arrive in another order are all delivered, once") {
    Wire wire;
    std::vector<Bytes> datagrams;
    for (int i = 0; i < 200; ++i) datagrams.push_back(wire.sent(std::to_string(i))[0]);
    std::shuffle(datagrams.begin(), datagrams.end(), std::mt19937(5));
    size_t delivered = 0;
    for (const Bytes& datagram : datagrams) delivered += wire.arrive(datagram).size();
    CHECK(delivered == 200);
    for (const Bytes& datagram : datagrams) wire.refused(datagram, &DatagramRefusals::replayed);
}

TEST_CASE("a wrong key, another sender's number, another receiver and strangers are refused") {
    Wire wire;
    const Bytes datagram = wire.sent("x")[0];
    PairKey wrong = make_key().value();
    wrong.id = wire.key.id;
    wire.refused(resigned(datagram, wrong, kHeader, 'y'), &DatagramRefusals::forged);
    // node1 holds its own key only: saying that it is node3 does not help it.
    wire.refused(resigned(datagram, wire.key, 6, 3), &DatagramRefusals::no_key);
    const PairKey of_three = make_key().value();
    wire.two.install_receive_key(NodeId{3}, of_three);
    wire.refused(resigned(datagram, wire.key, 6, 3), &DatagramRefusals::no_key);
    wire.refused(resigned(datagram, wire.key, 6, 9), &DatagramRefusals::unknown);
    wire.refused(resigned(datagram, wire.key, 8, 7), &DatagramRefusals::unknown);
    wire.refused(resigned(datagram, wire.key, 0, 'X'), &DatagramRefusals::unknown);
    wire.refused(resigned(datagram, wire.key, 4, 2), &DatagramRefusals::unknown);
    wire.refused(resigned(datagram, wire.key, 5, 1), &DatagramRefusals::forged);
    wire.refused(resigned(datagram, wire.key, 5, 200), &DatagramRefusals::forged);
    CHECK(wire.arrive(datagram).size() == 1);
}

TEST_CASE("a key of one direction does not open the other") {
    Wire wire;
    const Bytes datagram = wire.sent("x")[0];
    wire.one.install_receive_key(NodeId{2}, make_key().value());
    const auto mirrored = wire.one.bound()[0];
    wire.taps[0].send_to(mirrored, datagram);
    wait_readable(wire.one.descriptors()[0]);
    wire.one.receive_all(wire.now,
                         [](NodeId, size_t, std::span<const uint8_t>) { FAIL("a node took its own datagram"); });
    CHECK(wire.one.refusals().unknown == 1);
}

TEST_CASE("random bytes of every length do nothing, and are never answered") {
    Wire wire;
    std::mt19937 random(3);
    for (size_t length = 0; length < 1700; length += 13) {
        Bytes noise(length);
        for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
        CHECK(wire.arrive(noise).empty());
        if (length < 12) continue;
        const Bytes good_start{'K', 'G', 'D', '1', 1, 0, 1, 0, 2, 0};
        std::copy(good_start.begin(), good_start.end(), noise.begin());
        CHECK(wire.arrive(noise).empty());
    }
    CHECK(wire.taps[0].silent());
}

TEST_CASE("a new receive key takes over with its first datagram, and the old one works until then") {
    Wire wire;
    const PairKey lost = make_key().value();
    const PairKey next = make_key().value();
    CHECK(wire.arrive(wire.sent("old key")[0]).size() == 1);
    wire.two.install_receive_key(NodeId{1}, lost);  // its hand-over never arrives
    CHECK(wire.arrive(wire.sent("still the old key")[0]).size() == 1);
    wire.two.install_receive_key(NodeId{1}, next);
    const Bytes late = wire.sent("late, under the old key")[0];
    wire.one.install_send_key(NodeId{2}, next);
    CHECK(wire.arrive(wire.sent("new key")[0]).size() == 1);
    wire.refused(late, &DatagramRefusals::no_key);
    wire.one.install_send_key(NodeId{2}, lost);
    wire.refused(wire.sent("a key that was given up")[0], &DatagramRefusals::no_key);
}

TEST_CASE("installing a key again does not reopen its past") {
    Wire wire;
    const Bytes datagram = wire.sent("once")[0];
    CHECK(wire.arrive(datagram).size() == 1);
    wire.two.install_receive_key(NodeId{1}, wire.key);
    wire.refused(datagram, &DatagramRefusals::replayed);
    wire.one.install_send_key(NodeId{2}, wire.key);
    CHECK(wire.arrive(wire.sent("the counter went on")[0]).size() == 1);
}

TEST_CASE("a restarted receiver makes a new key, so that nothing of before it is taken") {
    Wire wire;
    const Bytes datagram = wire.sent("before")[0];
    DatagramChannel restarted = std::move(DatagramChannel::open(NodeId{2}, kTwoNetworks).value());
    REQUIRE(restarted.set_peers({{NodeId{1}, wire.one.bound()}}));
    restarted.install_receive_key(NodeId{1}, make_key().value());
    wire.two = std::move(restarted);
    wire.refused(datagram, &DatagramRefusals::no_key);
}

TEST_CASE("loss is counted for each network by what came over any") {
    Wire wire;
    for (int i = 0; i < 100; ++i) {
        const auto copies = wire.sent(std::to_string(i));
        wire.arrive(copies[0], 0);
        if (i % 4 == 0) wire.arrive(copies[1], 1);
    }
    const auto paths = wire.two.paths(NodeId{1});
    CHECK(paths[0].recent_expected == 100);
    CHECK(paths[0].recent_received == 100);
    CHECK(paths[1].recent_expected == 100);
    CHECK(paths[1].recent_received == 25);
    for (int i = 0; i < 300; ++i) wire.arrive(wire.sent("only one network")[0], 0);
    CHECK(wire.two.paths(NodeId{1})[1].recent_expected == 256);
    CHECK(wire.two.paths(NodeId{1})[1].recent_received == 0);
}

TEST_CASE("last seen and round-trip time come from the caller's clock and the echo") {
    Wire wire;
    const PairKey back = make_key().value();
    wire.two.install_send_key(NodeId{1}, back);
    wire.one.install_receive_key(NodeId{2}, back);
    CHECK_FALSE(wire.two.paths(NodeId{1})[0].last_seen.has_value());
    const Instant sent_at = at(0s);
    const Bytes there = wire.sent("x")[0];
    // node2's clock shows quite another time.
    wire.now = at(500s);
    wire.arrive(there);
    CHECK(wire.two.paths(NodeId{1})[0].last_seen == at(500s));
    CHECK_FALSE(wire.two.paths(NodeId{1})[0].rtt.has_value());
    REQUIRE(wire.two.send(NodeId{1}, bytes("answer"), at(500s) + 30ms));
    wait_readable(wire.one.descriptors()[0]);
    wire.one.receive_all(sent_at + 35ms, [](NodeId, size_t, std::span<const uint8_t>) {});
    CHECK(wire.one.paths(NodeId{2})[0].rtt == Duration(5ms));
}

TEST_CASE("an echo of another boot gives no round-trip time") {
    Wire wire;
    wire.now = at(0s);
    Bytes datagram = wire.sent("x")[0];
    wire.arrive(resigned(datagram, wire.key, 43, 0x7f));  // an echo far in the future
    CHECK_FALSE(wire.two.paths(NodeId{1})[0].rtt.has_value());
    datagram = wire.sent("x")[0];
    datagram[36] = 1;
    wire.arrive(resigned(datagram, wire.key, 51, 0x7f));  // held for centuries
    CHECK(wire.two.paths(NodeId{1})[0].rtt.value_or(Duration(0)) < Duration(60s));
}

TEST_CASE("a flood is taken in bounded portions") {
    Wire wire;
    for (int i = 0; i < 100; ++i) wire.taps[0].send_to(wire.two.bound()[0], Bytes(10));
    size_t rounds = 1;
    while (!wire.two.receive_all(wire.now, [](NodeId, size_t, std::span<const uint8_t>) {})) ++rounds;
    CHECK(wire.two.refusals().malformed == 100);
    CHECK(rounds == 1);
    for (int i = 0; i < 20; ++i)
        for (int k = 0; k < 20; ++k) wire.taps[0].send_to(wire.two.bound()[0], Bytes(0));
    rounds = 1;
    while (!wire.two.receive_all(wire.now, [](NodeId, size_t, std::span<const uint8_t>) {})) ++rounds;
    CHECK(rounds == 2);
}

TEST_CASE(
    "an address that is not there yet is bound, a second owner of a port is refused, sending there only counts "
    "errors") {
    DatagramChannel early = std::move(DatagramChannel::open(NodeId{1}, {"192.0.2.77:0"}).value());
    REQUIRE(early.set_peers({{NodeId{2}, {"192.0.2.78:29002"}}}));
    early.install_send_key(NodeId{2}, make_key().value());
    early.send(NodeId{2}, bytes("x"), at(0s));
    CHECK(early.paths(NodeId{2})[0].sent + early.paths(NodeId{2})[0].send_errors == 1);
    const Wire wire;
    const auto taken = DatagramChannel::open(NodeId{1}, {wire.one.bound()[0]});
    REQUIRE_FALSE(taken);
    CHECK_FALSE(taken.error().remedy.empty());
}

TEST_CASE("names instead of addresses, and too many networks, are refused") {
    CHECK_FALSE(DatagramChannel::open(NodeId{1}, {"node1:29002"}));
    CHECK_FALSE(DatagramChannel::open(NodeId{1}, std::vector<std::string>(9, "127.0.0.1:0")));
    Wire wire;
    CHECK_FALSE(wire.one.set_peers({{NodeId{2}, {"node2:29002"}}}));
    CHECK(wire.one.send(NodeId{2}, bytes("the old table stands"), wire.now));
}

TEST_CASE("the window knows new, seen and too old counters, also at its edges") {
    ReplayWindow window;
    CHECK_FALSE(window.fresh(0));
    CHECK(window.fresh(1));
    window.mark(1000);
    CHECK_FALSE(window.fresh(1000));
    CHECK(window.fresh(999));
    CHECK(window.fresh(1000 - 255));
    CHECK_FALSE(window.fresh(1000 - 256));
    window.mark(1000 - 255);
    CHECK_FALSE(window.fresh(1000 - 255));
    window.mark(1001);
    CHECK_FALSE(window.fresh(1000 - 255));
    CHECK(window.fresh(1001 - 255));  // took over the place of 745
    window.mark(~uint64_t{0});
    CHECK_FALSE(window.fresh(1001));
    CHECK_FALSE(window.fresh(~uint64_t{0}));
    CHECK(window.fresh(~uint64_t{0} - 1));
}
