// The simulated parts of mirrors: disks and the peer channel.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "tests/sim/block_disk.h"
#include "tests/sim/mirror_wire.h"

namespace kagami::sim {
namespace {

mirror::BlockWrite metadata_block(uint64_t offset, uint8_t fill) {
    mirror::BlockWrite write;
    write.offset = offset;
    write.bytes.fill(fill);
    return write;
}

struct WireBench {
    Queue queue;
    Random random{1};
    bool open[2] = {true, true};
    std::vector<mirror::Seq> arrived;
    mirror::ConnectionId up[2];
    int downs[2] = {};
    MirrorWire wire{queue,
                    random,
                    {[this](Side at, mirror::ConnectionId c) { up[at] = c; },
                     [this](Side at, mirror::ConnectionId, const std::string&) {
                         up[at] = {};
                         ++downs[at];
                     },
                     [this](Side, mirror::ConnectionId, const mirror::Frame& frame, const Payload&) {
                         arrived.push_back(frame.seq);
                     },
                     [this](Side from) { return open[from]; }}};

    WireBench() {
        wire.process_started(0);
        wire.process_started(1);
        queue.run_until(Moment{} + 1s);
    }
    void send(mirror::Seq seq) {
        mirror::Frame frame;
        frame.type = mirror::FrameType::kPing;
        frame.seq = seq;
        wire.send(0, frame, nullptr);
    }
    void set_open(bool on) {
        open[0] = open[1] = on;
        wire.review();
    }
    void run_for(Duration length) { queue.run_until(queue.now() + length); }
};

}  // namespace

TEST_CASE("a data disk shows what was written at once, and keeps for sure only what a later flush has confirmed") {
    Random random(3);
    bool old_seen = false;
    bool new_seen = false;
    for (int round = 0; round < 50; ++round) {
        DataDisk disk(8);
        disk.write(1, 10);
        const uint64_t mark = disk.mark();
        disk.write(1, 11);
        disk.write(2, 12);
        CHECK(disk.seen(1) == 11);
        CHECK(disk.durable(1) == 0);
        disk.flushed(mark);
        CHECK(disk.durable(1) == 10);
        CHECK(disk.durable(2) == 0);
        disk.lose_power(random);
        CHECK((disk.seen(1) == 10 || disk.seen(1) == 11));
        CHECK((disk.seen(2) == 0 || disk.seen(2) == 12));
        CHECK(disk.seen(2) == disk.durable(2));
        old_seen = old_seen || disk.seen(2) == 0;
        new_seen = new_seen || disk.seen(2) == 12;
    }
    CHECK(old_seen);
    CHECK(new_seen);
}

TEST_CASE("a batch of metadata is there after its end, and in any part after a crash") {
    Random random(5);
    MetadataDisk disk;
    CHECK(disk.blank());
    disk.begin({metadata_block(0, 1), metadata_block(4096, 1)});
    disk.end();
    std::set<std::pair<int, int>> met;
    for (int round = 0; round < 100; ++round) {
        MetadataDisk crashed = disk;
        crashed.begin({metadata_block(0, 2), metadata_block(4096, 2)});
        crashed.crash(random, false);
        MetadataBlock a;
        MetadataBlock b;
        crashed.read(0, a);
        crashed.read(4096, b);
        met.emplace(a[0], b[0]);
    }
    CHECK(met.size() == 4);
}

TEST_CASE("frames of a stream keep their order, also over a short cut") {
    WireBench bench;
    REQUIRE(bench.up[0] == bench.up[1]);
    REQUIRE(bench.up[0].value == 1);
    for (mirror::Seq seq = 1; seq <= 50; ++seq) bench.send(seq);
    bench.set_open(false);
    bench.run_for(100ms);
    CHECK(bench.arrived.size() < 50);
    bench.set_open(true);
    bench.run_for(100ms);
    REQUIRE(bench.arrived.size() == 50);
    CHECK(std::is_sorted(bench.arrived.begin(), bench.arrived.end()));
    CHECK(bench.downs[0] == 0);
}

TEST_CASE("a long cut ends the connection on both ends, and nothing of it arrives in the next one") {
    WireBench bench;
    bench.set_open(false);
    bench.send(1);
    bench.run_for(5s);
    CHECK(bench.downs[0] == 1);
    CHECK(bench.downs[1] == 1);
    bench.set_open(true);
    bench.run_for(5s);
    CHECK(bench.up[0].value == 2);
    CHECK(bench.up[1].value == 2);
    CHECK(bench.arrived.empty());
    bench.send(2);
    bench.run_for(1s);
    CHECK(bench.arrived == std::vector<mirror::Seq>{2});
}

TEST_CASE("the end of a process ends the connection, its next life gets a new one") {
    WireBench bench;
    bench.wire.process_ended(1, false);
    bench.run_for(1s);
    CHECK(bench.downs[0] == 1);
    bench.wire.process_started(1);
    bench.run_for(1s);
    CHECK(bench.up[0].value == 2);
    CHECK(bench.up[1].value == 2);
}

TEST_CASE("who closes a connection may ask for a pause before the next one") {
    WireBench bench;
    bench.wire.disconnect(0, bench.up[0], 10s);
    bench.run_for(5s);
    CHECK(bench.downs[1] == 1);
    CHECK(bench.up[1].value == 0);
    bench.run_for(6s);
    CHECK(bench.up[1].value == 2);
}

}  // namespace kagami::sim
