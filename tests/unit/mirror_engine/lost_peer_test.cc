// The peer is lost: stalled, the solo grant and what must be durable before it counts, the way back in time, halted.
#include <cerrno>

#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

TEST_CASE("a lost peer stalls acknowledgements until the register has granted to go alone") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.links = false;
    world.cut();
    const uint64_t id = world.write(0, 6);
    world.settle(false);
    CHECK(world.mode(0) == Mode::kStalled);
    CHECK_FALSE(world.done(0, id));
    world.now += kDetect;
    world.settle(false);
    CHECK(world.report(0).wish.kind == WishKind::kSolo);
    CHECK_FALSE(world.done(0, id));
    world.settle();
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK(world.done(0, id));
    CHECK(standing(world, 1) == Standing::kStale);
}

TEST_CASE("the grant counts only when generation and bits are durable here") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(0, 5);
    carry_to_peer(world, 0);
    world.links = false;
    world.cut();
    for (size_t i = 0; i < 2; ++i) world.deliver_link(i);
    world.now += kDetect;
    world.wake(0);
    while (world.read_report(0)) {
    }
    REQUIRE(world.grant(0));
    const Generation granted = world.reg.record.generation;
    while (world.publish(0)) {
    }
    CHECK_FALSE(world.done(0, id));
    CHECK(world.nodes[0].metadata.context.current != granted);
    while (world.finish_metadata(0)) {
        if (world.nodes[0].metadata.context.current != granted || !durably_dirty(world, 0, 5))
            CHECK_FALSE(world.done(0, id));
    }
    CHECK(world.nodes[0].metadata.context.current == granted);
    CHECK(world.nodes[0].metadata.context.base == Generation{1, Uuid{7}});
    CHECK(durably_dirty(world, 0, 5));
    CHECK(world.done(0, id));
}

TEST_CASE("a peer that comes back in time, unchanged, is connected again without a grant") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    world.cut();  // the frame may be lost
    world.settle();
    REQUIRE(world.reach([&] { return world.healthy(); }, 400ms));
    CHECK(world.done(0, id));
    CHECK(world.reg.record.generation.counter == 1);
    CHECK(world.equal());
}

TEST_CASE("blocks that the peer acknowledged and did not flush become bits when the connection is lost") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    const uint64_t flush = world.flush(0);
    world.settle();
    REQUIRE(world.done(0, flush));
    write_and_settle(world, 0, 6);
    world.links = false;
    world.cut();
    world.settle(false);
    CHECK_FALSE(dirty(world, 0, 5));
    CHECK(dirty(world, 0, 6));
}

TEST_CASE("a peer that has rebooted is caught up after a grant, and gets what it had lost") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.crash_node(1);
    world.nodes[1].disk.now[5] = world.nodes[1].disk.stable[5] = 0;
    world.nodes[1].disk.unflushed.clear();
    world.settle(false);
    world.nodes[1].up = true;
    world.start(1);
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.reg.record.generation.counter == 2);
    CHECK(world.nodes[1].disk.now[5] == world.nodes[0].disk.now[5]);
}

TEST_CASE("a peer that says goodbye is not waited for") {
    World world;
    bring_up(world);
    world.links = false;
    world.keeps_queues = true;
    world.order(1, OrderKind::kDetach);
    world.settle();
    CHECK(world.mode(0) == Mode::kSolo);
}

TEST_CASE("a wish to go alone that was reported is not withdrawn when the peer comes back") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    world.settle(false);
    world.now += kDetect;
    world.settle(false);
    REQUIRE(world.report(0).wish.kind == WishKind::kSolo);
    const Generation wished = world.report(0).wish.next;
    world.links = true;
    for (int i = 0; i < 30; ++i) {
        world.now += 20ms;
        world.settle(false);
        CHECK(world.mode(0) == Mode::kStalled);
        CHECK(world.report(0).wish.next == wished);
    }
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.reg.record.generation == wished);
}

TEST_CASE("a silent peer is lost after T_detect") {
    World world;
    bring_up(world);
    world.now += kDetect + kDetect / 4;  // no Woken in between: as if stopped
    world.wake(0);
    CHECK(world.mode(0) == Mode::kConnected);  // who was stopped himself gives the peer another moment
    for (int i = 0; i < 10 && world.mode(0) == Mode::kConnected; ++i) {
        world.now += kDetect / 8;
        world.wake(0);
    }
    CHECK(world.mode(0) == Mode::kStalled);
    CHECK(world.report(0).wish.kind == WishKind::kSolo);  // it had its time
}

TEST_CASE("a primary that the register replaced fails what it has not acknowledged, for ever") {
    World world;
    bring_up(world);
    world.links = false;
    world.cut();
    const uint64_t open = world.write(0, 5);
    world.settle(false);
    REQUIRE(world.give_group(1));
    world.nodes[0].serves = false;
    while (world.publish(0)) {
    }
    CHECK(world.mode(0) == Mode::kHalted);
    REQUIRE(world.done(0, open));
    CHECK(world.result(0, open) == EIO);
    const uint64_t later = world.write(0, 6);
    CHECK(world.result(0, later) == EIO);
}

TEST_CASE("a halted primary that was demoted becomes a target and gives up what it wrote alone") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.links = false;
    world.cut();
    world.write(0, 6);
    world.settle(false);
    REQUIRE(world.give_group(1));
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.mode(1) == Mode::kConnected);
    CHECK(world.equal());
}

TEST_CASE("an add that is lost on its way back is followed by a grant, never by going alone again as it is") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    while (world.mode(0) != Mode::kJoining) {
        world.now += 20ms;
        for (int i = 0; i < 50 && world.mode(0) != Mode::kJoining; ++i) world.settle(false);
    }
    CHECK(world.report(0).wish.kind == WishKind::kAdd);
    const Generation before = world.reg.record.generation;
    const uint64_t id = world.write(0, 6);
    world.links = false;
    world.cut();
    world.settle(false);
    CHECK(world.mode(0) == Mode::kStalled);
    CHECK(world.report(0).wish.kind == WishKind::kSolo);
    CHECK_FALSE(world.done(0, id));
    world.settle();
    CHECK(world.done(0, id));
    CHECK(world.reg.record.generation != before);
    world.links = true;
    REQUIRE(world.reach([&] { return world.healthy(); }));
}

TEST_CASE("while the add is proposed acknowledgements need the peer again") {
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
    const uint64_t id = world.write(0, 6);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }
    CHECK_FALSE(world.done(0, id));
    world.settle(false);
    CHECK(world.done(0, id));
    CHECK(world.nodes[1].disk.now[6] == world.nodes[0].disk.now[6]);
}

TEST_CASE("a peer whose disk does not answer is given up after a limit, not waited for") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(0, 5);
    const Instant begin = world.now;
    while (!world.done(0, id) && world.now < begin + 60s) {
        world.now += 50ms;
        for (int i = 0; i < 3; ++i) {
            while (world.finish_metadata(0) || world.finish_metadata(1)) {
            }
            while (world.finish_io(0)) {
            }  // and none of node 2
            for (size_t from = 0; from < 2; ++from) {
                while (world.deliver(from, Channel::kBulk) || world.deliver(from, Channel::kControl)) {
                }
                world.deliver_link(from);
                while (world.read_report(from)) {
                }
                world.grant(from);
                while (world.publish(from)) {
                }
                world.wake(from);
            }
        }
    }
    CHECK(world.done(0, id));
    CHECK(world.mode(0) == Mode::kSolo);
}
