#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("all joining nodes are admitted by one document, armed") {
    Scene s;
    for (const NodeId id : {n1, n2}) s.node(id) = NodeEntry{};
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    for (const NodeId id : {n1, n2}) {
        CHECK(out.next->node(id).state == NodeState::kMember);
        CHECK(out.next->node(id).boot == s.boots[id]);
        CHECK(out.next->node(id).armed);
        CHECK_FALSE(out.next->node(id).isolated);
    }
    CHECK(out.next->groups.at("web").owner->node == n1);  // and places the group at once
}

TEST_CASE("a node is not admitted without its guard, with other timing, or on its way out") {
    Scene s;
    s.node(n2) = NodeEntry{};
    SECTION("guard") {
        s.guardless.insert(n2);
    }
    SECTION("leaving") {
        s.leaving.insert(n2);
    }
    s.settle();
    CHECK(s.node(n2).state == NodeState::kAbsent);
}

TEST_CASE("other timing values keep a node out and are named") {
    Scene s;
    s.node(n2) = NodeEntry{};
    PolicyInput in = s.input();
    in.facts[n2].heartbeat->timing_digest = Hash{1};
    const PolicyOutput out = s.policy.plan(in);
    CHECK(out.next->node(n2).state == NodeState::kAbsent);
    CHECK(std::any_of(out.decisions.begin(), out.decisions.end(),
                      [](const Decision& d) { return d.reason == Reason::kTimingMismatch; }));
}

TEST_CASE("a returning node runs groups again by itself, or stays isolated where the configuration says so") {
    Scene s;
    s.config.auto_return = false;
    s.run_on(n2);
    s.self = n2;
    s.node(n1).state = NodeState::kLost;
    SECTION("after a loss") {}
    SECTION("after a reboot nobody noticed") {
        s.node(n1).state = NodeState::kMember;
    }
    SECTION("after a clean shutdown") {
        s.node(n1).state = NodeState::kLeft;
    }
    s.reboot(n1, 2);
    s.settle();
    CHECK(s.node(n1).state == NodeState::kMember);
    CHECK(s.node(n1).isolated);
    s.ask(OperatorVerb::kNodeReturn, "node1");
    s.settle();
    CHECK_FALSE(s.node(n1).isolated);
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.owner() == n2);  // no fail-back
}

TEST_CASE("a silent node is lost only when its lease has run out") {
    Scene s;
    s.run_on(n2);
    s.settle();
    s.silence(n2);
    s.now += s.timing.detect;
    const PolicyOutput out = s.settle();
    CHECK(s.node(n2).state == NodeState::kMember);
    CHECK(s.owner() == n2);
    REQUIRE(out.wake_at);
    CHECK(*out.wake_at == s.facts[n2].may_run_until);
    s.now = *out.wake_at;
    s.settle();
    CHECK(s.node(n2).state == NodeState::kLost);
    CHECK(s.owner() == n1);
}

TEST_CASE("a lost node that comes back in the same boot is a member again and its group stays where it went") {
    Scene s;
    s.run_on(n2);
    s.settle();
    s.lose(n2);
    s.settle();
    REQUIRE(s.owner() == n1);
    s.report_state(n1, GroupState::kActive);
    s.alive.insert(n2);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kMember);
    CHECK(s.owner() == n1);
}

TEST_CASE("a node that was confirmed down but still runs is kept out until it reboots") {
    Scene s;
    s.node(n2).state = NodeState::kFenced;
    s.settle();
    CHECK(s.node(n2).state == NodeState::kFenced);
    s.reboot(n2, 2);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kMember);
}

TEST_CASE("a late heartbeat of an incarnation that was replaced does not bring it back") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.reboot(n2, 2);
    s.settle();
    REQUIRE(s.node(n2).boot == boot_of(n2, 2));
    s.boots[n2] = boot_of(n2, 1);
    s.settle();
    CHECK(s.node(n2).boot == boot_of(n2, 2));
}

TEST_CASE("a node that shuts down moves its groups first, then leaves with its order, then says how it ends") {
    Scene s;
    s.run_on(n2);
    s.settle();
    s.ask(OperatorVerb::kNodeShutdown, "node2");
    s.requests.back().request.halt = true;
    PolicyOutput out = s.settle();
    CHECK(s.node(n2).leaving == Leaving::kHalt);
    CHECK(s.entry().goal == Goal::kStopped);
    CHECK(s.entry().target == n1);
    REQUIRE(orders_of<StopGroup>(out).size() == 1);
    CHECK(orders_of<StopGroup>(out)[0].reason == StopReason::kServerShutdown);
    CHECK(orders_of<StopGroup>(out)[0].last_action == 1);
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.node(n2).state == NodeState::kLeft);
    CHECK(s.node(n2).leaving == Leaving::kHalt);
    CHECK(s.node(n2).leave_order == 1);
    CHECK_FALSE(s.document.last_standing);
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
}

TEST_CASE("the last leaver leaves a certificate") {
    Scene s;
    s.node(n2).state = NodeState::kLeft;
    s.node(n2).leave_order = 1;
    s.silence(n2);
    s.entry().held = true;
    s.ask(OperatorVerb::kNodeShutdown, "node1");
    s.leaving.insert(n1);
    s.settle();
    CHECK(s.node(n1).state == NodeState::kLeft);
    CHECK(s.node(n1).leave_order == 2);
    REQUIRE(s.document.last_standing);
    CHECK(s.document.last_standing->node == n1);
}

TEST_CASE("a leader that leaves hands over first, and leaves alone when nobody takes over") {
    Scene s;
    s.entry().held = true;
    s.settle();
    s.ask(OperatorVerb::kNodeShutdown, "node1");
    s.leaving.insert(n1);
    const PolicyOutput out = s.settle();
    REQUIRE(out.hand_over_to);
    CHECK(*out.hand_over_to == n2);
    CHECK(s.node(n1).state == NodeState::kMember);
    s.now += s.timing.hold;
    s.settle();
    CHECK(s.node(n1).state == NodeState::kLeft);
}

TEST_CASE("a stop of the cluster stops all groups at once and all nodes leave in one document") {
    Scene s(3, {"web", "db"});
    s.run_on(n1, "web");
    s.run_on(n2, "db");
    s.settle();
    s.ask(OperatorVerb::kClusterStop);
    PolicyOutput out = s.settle();
    CHECK(orders_of<StopGroup>(out).size() == 2);
    for (const StopGroup& order : orders_of<StopGroup>(out)) CHECK(order.reason == StopReason::kClusterShutdown);
    s.report_state(n1, GroupState::kStopped, "web");
    s.settle();
    CHECK(s.node(n3).state == NodeState::kMember);  // db still stops
    s.report_state(n2, GroupState::kStopped, "db");
    out = s.plan();
    REQUIRE(out.next);
    for (const NodeId id : {n1, n2, n3}) CHECK(out.next->node(id).state == NodeState::kLeft);
    s.choose(*out.next);
    s.leaving = {n1, n2, n3};
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.node(n1).state == NodeState::kLeft);  // nobody is admitted again by the leader that goes
}

TEST_CASE("after a stop of the cluster the next start runs what is started by itself, also what a person had stopped") {
    Scene s;
    s.document.cluster_stopped = true;
    s.entry().held = true;
    for (const NodeId id : {n1, n2}) s.node(id).state = NodeState::kLeft;
    s.reboot(n1, 2);
    s.reboot(n2, 2);
    s.settle();
    CHECK_FALSE(s.document.cluster_stopped);
    CHECK(s.owner() == n1);
}

TEST_CASE("a final action on a node makes it leave") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.leaving.insert(n2);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kLeft);
}

TEST_CASE("a report of before a cancelled shutdown does not bring the shutdown back") {
    Scene s;
    s.run_on(n2);
    s.node(n2).leaving = Leaving::kStopDaemon;
    s.ask(OperatorVerb::kNodeReturn, "node2");
    PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->node(n2).leaving == Leaving::kNo);
    s.choose(*out.next);
    PolicyInput in = s.input();
    in.facts[n2].report->leaving = true;
    in.facts[n2].report->version = {Epoch::make(1, n1), 1};
    out = s.policy.plan(in);
    CHECK((!out.next || out.next->node(n2).leaving == Leaving::kNo));
}

TEST_CASE(
    "a group whose node leaves without another place goes on when a node comes, but not after the last one has left") {
    Scene s;
    s.group().start = config::StartAttribute::kManual;
    s.run_on(n2);
    s.node(n1).isolated = true;
    s.settle();
    s.ask(OperatorVerb::kNodeShutdown, "node2");
    s.settle();
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    REQUIRE(s.node(n2).state == NodeState::kLeft);
    CHECK(s.owner() == kNobody);
    SECTION("a node comes") {
        s.node(n1).isolated = false;
        s.settle();
        CHECK(s.owner() == n1);
    }
    SECTION("the last one leaves as well") {
        s.silence(n2);
        s.leaving.insert(n1);
        s.ask(OperatorVerb::kNodeShutdown, "node1");
        s.settle();
        REQUIRE(s.document.last_standing);
        CHECK(s.entry().goal == Goal::kStopped);
    }
}
