// Promotion and demotion: what each needs, what is durable when it is done, and why not.
#include <cerrno>

#include "tests/unit/mirror_engine/scenes.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

Status last_result(const World& world, size_t node) {
    REQUIRE_FALSE(world.nodes[node].order_results.empty());
    return world.nodes[node].order_results.back().status;
}

// An order to promote that fails, now or at its limit; returns why.
std::string refusal(World& world, size_t node) {
    const size_t before = world.nodes[node].order_results.size();
    world.order(node, OrderKind::kPromote);
    for (int i = 0; i < 400 && world.nodes[node].order_results.size() == before; ++i) {
        world.now += 20ms;
        world.settle();
    }
    REQUIRE(world.nodes[node].order_results.size() > before);
    REQUIRE_FALSE(last_result(world, node));
    return last_result(world, node).error().message;
}

}  // namespace

TEST_CASE("a promotion is done when the mark and the token are durable, and the disk is flushed") {
    World world;
    world.settle();
    world.nodes[0].disk.write(9, 0);
    world.nodes[0].serves = false;
    REQUIRE(world.give_group(0));
    world.settle();
    world.order(0, OrderKind::kPromote);
    world.deliver_link(0);
    REQUIRE(world.nodes[0].io.size() == 1);
    CHECK(world.nodes[0].io[0].operation == Operation::kFlush);
    REQUIRE(world.finish_io(0));
    CHECK(world.report(0).role == Role::kSecondary);
    CHECK(world.nodes[0].order_results.empty());
    while (world.finish_metadata(0)) {
    }
    REQUIRE(last_result(world, 0));
    CHECK(world.nodes[0].metadata.context.flags.primary_indicated);
    CHECK(world.nodes[0].metadata.context.highest_token == world.reg.token);
    CHECK(world.report(0).token == world.reg.token);
}

TEST_CASE("a promotion under an order that was carried out already is done at once") {
    World world;
    bring_up(world);
    world.order(0, OrderKind::kPromote);
    CHECK(last_result(world, 0));
    CHECK(world.mode(0) == Mode::kConnected);
}

TEST_CASE("only the owner of the group is promoted") {
    World world;
    bring_up(world);
    CHECK(refusal(world, 1).find("own") != std::string::npos);
}

TEST_CASE("a stale copy is not promoted") {
    World world;
    bring_up(world);
    go_solo(world);
    world.nodes[1].serves = false;
    world.nodes[0].serves = false;
    world.reg.owner = 1;  // what the policy would never do
    ++world.reg.version.seq;
    world.reg.token = world.reg.version;
    world.choose([](Record&) {});
    CHECK(refusal(world, 1).find("stale") != std::string::npos);
}

TEST_CASE("without a fresh document nobody is promoted") {
    World world;
    world.settle();
    world.nodes[0].serves = false;
    REQUIRE(world.give_group(0));
    while (world.publish(0, false)) {
    }
    world.order(0, OrderKind::kPromote);
    for (int i = 0; i < 20; ++i) {
        world.now += 500ms;
        world.wake(0);
        while (world.finish_metadata(0)) {
        }
    }
    REQUIRE_FALSE(world.nodes[0].order_results.empty());
    CHECK(last_result(world, 0).error().message.find("lease") != std::string::npos);
}

TEST_CASE("a copy that is not whole is not promoted even if the register calls it current") {
    World world;
    world.settle();
    for (size_t i = 0; i < 2; ++i) world.crash_driver(i, false);
    world.nodes[0].metadata.context.flags.inconsistent = true;
    for (size_t i = 0; i < 2; ++i) world.start(i);
    world.nodes[0].serves = false;
    REQUIRE(world.give_group(0));
    world.settle();
    CHECK(refusal(world, 0).find("not complete") != std::string::npos);
}

TEST_CASE(
    "what a person declared the latest copy is promoted under its new generation, and the other gets everything") {
    World world;
    world.settle();
    for (size_t i = 0; i < 2; ++i) world.crash_driver(i, false);
    world.nodes[0].metadata.context.flags.inconsistent = true;
    for (size_t i = 0; i < 2; ++i) world.start(i);
    world.choose([](Record& record) {
        record.generation = {2, Uuid{77}};
        record.replicas[NodeId{2}].standing = Standing::kSuspect;
    });
    for (uint64_t block = 0; block < kBlocks; block += 90) world.nodes[1].disk.write(block, 31337);
    bring_up(world);
    CHECK(world.nodes[0].disk.now == world.nodes[1].disk.now);
}

TEST_CASE("a takeover begins a new generation whose bitmap counts from the old one") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.crash_node(0);
    REQUIRE(world.give_group(1));
    REQUIRE(world.reach([&] { return world.mode(1) == Mode::kSolo; }));
    const Context& context = world.nodes[1].metadata.context;
    CHECK(context.current == world.reg.record.generation);
    CHECK(context.base == Generation{1, Uuid{7}});
    CHECK(context.history[0].cause == Cause::kTakeover);
}

TEST_CASE("a replica that is being promoted applies no frames any more, and waits for those at its disk") {
    World world;
    bring_up(world);
    world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    while (world.deliver(0, Channel::kBulk)) {
    }
    REQUIRE(world.nodes[1].io.size() == 1);
    world.nodes[1].serves = false;
    REQUIRE(world.give_group(1));
    while (world.publish(1)) {
    }
    world.order(1, OrderKind::kPromote);
    REQUIRE(world.nodes[1].io.size() == 1);
    CHECK(world.nodes[1].io[0].operation == Operation::kWrite);
    REQUIRE(world.finish_io(1));
    REQUIRE(world.nodes[1].io.size() == 1);
    CHECK(world.nodes[1].io[0].operation == Operation::kFlush);
}

TEST_CASE("a clean demotion flushes both sides and leaves nothing in doubt") {
    World world;
    bring_up(world);
    for (uint64_t block = 0; block < 6000; block += 500) write_and_settle(world, 0, block);
    world.ask_stop();
    REQUIRE(world.reach([&] { return world.reg.stopped; }));
    CHECK_FALSE(world.nodes[0].metadata.context.flags.primary_indicated);
    for (const Node& node : world.nodes) {
        CHECK(node.disk.unflushed.empty());
        CHECK(node.engine->bitmap().count() == 0);
    }
    REQUIRE(world.give_group(1));
    REQUIRE(world.reach([&] { return world.healthy(); }));
    CHECK(world.nodes[1].engine->counters().copied_bytes == 0);
    CHECK(world.reg.record.generation.counter == 1);
}

TEST_CASE("a demotion while alone keeps the bits on the disk") {
    World world;
    bring_up(world);
    go_solo(world);
    write_and_settle(world, 0, 5);
    world.ask_stop();
    REQUIRE(world.reach([&] { return world.reg.stopped; }));
    CHECK(durably_dirty(world, 0, 5));
    world.crash_node(0);
    world.nodes[0].up = true;
    world.start(0);
    CHECK(dirty(world, 0, 5));
}

TEST_CASE("a demotion whose peer is lost on the way waits for the grant") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.links = false;
    world.cut();
    world.ask_stop();
    world.settle(false);
    CHECK_FALSE(world.reg.stopped);
    world.now += kDetect;
    world.settle(false);
    CHECK(world.report(0).wish.kind == WishKind::kSolo);
    REQUIRE(world.reach([&] { return world.reg.stopped; }));
    CHECK(standing(world, 1) == Standing::kStale);
}

TEST_CASE("a demotion of what nobody has written to needs neither peer nor grant") {
    World world;
    world.links = false;
    REQUIRE(world.give_group(0));
    REQUIRE(world.reach([&] { return world.report(0).role == Role::kPrimary; }));
    world.ask_stop();
    world.settle(false);
    CHECK(world.reg.stopped);
    CHECK(standing(world, 1) == Standing::kCurrent);
}

TEST_CASE("a primary that nobody answers after its promotion goes alone after T_detect") {
    World world;
    world.links = false;
    REQUIRE(world.give_group(0));
    REQUIRE(world.reach([&] { return world.mode(0) == Mode::kSolo; }, 3s));
}

TEST_CASE("when the front end is gone everything under way fails and the blocks are marked") {
    World world;
    bring_up(world);
    const uint64_t id = world.write(0, 5);
    while (world.finish_metadata(0)) {
    }
    world.links = false;
    world.nodes[0].agent = Node::Agent::kDraining;  // a daemon that does nothing by itself
    world.order(0, OrderKind::kFailAll);
    CHECK_FALSE(world.done(0, id));  // its buffer is still at the disk
    world.settle(false);
    CHECK(world.result(0, id) == EIO);
    CHECK(dirty(world, 0, 5));
    CHECK(last_result(world, 0));
}

TEST_CASE("a primary does not detach") {
    World world;
    bring_up(world);
    world.order(0, OrderKind::kDetach);
    CHECK_FALSE(last_result(world, 0));
}

TEST_CASE("a standby's clean stop says nothing about the data") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    const Context before = world.nodes[1].metadata.context;
    world.order(1, OrderKind::kDetach);
    world.settle(false);
    REQUIRE(last_result(world, 1));
    CHECK(world.nodes[1].metadata.context == before);
}

TEST_CASE("a mirror whose front end was torn down is demoted with its peer, which stays current") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.write(0, 6);
    while (world.finish_metadata(0)) {
    }
    world.nodes[0].agent = Node::Agent::kFailing;
    world.order(0, OrderKind::kFailAll);
    REQUIRE(world.reach([&] { return world.reg.stopped; }, 400ms));
    CHECK(standing(world, 1) == Standing::kCurrent);
    CHECK(world.reg.record.generation.counter == 1);
    CHECK(world.equal());
    for (const Node& node : world.nodes) CHECK(node.disk.unflushed.empty());
}

TEST_CASE("a demotion whose flush was lost with the connection flushes again on the next one") {
    World world;
    bring_up(world);
    write_and_settle(world, 0, 5);
    world.nodes[0].agent = Node::Agent::kDemoting;
    world.order(0, OrderKind::kDemote);
    while (world.finish_io(0)) {
    }
    world.cut();
    REQUIRE(world.reach([&] { return world.reg.stopped; }, 400ms));
    CHECK(standing(world, 1) == Standing::kCurrent);
    CHECK(world.nodes[1].disk.unflushed.empty());
}
