// Disks and metadata that fail, frames that must not be obeyed, and what is bounded.
#include <cerrno>

#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

// A frame from nowhere to `node`, on the live connection; true = the connection survived it.
bool survives(World& world, size_t node, Frame frame) {
    world.links = false;
    if (frame.type == FrameType::kWrite || frame.type == FrameType::kCopy) {
        frame.payload = BufferId{world.nodes[node].next_buffer++};
        world.nodes[node].buffers[frame.payload.value].assign(frame.length / kBlockBytes, 666);
    }
    world.inject(node, frame);
    const bool alive = world.wire.wanted;
    world.settle(false);
    return alive;
}

Frame forged(const World& world, FrameType type) {
    Frame frame;
    frame.type = type;
    frame.seq = 1U << 16U;
    frame.token = world.reg.token;
    frame.generation = world.reg.record.generation;
    frame.offset = 5 * kBlockBytes;
    frame.length = kBlockBytes;
    return frame;
}

int flush_and_settle(World& world) {
    const uint64_t id = world.flush(0);
    world.settle();
    REQUIRE(world.done(0, id));
    return world.result(0, id);
}
// The next one would succeed: what the failed one left in doubt is not in it any more.
int fail_a_flush(World& world) {
    world.nodes[0].disk.flushable = false;
    const int error = flush_and_settle(world);
    world.nodes[0].disk.flushable = true;
    return error;
}

}  // namespace

TEST_CASE("a read error is answered from the peer, and the bad block is written again") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.nodes[0].disk.bad.insert(5);
    const uint64_t id = world.read(0, 5);
    world.settle();
    REQUIRE(world.done(0, id));
    CHECK(world.result(0, id) == 0);
    CHECK(world.nodes[0].disk.bad.empty());
}

TEST_CASE("a read error without a current peer is an error of the read alone") {
    World world;
    bring_up(world);
    go_solo(world);
    world.nodes[0].disk.bad.insert(5);
    const uint64_t id = world.read(0, 5);
    world.settle();
    CHECK(world.result(0, id) == EIO);
    CHECK(world.mode(0) == Mode::kSolo);
    write_and_settle(world, 0, 6);
}

TEST_CASE("a block that neither side can read is an error") {
    World world;
    bring_up(world);
    for (Node& node : world.nodes) node.disk.bad.insert(5);
    const uint64_t id = world.read(0, 5);
    world.settle();
    CHECK(world.result(0, id) == EIO);
    CHECK(world.mode(0) == Mode::kConnected);
}

TEST_CASE("a primary whose disk cannot be written gives up for the other copy") {
    World world;
    bring_up(world);
    world.nodes[0].disk.writable = false;
    const uint64_t id = world.write(0, 5);
    world.settle();
    CHECK(world.result(0, id) == EIO);
    CHECK(world.mode(0) == Mode::kHalted);
    CHECK(world.report(0).disk == DiskState::kFailed);
    CHECK_FALSE(world.report(0).message.empty());
    CHECK(standing(world, 0) == Standing::kSuspect);
    CHECK(world.nodes[0].metadata.context.flags.failed);
    REQUIRE(world.give_group(1));
    REQUIRE(world.reach([&] { return world.mode(1) == Mode::kSolo; }));
}

TEST_CASE("a primary that is alone answers write errors and goes on") {
    World world;
    bring_up(world);
    go_solo(world);
    world.nodes[0].disk.writable = false;
    const uint64_t write = world.write(0, 5);
    world.settle();
    CHECK(world.result(0, write) == EIO);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK_FALSE(world.report(0).message.empty());
    world.nodes[0].disk.writable = true;
    write_and_settle(world, 0, 5);
}

TEST_CASE("a primary that is alone answers every flush with an error once one has failed, and goes on writing") {
    World::Setup setup;
    setup.slots = 2;
    World world(setup);
    bring_up(world);
    write_and_settle(world, 0, 5);
    go_solo(world);
    CHECK(fail_a_flush(world) == EIO);
    CHECK(world.mode(0) == Mode::kSolo);
    for (uint64_t extent = 0; extent < kExtents; ++extent) write_and_settle(world, 0, extent * 1024);
    CHECK(flush_and_settle(world) == EIO);
    CHECK(world.report(0).message.find("failed flush") != std::string::npos);
    CHECK(world.report(0).disk == DiskState::kConsistent);
    for (const uint64_t block : {5U, 700U}) CHECK(durably_dirty(world, 0, block));  // the whole extent
}

TEST_CASE("a primary whose flush failed while it was alone gives up once the other copy is current again") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    CHECK(fail_a_flush(world) == EIO);
    world.links = true;
    REQUIRE(world.reach([&] { return standing(world, 0) == Standing::kSuspect; }));
    CHECK(standing(world, 1) == Standing::kCurrent);
    CHECK(world.mode(0) == Mode::kHalted);
    CHECK(world.nodes[0].metadata.context.flags.failed);
    CHECK(dirty(world, 0, 5));
    REQUIRE(world.give_group(1));
    REQUIRE(world.reach([&] { return world.mode(1) == Mode::kSolo; }));
}

TEST_CASE("a flush that fails while the peer is only lost is fatal: the peer has what was acknowledged") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.links = false;
    const uint64_t flush = world.flush(0);
    world.nodes[0].disk.flushable = false;
    world.cut();
    world.deliver_link(0);
    REQUIRE(world.mode(0) == Mode::kStalled);
    world.settle();
    world.nodes[0].disk.flushable = true;
    CHECK(world.result(0, flush) == EIO);
    CHECK(world.mode(0) == Mode::kHalted);
    CHECK(world.nodes[0].metadata.context.flags.failed);
    CHECK(durably_dirty(world, 0, 5));
    CHECK(standing(world, 0) == Standing::kSuspect);
    CHECK(standing(world, 1) == Standing::kCurrent);
}

TEST_CASE("a demotion whose flush fails ends, and keeps its marks") {
    World world;
    bring_up(world);
    SECTION("alone: the copy stays, and goes on as it was") {
        go_solo(world);
        write_and_settle(world, 0, 5);
        world.nodes[0].disk.flushable = false;
        world.ask_stop();
        world.settle();
        world.nodes[0].disk.flushable = true;
        CHECK(world.report(0).role == Role::kSecondary);
        CHECK(world.report(0).message.find("failed flush") != std::string::npos);
        CHECK(standing(world, 0) == Standing::kCurrent);
        CHECK(world.nodes[0].metadata.context.flags.primary_indicated);
        REQUIRE(world.give_group(0));
        REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }));
        CHECK(flush_and_settle(world) == EIO);
    }
    SECTION("connected: the other copy goes on") {
        write_and_settle(world, 0, 5);
        world.nodes[0].disk.flushable = false;
        world.ask_stop();
        world.settle();
        CHECK(world.report(0).role == Role::kSecondary);
        CHECK(world.report(0).disk == DiskState::kFailed);
        CHECK(standing(world, 0) == Standing::kSuspect);
        CHECK(world.nodes[0].metadata.context.flags.primary_indicated);
    }
    CHECK(durably_dirty(world, 0, 5));
}

TEST_CASE("a primary that goes on after its driver was restarted does not pass over a failed flush") {
    World world;
    bring_up(world);
    SECTION("beside a current copy") {
        write_and_settle(world, 0, 5);
        world.links = false;
        world.nodes[0].disk.flushable = false;
        world.crash_driver(0, true);
        world.start(0, true);
        world.settle();
        CHECK(world.mode(0) == Mode::kHalted);
        CHECK(world.nodes[0].metadata.context.flags.failed);
        CHECK(standing(world, 0) == Standing::kSuspect);
    }
    SECTION("alone") {
        go_solo(world);
        write_and_settle(world, 0, 5);
        world.nodes[0].disk.flushable = false;
        world.crash_driver(0, true);
        world.start(0, true);
        REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }));
        world.nodes[0].disk.flushable = true;
        CHECK(flush_and_settle(world) == EIO);
        write_and_settle(world, 0, 6);
    }
    CHECK(durably_dirty(world, 0, 5));
}

TEST_CASE("a flush that fails at a promotion is not made good by the next one") {
    World world;
    world.nodes[0].disk.flushable = false;
    SECTION("beside a current copy: that one is taken") {
        world.nodes[0].serves = false;  // once is enough
        REQUIRE(world.give_group(0));
        world.settle();
        for (int i = 0; i < 2; ++i) {
            world.order(0, OrderKind::kPromote);
            world.settle();
            REQUIRE_FALSE(world.nodes[0].order_results.back().status);
            world.nodes[0].disk.flushable = true;
        }
        CHECK(world.report(0).role == Role::kSecondary);
        CHECK(world.nodes[0].metadata.context.flags.failed);
        CHECK(standing(world, 0) == Standing::kSuspect);
    }
    SECTION("alone: it goes on, and promises nothing") {
        world.choose([](Record& record) {
            record.replicas[NodeId{2}].standing = Standing::kStale;
            record.generation = {2, Uuid{8}};
        });
        world.links = false;
        REQUIRE(world.give_group(0));
        REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }));
        world.nodes[0].disk.flushable = true;
        CHECK(flush_and_settle(world) == EIO);
        CHECK(world.report(0).message.find("failed flush") != std::string::npos);
        world.links = true;
        CHECK(world.reach([&] { return standing(world, 0) == Standing::kSuspect; }));
        CHECK(standing(world, 1) == Standing::kCurrent);
    }
}

TEST_CASE("a standby whose disk fails is given up, and the primary goes on alone") {
    World world;
    bring_up(world);
    world.nodes[1].disk.writable = false;
    const uint64_t id = world.write(0, 5);
    REQUIRE(world.reach([&] { return world.done(0, id); }));
    CHECK(world.result(0, id) == 0);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK(world.report(1).disk == DiskState::kFailed);
    CHECK(standing(world, 1) != Standing::kCurrent);
}

TEST_CASE("a primary whose metadata cannot be written stops being one") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(0, 5);
    world.nodes[0].metadata.writable = false;
    REQUIRE(world.finish_metadata(0));
    CHECK(world.mode(0) == Mode::kHalted);
    CHECK(world.result(0, id) == EIO);
    CHECK(world.report(0).disk == DiskState::kFailed);
    world.settle();
    CHECK(standing(world, 0) == Standing::kSuspect);
    world.nodes[0].agent = Node::Agent::kDemoting;
    world.order(0, OrderKind::kDemote);
    world.settle();
    CHECK(world.report(0).role != Role::kPrimary);
}

TEST_CASE("a standby refuses frames of an older token, of another generation, or of nobody") {
    World world;
    bring_up(world);
    Frame frame = forged(world, FrameType::kWrite);
    SECTION("as it should be") {
        CHECK(survives(world, 1, frame));
    }
    SECTION("an older token") {
        --frame.token.seq;
        CHECK_FALSE(survives(world, 1, frame));
        CHECK(world.nodes[1].disk.now[5] == 0);
    }
    SECTION("a newer token that nobody introduced") {
        ++frame.token.seq;
        CHECK_FALSE(survives(world, 1, frame));
        CHECK(world.nodes[1].disk.now[5] == 0);
    }
    SECTION("another generation") {
        ++frame.generation.counter;
        CHECK_FALSE(survives(world, 1, frame));
        CHECK(world.nodes[1].disk.now[5] == 0);
    }
    SECTION("to the primary") {
        CHECK_FALSE(survives(world, 0, frame));
        CHECK(world.nodes[0].disk.now[5] == 0);
    }
}

TEST_CASE("frames that fit no agreement end the connection") {
    for (const FrameType type :
         {FrameType::kResyncEnd, FrameType::kResyncBegin, FrameType::kDirty, FrameType::kResyncReady, FrameType::kHello,
          FrameType::kVerdict, FrameType::kCurrent}) {
        for (size_t node = 0; node < 2; ++node) {
            World world;
            bring_up(world);
            Frame frame = forged(world, type);
            if (type == FrameType::kCurrent) ++frame.generation.counter;
            CAPTURE(name_of(type), node);
            CHECK_FALSE(survives(world, node, frame));
            world.links = true;
            CHECK(world.reach([&] { return world.healthy(); }));
        }
    }
}

TEST_CASE("answers to nothing are ignored") {
    World world;
    bring_up(world);
    for (const FrameType type : {FrameType::kAck, FrameType::kPong, FrameType::kReadReply}) {
        for (uint64_t owner = 0; owner < 16; ++owner) {
            Frame frame = forged(world, type);
            frame.seq = 7U << 16U | owner << 12U | 4095U;
            frame.length = 0;
            frame.offset = 0;
            world.inject(0, frame);
        }
    }
    CHECK(world.mode(0) == Mode::kConnected);
}

TEST_CASE("frames of an ended connection are dropped") {
    World world;
    bring_up(world);
    Frame frame = forged(world, FrameType::kZero);
    const ConnectionId old = world.wire.id;
    world.cut();
    REQUIRE(world.reach([&] { return world.healthy(); }));
    REQUIRE(world.wire.id != old);
    world.inject(1, frame, old);
    CHECK(world.nodes[1].io.empty());
}

TEST_CASE("I/O of an ended connection that is still at the disk holds back newer frames of the same blocks") {
    World world;
    bring_up(world);
    world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    while (world.finish_io(0)) {
    }
    while (world.deliver(0, Channel::kBulk)) {
    }
    REQUIRE(world.nodes[1].io.size() == 1);  // and stays there
    world.cut();
    for (int i = 0; i < 10; ++i) {
        world.deliver_link(0);
        world.deliver_link(1);
        world.connect();
        for (size_t from = 0; from < 2; ++from) {
            while (world.finish_metadata(from)) {
            }
            while (world.deliver(from, Channel::kControl) || world.deliver(from, Channel::kBulk)) {
            }
        }
    }
    REQUIRE(world.mode(0) == Mode::kConnected);
    CHECK(world.nodes[1].io.size() == 1);
    world.settle();
    CHECK(world.equal());
}
