#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// `db` before `app`, and all scripts around the steps of `app`.
void two_with_scripts(Bench& b) {
    b.resource("db");
    config::Resource& app = b.resource("app", {"db"});
    app.scripts = {"before.sh", "after.sh", "prestop.sh", "poststop.sh", "final.sh", 30s};
}

}  // namespace

TEST_CASE("scripts run around the steps of their resource, each only when the one before it has ended well") {
    Bench b;
    two_with_scripts(b);
    b.start();
    CHECK(b.steps() == "+db");
    b.finish("db");
    CHECK(b.steps() == "(+app");
    CHECK(b.under_way().empty());
    REQUIRE(b.around.size() == 1);
    CHECK(b.around[0].moment == ScriptMoment::kBeforeActivation);
    CHECK(b.around[0].timeout == 30s);
    CHECK_FALSE(b.around[0].deactivating);
    b.finish_script("app");
    CHECK(b.steps() == "+app");
    b.finish("app");
    CHECK(b.steps() == "+)app");
    CHECK(b.state() == GroupState::kStarting);
    b.finish_script("app");
    CHECK(b.state() == GroupState::kActive);

    b.order_stop(StopReason::kServerShutdown);
    CHECK(b.steps() == "(-app");
    CHECK(b.around[0].deactivating);
    CHECK(b.around[0].stop_reason == StopReason::kServerShutdown);
    b.finish_script("app");
    b.finish("app");
    CHECK(b.steps() == "-app -)app");
    CHECK(b.state() == GroupState::kStopping);
    b.finish_script("app");
    b.finish("db");
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("a script that fails before or after an activation is a failed attempt of it") {
    Bench b;
    two_with_scripts(b);
    b.config.groups[0].resources[1].on_activation_failure.retry = 1;
    b.config.groups[0].resources[1].on_activation_failure.failover = 1;
    b.start();
    b.finish("db");
    b.finish_script("app", false, "no licence");
    CHECK(b.said(Reason::kScriptFailed));
    CHECK(b.steps() == "+db (+app (+app");  // the attempt begins anew
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app", false, "the check after it failed");
    CHECK(b.report().wants_failover);
    CHECK(b.report().cause == "resource app: the check after it failed");
    CHECK(b.state() == GroupState::kStartFailed);
}

TEST_CASE("a script that fails before or after a deactivation is a failed attempt of it") {
    Bench b;
    two_with_scripts(b);
    b.config.groups[0].resources[1].on_deactivation_failure = {1, config::FinalAction::kStay};
    b.start();
    b.finish("db");
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app");
    REQUIRE(b.state() == GroupState::kActive);
    b.steps();
    b.order_stop();
    b.finish_script("app", false);
    CHECK(b.steps() == "(-app (-app");
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app", false, "poststop.sh ended with 1");
    CHECK(b.steps() == "-app -)app !app");  // used up: its script before the final action
    CHECK(b.around[0].deactivating);
    b.finish_script("app");
    CHECK(b.state() == GroupState::kStopFailed);
    CHECK(b.report().cause == "resource app: poststop.sh ended with 1");
}

TEST_CASE("the final action follows its script however that ends, and an action that is not taken has no script") {
    Bench b;
    two_with_scripts(b);
    b.config.groups[0].resources[1].on_activation_failure = {0, 0, config::FinalAction::kStopAndReboot};
    SECTION("taken") {
        b.start();
        b.finish("db");
        b.finish_script("app", false);
        CHECK(b.around.size() == 1);
        CHECK(b.around[0].moment == ScriptMoment::kBeforeFinal);
        CHECK_FALSE(b.around[0].deactivating);
        CHECK_FALSE(b.manager.report().leaving);
        b.finish_script("app", false, "it failed, too");
        CHECK(b.manager.report().leaving);
    }
    SECTION("suppressed") {
        b.healthy.clear();
        b.start();
        b.finish("db");
        b.finish_script("app", false);
        CHECK(b.around.empty());
        CHECK_FALSE(b.manager.report().leaving);
        CHECK(b.said(Reason::kFinalActionSuppressed));
    }
}

TEST_CASE("a script that is frozen with its group is no attempt, and the step begins anew when it goes on") {
    Bench b;
    two_with_scripts(b);
    b.start();
    b.finish("db");
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    b.finish_script("app", false, "timed out");
    CHECK(b.around.empty());  // nothing is begun while suspended
    b.now += 100ms;
    b.renew();
    b.guard_says(GuardGroupState::kResumed);
    REQUIRE(b.around.size() == 1);
    CHECK(b.around[0].moment == ScriptMoment::kBeforeActivation);
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a stop that is suspended between its steps begins the step anew") {
    Bench b;
    two_with_scripts(b);
    b.start();
    b.finish("db");
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app");
    b.document.groups["web"].goal = Goal::kStarted;
    b.order_stop();
    b.finish_script("app");
    b.document.groups["web"].goal = Goal::kStarted;  // the stop is this node's, not the document's: it may go on
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kSuspended);
    b.steps();
    b.finish("app");
    CHECK(b.steps().empty());
    b.now += 100ms;
    b.renew();
    b.guard_says(GuardGroupState::kResumed);
    CHECK(b.steps() == "(-app");
}

TEST_CASE("a script under way at a kill ends before the probes, and what it says proves nothing") {
    Bench b;
    two_with_scripts(b);
    b.start();
    b.finish("db");
    b.now = b.run_until;
    b.guard_says(GuardGroupState::kKilled);
    CHECK(b.under_way().empty());
    CHECK(b.around.size() == 1);
    b.finish_script("app");
    CHECK(b.steps() == "+db (+app ?app ?db");
    b.finish_all(ProbeResult::kInactive);
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("a stop during the script before an activation undoes what the script did") {
    Bench b;
    two_with_scripts(b);
    b.start();
    b.finish("db");
    b.order_stop();
    b.steps();
    b.finish_script("app");
    CHECK(b.steps() == "(-app");
    b.finish_script("app");
    b.finish("app");
    b.finish_script("app");
    b.finish("db");
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("in busy times the time-outs of steps, scripts and checks are longer") {
    Bench b;
    two_with_scripts(b);
    b.monitor("alive", "db").timeout = 10s;
    b.document.timeout_ratio = {3, 5};
    b.start();
    CHECK(b.running[0].timeout == 180s);
    b.finish("db");
    CHECK(b.around[0].timeout == 90s);
    REQUIRE(b.checks.size() == 1);
    CHECK(b.checks[0].timeout == 30s);
    b.document.timeout_ratio.minutes_left = 0;
    b.finish_script("app");
    CHECK(b.running[0].timeout == 60s);
}

TEST_CASE("scripts are told of a disk of their group that has failed") {
    Bench b;
    config::Resource& disk = b.resource("data");
    disk.type = "md";
    disk.on_activation_failure = {0, 0, config::FinalAction::kNone};
    b.resource("app", {"data"});
    b.start();
    b.finish("data", false);
    REQUIRE(b.under_way() == "+app");
    CHECK(b.running[0].disk_failed);
}
