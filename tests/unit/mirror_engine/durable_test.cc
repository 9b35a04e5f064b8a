// What must be on the disk before what: looked at batch by batch.
#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {
const MetadataBatch& under_way(const World& world, size_t node) {
    return world.nodes[node].metadata.under_way->batch;
}
}  // namespace

TEST_CASE("a crashed primary's log is given up only after its bits are durable") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.crash_node(0);
    world.nodes[0].up = true;
    world.start(0);
    REQUIRE(world.nodes[0].metadata.under_way);
    CHECK(under_way(world, 0).slots.empty());
    CHECK_FALSE(under_way(world, 0).context);
    CHECK_FALSE(under_way(world, 0).bitmap_pages.empty());
    REQUIRE(world.finish_metadata(0));
    CHECK(durably_dirty(world, 0, 5));
    REQUIRE(world.nodes[0].metadata.under_way);
    CHECK(under_way(world, 0).slots.size() == 1);
    CHECK(under_way(world, 0).context);
    REQUIRE(world.finish_metadata(0));
    CHECK_FALSE(world.nodes[0].metadata.context.flags.primary_indicated);
}

TEST_CASE("an unreadable log makes every block count as dirty") {
    World world;
    world.settle();
    Settings settings;
    settings.loaded.context = world.nodes[0].metadata.context;
    settings.loaded.slots = world.nodes[0].metadata.slots;
    settings.loaded.bitmap = Bitmap(kDiskBytes);
    settings.loaded.log_incomplete = true;
    settings.self = NodeId{1};
    settings.peer = NodeId{2};
    const Mirror mirror(std::move(settings), world.now);
    CHECK(mirror.bitmap().count() == kBlocks);
}

TEST_CASE("a demotion writes its bits before it says that there is no primary any more") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.nodes[0].agent = Node::Agent::kDemoting;
    world.order(0, OrderKind::kDemote);
    while (world.finish_io(0)) {
    }
    REQUIRE(world.nodes[0].metadata.under_way);
    CHECK_FALSE(under_way(world, 0).bitmap_pages.empty());
    CHECK_FALSE(under_way(world, 0).context);
    REQUIRE(world.finish_metadata(0));
    REQUIRE(world.nodes[0].metadata.under_way);
    CHECK(under_way(world, 0).context);
}

TEST_CASE("a resumed primary flushes what its former life wrote before it meets its peer") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    REQUIRE_FALSE(world.nodes[0].disk.unflushed.empty());
    world.crash_driver(0, true);
    world.start(0, true);
    while (world.finish_metadata(0)) {
    }
    while (world.publish(0)) {
    }
    REQUIRE(world.nodes[0].io.size() == 1);
    CHECK(world.nodes[0].io[0].operation == Operation::kFlush);
    while (world.deliver_link(0) || world.deliver_link(1) || world.connect()) {
    }
    for (const SendFrame& sent : world.wire.queue[0][1]) CHECK(sent.frame.type != FrameType::kHello);
    REQUIRE(world.finish_io(0));
    CHECK(world.nodes[0].disk.unflushed.empty());
    REQUIRE(world.reach([&] { return world.healthy(); }));
}

TEST_CASE("the target's end is on its disk before the source hears of it") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.links = true;
    bool seen = false;
    for (int i = 0; i < 20000 && world.mode(0) != Mode::kConnected; ++i) {
        world.random_step(false);
        if (i % 20 == 0) world.now += 10ms;
        if (world.mode(0) != Mode::kJoining) continue;
        seen = true;
        const Context& durable = world.nodes[1].metadata.context;
        REQUIRE_FALSE(durable.flags.inconsistent);
        REQUIRE(durable.current == world.nodes[0].engine->context().current);
    }
    CHECK(seen);
}

TEST_CASE("a newer primary's token is on the disk before the handshake with it is agreed") {
    World world;
    world.settle();
    world.nodes[0].serves = true;
    REQUIRE(world.give_group(0));
    for (int i = 0; i < 20000 && !world.healthy(); ++i) {
        world.random_step(false);
        if (i % 20 == 0) world.now += 10ms;
        if (world.report(1).connected && world.report(0).mode == Mode::kConnected) {
            REQUIRE(world.nodes[1].metadata.context.highest_token == world.reg.token);
        }
    }
    CHECK(world.healthy());
}

TEST_CASE("writes alone do not make a report each: what is left to copy is told once a second") {
    World world;
    bring_up(world);
    go_solo(world);
    size_t reports = 0;
    for (uint64_t block = 0; block < 2000; block += 250) {
        world.write(0, block, 200);
        while (world.finish_metadata(0) || world.finish_io(0)) {
        }
        reports += world.nodes[0].reports.size();
        world.settle();
    }
    CHECK(reports <= 1);
    world.advance(2s);
    CHECK(world.nodes[0].seen.dirty_bytes == 7U << 20U);
}

TEST_CASE("metadata of another mirror are never attached, and the report says so") {
    World world;
    for (auto& document : world.reg.documents) document.record.uuid = Uuid{99};
    world.settle();
    CHECK(world.report(0).role == Role::kDetached);
    CHECK(world.report(0).wish.kind == WishKind::kNone);
    CHECK(world.report(0).message.find("another mirror") != std::string::npos);
}
