// The failover switch, maintenance, planned reboots, who leads: what persons switch, and what runs out by itself.
#include "tests/unit/policy/asking.h"
#include "tests/unit/policy/mirrored.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

OperatorRequest maintenance(MaintenanceScope scope, const std::string& subject, uint32_t minutes,
                            MaintenanceKind kind = MaintenanceKind::kObserve) {
    OperatorRequest request = request_of(OperatorVerb::kMaintenanceBegin, subject);
    request.scope = scope;
    request.minutes = minutes;
    request.maintenance = kind;
    return request;
}

OperatorRequest end_of(MaintenanceScope scope, const std::string& subject = "") {
    OperatorRequest request = request_of(OperatorVerb::kMaintenanceEnd, subject);
    request.scope = scope;
    return request;
}

OperatorRequest reboot_of(const std::string& node, uint32_t minutes) {
    OperatorRequest request = request_of(OperatorVerb::kNodeShutdown, node);
    request.reboot = true;
    request.minutes = minutes;
    return request;
}

}  // namespace

// ---- failover on, off, force ----

TEST_CASE("failover is switched off and on, each once") {
    Scene s;
    s.run_on(n1);
    s.settle();
    CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOn)).message == "failover is switched on already");
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverOff)).outcome == OperatorOutcome::kDone);
    CHECK_FALSE(s.document.failover.on);
    CHECK(s.document.failover.why == "by alice");
    CHECK(s.sentence(Reason::kFailoverSwitched).find("until `kagami failover on`") != std::string::npos);
    CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOff)).remedy.find("kagami failover on") != std::string::npos);
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverOn)).outcome == OperatorOutcome::kDone);
    CHECK(s.document.failover.on);
}

TEST_CASE("failover is not switched on while a path between members is bad") {
    Scene s;
    s.run_on(n1);
    s.document.failover = {false, true, "group web failed over from node2 to node1"};
    SECTION("a heartbeat path") {
        s.bad_paths[n2] = {{n1, "net2", false}};
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOn)).message ==
              "the heartbeat path from node2 to node1 on network net2 is bad");
    }
    SECTION("a control path") {
        s.bad_paths[n1] = {{n2, "net1", true}};
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOn)).message ==
              "the control path from node1 to node2 on network net1 is bad");
    }
    SECTION("no heartbeat at all, one way") {
        s.deaf.insert(n2);
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOn)).message ==
              "node2 does not hear node1 on any network");
    }
    SECTION("silence") {
        s.silence(n2);
        s.now += s.timing.detect;
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverOn)).message == "node2 is a member and is not heard");
    }
    s.bad_paths.clear();
    s.deaf.clear();
    s.alive.insert(n2);
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverOn)).outcome == OperatorOutcome::kDone);
    CHECK(s.document.failover == FailoverSwitch{true, false, "by alice"});
}

TEST_CASE("a node that was lost does not keep failover from being switched on") {
    Scene s;
    s.run_on(n1);
    s.document.failover.on = false;
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverOn)).outcome == OperatorOutcome::kDone);
}

TEST_CASE("failover is on again when a person stopped and started the cluster") {
    Scene s;
    s.document.failover = {false, true, "group web failed over"};
    s.document.cluster_stopped = true;
    for (auto& [node, entry] : s.document.nodes) entry.state = NodeState::kLeft;
    s.reboot(n1, 2);
    s.settle();
    CHECK_FALSE(s.document.cluster_stopped);
    CHECK(s.document.failover.on);
    CHECK_FALSE(s.document.failover.latched);
    CHECK(s.said(Reason::kFailoverSwitched));
}

TEST_CASE("a forced failover takes the leader's groups, then the leadership, to another node") {
    Scene s(2, {"web", "db", "other"});
    s.run_on(n1, "web");
    s.run_on(n1, "db");
    s.run_on(n2, "other");
    s.settle();
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverForce)).outcome == OperatorOutcome::kAccepted);
    CHECK(s.entry("web").target == n2);
    CHECK(s.entry("db").target == n2);
    CHECK(s.document.leader_wish == n2);
    for (const char* name : {"web", "db"}) {
        s.report_state(n1, GroupState::kStopped, name);
        s.settle();
        CHECK(s.owner(name) == n2);
        s.report_state(n2, GroupState::kActive, name);
    }
    s.settle();
    CHECK(s.last_reply().message == "All groups have moved to node2; the leadership goes to node2.");
    s.settle();
    s.now += s.timing.hold;
    CHECK(s.settle().hand_over_to == n2);
}

TEST_CASE("a forced failover without groups of the leader hands over the leadership alone") {
    Scene s;
    s.run_on(n2);
    s.settle();
    CHECK(answer_to(s, request_of(OperatorVerb::kFailoverForce, "", n2)).message ==
          "No group had to move; the leadership goes to node2.");
}

TEST_CASE("a forced failover is refused when a group cannot go, with the reason") {
    Scene s(3, {"web", "db"});
    s.run_on(n1, "web");
    s.run_on(n1, "db");
    s.group("db").nodes = {n1, n3};
    SECTION("to the named node") {
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverForce, "", n2)).message ==
              "node2 cannot lead: group db cannot move to node2: not a server of group db");
    }
    SECTION("to any node") {
        s.settle();
        s.lose(n3);
        const std::string why = refusal_of(s, request_of(OperatorVerb::kFailoverForce)).message;
        CHECK(why.find("no other node can lead: node2: group db cannot move to node2") == 0);
        CHECK(why.find("node3: it is no member of the cluster") != std::string::npos);
    }
    SECTION("to the node that leads") {
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverForce, "", n1)).message ==
              "node1 cannot lead: it leads already");
    }
    SECTION("whose configuration is unconfirmed") {
        s.document.unconfirmed = Unconfirmed{s.document.config, 100};
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverForce)).remedy.find("config confirm") !=
              std::string::npos);
    }
    SECTION("that could not be stopped") {
        s.entry("web").stop_failed = true;
        CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverForce)).message ==
              "group web could not be stopped on node1");
    }
    SECTION("else to the first that takes all") {
        answer_to(s, request_of(OperatorVerb::kFailoverForce));
        CHECK(s.entry("web").target == n3);
    }
}

TEST_CASE("a forced failover is refused while a mirror of the leader is being resynchronised") {
    Mirrored s;
    mirror::Report& report = s.replica(n1);
    report.resync = mirror::Resync::kSource;
    report.percent = 42;
    CHECK(refusal_of(s, request_of(OperatorVerb::kFailoverForce)).message ==
          "mirror md1 of group web is being resynchronised (42 %)");
}

// ---- who leads ----

TEST_CASE("the leadership goes to the named node and stays there although another one owns the groups") {
    Scene s(3);
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kLeaderMove, "", n3);
    const PolicyOutput out = s.settle();
    CHECK(out.hand_over_to == n3);
    CHECK(s.document.leader_wish == n3);
    change_leader(s, n3);
    s.settle();
    s.now += 1min;
    CHECK_FALSE(s.settle().hand_over_to);
    s.lose(n3);
    change_leader(s, n1);
    s.settle();
    CHECK(s.document.leader_wish == kNobody);
}

TEST_CASE("a node that cannot lead is refused the leadership with the reason") {
    Scene s(3);
    s.run_on(n1);
    const auto why = [&](NodeId node) {
        return refusal_of(s, request_of(OperatorVerb::kLeaderMove, "", node)).message;
    };
    CHECK(why(n1) == "node1 cannot lead: it leads already");
    CHECK(why(NodeId{7}) == "there is no such node");
    s.node(n2).leaving = Leaving::kHalt;
    s.leaving.insert(n2);
    s.group().nodes = {n1};
    s.entry().goal = Goal::kStarted;
    s.lose(n3);
    CHECK(why(n3) == "node3 cannot lead: it is no member of the cluster");
    s.alive.insert(n3);
    s.settle();
    s.deaf.insert(n3);
    CHECK(why(n3) == "node3 cannot lead: it does not hear the leader");
    s.deaf.clear();
    s.guardless.insert(n3);
    CHECK(why(n3) == "node3 cannot lead: its guard does not run");
}

TEST_CASE("a leadership that the other node does not take is answered as failed") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kLeaderMove, "", n2);
    s.settle();
    s.now += 1h;
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message == "the leadership stays here: node2 did not take it");
}

// ---- maintenance ----

TEST_CASE("a maintenance of cluster, node or group begins, can be made longer, and ends by a person's word") {
    Scene s;
    s.run_on(n1);
    s.settle();
    CHECK(answer_to(s, maintenance(MaintenanceScope::kGroup, "web", 5)).outcome == OperatorOutcome::kDone);
    CHECK(s.last_reply().message.find("`kagami maintenance end --group web`") != std::string::npos);
    CHECK(answer_to(s, maintenance(MaintenanceScope::kNode, "node2", 5)).outcome == OperatorOutcome::kDone);
    CHECK(answer_to(s, maintenance(MaintenanceScope::kCluster, "", 5)).outcome == OperatorOutcome::kDone);
    answer_to(s, maintenance(MaintenanceScope::kCluster, "", 60));
    CHECK(s.document.maintenance == Maintenance{MaintenanceKind::kObserve, 60});
    CHECK(s.entry().maintenance.minutes_left == 5);
    CHECK(s.node(n2).maintenance.minutes_left == 5);
    CHECK(s.node(n2).armed);
    for (const auto& end : {end_of(MaintenanceScope::kCluster), end_of(MaintenanceScope::kNode, "node2"),
                            end_of(MaintenanceScope::kGroup, "web")}) {
        CHECK(answer_to(s, end).outcome == OperatorOutcome::kDone);
        CHECK(s.said(Reason::kMaintenanceEnded));
        CHECK(refusal_of(s, end).message.find("is not in maintenance") != std::string::npos);
    }
    CHECK(s.document.maintenance.kind == MaintenanceKind::kNone);
}

TEST_CASE("a maintenance ends when its minutes are counted down, whoever leads") {
    Scene s;
    s.run_on(n1);
    s.settle();
    answer_to(s, maintenance(MaintenanceScope::kGroup, "web", 2));
    s.now += 1min;
    s.settle();
    CHECK(s.entry().maintenance.minutes_left == 1);
    change_leader(s, n2);
    s.settle();
    s.now += 1min;
    s.settle();
    CHECK(s.entry().maintenance == Maintenance{});
    CHECK(s.sentence(Reason::kMaintenanceExpired) ==
          "The time of the maintenance of group web is over: things are decided by themselves again.");
    CHECK(level_of(Reason::kMaintenanceExpired) == Level::kWarning);
}

TEST_CASE("foolish maintenances are refused") {
    Scene s;
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kCluster, "", 0)).remedy.find("--for") != std::string::npos);
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kCluster, "", 50000)).code ==
          static_cast<uint8_t>(ErrorCode::kUsage));
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kCluster, "", 5, MaintenanceKind::kNone)).remedy ==
          "name it: observe or unmanaged");
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kGroup, "web", 5, MaintenanceKind::kUnmanaged)).message ==
          "only a single node can be unmanaged: it is its guard that is disarmed");
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kNode, "node3", 5)).remedy.find("node") != std::string::npos);
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kGroup, "wob", 5)).remedy == "did you mean \"web\"?");
    s.lose(n2);
    CHECK(refusal_of(s, maintenance(MaintenanceScope::kNode, "node2", 5, MaintenanceKind::kUnmanaged))
              .remedy.find("observe") != std::string::npos);
    CHECK(answer_to(s, maintenance(MaintenanceScope::kNode, "node2", 5)).outcome == OperatorOutcome::kDone);
}

TEST_CASE("an unmanaged node is unarmed until it says, managed again, that its guard covers it") {
    Scene s;
    s.run_on(n2);
    s.settle();
    answer_to(s, maintenance(MaintenanceScope::kNode, "node2", 5, MaintenanceKind::kUnmanaged));
    CHECK(s.said(Reason::kNodeDisarmed));
    CHECK_FALSE(s.node(n2).armed);
    s.unguarded.insert(n2);
    answer_to(s, end_of(MaintenanceScope::kNode, "node2"));
    CHECK(s.node(n2).maintenance == Maintenance{});
    CHECK_FALSE(s.node(n2).armed);
    SECTION("lost before that, its lease proves nothing") {
        s.lose(n2);
        s.now += 1h;
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.said(Reason::kGroupWaitingForProof));
        s.alive.insert(n2);  // back in the same boot: nobody knows yet whether it is guarded
        s.settle();
        CHECK(s.node(n2).state == NodeState::kMember);
        CHECK_FALSE(s.node(n2).armed);
    }
    s.unguarded.clear();
    s.settle();
    CHECK(s.node(n2).armed);
    CHECK(s.said(Reason::kNodeArmed));
}

TEST_CASE("a report of before the maintenance does not arm the node again") {
    Scene s;
    s.run_on(n2);
    s.settle();
    answer_to(s, maintenance(MaintenanceScope::kNode, "node2", 5, MaintenanceKind::kUnmanaged));
    const Version before = s.document.version;
    s.ask(OperatorVerb::kMaintenanceEnd, "node2");
    s.requests.back().request.scope = MaintenanceScope::kNode;
    PolicyOutput out = s.plan();
    s.choose(*out.next);
    PolicyInput input = s.input();
    input.facts[n2].report->version = before;
    out = s.policy.plan(input);
    CHECK((!out.next || !out.next->nodes.at(n2).armed));
}

TEST_CASE("a maintenance of a node outlasts its reboot, and an unmanaged one is admitted unarmed") {
    Scene s;
    s.run_on(n1);
    s.settle();
    answer_to(s, maintenance(MaintenanceScope::kNode, "node2", 30, MaintenanceKind::kUnmanaged));
    s.reboot(n2, 2);
    s.settle();
    CHECK(s.node(n2).boot == boot_of(n2, 2));
    CHECK(s.node(n2).maintenance.kind == MaintenanceKind::kUnmanaged);
    CHECK_FALSE(s.node(n2).armed);
}

// ---- planned reboots ----

TEST_CASE("a planned reboot reserves the node for its groups until it is back") {
    Scene s;
    s.run_on(n2);
    s.settle();
    CHECK(answer_to(s, reboot_of("node2", 10)).message ==
          "node2 reboots: its groups stop and wait for it for 10 min at most.");
    CHECK(s.node(n2).reserved_minutes == 10);
    CHECK(s.node(n2).leaving == Leaving::kReboot);
    CHECK(s.said(Reason::kNodeReserved));
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.node(n2).state == NodeState::kLeft);
    s.now += 3min;
    s.settle();
    CHECK(s.owner() == kNobody);
    s.config.auto_return = false;
    s.leaving.clear();
    s.reboot(n2, 2);
    s.settle();
    CHECK(s.node(n2).reserved_minutes == 0);
    CHECK_FALSE(s.node(n2).isolated);  // a person meant it
    CHECK(s.owner() == n2);
}

TEST_CASE("the reservation of a node that does not come back runs out") {
    Scene s;
    s.run_on(n2);
    s.settle();
    answer_to(s, reboot_of("node2", 2));
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    s.silence(n2);
    s.now += 1min;
    s.settle();
    CHECK(s.node(n2).reserved_minutes == 1);
    change_leader(s, n1);
    s.settle();
    s.now += 1min;
    s.settle();
    CHECK(s.node(n2).reserved_minutes == 0);
    CHECK(s.said(Reason::kReservationOver));
    CHECK(s.owner() == n1);
}

TEST_CASE("a reservation without a reboot, or for days, is refused; a return ends it") {
    Scene s;
    s.run_on(n2);
    OperatorRequest halt = reboot_of("node2", 10);
    halt.reboot = false;
    CHECK(refusal_of(s, halt).remedy.find("kagami node reboot node2 --reserve") != std::string::npos);
    CHECK(refusal_of(s, reboot_of("node2", 1441)).remedy == "reserve fewer minutes");
    answer_to(s, reboot_of("node2", 10));
    answer_to(s, request_of(OperatorVerb::kNodeReturn, "node2"));
    CHECK(s.node(n2).reserved_minutes == 0);
    CHECK(s.node(n2).leaving == Leaving::kNo);
}
