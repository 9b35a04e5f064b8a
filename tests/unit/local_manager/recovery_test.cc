#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

void done(Bench& b, const std::string& monitor, MonitorState state, bool timed_out, const std::string& message = "") {
    const auto at =
        std::find_if(b.checks.begin(), b.checks.end(), [&](const CheckMonitor& c) { return c.monitor == monitor; });
    REQUIRE(at != b.checks.end());
    const uint64_t operation = at->operation;
    b.checks.erase(at);
    b.manager.on_monitor_done({operation, state, timed_out, message}, b.input());
    b.take();
}

}  // namespace

TEST_CASE("a check that times out counts as configured") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.retry = 2;
    SECTION("like any other error") {
        b.run();
        done(b, "alive", MonitorState::kError, true);
        CHECK(b.monitor_report("alive").state == MonitorState::kUnknown);
        CHECK(b.under_way().empty());
    }
    SECTION("at once") {
        monitor.retry_on_timeout = false;
        b.run();
        done(b, "alive", MonitorState::kError, true);
        CHECK(b.sentence(Reason::kMonitorError) == "Monitor alive reports an error: the check timed out.");
        CHECK(b.under_way() == "-app");
    }
    SECTION("as an error without a recovery") {
        monitor.retry_on_timeout = monitor.recover_on_timeout = false;
        b.run();
        done(b, "alive", MonitorState::kError, true);
        CHECK(b.monitor_report("alive").state == MonitorState::kError);
        CHECK(b.sentence(Reason::kMonitorError).find("recover_on_timeout = false") != std::string::npos);
        CHECK(b.under_way().empty());
        b.run_until = kNever;
        b.pass(5s);
        b.check("alive", MonitorState::kError, "dead");
        CHECK(b.monitor_report("alive").state == MonitorState::kError);
    }
}

TEST_CASE("a late check is told once, until one is in time again") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.timeout = 10s;
    monitor.delay_warning = 80;
    b.run();
    b.run_until = kNever;
    const auto check_in = [&](Duration takes) {
        b.now += takes;
        b.check("alive", MonitorState::kNormal);
        const bool late = b.monitor_report("alive").late;
        b.pass(5s);
        return late;
    };
    CHECK_FALSE(check_in(8s));
    CHECK_FALSE(b.said(Reason::kMonitorLate));
    CHECK(check_in(9s));
    CHECK(b.sentence(Reason::kMonitorLate) == "Monitor alive took more than 80 % of its time-out.");
    b.decisions.clear();
    CHECK(check_in(9s));
    CHECK_FALSE(b.said(Reason::kMonitorLate));
    CHECK_FALSE(check_in(1s));
    CHECK(check_in(9s));
    CHECK(b.said(Reason::kMonitorLate));
}

TEST_CASE("a monitor without a delay warning is never late") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").delay_warning = 0;
    b.run();
    b.run_until = kNever;
    b.now += 59s;
    b.check("alive", MonitorState::kNormal);
    CHECK_FALSE(b.monitor_report("alive").late);
}

TEST_CASE("a dummy failure is an error with a real recovery, on its node, until it is taken back") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").retry = 3;
    b.run();
    b.check("alive", MonitorState::kNormal);
    SECTION("here") {
        b.document.monitors["alive"].dummy_failure = {b.self.node};
        b.advance();
        b.check("alive", MonitorState::kNormal);  // checked at once
        CHECK(b.sentence(Reason::kMonitorError) ==
              "Monitor alive reports an error: a dummy failure is set for verification.");
        CHECK(b.under_way() == "-app");
        b.finish_all();
        b.document.monitors.clear();
        b.run_until = kNever;
        b.advance();
        b.check("alive", MonitorState::kNormal);
        CHECK(b.monitor_report("alive").state == MonitorState::kNormal);
        CHECK(b.said(Reason::kMonitorNormal) == false);  // it was off during the restart
    }
    SECTION("elsewhere") {
        b.document.monitors["alive"].dummy_failure = {b.other.node};
        b.advance();
        CHECK(b.checks.empty());
    }
}

TEST_CASE("a monitor that a person suspends does not check, asks for nothing, and looks at once afterwards") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").on_error.restart = 0;
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.report().wants_failover);
    b.document.monitors["alive"].suspended = {b.self.node};
    b.advance();
    CHECK(b.monitor_report("alive").state == MonitorState::kSuspended);
    CHECK_FALSE(b.report().wants_failover);
    b.pass(1h);
    CHECK(b.checks.empty());
    b.document.monitors["alive"].suspended.clear();
    b.advance();
    CHECK(b.checks.size() == 1);
}

TEST_CASE("a person's reset begins the counts anew, each one once") {
    Bench b;
    b.resource("app");
    b.monitor("alive", "app").on_error.restart = 2;
    b.document.monitors["alive"].cleared = 7;  // of before this daemon
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError);
    b.finish_all();
    REQUIRE(b.monitor_report("alive").restarts == 1);
    b.document.monitors["alive"].cleared = 8;
    b.advance();
    CHECK(b.monitor_report("alive").restarts == 0);
    b.check("alive", MonitorState::kError);
    b.finish_all();
    b.check("alive", MonitorState::kError);
    b.finish_all();
    CHECK(b.monitor_report("alive").restarts == 2);
}

TEST_CASE("a new configuration leaves a monitor that it does not change as it was, with its counts; a changed one begins anew") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    b.run();
    b.run_until = kNever;
    b.check("alive", MonitorState::kError);
    b.finish_all();
    b.check("alive", MonitorState::kNormal);
    REQUIRE(b.monitor_report("alive").restarts == 1);
    ++b.document.config.hash[0];
    SECTION("unchanged") {
        b.monitor("other", "app");
        b.advance();
        CHECK(b.monitor_report("alive").restarts == 1);
        CHECK(b.monitor_report("alive").state == MonitorState::kNormal);
        CHECK(b.watched["alive"]);  // subscribed anew
    }
    SECTION("changed") {
        monitor.retry = 2;
        b.advance();
        CHECK(b.monitor_report("alive").restarts == 0);
        CHECK(b.monitor_report("alive").state == MonitorState::kUnknown);
    }
    SECTION("removed") {
        b.config.monitors.clear();
        b.advance();
        CHECK_FALSE(b.watched["alive"]);
        CHECK(b.manager.report().monitors.empty());
    }
}

TEST_CASE("the recovery is of the resource, the group, or all groups of the node") {
    Bench b;
    b.resource("fip");
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    SECTION("resource") {
        b.run();
        b.check("alive", MonitorState::kError);
        CHECK(b.under_way() == "-app");
        CHECK(b.running[0].stop_reason == StopReason::kResourceRestart);
    }
    SECTION("group") {
        monitor.recovery_target = config::RecoveryTarget::kGroup;
        b.run();
        b.check("alive", MonitorState::kError);
        CHECK(b.under_way() == "-app -fip");
        CHECK(b.running[0].stop_reason == StopReason::kGroupRestart);
    }
    SECTION("all groups") {
        monitor.recovery_target = config::RecoveryTarget::kAllGroups;
        config::Group mail = b.config.groups[0];
        mail.name = "mail";
        for (config::Resource& r : mail.resources) r.name = "mail-" + r.name;
        b.config.groups.push_back(mail);
        b.run();
        ++b.document.version.seq;
        b.document.groups["mail"] = b.document.groups["web"];
        b.document.groups["mail"].token = b.document.version;
        StartGroup order;
        order.group = "mail";
        order.token = b.document.version;
        b.manager.on_start(order, b.input());
        b.take();
        b.finish_all();
        b.check("alive", MonitorState::kError);
        CHECK(b.running.size() == 4);
    }
}

TEST_CASE("a script may run before each step of the recovery; it is told the step and the counts so far") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error = {1, 1, 1, config::FinalAction::kStopGroup, true, true, true, 7s};
    b.run();
    b.run_until = kNever;
    const auto error = [&] {
        b.pass(5s);
        b.check("alive", MonitorState::kError, "dead");
    };
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.scripts.size() == 1);
    CHECK(b.scripts[0].moment == RecoveryMoment::kRecovery);
    CHECK(b.scripts[0].count == 1);
    CHECK(b.scripts[0].timeout == 7s);
    b.finish_recovery_script();
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.scripts.size() == 1);
    CHECK(b.scripts[0].moment == RecoveryMoment::kRestart);
    CHECK(b.scripts[0].restarts == 0);
    CHECK(b.under_way().empty());
    b.finish_recovery_script(false);  // the step follows all the same
    CHECK(b.said(Reason::kScriptFailed));
    CHECK(b.under_way() == "-app");
    b.finish_all();
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.scripts.size() == 1);
    CHECK(b.scripts[0].moment == RecoveryMoment::kFailover);
    CHECK(b.scripts[0].restarts == 1);
    CHECK_FALSE(b.report().wants_failover);
    b.finish_recovery_script();
    CHECK(b.report().wants_failover);
    error();
    CHECK(b.scripts.empty());  // asked for already
    b.document.groups["web"].failovers = 1;
    error();
    REQUIRE(b.scripts.size() == 1);
    CHECK(b.scripts[0].moment == RecoveryMoment::kFinalAction);
    CHECK(b.scripts[0].failovers == 1);
    b.finish_recovery_script();
    CHECK(b.under_way() == "-app");
    CHECK(b.monitor_report("alive").scripts == 1);
}

TEST_CASE("the step after a script is not taken when the service has come back or the lease is gone") {
    Bench b;
    b.resource("app");
    config::Monitor& monitor = b.monitor("alive", "app");
    monitor.on_error.script_before_restart = true;
    b.run();
    b.check("alive", MonitorState::kError, "dead");
    REQUIRE(b.scripts.size() == 1);
    SECTION("it came back") {
        b.run_until = kNever;
        b.pass(5s);
        b.check("alive", MonitorState::kNormal);
    }
    SECTION("no lease") {
        b.now = b.run_until;
        b.guard_says(GuardGroupState::kSuspended);
    }
    b.finish_recovery_script();
    CHECK(b.under_way().empty());
    CHECK(b.monitor_report("alive").restarts == 0);
}

TEST_CASE("a monitor that combines others is told what they found") {
    Bench b;
    b.resource("app");
    b.monitor("one", "app");
    b.monitor("two", "app");
    b.monitor("both", "app").type = "mtw";
    b.run();
    b.run_until = kNever;
    b.check("one", MonitorState::kCaution);
    b.check("both", MonitorState::kNormal);
    b.pass(5s);
    const auto both =
        std::find_if(b.checks.begin(), b.checks.end(), [](const CheckMonitor& c) { return c.monitor == "both"; });
    REQUIRE(both != b.checks.end());
    CHECK(both->others.at("one") == MonitorState::kCaution);
    CHECK(both->others.at("two") == MonitorState::kUnknown);
    CHECK_FALSE(both->others.contains("both"));
    for (const CheckMonitor& check : b.checks)
        if (check.monitor != "both") CHECK(check.others.empty());
}
