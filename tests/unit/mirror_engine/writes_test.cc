// The write path of a connected primary: order of log, disks, peer and completion; flushes, zeroes, reads, the lease.
#include <cerrno>

#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

TEST_CASE("a write waits for its extent to be hot on the disk before anything else happens") {
    World world;
    bring_up(world);
    world.write(0, 5);
    CHECK(world.nodes[0].io.empty());
    CHECK(world.wire.queue[0][0].empty());
    REQUIRE(world.finish_metadata(0));
    CHECK(world.nodes[0].io.size() == 1);
    CHECK(world.wire.queue[0][0].size() == 1);
}

TEST_CASE("a write to a hot extent goes to the disk and the peer at once") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.write(0, 6);
    CHECK(world.nodes[0].io.size() == 1);
    CHECK(world.wire.queue[0][0].size() == 1);
}

TEST_CASE("a write is acknowledged only when both disks have it") {
    World world;
    bring_up(world);
    SECTION("first here") {
        const uint64_t id = world.write(0, 5);
        while (world.finish_metadata(0)) {
        }
        while (world.finish_io(0)) {
        }
        CHECK_FALSE(world.done(0, id));
        world.settle();
        CHECK(world.done(0, id));
    }
    SECTION("first there") {
        const uint64_t id = world.write(0, 5);
        while (world.finish_metadata(0)) {
        }
        while (world.deliver(0, Channel::kBulk)) {
        }
        while (world.finish_io(1)) {
        }
        while (world.deliver(1, Channel::kControl)) {
        }
        CHECK_FALSE(world.done(0, id));
        world.settle();
        CHECK(world.done(0, id));
    }
    CHECK(world.equal());
}

TEST_CASE("overlapping writes reach both disks in the order in which they came") {
    World world;
    bring_up(world);
    world.write(0, 5, 2);
    const uint64_t second = world.write(0, 6, 2);
    while (world.finish_metadata(0)) {
    }
    CHECK(world.nodes[0].io.size() == 1);
    world.settle();
    CHECK(world.done(0, second));
    CHECK(world.nodes[0].disk.now[6] == world.nodes[1].disk.now[6]);
    CHECK(world.nodes[0].disk.now[6] == world.nodes[0].disk.now[7]);
}

TEST_CASE("a flush is acknowledged only when both disks have flushed, and the peer flushes behind earlier frames") {
    World world;
    bring_up(world);
    world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }
    const uint64_t flush = world.flush(0);
    while (world.finish_io(0)) {
    }
    CHECK_FALSE(world.done(0, flush));
    while (world.deliver(0, Channel::kBulk)) {
    }
    REQUIRE(world.nodes[1].io.size() == 1);
    CHECK(world.nodes[1].io[0].operation == Operation::kWrite);  // the flush waits for it
    REQUIRE(world.finish_io(1));
    REQUIRE(world.nodes[1].io.size() == 1);
    CHECK(world.nodes[1].io[0].operation == Operation::kFlush);
    world.settle();
    CHECK(world.done(0, flush));
    CHECK(world.nodes[1].disk.unflushed.empty());
}

TEST_CASE("flushes that come while one is under way share the next one") {
    World world;
    bring_up(world);
    for (int i = 0; i < 5; ++i) world.flush(0);
    size_t flushes = 0;
    while (world.finish_io(0)) ++flushes;
    CHECK(flushes == 2);
    world.settle();
    CHECK(world.nodes[0].work.empty());
}

TEST_CASE("zeroes, however long, are written like data on both sides") {
    World world;
    bring_up(world);
    const uint64_t id = world.zero(0, 1, kBlocks - 2);
    world.settle();
    REQUIRE(world.done(0, id));
    CHECK(world.nodes[0].disk.now[1] != 0);
    CHECK(world.nodes[0].disk.now[kBlocks - 2] != 0);
    CHECK(world.nodes[0].disk.now[kBlocks - 1] == 0);
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
}

TEST_CASE("reads go to the own disk alone") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.links = false;
    const uint64_t id = world.read(0, 5);
    REQUIRE(world.finish_io(0));
    CHECK(world.result(0, id) == 0);
    CHECK(world.wire.queue[0][0].empty());
}

TEST_CASE("without a lease nothing is acknowledged, and everything when it is back") {
    World world;
    bring_up(world);
    world.set_lease(0, false);
    const uint64_t write = world.write(0, 5);
    const uint64_t flush = world.flush(0);
    const uint64_t read = world.read(0, 7);
    world.settle();
    CHECK_FALSE(world.done(0, write));
    CHECK_FALSE(world.done(0, flush));
    CHECK_FALSE(world.done(0, read));  // somebody else may have written it by now
    world.set_lease(0, true);
    CHECK(world.done(0, write));
    CHECK(world.done(0, flush));
    CHECK(world.result(0, read) == 0);
}

TEST_CASE("a read that the lease held back fails once the primary is halted") {
    World world;
    bring_up(world);
    world.set_lease(0, false);
    world.nodes[0].disk.bad.insert(9);
    const uint64_t read = world.read(0, 7);
    const uint64_t repaired = world.read(0, 9);
    world.settle();
    CHECK_FALSE(world.done(0, read));
    CHECK_FALSE(world.done(0, repaired));
    CHECK(world.nodes[0].disk.bad.empty());
    world.nodes[0].agent = Node::Agent::kFailing;  // its daemon does nothing
    world.nodes[0].order = 1000;
    const uint64_t late = world.read(0, 8);  // still at the disk
    REQUIRE(world.give_group(1));
    world.settle();
    CHECK(world.mode(0) == Mode::kHalted);
    for (const uint64_t id : {read, repaired, late}) {
        REQUIRE(world.done(0, id));
        CHECK(world.result(0, id) == EIO);
    }
}

TEST_CASE("a stalled primary answers reads under its lease") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    world.deliver_link(0);
    REQUIRE(world.mode(0) == Mode::kStalled);
    const uint64_t read = world.read(0, 7);
    REQUIRE(world.finish_io(0));
    CHECK(world.result(0, read) == 0);
}

TEST_CASE("a secondary takes no requests") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(1, 5);
    REQUIRE(world.done(1, id));
    CHECK(world.result(1, id) == EIO);
}

TEST_CASE("more hot extents than slots: extents leave when both sides have flushed them") {
    World::Setup setup;
    setup.slots = 2;
    World world(setup);
    bring_up(world);
    for (uint64_t extent = 0; extent < kExtents; ++extent) {
        world.check();
        write_and_settle(world, 0, extent * 1024);
    }
    CHECK(world.nodes[0].engine->counters().log_transactions >= kExtents);
}

TEST_CASE("an extent whose blocks the peer has not flushed does not leave the log") {
    World::Setup setup;
    setup.slots = 2;
    World world(setup);
    bring_up(world);
    write_and_settle(world, 0, 0);
    write_and_settle(world, 0, 1024);
    const uint64_t third = world.write(0, 2048);
    for (int i = 0; i < 20; ++i) {  // the peer's disk does nothing
        world.finish_metadata(0);
        world.finish_io(0);
        world.deliver(0, Channel::kBulk);
    }
    CHECK_FALSE(world.done(0, third));
    CHECK(world.nodes[0].disk.now[2048] == 0);
    world.settle();
    CHECK(world.done(0, third));
}

TEST_CASE("the longest stall of an acknowledgement is counted") {
    World world;
    bring_up(world);
    world.write(0, 5);
    world.now += 300ms;
    world.settle();
    CHECK(world.nodes[0].engine->counters().longest_stall >= 300ms);
    const Duration before = world.nodes[0].engine->counters().longest_stall;
    world.set_lease(0, false);
    world.read(0, 5);
    world.settle();
    world.now += 400ms;
    world.set_lease(0, true);
    CHECK(world.nodes[0].engine->counters().longest_stall == before);
}
