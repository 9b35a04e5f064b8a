// Resyncs: what is copied, what is durable before and after, holds, full copies, interruptions.
#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

// Settles without the register until `condition`.
bool until(World& world, const std::function<bool()>& condition) {
    for (int i = 0; i < 100 && !condition(); ++i) {
        world.now += 20ms;
        world.settle(false);
    }
    return condition();
}

}  // namespace

TEST_CASE("a catch-up copies what was written alone, and only that") {
    World world;
    bring_up(world);
    go_solo(world);
    for (const uint64_t block : {0, 1, 5000}) write_and_settle(world, 0, block);
    const uint64_t before = world.nodes[0].engine->counters().copied_bytes;
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.equal());
    CHECK(world.nodes[0].engine->counters().copied_bytes - before == 3 * kBlockBytes);
    CHECK(world.nodes[0].engine->context().base.none());
    CHECK(world.nodes[1].engine->context().current == world.reg.record.generation);
}

TEST_CASE("the target is marked inconsistent on its disk before the first block is copied, until the end") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    bool seen = false;
    for (int i = 0; i < 4000 && !world.healthy(); ++i) {
        world.random_step(false);
        if (i % 20 == 0) world.now += 10ms;
        if (world.nodes[1].disk.now[5] != world.nodes[0].disk.now[5]) continue;
        const Context& durable = world.nodes[1].metadata.context;
        seen = seen || durable.flags.inconsistent;
        if (durable.current != world.reg.record.generation) REQUIRE(durable.flags.inconsistent);
    }
    CHECK(seen);
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK_FALSE(world.nodes[1].metadata.context.flags.inconsistent);
}

TEST_CASE("the source keeps its bits until the register counts the target as current") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    REQUIRE(until(world, [&] { return world.mode(0) == Mode::kJoining; }));
    CHECK(dirty(world, 0, 5));
    CHECK(durably_dirty(world, 0, 5));
    world.settle();
    CHECK(world.mode(0) == Mode::kConnected);
    CHECK_FALSE(dirty(world, 0, 5));
    CHECK_FALSE(durably_dirty(world, 0, 5));
}

TEST_CASE("the target flushes its data before it says that its copy is complete") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    REQUIRE(until(world, [&] { return world.mode(0) == Mode::kJoining; }));
    CHECK(world.nodes[1].disk.stable[5] == world.nodes[0].disk.now[5]);
}

TEST_CASE("a client's write during a resync whose frame is lost with the connection stays marked") {
    World world;
    bring_up(world);
    go_solo(world);
    for (uint64_t block = 0; block < 400; block += 2) world.write(0, block);
    world.settle();
    world.links = true;
    for (int i = 0; i < 20000 && world.mode(0) != Mode::kSyncing; ++i) {
        world.random_step(false);
        if (i % 50 == 0) world.now += 10ms;
    }
    for (int i = 0; i < 20000 && world.nodes[0].engine->counters().copied_bytes == 0; ++i) world.random_step(false);
    REQUIRE(world.mode(0) == Mode::kSyncing);
    const uint64_t id = world.write(0, 4000);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }
    world.links = false;
    world.cut();
    world.settle(false);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK(world.done(0, id));  // the grant still stands
    CHECK(dirty(world, 0, 4000));
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.equal());
}

TEST_CASE("a resync that is interrupted again and again ends when it is left alone") {
    World world;
    bring_up(world);
    go_solo(world);
    for (uint64_t block = 0; block < kBlocks; block += 200) world.write(0, block);
    world.settle();
    world.links = true;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 100; ++i) world.random_step(false);
        world.now += 50ms;
        world.cut();
        world.check();
    }
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
}

TEST_CASE("a suspect copy gets every block, whatever its bitmap says") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.settle();
    world.choose([&](Record& record) { record.replicas[NodeId{2}].standing = Standing::kSuspect; });
    for (uint64_t block = 0; block < kBlocks; block += 100) world.nodes[1].disk.write(block, 7777777);  // another disk
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
    CHECK_FALSE(world.nodes[1].metadata.context.flags.full_sync);
    CHECK(world.reg.record.generation.counter > 1);  // nobody goes alone under a generation that an old add names
}

TEST_CASE("a full copy that is interrupted begins again") {
    World world;
    bring_up(world);
    world.choose([&](Record& record) { record.replicas[NodeId{2}].standing = Standing::kSuspect; });
    for (uint64_t block = 0; block < kBlocks; block += 100) world.nodes[1].disk.write(block, 7777777);
    REQUIRE(until(world, [&] {
        world.settle();
        return world.nodes[1].metadata.context.flags.full_sync;
    }));
    world.crash_node(1);
    world.nodes[1].up = true;
    world.start(1);
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
}

TEST_CASE("a person's hold stops the copying and keeps the connection; lifting it goes on") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.choose([](Record& record) { record.hold = Hold::kCancelled; });
    world.links = true;
    world.advance(3s);
    CHECK(world.report(0).connected);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK(standing(world, 1) == Standing::kStale);
    world.choose([](Record& record) { record.hold = Hold::kNone; });
    REQUIRE(world.reach([&] { return world.healthy(); }));
}

TEST_CASE("a cancelled hold does not part two equal copies") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.choose([](Record& record) { record.hold = Hold::kCancelled; });
    world.advance(2s);
    CHECK(world.mode(0) == Mode::kConnected);
    CHECK(world.reg.record.generation.counter == 1);
}

TEST_CASE("a broken mirror goes alone and stays apart until it is joined again") {
    World world;
    bring_up(world);
    world.choose([](Record& record) { record.hold = Hold::kBroken; });
    REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }, 2s));
    world.advance(3s);
    CHECK_FALSE(world.report(0).connected);
    write_and_settle(world, 0, 5);
    world.choose([](Record& record) { record.hold = Hold::kNone; });
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.equal());
}

TEST_CASE("without automatic resync a person starts it, and progress says so") {
    World::Setup setup;
    setup.automatic_resync = false;
    World world(setup);
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    world.advance(3s);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK(world.nodes[0].engine->progress().stall.find("resync") != std::string::npos);
    world.order(0, OrderKind::kResync);
    REQUIRE(world.reach([&] { return world.healthy(); }));
}

TEST_CASE("the primary takes over a former primary's blocks by that one's own bits and log") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    const uint64_t lost = world.write(0, 2000);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }  // only here
    CHECK_FALSE(world.done(0, lost));
    world.crash_node(0);
    world.nodes[0].disk.now[2000] = world.nodes[0].disk.stable[2000] = 99;
    REQUIRE(world.give_group(1));
    world.nodes[0].up = true;
    world.start(0);
    CHECK(dirty(world, 0, 2000));
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.equal());
}

TEST_CASE("two current copies in doubt are made equal from the primary, and the target stays current") {
    World world;
    bring_up(world);
    world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }
    world.crash_driver(0, false);  // the group is stopped: both copies stay current
    world.links = false;
    world.start(0);
    world.settle(false);
    REQUIRE(world.give_group(1));
    world.links = true;
    bool marked = false;
    REQUIRE(world.reach([&] {
        marked = marked || world.nodes[0].metadata.context.flags.inconsistent;
        return world.healthy();
    }));
    CHECK_FALSE(marked);
    CHECK(world.equal());
    CHECK(world.reg.record.generation.counter == 1);
}

TEST_CASE("a driver that is killed under an open device goes on, and the standby stays current") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    const uint64_t open = world.write(0, 6);
    while (world.finish_metadata(0)) {
    }
    world.crash_driver(0, true);
    world.start(0, true);
    CHECK(world.mode(0) == Mode::kStalled);
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.done(0, open));
    CHECK(world.result(0, open) == 0);
    CHECK(world.reg.record.generation.counter == 1);
    CHECK(world.equal());
}

TEST_CASE("a driver that is killed while it is alone asks for a new grant before it acknowledges") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    const Generation before = world.reg.record.generation;
    const uint64_t open = world.write(0, 6);
    world.crash_driver(0, true);
    world.start(0, true);
    world.settle(false);
    CHECK_FALSE(world.done(0, open));
    world.settle();
    CHECK(world.done(0, open));
    CHECK(world.reg.record.generation != before);
}

TEST_CASE("a resumed primary whose peer has rebooted meanwhile goes alone first") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.crash_driver(0, true);
    world.crash_node(1);
    world.nodes[1].up = true;
    world.start(1);
    world.start(0, true);
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.reg.record.generation.counter == 2);
    CHECK(world.equal());
}
