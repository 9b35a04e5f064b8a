// Nonces in two steps, disks that the register does not know, construction.
#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

TEST_CASE("an attach rotates the nonce: next on the disk, next in the record, ours on the disk, ours in the record") {
    World world;
    CHECK(world.report(0).role == Role::kDetached);
    world.publish(0);
    CHECK(world.report(0).wish.kind == WishKind::kNone);
    while (world.finish_metadata(0)) {
    }
    const Nonce next = world.nodes[0].metadata.context.next_nonce;
    CHECK(next != Nonce{});
    CHECK(world.nodes[0].metadata.context.nonce == Nonce{100});
    CHECK(world.report(0).wish.kind == WishKind::kAttach);
    while (world.read_report(0)) {
    }
    REQUIRE(world.grant(0));
    CHECK(world.reg.record.replicas[NodeId{1}].nonce == Nonce{100});
    CHECK(world.reg.record.replicas[NodeId{1}].next_nonce == next);
    while (world.publish(0)) {
    }
    CHECK(world.report(0).role == Role::kDetached);
    while (world.finish_metadata(0)) {
    }
    CHECK(world.nodes[0].metadata.context.nonce == next);
    CHECK(world.report(0).role == Role::kSecondary);
    CHECK(world.report(0).wish.kind == WishKind::kSettle);
    world.settle();
    CHECK(world.reg.record.replicas[NodeId{1}].nonce == next);
    CHECK(world.reg.record.replicas[NodeId{1}].next_nonce == Nonce{});
    CHECK(world.report(0).wish.kind == WishKind::kNone);
}

TEST_CASE("a crash at any step of an attach leaves a disk that the register knows") {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        World::Setup setup;
        setup.seed = seed;
        World world(setup);
        for (uint64_t steps = 0; steps < 5 * seed; ++steps) world.random_step(false);
        for (size_t i = 0; i < 2; ++i) {
            if (world.chance(50))
                world.crash_node(i);
            else
                world.crash_driver(i, false);
        }
        world.settle();
        for (size_t i = 0; i < 2; ++i) {
            world.nodes[i].up = true;
            world.start(i);
        }
        world.settle();
        for (size_t i = 0; i < 2; ++i) REQUIRE(standing(world, i) == Standing::kCurrent);
    }
}

// An image of a moment before may have been put in place meanwhile, also within the boot.
TEST_CASE("a driver that restarts within the boot draws another nonce") {
    World world;
    world.settle();
    const Nonce nonce = world.nodes[0].metadata.context.nonce;
    world.crash_driver(0, false);
    world.start(0);
    world.settle();
    CHECK(world.nodes[0].metadata.context.nonce != nonce);
    CHECK(world.report(0).role == Role::kSecondary);
}

TEST_CASE("a restored image of the disk is suspect and gets a full copy") {
    World world;
    const FakeDisk image = world.nodes[1].disk;
    const Context old = world.nodes[1].metadata.context;
    bring_up(world);
    for (uint64_t block = 0; block < 3000; block += 300) write_and_settle(world, 0, block);
    world.crash_node(1);
    world.nodes[1].disk = image;
    world.nodes[1].metadata.context = old;
    world.nodes[1].metadata.bitmap = Bitmap(kDiskBytes);
    REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }));
    world.links = false;
    world.nodes[1].up = true;
    world.start(1);
    world.settle();
    CHECK(standing(world, 1) == Standing::kSuspect);
    CHECK(world.nodes[1].metadata.context.flags.full_sync);
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
    CHECK_FALSE(world.nodes[1].engine->context().flags.suspect);
}

TEST_CASE("nothing is attached without a fresh document that names this incarnation as a member") {
    World world;
    world.settle(false);
    World other;
    other.nodes[0].engine->step(AuthorityIs{[&] {
                                    Authority stale = world.nodes[0].known;
                                    stale.fresh = false;
                                    return stale;
                                }()},
                                other.now);
    Output out;
    other.nodes[0].engine->take_output(out);
    CHECK(other.report(0).wish.kind == WishKind::kNone);
    CHECK(other.report(0).role == Role::kDetached);
}

TEST_CASE("the first construction: the first node is current, the other gets everything") {
    World::Setup setup;
    setup.constructed = false;
    World world(setup);
    for (uint64_t block = 0; block < kBlocks; block += 77) world.nodes[0].disk.write(block, 0);
    for (uint64_t block = 0; block < kBlocks; block += 50) world.nodes[1].disk.write(block, 55555);
    world.settle();
    for (size_t i = 0; i < 2; ++i) {
        CHECK(world.report(i).disk == DiskState::kNew);
        CHECK(world.report(i).role == Role::kSecondary);
        CHECK(world.report(i).size_bytes == kDiskBytes);
    }
    world.choose([](Record& record) {
        record.generation = {1, Uuid{42}};
        record.replicas[NodeId{1}].standing = Standing::kCurrent;
        record.replicas[NodeId{2}].standing = Standing::kSuspect;
    });
    world.settle();
    CHECK(world.report(0).disk == DiskState::kConsistent);
    CHECK(world.report(0).generation == world.reg.record.generation);
    CHECK(world.report(1).disk == DiskState::kInconsistent);
    bring_up(world);
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
}

TEST_CASE("two sides that a person declared identical start in sync") {
    World::Setup setup;
    setup.constructed = false;
    World world(setup);
    world.settle();
    world.choose([](Record& record) {
        record.generation = {1, Uuid{42}};
        for (auto& [node, replica] : record.replicas) replica.standing = Standing::kCurrent;
    });
    bring_up(world);
    CHECK(world.nodes[0].engine->counters().copied_bytes == 0);
}

TEST_CASE("what the register says of a copy is marked on its disk and unmarked when it is current again") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    REQUIRE(world.reach([&] { return standing(world, 1) == Standing::kStale; }));
    world.settle();
    CHECK(world.nodes[1].metadata.context.flags.outdated);
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
    world.settle();
    CHECK_FALSE(world.nodes[1].metadata.context.flags.outdated);
}

TEST_CASE("a construction that is not known to be the newest word makes no copy") {
    World::Setup setup;
    setup.constructed = false;
    World world(setup);
    world.settle();
    world.choose([](Record& record) {
        record.generation = {1, Uuid{5}};
        record.replicas[NodeId{1}].standing = Standing::kCurrent;
        record.replicas[NodeId{2}].standing = Standing::kSuspect;
    });
    REQUIRE(world.publish(0, false));
    CHECK_FALSE(world.nodes[0].engine->context().flags.constructed);
    REQUIRE(world.publish(0, true));
    CHECK(world.nodes[0].engine->context().flags.constructed);
    CHECK(world.nodes[0].engine->context().current == Generation{1, Uuid{5}});
}

TEST_CASE("a takeover's generation is adopted by a standby once it is known to be the newest word") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    world.settle(false);
    world.choose([](Record& record) {
        record.generation = {2, Uuid{5}};
        record.replicas[NodeId{1}].standing = Standing::kStale;
    });
    REQUIRE(world.publish(1, false));
    CHECK(world.nodes[1].engine->context().current.counter == 1);
    REQUIRE(world.publish(1, true));
    CHECK(world.nodes[1].engine->context().current == Generation{2, Uuid{5}});
}
