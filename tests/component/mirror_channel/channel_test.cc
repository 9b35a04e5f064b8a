// What two good ends do: data, waiting for buffers, connecting again, other paths.
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/socket_address.h"
#include "tests/component/mirror_channel/channel_fixture.h"

using namespace kagami;
using namespace kagami::testing;
using mirror::FrameType;

namespace {

constexpr size_t kMiB = size_t{1} << 20U;

std::vector<uint64_t> sequence(const End& end) {
    std::vector<uint64_t> seqs;
    for (const Received& one : end.received) seqs.push_back(one.frame.seq);
    return seqs;
}

}  // namespace

TEST_CASE("frames arrive whole and in order on both streams, both ways") {
    Couple couple;
    couple.connect();
    CHECK(couple.dialler.network == "mirror");
    CHECK(couple.dialler.channel->state() == "connected over mirror");
    for (uint64_t seq = 1; seq <= 20; ++seq) couple.dialler.send(FrameType::kWrite, seq, pattern(4096 * seq, 3));
    couple.dialler.send(FrameType::kWrite, 21, pattern(kMiB, 9));
    couple.acceptor.send(FrameType::kReadReply, 1, pattern(kMiB, 5));
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 21 && couple.dialler.received.size() == 1; }));
    for (uint64_t seq = 1; seq <= 20; ++seq) {
        const Received& one = couple.acceptor.received[seq - 1];
        CHECK(one.frame.seq == seq);
        CHECK(one.payload == pattern(4096 * seq, 3));
    }
    CHECK(couple.acceptor.received.back().payload == pattern(kMiB, 9));
    CHECK(couple.dialler.received.front().payload == pattern(kMiB, 5));
    CHECK(couple.dialler.channel->sent_bytes() == couple.acceptor.channel->received_bytes());
    couple.acceptor.send(FrameType::kAck, 21);
    couple.dialler.send(FrameType::kPing, 22);
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 22 && couple.dialler.received.size() == 2; }));
    CHECK(couple.dialler.received.back().frame.type == FrameType::kAck);
}

TEST_CASE("every field of a frame and its body arrive as they were sent") {
    Couple couple;
    couple.connect();
    mirror::Frame hello;
    hello.type = FrameType::kHello;
    hello.seq = 7;
    hello.token = {Epoch{70001}, 12};
    hello.generation = {3, kChannelCluster};
    hello.body = pattern(mirror::kMaxBodyBytes, 1);
    couple.acceptor.channel->send(hello, false);
    mirror::Frame ack;
    ack.type = FrameType::kAck;
    ack.error = 5;
    couple.acceptor.channel->send(ack, false);
    couple.acceptor.channel->flush();
    REQUIRE(couple.run([&] { return couple.dialler.received.size() == 2; }));
    CHECK(couple.dialler.received[0].frame == hello);
    CHECK(couple.dialler.received[1].frame == ack);
}

TEST_CASE("a frame that was queued without flush() goes out with the next wake-up") {
    Couple couple;
    couple.connect();
    mirror::Frame ping;
    couple.dialler.channel->send(ping, false);
    REQUIRE(couple.dialler.channel->wake_at().value() <= host::boot_now());
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 1; }));
}

TEST_CASE("without a free buffer data waits, control goes on, and nothing is lost") {
    Couple couple;
    couple.acceptor.hold = true;
    couple.connect();
    for (uint64_t seq = 1; seq <= 3; ++seq) couple.dialler.send(FrameType::kWrite, seq, pattern(kMiB, 1));
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 3; }));
    while (couple.acceptor.buffers.available(kMiB, mirror::Use::kPeer))
        couple.acceptor.held.push_back(couple.acceptor.buffers.take(kMiB, mirror::Use::kPeer));
    for (uint64_t seq = 4; seq <= 5; ++seq) couple.dialler.send(FrameType::kWrite, seq, pattern(kMiB, 2));
    couple.dialler.send(FrameType::kPing, 6);
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 4; }));
    CHECK(couple.acceptor.received.back().frame.seq == 6);
    run_for({&couple.dialler, &couple.acceptor}, 50ms);
    CHECK(couple.acceptor.received.size() == 4);
    couple.acceptor.hold = false;
    couple.acceptor.release_held();
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 6; }));
    CHECK(sequence(couple.acceptor) == std::vector<uint64_t>{1, 2, 3, 6, 4, 5});
    CHECK(couple.acceptor.received.back().payload == pattern(kMiB, 2));
}

TEST_CASE("payloads that were given up go back to the pool, sent or not") {
    Couple couple;
    const auto all_free = [&] {
        std::vector<mirror::BufferId> taken;
        while (couple.dialler.buffers.available(kMiB, mirror::Use::kClient))
            taken.push_back(couple.dialler.buffers.take(kMiB, mirror::Use::kClient));
        for (const auto buffer : taken) couple.dialler.buffers.release(buffer);
        return taken.size();
    };
    const size_t before = all_free();
    couple.acceptor.hold = true;
    couple.acceptor.open();
    couple.dialler.open();
    couple.dialler.send(FrameType::kWrite, 1, pattern(kMiB, 1));  // without a connection
    CHECK(all_free() == before);
    REQUIRE(couple.run([&] { return couple.both_up(); }));
    couple.dialler.send(FrameType::kWrite, 2, pattern(kMiB, 1));
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 1; }));
    CHECK(all_free() == before);
    while (couple.acceptor.buffers.available(kMiB, mirror::Use::kPeer))
        couple.acceptor.held.push_back(couple.acceptor.buffers.take(kMiB, mirror::Use::kPeer));
    // More than sockets and buffers hold: something stays in the queue until the connection ends.
    for (uint64_t seq = 3; seq < 40; ++seq) {
        if (couple.dialler.buffers.available(kMiB, mirror::Use::kClient))
            couple.dialler.send(FrameType::kWrite, seq, pattern(kMiB, 1));
        run_for({&couple.dialler}, 1ms);
    }
    CHECK(all_free() < before);
    couple.dialler.channel->disconnect(couple.dialler.connection, "test", 0s);
    CHECK(all_free() == before);
}

TEST_CASE("a connection ends once and comes again at once, and later after a back-off") {
    Couple couple;
    couple.connect();
    const auto first = couple.dialler.connection;
    couple.dialler.channel->disconnect(first, "the engine wants it", 0s);
    CHECK(couple.dialler.downs.empty());  // only from advance()
    couple.dialler.send(FrameType::kPing, 1);
    REQUIRE(couple.run([&] { return couple.both_up() && couple.dialler.connection > first; }, 2s));
    CHECK(couple.dialler.downs == std::vector<std::string>{"the engine wants it"});
    REQUIRE(couple.acceptor.downs.size() == 1);
    CHECK(couple.acceptor.downs[0] == "closed by the peer");
    CHECK(couple.acceptor.received.empty());

    const Instant before = host::boot_now();
    couple.acceptor.channel->disconnect(couple.acceptor.connection, "not now", 400ms);
    REQUIRE(couple.run([&] { return !couple.dialler.up(); }));
    REQUIRE(couple.run([&] { return couple.both_up(); }));
    CHECK(host::boot_now() - before >= 400ms);
}

TEST_CASE("a goodbye arrives before the end") {
    Couple couple;
    couple.connect();
    mirror::Frame goodbye;
    goodbye.type = FrameType::kGoodbye;
    goodbye.body = pattern(20, 1);
    couple.dialler.channel->send(goodbye, false);
    couple.dialler.channel->disconnect(couple.dialler.connection, "said goodbye", 10s);
    REQUIRE(couple.run([&] { return !couple.acceptor.up(); }));
    REQUIRE(couple.acceptor.received.size() == 1);
    CHECK(couple.acceptor.received[0].frame.type == FrameType::kGoodbye);
}

TEST_CASE("disconnecting inside the frame handler ends the deliveries of that connection") {
    Couple couple;
    couple.connect();
    size_t seen = 0;
    couple.acceptor.on_frame = [&](mirror::Frame&) {
        ++seen;
        couple.acceptor.channel->disconnect(couple.acceptor.connection, "enough", 10s);
    };
    for (uint64_t seq = 1; seq <= 5; ++seq) couple.dialler.channel->send(mirror::Frame{}, false);
    couple.dialler.channel->flush();
    REQUIRE(couple.run([&] { return !couple.acceptor.up(); }));
    CHECK(seen == 1);
    CHECK(couple.acceptor.downs == std::vector<std::string>{"enough"});
}

TEST_CASE("a peer that starts again is connected again") {
    Couple couple;
    couple.connect();
    couple.acceptor.close();
    REQUIRE(couple.run([&] { return !couple.dialler.up(); }));
    run_for({&couple.dialler}, 100ms);
    CHECK_THAT(couple.dialler.channel->state(), Catch::Contains("node 2 does not answer on 127.0.1.2"));
    couple.acceptor.connection = {};
    couple.acceptor.open();
    REQUIRE(couple.run([&] { return couple.both_up(); }, 3s));
    couple.dialler.close();
    REQUIRE(couple.run([&] { return !couple.acceptor.up(); }));
    CHECK_THAT(couple.acceptor.channel->state(), Catch::Contains("waits for node 1 on 127.0.1.2"));
    couple.dialler.connection = {};
    couple.dialler.open();
    REQUIRE(couple.run([&] { return couple.both_up(); }, 1s));
}

TEST_CASE("a newer pair replaces the older one") {
    Couple couple;
    couple.connect();
    const auto first = couple.acceptor.connection;
    End second(1, couple.ca, couple.port, {path_of(1, 1, "mirror")});
    second.open();
    REQUIRE(run_until({&second, &couple.acceptor}, [&] { return second.up() && couple.acceptor.connection > first; }));
    REQUIRE(couple.acceptor.downs.size() == 1);
    CHECK_THAT(couple.acceptor.downs[0], Catch::Contains("replaced"));
    second.send(FrameType::kPing, 9);
    REQUIRE(run_until({&second, &couple.acceptor}, [&] { return couple.acceptor.received.size() == 1; }));
    CHECK(couple.acceptor.received[0].connection == couple.acceptor.connection);
}

TEST_CASE("a path that does not work gives way to the next one, and the better one is taken after the next break") {
    Couple couple;
    const std::vector<mirror_link::Path> both[2] = {{path_of(1, 1, "first"), path_of(1, 2, "second")},
                                                    {path_of(2, 1, "first"), path_of(2, 2, "second")}};
    couple.dialler.settings.paths = both[0];
    couple.acceptor.settings.paths = {both[1][1]};
    SECTION("refused") {}
    UniqueFd hole;
    SECTION("no answer: bounded by a second") {
        hole = std::move(runtime::open_bound_socket(SOCK_STREAM, "127.0.1.2:" + std::to_string(couple.port)).value());
        REQUIRE(::listen(hole.get(), 8) == 0);
    }
    const Instant before = host::boot_now();
    couple.connect();
    CHECK(host::boot_now() - before < 1500ms);
    CHECK(couple.dialler.network == "second");
    hole.reset();
    couple.acceptor.close();
    couple.acceptor.connection = {};
    couple.acceptor.settings.paths = both[1];
    couple.acceptor.open();
    REQUIRE(couple.run([&] { return !couple.dialler.up(); }));
    REQUIRE(couple.run([&] { return couple.both_up(); }, 3s));
    CHECK(couple.dialler.network == "first");
    CHECK(couple.acceptor.network == "first");

    run_for({&couple.dialler, &couple.acceptor}, 20ms);
    couple.dialler.channel->disconnect(couple.dialler.connection, "silent", 0s);
    REQUIRE(couple.run([&] { return !couple.dialler.up(); }));
    REQUIRE(couple.run([&] { return couple.both_up(); }, 3s));
    CHECK(couple.dialler.network == "second");  // silence: the other path is tried first
}

TEST_CASE("without TLS, for comparisons, the same frames go") {
    Couple couple;
    couple.dialler.settings.tls = couple.acceptor.settings.tls = false;
    couple.connect();
    for (uint64_t seq = 1; seq <= 30; ++seq) couple.dialler.send(FrameType::kWrite, seq, pattern(4096, 3));
    for (uint64_t seq = 31; seq <= 33; ++seq) couple.dialler.send(FrameType::kWrite, seq, pattern(kMiB, 4));
    REQUIRE(couple.run([&] { return couple.acceptor.received.size() == 33; }));
    CHECK(couple.acceptor.received[29].payload == pattern(4096, 3));
    CHECK(couple.acceptor.received[32].payload == pattern(kMiB, 4));
}
