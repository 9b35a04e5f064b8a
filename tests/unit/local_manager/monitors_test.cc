#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("a monitor watches while its target is active, checks at its interval, and reports") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").start_wait = 2s;
    b.start();
    CHECK(b.checks.empty());
    CHECK(b.monitor_report("alive").state == MonitorState::kOffline);
    b.finish("app");
    CHECK(b.watched["alive"]);
    CHECK(b.checks.empty());
    REQUIRE(b.wake_at);
    b.run_until = kNever;
    b.pass(2s);
    REQUIRE(b.checks.size() == 1);
    b.check("alive", MonitorState::kNormal);
    CHECK(b.monitor_report("alive").state == MonitorState::kNormal);
    CHECK(b.wake_at == b.now + 5s);
    b.pass(5s);
    CHECK(b.checks.size() == 1);
    b.pass(5s);
    CHECK(b.checks.size() == 1);  // never two at once
    b.order_stop();
    CHECK_FALSE(b.watched["alive"]);
}

TEST_CASE("a stirred monitor checks at once, and a death restarts the target and what comes after it, at once") {
    Bench b;
    b.resource("fip");
    b.resource("nginx", {"fip"});
    b.resource("probe", {"nginx"});
    b.monitor("alive", "nginx");
    b.run();
    b.check("alive", MonitorState::kNormal);
    b.steps();
    b.manager.on_monitor_stirred({"alive"}, b.input());
    b.take();
    REQUIRE(b.checks.size() == 1);
    b.check("alive", MonitorState::kError, "process 17 ended");
    CHECK(b.under_way() == "-probe");
    CHECK(b.running[0].stop_reason == StopReason::kResourceRestart);
    CHECK(b.state() == GroupState::kStarting);
    b.finish_all();
    CHECK(b.steps() == "-probe -nginx +nginx +probe");
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.monitor_report("alive").restarts == 1);
    CHECK(b.sentence(Reason::kRecoveryRestart).find("process 17 ended") != std::string::npos);
}

TEST_CASE("a check that is stirred while it runs is repeated at once") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.manager.on_monitor_stirred({"alive"}, b.input());
    b.take();
    CHECK(b.checks.size() == 1);
    b.check("alive", MonitorState::kNormal);
    CHECK(b.checks.size() == 1);
}

TEST_CASE("an error counts only after the configured retries") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").retry = 1;
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError);
    CHECK(b.monitor_report("alive").state != MonitorState::kError);
    CHECK(b.under_way().empty());
    b.pass(5s);
    b.check("alive", MonitorState::kError);
    CHECK(b.under_way() == "-app");
}

TEST_CASE("the steps are scripts, restarts, failover, each as often as configured") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error.script = 1;
    monitor.on_error.restart = 2;
    monitor.on_error.failover = 1;
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.scripts.size() == 1);
    CHECK(b.scripts[0].count == 1);
    CHECK(b.under_way().empty());
    b.manager.on_script_done({b.scripts[0].operation, true, ""}, b.input());
    b.take();
    for (int i = 1; i <= 2; ++i) {
        b.check("alive", MonitorState::kError, "dead");
        CHECK(b.under_way() == "-app");
        b.finish_all();
        CHECK(b.monitor_report("alive").restarts == static_cast<uint32_t>(i));
    }
    b.check("alive", MonitorState::kError, "dead");
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.report().wants_failover);
    CHECK(b.report().cause == "monitor alive: dead");
    b.pass(5s);
    b.check("alive", MonitorState::kNormal);
    CHECK_FALSE(b.report().wants_failover);  // it came back by itself
}

TEST_CASE("counters are cleared by a normal check an interval after the last step, not by one right after it") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError);
    b.finish_all();
    b.check("alive", MonitorState::kNormal);
    CHECK(b.monitor_report("alive").restarts == 1);
    b.pass(5s);
    b.check("alive", MonitorState::kNormal);
    CHECK(b.monitor_report("alive").restarts == 0);
}

TEST_CASE("a service that dies at once after each restart ends in its final action") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error.failover = 0;
    monitor.on_error.final = config::FinalAction::kStopGroup;
    b.run();
    b.run_until = kNever;
    for (int i = 0; i < 3; ++i) {
        b.check("alive", MonitorState::kNormal);
        b.manager.on_monitor_stirred({"alive"}, b.input());
        b.take();
        b.check("alive", MonitorState::kError);
        b.finish_all();
    }
    b.check("alive", MonitorState::kError);
    CHECK(b.said(Reason::kFinalAction));
    CHECK(b.under_way() == "-app");
    b.finish_all();
    CHECK(b.state() == GroupState::kStopped);
    CHECK(b.report().failed);
}

TEST_CASE("used up failovers in the document lead to the final action") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error.restart = 0;
    b.run();
    b.document.groups["web"].failovers = 1;
    b.check("alive", MonitorState::kError);
    CHECK(b.report().failed);
    CHECK_FALSE(b.report().wants_failover);
    CHECK(b.state() == GroupState::kActive);  // no operation
}

TEST_CASE("a stop script that fails on a dead service does not stop its restart") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.check("alive", MonitorState::kError);
    b.finish("app", false, "stop.sh exited with status 1");
    CHECK(b.under_way() == "?app");
    SECTION("it is down") {
        b.finish("app", true, "", ProbeResult::kInactive);
        CHECK(b.under_way() == "+app");
        b.finish("app");
        CHECK(b.state() == GroupState::kActive);
    }
    SECTION("it is not") {
        b.finish("app", true, "", ProbeResult::kPartial);
        CHECK(b.state() == GroupState::kStopFailed);
    }
}

TEST_CASE("a monitor without a target runs always, and its error does not touch a node without active groups") {
    Bench b;
    b.resource("app");
    b.monitor("link", "");
    b.advance();
    REQUIRE(b.checks.size() == 1);
    b.check("link", MonitorState::kError);
    CHECK(b.monitor_report("link").state == MonitorState::kError);
    CHECK(b.steps().empty());
}

TEST_CASE("a monitor pauses while its group is suspended and looks at once afterwards") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app");
    b.run();
    b.check("alive", MonitorState::kNormal);
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    CHECK(b.monitor_report("alive").state == MonitorState::kSuspended);
    b.pass(10s);
    CHECK(b.checks.empty());
    b.renew();
    b.guard_says(GuardGroupState::kResumed);
    CHECK(b.checks.size() == 1);
}

TEST_CASE("an answer of before the restart is not taken for one of after it") {
    Bench b;
    b.resource("app");
    b.monitor("one", "app");
    b.monitor("two", "app");
    b.run();
    const CheckMonitor late = b.checks[1].monitor == "two" ? b.checks[1] : b.checks[0];
    b.check("one", MonitorState::kError);
    b.finish_all();
    b.manager.on_monitor_done({late.operation, MonitorState::kError, false, "late"}, b.input());
    b.take();
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.monitor_report("two").restarts == 0);
}
