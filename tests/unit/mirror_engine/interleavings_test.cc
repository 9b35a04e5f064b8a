// Orders of arrival that lost data or stood still in earlier builds, each driven step by step.
#include <algorithm>

#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

// One delivery other than local I/O on the data disks; false = there was nothing.
bool deliver_one(World& world) {
    for (size_t i = 0; i < 2; ++i) {
        if (world.deliver_link(i) || world.finish_metadata(i)) return true;
        if (world.deliver(i, Channel::kControl) || world.deliver(i, Channel::kBulk)) return true;
        if (world.read_report(i)) {
            world.grant(i);
            return true;
        }
        if (world.publish(i)) return true;
    }
    return false;
}

void let_time_pass(World& world, Duration by) {
    world.now += by;
    for (size_t i = 0; i < 2; ++i) world.wake(i);
}

bool target_flushes(const World& world) {
    const auto& io = world.nodes[1].io;
    return std::any_of(io.begin(), io.end(), [](const DataIo& each) { return each.operation == Operation::kFlush; });
}

// The resync of node 2 is copied, and the flush that confirms its end lies at node 2's disk.
void resync_until_the_target_flushes(World& world) {
    world.links = true;
    world.now += 1s;
    for (int i = 0; i < 20000 && !target_flushes(world); ++i) {
        if (deliver_one(world) || world.connect() || world.finish_io(0) || world.finish_io(1)) continue;
        let_time_pass(world, 10ms);
    }
    REQUIRE(target_flushes(world));
    REQUIRE(world.nodes[1].io.size() == 1);
    REQUIRE(world.mode(0) == Mode::kSyncing);
}

// A write reaches both disks and is acknowledged; node 2's metadata, which its end of the resync waits for, do not move.
void write_beside_the_end(World& world, uint64_t block) {
    const uint64_t id = world.write(0, block);
    for (int i = 0; i < 50; ++i) {
        world.finish_metadata(0);
        world.finish_io(0);
        world.deliver(0, Channel::kBulk);
        while (world.finish_io(1)) {
        }
        world.deliver(1, Channel::kControl);
    }
    REQUIRE(world.done(0, id));
}

void flush_alone(World& world) {
    const uint64_t id = world.flush(0);
    while (world.finish_io(0)) {
    }
    REQUIRE(world.done(0, id));
    REQUIRE(world.mode(0) == Mode::kSyncing);
}

// Both machines lose their power, the unflushed writes with it; node 2 alone comes back and takes the group over.
void lose_power_and_take_over(World& world) {
    world.nodes[0].serves = false;
    world.crash_node(0);
    world.crash_node(1);
    world.nodes[1].up = true;
    world.start(1);
    REQUIRE(world.give_group(1));
    REQUIRE(world.reach([&] { return world.mode(1) == Mode::kSolo; }, 10s));
}

}  // namespace

TEST_CASE("a flush acknowledged alone while the target flushes its end is the target's before it is added") {
    for (uint64_t seed = 1; seed < 40; ++seed) {  // what a crash takes back is drawn from the seed
        INFO("seed " << seed);
        World::Setup setup;
        setup.seed = seed;
        World world(setup);
        bring_up(world);
        go_solo(world);
        write_and_settle(world, 0, 2);
        resync_until_the_target_flushes(world);
        world.finish_io(1);
        write_beside_the_end(world, 1);
        flush_alone(world);
        for (int i = 0; i < 2000 && standing(world, 1) != Standing::kCurrent; ++i) {
            if (deliver_one(world) || world.finish_io(0) || world.finish_io(1)) continue;
            let_time_pass(world, 10ms);
        }
        REQUIRE(standing(world, 1) == Standing::kCurrent);
        REQUIRE_NOTHROW(lose_power_and_take_over(world));
        CHECK(world.nodes[1].disk.now[1] != 0);
    }
}

TEST_CASE("the first frames of the bulk stream may overtake the verdict of the control stream") {
    World world;
    REQUIRE(world.give_group(0));
    bool flushed = false;
    for (int i = 0; i < 2000 && !world.healthy(); ++i) {
        for (size_t n = 0; n < 2; ++n) {
            world.deliver_link(n);
            world.finish_metadata(n);
            while (world.finish_io(n)) {
            }
            if (world.read_report(n)) world.grant(n);
            world.publish(n);
            world.act(n);
            const bool promoted = world.mode(0) == Mode::kStalled && world.report(0).role == Role::kPrimary;
            if (promoted && !std::exchange(flushed, true)) world.flush(0);
        }
        world.deliver(1, Channel::kControl);  // node 2's verdict comes first ...
        while (world.deliver(0, Channel::kBulk)) {
        }                                     // ... and node 1's bulk stream is faster than its control stream
        world.deliver(0, Channel::kControl);
        world.connect();
        if (i % 10 == 9) let_time_pass(world, 10ms);
    }
    const auto& notes = world.nodes[1].notes;
    CHECK(std::none_of(notes.begin(), notes.end(), [](const std::string& note) {
        return note.find("this side is no target") != std::string::npos;
    }));
    CHECK(flushed);
    CHECK(world.healthy());
}

TEST_CASE("a solo grant that is not known to be the newest word is not acted upon") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    for (size_t i = 0; i < 2; ++i) world.deliver_link(i);
    const uint64_t id = world.write(0, 1);
    let_time_pass(world, kDetect + 1ms);
    while (world.finish_metadata(0)) {
    }
    REQUIRE(world.report(0).wish.kind == WishKind::kSolo);
    while (world.read_report(0)) {
    }
    const Record before = world.reg.record;
    REQUIRE(world.grant(0));           // node 1's own daemon accepted it, nobody else did ...
    REQUIRE(world.publish(0, false));  // ... and told it after a restart, without a lease
    world.reg.record = before;         // the proposal dies with it
    for (int i = 0; i < 20; ++i) {
        world.finish_metadata(0);
        CHECK_NOTHROW(world.finish_io(0));
    }
    CHECK(world.mode(0) == Mode::kStalled);
    CHECK_FALSE(world.done(0, id));
}

TEST_CASE("an add that is not known to be the newest word does not end the resync") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    for (int i = 0; i < 50 && world.mode(0) != Mode::kJoining; ++i) {
        world.now += 20ms;
        world.settle(false);
    }
    REQUIRE(world.mode(0) == Mode::kJoining);
    world.choose([](Record& record) { record.replicas[NodeId{2}].standing = Standing::kCurrent; });
    REQUIRE(world.publish(0, false));
    CHECK(world.mode(0) == Mode::kJoining);
    CHECK(dirty(world, 0, 5));
    REQUIRE(world.publish(0, true));
    CHECK(world.mode(0) == Mode::kConnected);
}

TEST_CASE("a connection that ends again and again as soon as it is there gives a lost peer no new time") {
    World world;
    bring_up(world);
    world.write(0, 1);
    while (world.finish_metadata(0)) {
    }
    const Instant begin = world.now;
    world.cut();
    bool connected_again = false;
    while (world.report(0).wish.kind != WishKind::kSolo && world.now < begin + 10s) {
        world.connect();
        for (int i = 0; i < 20; ++i) {  // all but the bulk stream
            for (size_t n = 0; n < 2; ++n) {
                world.deliver_link(n);
                world.finish_metadata(n);
                world.deliver(n, Channel::kControl);
            }
        }
        if (world.mode(0) == Mode::kConnected) {
            connected_again = true;
            world.cut();
        }
        let_time_pass(world, 50ms);
    }
    CHECK(connected_again);
    CHECK(world.now <= begin + 2 * kDetect);
}

namespace {

// Node 1's driver died with all extents hot; its group is active again and node 2 is being made equal.
void restart_primary_with_all_extents_hot(World& world) {
    bring_up(world);
    for (uint64_t extent = 0; extent < kExtents; ++extent) {
        write_and_settle(world, 0, extent * kHotExtentBytes / kBlockBytes);
    }
    world.crash_driver(0, false);
    world.start(0);
    world.settle();
    REQUIRE(world.give_group(0));
    for (int i = 0; i < 100 && world.nodes[0].agent != Node::Agent::kActive; ++i) {
        for (size_t n = 0; n < 2; ++n) {
            world.deliver_link(n);
            world.finish_metadata(n);
            world.publish(n);
            world.act(n);
            world.finish_io(0);
        }
    }
    REQUIRE(world.nodes[0].agent == Node::Agent::kActive);
}

}  // namespace

TEST_CASE("writes wait for an even resync shortly, not for as long as it takes") {
    World::Setup setup;
    setup.slots = kExtents;
    World world(setup);
    restart_primary_with_all_extents_hot(world);
    const uint64_t id = world.write(0, 1);
    Duration waited{};
    for (; waited < 20s && !world.done(0, id); waited += 200ms) {
        for (int i = 0; i < 300; ++i) {
            for (size_t n = 0; n < 2; ++n) {
                world.deliver_link(n);
                world.finish_metadata(n);
                world.deliver(n, Channel::kControl);
                world.deliver(n, Channel::kBulk);
                if (world.read_report(n)) world.grant(n);
                world.publish(n);
            }
            world.finish_io(0);
        }
        world.connect();
        world.finish_io(1);  // one operation in 200 ms
        let_time_pass(world, 200ms);
    }
    INFO("waited " << seconds(waited) << " s, mode " << word(world.mode(0)));
    CHECK(waited < 5s);
    CHECK(world.done(0, id));
}
