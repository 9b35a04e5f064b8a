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

TEST_CASE("a primary that is alone answers errors and goes on") {
    World world;
    bring_up(world);
    go_solo(world);
    world.nodes[0].disk.writable = false;
    const uint64_t write = world.write(0, 5);
    const uint64_t flush = world.flush(0);
    world.settle();
    CHECK(world.result(0, write) == EIO);
    CHECK(world.result(0, flush) == EIO);
    CHECK(world.mode(0) == Mode::kSolo);
    CHECK_FALSE(world.report(0).message.empty());
    world.nodes[0].disk.writable = true;
    write_and_settle(world, 0, 5);
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
