#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("all groups of a lost node move in the one document that records the loss") {
    Scene s(3, {"a", "b", "c"});
    for (const char* name : {"a", "b", "c"}) s.run_on(n3, name);
    s.settle();
    s.lose(n3);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->node(n3).state == NodeState::kLost);
    for (const auto& [name, entry] : out.next->groups) {
        CHECK(entry.owner->node == n1);
        CHECK(entry.token == Token{});  // the register fills it
        CHECK(entry.last_owner == n3);
    }
    s.choose(*out.next);
    const auto starts = orders_of<StartGroup>(s.plan());
    REQUIRE(starts.size() == 3);
    CHECK(starts[0].failover);
    CHECK_FALSE(starts[0].proven_stopped);
    CHECK(starts[0].previous == n3);
}

TEST_CASE("a strict group waits for the watchdog in addition to the lease") {
    Scene s(2, {"data", "disk"});
    s.group("disk").exclusion = config::ExclusionKind::kStrict;
    s.run_on(n2, "data");
    s.run_on(n2, "disk");
    s.settle();
    s.lose(n2);
    const PolicyOutput out = s.settle();
    CHECK(s.owner("data") == n1);
    CHECK(s.owner("disk") == n2);
    CHECK(s.said(Reason::kGroupWaitingForProof));
    REQUIRE(out.wake_at);
    const Instant proven = s.facts[n2].may_run_until + s.timing.strict;
    s.now = proven - 1ns;
    s.report_state(n1, GroupState::kActive, "data");
    const PolicyOutput waiting = s.settle();
    CHECK(s.owner("disk") == n2);
    CHECK(waiting.wake_at == proven);
    s.now = proven;
    s.settle();
    CHECK(s.owner("disk") == n1);
}

TEST_CASE("a leader that is recorded as lost has no proof about itself") {
    Scene s(2, {"disk"});
    s.group("disk").exclusion = config::ExclusionKind::kStrict;
    s.run_on(n1, "disk");
    s.node(n1).state = NodeState::kLost;
    s.guardless.insert(n1);
    PolicyInput in = s.input();
    in.facts[n1].may_run_until = kNever;
    const PolicyOutput out = s.policy.plan(in);
    CHECK((!out.next || out.next->groups.at("disk").owner->node == n1));
}

TEST_CASE("a reboot proves a strict group stopped at once") {
    Scene s(2, {"disk"});
    s.group("disk").exclusion = config::ExclusionKind::kStrict;
    s.run_on(n2, "disk");
    s.settle();
    s.reboot(n2, 2);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->node(n2).boot == boot_of(n2, 2));
    CHECK(out.next->groups.at("disk").owner == Incarnation{n1, s.boots[n1]});
}

TEST_CASE("the loss of an unarmed incarnation proves nothing until a person confirms it") {
    Scene s;
    s.run_on(n2);
    s.node(n2).armed = false;
    s.unguarded.insert(n2);
    s.settle();
    s.lose(n2);
    s.now += 1h;
    s.settle();
    CHECK(s.node(n2).state == NodeState::kLost);
    CHECK(s.owner() == n2);
    CHECK(s.sentence(Reason::kGroupWaitingForProof).find("confirm-down node2") != std::string::npos);
    s.ask(OperatorVerb::kConfirmDown, "node2");
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.node(n2).state == NodeState::kFenced);
}

TEST_CASE("a group with manual failover stays with its lost owner until a person starts it") {
    Scene s;
    s.group().failover = config::FailoverAttribute::kManual;
    s.run_on(n2);
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.said(Reason::kGroupManual));
    s.ask(OperatorVerb::kGroupStart, "web");
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("with the option manual nothing fails over by itself, a confirmed death lets it") {
    Scene s(2, {"web"}, false);
    s.config.arbitration.option = config::ArbitrationOption::kManual;
    s.run_on(n2);
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(s.owner() == n2);
    s.ask(OperatorVerb::kConfirmDown, "node2");
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("the loss of a standby moves nothing") {
    Scene s;
    s.run_on(n1);
    s.settle();
    const Token token = s.entry().token;
    s.lose(n2);
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.entry().token == token);
}

TEST_CASE("a group whose owner is lost and that has no other place stays with it and resumes when it comes back") {
    Scene s;
    s.group().nodes = {n2};
    s.run_on(n2);
    s.settle();
    const Token token = s.entry().token;
    s.lose(n2);
    s.settle();
    CHECK(s.said(Reason::kGroupNoPlace));
    CHECK(s.owner() == n2);
    s.alive.insert(n2);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.entry().token == token);
}

TEST_CASE("a planned move stops first, starts elsewhere on the report that it stopped, with that proof") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    PolicyOutput out = s.settle();
    REQUIRE(orders_of<StopGroup>(out).size() == 1);
    CHECK(orders_of<StopGroup>(out)[0].reason == StopReason::kGroupMove);
    CHECK(s.owner() == n1);
    s.report_state(n1, GroupState::kStopping);
    s.settle();
    CHECK(s.owner() == n1);
    s.report_state(n1, GroupState::kStopped);
    out = s.settle();
    CHECK(s.owner() == n2);
    REQUIRE(orders_of<StartGroup>(out).size() == 1);
    CHECK(orders_of<StartGroup>(out)[0].proven_stopped);
    CHECK_FALSE(orders_of<StartGroup>(out)[0].failover);
    CHECK(orders_of<StartGroup>(out)[0].previous == n1);
    s.report_state(n2, GroupState::kActive);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    s.settle();
    CHECK(s.owner() == n2);  // nothing moves back
}

TEST_CASE("a report of STOPPED with an older token proves nothing") {
    Scene s;
    s.run_on(n1);
    s.reported(n1).state = GroupState::kStopped;
    s.reported(n1).token = {Epoch::make(1, n1), 0};
    s.settle();
    CHECK(s.owner() == n1);
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    CHECK(s.owner() == n1);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == kNobody);
}

TEST_CASE("a move whose target vanishes goes back to where it came from") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    s.lose(n2);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
    s.report_state(n1, GroupState::kActive);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
}

TEST_CASE("used up recovery moves the group once, and never to a node where it has failed") {
    Scene s(3);
    s.run_on(n1);
    s.settle();
    s.reported(n1).state = GroupState::kStartFailed;
    s.reported(n1).wants_failover = true;
    s.reported(n1).cause = "resource nginx: exit status 1";
    PolicyOutput out = s.settle();
    CHECK(s.entry().target == n2);
    CHECK(s.entry().failovers == 1);
    REQUIRE(orders_of<StopGroup>(out).size() == 1);
    CHECK(orders_of<StopGroup>(out)[0].reason == StopReason::kGroupFailover);
    CHECK(s.sentence(Reason::kGroupFailover).find("exit status 1") != std::string::npos);
    s.reported(n1) = {};
    s.reported(n1).group = "web";
    s.report_state(n1, GroupState::kStopped);
    out = s.settle();
    CHECK(s.owner() == n2);
    REQUIRE(orders_of<StartGroup>(out).size() == 1);
    CHECK(orders_of<StartGroup>(out)[0].failover);
    s.report_state(n2, GroupState::kStartFailed);
    s.reported(n2).wants_failover = true;
    s.settle();
    CHECK(s.entry().target == n3);
    CHECK(s.entry().failed_on == std::set<NodeId>{n1, n2});
}

TEST_CASE("used up recovery without another place leaves the group where it is and says so once") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.lose(n2);
    s.reported(n1).wants_failover = true;
    s.settle();
    CHECK(s.said(Reason::kGroupNoPlace));
    CHECK(s.entry().goal == Goal::kStarted);
    CHECK(s.entry().failed_on.empty());
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupNoPlace));
}

TEST_CASE("failures are forgotten after a healthy minute, and not while a monitor reports an error") {
    Scene s;
    s.run_on(n2);
    s.entry().failovers = 1;
    s.entry().failed_on = {n1};
    config::Monitor monitor;
    monitor.name = "alive";
    monitor.target_group = "web";
    s.config.monitors.push_back(monitor);
    s.monitors[n2].push_back({"alive", MonitorState::kError, "", 0, 0});
    s.settle();
    s.now += 2min;
    s.settle();
    CHECK(s.entry().failovers == 1);
    s.monitors[n2][0].state = MonitorState::kNormal;
    const PolicyOutput out = s.settle();
    REQUIRE(out.wake_at);
    s.now += 1min;
    s.settle();
    CHECK(s.entry().failovers == 0);
    CHECK(s.entry().failed_on.empty());
}

TEST_CASE("the node where a group failed is taken as the last resort when the other one is lost") {
    Scene s;
    s.run_on(n2);
    s.entry().failovers = 1;
    s.entry().failed_on = {n1};
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("a group that its final action stopped is held") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.report_state(n1, GroupState::kStopped);
    s.reported(n1).failed = true;
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.entry().held);
    CHECK(s.said(Reason::kGroupHeld));
}

TEST_CASE("a group that was killed after a long suspension starts again on its node under a new token") {
    Scene s;
    s.run_on(n2);
    s.settle();
    const Token token = s.entry().token;
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.entry().token > token);
}

TEST_CASE("a failed stop keeps the group on its node: nothing starts elsewhere without another proof") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    s.report_state(n1, GroupState::kStopFailed);
    s.reported(n1).cause = "resource nginx: stop.sh exited with status 1";
    PolicyOutput out = s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.entry().stop_failed);
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.said(Reason::kGroupStopFailed));
    s.now += 10s;
    out = s.settle();
    CHECK(orders_of<StopGroup>(out).empty());
    CHECK(orders_of<StartGroup>(out).empty());
    SECTION("a person asks for the stop again") {
        s.ask(OperatorVerb::kGroupStop, "web");
        out = s.plan();
        CHECK(orders_of<StopGroup>(out).size() == 1);
        if (out.next) s.choose(*out.next);
        s.report_state(n1, GroupState::kStopped);
        s.settle();
        CHECK(s.owner() == kNobody);
        CHECK_FALSE(s.entry().stop_failed);
    }
    SECTION("the node is lost") {
        s.self = n2;
        s.lose(n1);
        s.settle();
        CHECK(s.owner() == n2);
        CHECK_FALSE(s.entry().stop_failed);
    }
}

TEST_CASE("the storm brake holds a group that has failed over too often, whoever leads, until its hour has passed") {
    Scene s;
    s.config.failovers_per_hour = 1;
    s.run_on(n2);
    s.settle();
    s.lose(n2);
    s.settle();
    REQUIRE(s.owner() == n1);
    CHECK(s.entry().storm == 1);
    s.report_state(n1, GroupState::kActive);
    s.alive.insert(n2);
    s.reported(n2).state = GroupState::kStopped;
    s.settle();
    s.self = n2;
    s.policy.reset();
    s.lose(n1);
    const PolicyOutput out = s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.said(Reason::kGroupStormBrake));
    REQUIRE(out.wake_at);
    CHECK(*out.wake_at == s.now + 1h);
    s.now += 1h;
    s.settle();
    CHECK(s.owner() == n2);
}

TEST_CASE("the storm brake holds a group also when its node keeps rebooting") {
    Scene s;
    s.config.failovers_per_hour = 2;
    s.run_on(n2);
    s.entry().storm = 2;
    s.settle();
    s.reboot(n2, 2);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.said(Reason::kGroupStormBrake));
    s.ask(OperatorVerb::kGroupStart, "web");
    s.settle();
    CHECK(s.owner() == n1);  // a person may
}

TEST_CASE("a failover of used up recovery counts once for the storm brake, a planned move not at all") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.reported(n1).wants_failover = true;
    s.settle();
    s.reported(n1).wants_failover = false;
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.entry().storm == 1);
    s.report_state(n2, GroupState::kActive);
    s.ask(OperatorVerb::kGroupMove, "web", n1);
    s.settle();
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.entry().storm == 1);
    s.now += 3min;  // 20 an hour
    s.settle();
    CHECK(s.entry().storm == 0);
}

TEST_CASE("a group fails back only where the configuration says so") {
    Scene s;
    s.run_on(n2);
    s.settle();
    CHECK(s.entry().goal == Goal::kStarted);
    s.group().failback = true;
    s.settle();
    CHECK(s.entry().target == n1);
}

TEST_CASE("START and STOP are repeated every 3 T_renew until the report matches") {
    Scene s;
    PolicyOutput out = s.settle();
    CHECK(orders_of<StartGroup>(out).size() == 1);
    REQUIRE(out.wake_at);
    CHECK(*out.wake_at == s.now + 3 * s.timing.renew);
    CHECK(orders_of<StartGroup>(s.plan()).empty());
    s.now += 3 * s.timing.renew;
    CHECK(orders_of<StartGroup>(s.plan()).size() == 1);
    s.report_state(n1, GroupState::kStarting);
    s.now += 3 * s.timing.renew;
    CHECK(orders_of<StartGroup>(s.plan()).empty());
}

TEST_CASE("leadership goes to the node that owns most groups, once all has been quiet") {
    Scene s(3, {"a", "b"});
    s.run_on(n2, "a");
    s.run_on(n2, "b");
    PolicyOutput out = s.settle();
    CHECK_FALSE(out.hand_over_to);
    REQUIRE(out.wake_at);
    s.now += 2 * s.timing.renew;
    out = s.settle();
    REQUIRE(out.hand_over_to);
    CHECK(*out.hand_over_to == n2);
    s.report_state(n2, GroupState::kStarting, "a");
    out = s.settle();
    CHECK_FALSE(out.hand_over_to);
}
