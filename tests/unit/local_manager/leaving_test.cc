#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE(
    "a node that the document lets go acts a moment later, a leader after the others have had time to learn of it") {
    Bench b;
    b.advance();
    b.document.nodes[b.self.node].leaving = Leaving::kReboot;
    b.advance();
    CHECK(b.manager.report().leaving);
    b.document.nodes[b.self.node].state = NodeState::kLeft;
    Duration wait = b.timing.renew;
    SECTION("follower") {}
    SECTION("leader") {
        b.document.leader = b.self;
        wait = b.timing.hold;
    }
    b.advance();
    CHECK(b.manager.report().leaving);
    REQUIRE(b.wake_at);
    CHECK(*b.wake_at == b.now + wait);
    b.pass(wait - 1ns);
    CHECK(b.acts.empty());
    b.pass(1ns);
    CHECK(b.acts == std::vector<SystemAction>{SystemAction::kReboot});
    b.pass(1s);
    CHECK(b.acts.size() == 1);
}

TEST_CASE("a daemon that starts in a boot that has left wants to join, not to stop") {
    Bench b;
    b.manager = LocalManager();
    b.document.nodes[b.self.node].state = NodeState::kLeft;
    b.document.nodes[b.self.node].leaving = Leaving::kHalt;
    b.advance();
    b.pass(1min);
    CHECK(b.acts.empty());
    CHECK_FALSE(b.manager.report().leaving);
}

TEST_CASE("a cancelled leave is over") {
    Bench b;
    b.advance();
    b.document.nodes[b.self.node].leaving = Leaving::kStopDaemon;
    b.advance();
    b.document.nodes[b.self.node].leaving = Leaving::kNo;
    b.advance();
    CHECK_FALSE(b.manager.report().leaving);
    b.pass(1min);
    CHECK(b.acts.empty());
}
