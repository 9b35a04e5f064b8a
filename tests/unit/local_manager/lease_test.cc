#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("the end of the lease suspends, and nothing is begun while suspended") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.start();
    REQUIRE(b.wake_at);
    CHECK(*b.wake_at == b.run_until);
    b.now = b.run_until;
    b.finish("md");
    CHECK(b.state() == GroupState::kSuspended);
    CHECK(b.under_way().empty());
    CHECK(b.verdict() == Verdict::kNone);
}

TEST_CASE("a renewal sent after the suspension resumes, one sent before does not") {
    Bench b;
    b.resource("app");
    b.run();
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    CHECK(b.state() == GroupState::kSuspended);
    b.run_until = b.now + 1s;  // acknowledged late, sent before
    b.advance();
    CHECK(b.verdict() == Verdict::kNone);
    b.now += 100ms;
    b.renew();
    b.advance();
    CHECK(b.verdict() == Verdict::kResume);
    CHECK(b.state() == GroupState::kSuspended);
    b.guard_says(GuardGroupState::kResumed);
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.verdict() == Verdict::kNone);
    CHECK(b.said(Reason::kResumed));
}

TEST_CASE("a start that was suspended goes on when it is resumed, and a failure meanwhile is no attempt") {
    Bench b;
    b.resource("app");
    b.start();
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    b.finish("app", false, "timed out");
    CHECK_FALSE(b.said(Reason::kActivationFailed));
    b.now += 100ms;
    b.renew();
    b.guard_says(GuardGroupState::kResumed);
    CHECK(b.under_way() == "+app");
    b.finish("app");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a suspension that the guard found by itself is kept until a newer renewal") {
    Bench b;
    b.resource("app");
    b.run();
    b.guard_says(GuardGroupState::kSuspended);
    CHECK(b.state() == GroupState::kSuspended);
    CHECK(b.verdict() == Verdict::kNone);
    b.now += 100ms;
    b.renew();
    b.advance();
    CHECK(b.verdict() == Verdict::kResume);
}

TEST_CASE(
    "a document that names somebody else, or wants it stopped, kills what is suspended; probes confirm; then STOPPED") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.run();
    const Token token = b.document.groups["web"].token;
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    SECTION("another owner") {
        b.assign_elsewhere();
    }
    SECTION("stopped") {
        b.document.groups["web"].goal = Goal::kStopped;
    }
    SECTION("removed") {
        b.document.groups.clear();
    }
    b.now += 100ms;
    b.renew();
    b.advance();
    CHECK(b.verdict() == Verdict::kKill);
    b.steps();
    b.guard.groups = {{"web", token, GuardGroupState::kKilled}};
    b.manager.on_guard(b.guard, b.input());
    b.take();
    CHECK(b.state() == GroupState::kStopping);
    CHECK(b.running.size() == 2);
    b.finish_all(ProbeResult::kInactive);
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.report().token == token);
    CHECK_FALSE(b.report().failed);
    CHECK(b.steps() == "?app ?md");
}

TEST_CASE("what a kill left behind is stopped in order") {
    Bench b;
    b.resource("md");
    b.resource("app", {"md"});
    b.run();
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kKilled);
    b.finish("app", true, "", ProbeResult::kInactive);
    b.finish("md", true, "", ProbeResult::kActive);
    CHECK(b.under_way() == "-md");
    b.finish("md");
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("what was under way at the kill ends before the probes, and its late answer proves nothing") {
    Bench b;
    b.resource("app");
    b.start();
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kKilled);
    CHECK(b.under_way() == "+app");
    b.finish("app");
    CHECK(b.under_way() == "?app");
    b.finish("app", true, "", ProbeResult::kActive);
    CHECK(b.under_way() == "-app");
    b.finish("app");
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("a kill that failed is STOP_FAILED") {
    Bench b;
    b.resource("app");
    b.run();
    b.guard_says(GuardGroupState::kKillFailed);
    CHECK(b.state() == GroupState::kStopFailed);
}

TEST_CASE("a running group that the document gives away is killed although the lease is valid") {
    Bench b;
    b.resource("app");
    b.run();
    b.assign_elsewhere();
    b.advance();
    CHECK(b.verdict() == Verdict::kKill);
}

TEST_CASE("without a guard what the document gave away is stopped the ordinary way") {
    Bench b;
    b.resource("app");
    b.run();
    b.guard.alive = false;
    b.manager.on_guard(b.guard, b.input());
    b.take();
    b.assign_elsewhere();
    b.advance();
    CHECK(b.under_way() == "-app");
}

TEST_CASE("a group is guarded as strict where the configuration says so") {
    Bench b;
    b.resource("app");
    b.config.groups[0].exclusion = config::ExclusionKind::kStrict;
    b.run();
    CHECK(b.manager.guarded()[0].strict);
}
