#include "tests/unit/local_manager/bench.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

void three(Bench& b) {
    b.resource("fip");
    b.resource("db");
    b.resource("app", {"db"});
    b.monitor("db-alive", "db");
    b.run();
    b.check("db-alive", MonitorState::kNormal);
    b.steps();
}

void person_stops(Bench& b, std::set<std::string> names) {
    b.document.groups["web"].stopped_resources = std::move(names);
    b.advance();
}

}  // namespace

TEST_CASE("a resource that a person stops goes down with what comes after it, the group stays active, its monitor is off") {
    Bench b;
    three(b);
    person_stops(b, {"db"});
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.monitor_report("db-alive").state == MonitorState::kOffline);
    b.finish_all();
    CHECK(b.steps() == "-app -db");
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.mark() == RunMark::kActive);
    CHECK(b.sentence(Reason::kResourceStopped) == "Resource db is stopped on node1; group web goes on.");
    b.pass(1s);
    CHECK(b.under_way().empty());

    person_stops(b, {});
    CHECK(b.under_way() == "+db");
    b.finish_all();
    CHECK(b.steps() == "+db +app");
    CHECK(b.sentence(Reason::kResourceStarted) == "Resource app is started again on node1.");
    CHECK(b.checks.size() == 1);  // it is watched again
}

TEST_CASE("a monitor that watches always is off as well while its target is stopped") {
    Bench b;
    b.resource("db");
    b.monitor("db-alive", "db").only_while_active = false;
    b.run();
    b.check("db-alive", MonitorState::kNormal);
    person_stops(b, {"db"});
    CHECK(b.monitor_report("db-alive").state == MonitorState::kOffline);
}

TEST_CASE("the group restarts and stops without what a person has stopped") {
    Bench b;
    three(b);
    b.monitor("fip-there", "fip").recovery_target = config::RecoveryTarget::kGroup;
    b.advance();
    person_stops(b, {"app"});
    b.finish_all();
    b.steps();
    b.check("fip-there", MonitorState::kError, "gone");
    b.finish_all();
    CHECK(b.steps() == "-db -fip +fip +db");
    CHECK(b.state() == GroupState::kActive);
    b.order_stop();
    b.finish_all();
    CHECK(b.state() == GroupState::kStopped);
}

TEST_CASE("a group starts without what a person has stopped, and is active") {
    Bench b;
    b.resource("db");
    b.resource("app", {"db"});
    const StartGroup order = b.assign();
    b.document.groups["web"].stopped_resources = {"app"};
    b.manager.on_start(order, b.input());
    b.take();
    b.finish_all();
    CHECK(b.steps() == "+db");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a restarted daemon finds a stopped resource down and leaves it so") {
    Bench b;
    three(b);
    person_stops(b, {"app"});
    b.finish_all();
    const auto durable = b.manager.groups();
    b.manager = LocalManager();
    b.manager.restore(durable, true);
    b.manager.on_guard(b.guard, b.input());
    b.take();
    b.finish("app", true, "", ProbeResult::kInactive);
    b.finish_all();
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.said(Reason::kAdopted));
    CHECK(b.under_way().empty());
}

TEST_CASE("a restarted daemon stops what a person stopped while it was away") {
    Bench b;
    three(b);
    const auto durable = b.manager.groups();
    b.manager = LocalManager();
    b.manager.restore(durable, true);
    b.document.groups["web"].stopped_resources = {"app"};
    b.manager.on_guard(b.guard, b.input());
    b.take();
    b.finish_all();
    CHECK(b.steps() == "?app ?db ?fip -app");
    CHECK(b.state() == GroupState::kActive);
}

TEST_CASE("a single resource that does not stop is probed: down, it is stopped; up, it is a failed stop") {
    Bench b;
    three(b);
    b.config.groups[0].resources[2].on_deactivation_failure = {0, config::FinalAction::kStay};
    ++b.document.config.hash[0];
    b.advance();
    person_stops(b, {"app"});
    b.finish("app", false, "stop.sh ended with 1");
    CHECK(b.under_way() == "?app");
    SECTION("down") {
        b.finish("app", true, "", ProbeResult::kInactive);
        CHECK(b.state() == GroupState::kActive);
    }
    SECTION("up") {
        b.finish("app", true, "", ProbeResult::kActive);
        CHECK(b.state() == GroupState::kStopFailed);
    }
}

TEST_CASE("a single resource that does not start again asks for a failover like any other") {
    Bench b;
    three(b);
    b.config.groups[0].resources[2].on_activation_failure.failover = 1;
    ++b.document.config.hash[0];
    b.advance();
    person_stops(b, {"app"});
    b.finish_all();
    person_stops(b, {});
    b.finish("app", false, "start.sh ended with 1");
    CHECK(b.report().wants_failover);
    CHECK(b.state() == GroupState::kStartFailed);
}

TEST_CASE("the final action stop-resource of a monitor stops the target alone, until the group starts anew") {
    Bench b;
    b.resource("db");
    b.resource("app", {"db"});
    config::Monitor& monitor = b.monitor("db-alive", "db");
    monitor.on_error.restart = 0;
    monitor.on_error.failover = 0;
    monitor.on_error.final = config::FinalAction::kStopResource;
    b.run();
    b.steps();
    b.check("db-alive", MonitorState::kError, "dead");
    b.finish_all();
    CHECK(b.steps() == "-app -db");
    CHECK(b.state() == GroupState::kActive);
    CHECK(b.said(Reason::kFinalAction));
    b.pass(1s);
    CHECK(b.under_way().empty());
    SECTION("a person stops it and starts it") {
        person_stops(b, {"db", "app"});
        person_stops(b, {});
        b.finish_all();
        CHECK(b.steps() == "+db +app");
    }
    SECTION("the group starts anew") {
        b.order_stop();
        b.renew();
        b.start();
        b.finish_all();
        CHECK(b.steps() == "+db +app");
    }
}
