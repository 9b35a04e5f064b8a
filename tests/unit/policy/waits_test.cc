// Start waits and stop waits between groups, the management group.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// web starts once db runs.
Scene web_after_db(bool same_node = false, config::WaitOutcome outcome = config::WaitOutcome::kCancel) {
    Scene s(2, {"web", "db"});
    s.group("web").start_wait.groups = {"db"};
    s.group("web").start_wait.same_node = same_node;
    s.group("web").start_wait.timeout = 60s;
    s.group("web").start_wait.on_timeout = outcome;
    return s;
}

// ups stops after web.
Scene ups_last() {
    Scene s(2, {"ups", "web"});
    s.group("ups").stop_wait.groups = {"web"};
    s.group("ups").stop_wait.timeout = 60s;
    s.run_on(n1, "ups");
    s.run_on(n1, "web");
    s.settle();
    return s;
}

// The groups that are told to stop until all is at rest.
std::vector<std::string> stops(Scene& s) {
    std::vector<std::string> names;
    s.decisions.clear();
    s.replies.clear();
    for (int i = 0; i < 20; ++i) {
        const PolicyOutput out = s.plan();
        s.decisions.insert(s.decisions.end(), out.decisions.begin(), out.decisions.end());
        s.replies.insert(s.replies.end(), out.replies.begin(), out.replies.end());
        for (const StopGroup& order : orders_of<StopGroup>(out)) names.push_back(order.group);
        if (!out.next) return names;
        s.choose(*out.next);
    }
    FAIL("the policy never comes to rest");
    return names;
}

// What comes of it within a moment: orders are repeated.
std::vector<std::string> stops_later(Scene& s) {
    s.now += s.timing.renew * 3;
    return stops(s);
}

}  // namespace

// ---- starts ----

TEST_CASE("a group starts once the groups of its start wait run") {
    Scene s = web_after_db();
    s.settle();
    CHECK(s.owner("db") == n1);
    CHECK(s.owner("web") == kNobody);
    CHECK(s.sentence(Reason::kGroupStartWaits) ==
          "Group web starts once group db runs: it waits (start_wait). To see what keeps it: `kagami why db`.");
    s.report_state(n1, GroupState::kStarting, "db");
    s.settle();
    CHECK(s.owner("web") == kNobody);
    CHECK_FALSE(s.said(Reason::kGroupStartWaits));  // once
    s.report_state(n1, GroupState::kActive, "db");
    s.settle();
    CHECK(s.owner("web") == n1);
}

TEST_CASE("a start wait that takes too long is cancelled, or goes on, as configured") {
    const auto outcome = GENERATE(config::WaitOutcome::kCancel, config::WaitOutcome::kGoOn);
    Scene s = web_after_db(false, outcome);
    s.settle();
    const Instant begun = s.now;
    s.report_state(n1, GroupState::kStarting, "db");
    s.now = begun + 60s - 1ns;
    s.settle();
    CHECK(s.owner("web") == kNobody);
    s.now = begun + 60s;
    s.settle();
    if (outcome == config::WaitOutcome::kCancel) {
        CHECK(s.owner("web") == kNobody);
        CHECK(s.entry("web").held);
        CHECK(s.sentence(Reason::kGroupStartWaitOver) ==
              "The start of group web is cancelled: group db did not run within the time-out of its start_wait. Start "
              "it with `kagami group start web`.");
        s.report_state(n1, GroupState::kActive, "db");
        s.settle();
        CHECK(s.owner("web") == kNobody);  // a person starts it
        s.ask(OperatorVerb::kGroupStart, "web");
        s.settle();
        CHECK(s.owner("web") == n1);
    } else {
        CHECK(s.owner("web") == n1);
        CHECK(s.sentence(Reason::kGroupStartWaitOver) ==
              "Group web starts without group db: the time-out of its start_wait is over.");
    }
}

TEST_CASE("a person's start waits as well, remembers the node, and is answered when it has ended") {
    Scene s = web_after_db();
    s.entry("web").held = s.entry("db").held = true;
    s.settle();
    s.ask(OperatorVerb::kGroupStart, "web", n2);
    s.settle();
    CHECK(s.last_reply().message == "group web starts on node2 once group db runs.");
    CHECK(s.owner("web") == kNobody);
    SECTION("it goes there") {
        s.policy.reset();  // another leader
        s.ask(OperatorVerb::kGroupStart, "db", n1);
        s.settle();
        s.report_state(n1, GroupState::kActive, "db");
        s.settle();
        CHECK(s.owner("web") == n2);
    }
    SECTION("it takes too long") {
        s.now += 60s;
        s.settle();
        CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
        CHECK(s.entry("web").target == kNobody);
    }
    SECTION("a person changes his mind") {
        s.ask(OperatorVerb::kGroupStop, "web");
        s.settle();
        CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
        s.now += 61s;
        s.settle();
        CHECK_FALSE(s.said(Reason::kGroupStartWaitOver));
    }
}

TEST_CASE("same_node: a group that runs elsewhere, or cannot come, is not waited for") {
    Scene s = web_after_db(true);
    SECTION("it comes to the same node") {
        s.settle();
        CHECK(s.owner("web") == kNobody);
        s.report_state(n1, GroupState::kActive, "db");
        s.settle();
        CHECK(s.owner("web") == n1);
    }
    SECTION("it runs elsewhere") {
        s.run_on(n2, "db");
        s.settle();
        CHECK(s.owner("web") == n1);
    }
    SECTION("it may not run there") {
        s.group("db").nodes = {n2};
        s.settle();
        CHECK(s.owner("web") == n1);
    }
    SECTION("it is stopped by a person") {
        s.entry("db").held = true;
        s.settle();
        CHECK(s.owner("web") == n1);
    }
}

TEST_CASE("a failover waits too, and the lost owner may resume meanwhile") {
    Scene s = web_after_db();
    s.run_on(n2, "web");
    s.run_on(n2, "db");
    s.settle();
    s.lose(n2);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);  // one document: the loss and all that can go
    CHECK(out.next->groups.at("db").owner->node == n1);
    CHECK(out.next->groups.at("web").owner->node == n2);
    s.settle();
    s.report_state(n1, GroupState::kActive, "db");
    s.settle();
    CHECK(s.owner("web") == n1);
    CHECK(s.entry("web").storm == 1);
}

TEST_CASE("the wait of a new leader begins anew") {
    Scene s = web_after_db();
    s.settle();
    s.now += 59s;
    s.settle();
    s.policy.reset();
    s.now += 59s;
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupStartWaitOver));
    s.now += 60s;
    s.settle();
    CHECK(s.said(Reason::kGroupStartWaitOver));
}

TEST_CASE("groups that wait in a row start in a row") {
    Scene s(2, {"c", "b", "a"});
    s.group("b").start_wait.groups = {"a"};
    s.group("c").start_wait.groups = {"a", "b"};
    s.settle();
    CHECK(s.owner("a") == n1);
    CHECK(s.owner("b") == kNobody);
    s.report_state(n1, GroupState::kActive, "a");
    s.settle();
    CHECK(s.owner("b") == n1);
    CHECK(s.owner("c") == kNobody);
    s.report_state(n1, GroupState::kActive, "b");
    s.settle();
    CHECK(s.owner("c") == n1);
}

TEST_CASE("a move waits on its way for what the group starts after") {
    Scene s = web_after_db();
    s.run_on(n1, "web");
    s.run_on(n1, "db");
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    s.report_state(n1, GroupState::kStarting, "db");  // it restarts
    s.report_state(n1, GroupState::kStopped, "web");
    s.settle();
    CHECK(s.owner("web") == kNobody);
    CHECK(s.entry("web").target == n2);
    s.report_state(n1, GroupState::kActive, "db");
    s.settle();
    CHECK(s.owner("web") == n2);
}

// ---- stops ----

TEST_CASE("at the stop of the cluster a group stops after those of its stop wait") {
    Scene s = ups_last();
    s.ask(OperatorVerb::kClusterStop);
    CHECK(stops(s) == std::vector<std::string>{"web"});
    CHECK(s.sentence(Reason::kGroupStopWaits) ==
          "Group ups stops once group web is stopped: it waits (stop_wait). To see what keeps it: `kagami why web`.");
    s.report_state(n1, GroupState::kStopping, "web");
    CHECK(stops_later(s).empty());
    s.report_state(n1, GroupState::kStopped, "web");
    CHECK(stops(s) == std::vector<std::string>{"ups"});
    s.leaving = {n1, n2};
    s.report_state(n1, GroupState::kStopped, "ups");
    s.settle();
    CHECK(s.node(n1).state == NodeState::kLeft);
    CHECK(s.node(n2).state == NodeState::kLeft);
}

TEST_CASE("the intent to stop outlives the leader that waited") {
    Scene s = ups_last();
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    s.policy.reset();
    CHECK(stops_later(s) == std::vector<std::string>{"web"});
    s.report_state(n1, GroupState::kStopped, "web");
    CHECK(stops_later(s) == std::vector<std::string>{"ups"});
}

TEST_CASE("a stop wait that takes too long cancels the stop of the cluster: what runs goes on, what stopped is held") {
    Scene s = ups_last();
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    s.report_state(n1, GroupState::kStopping, "web");
    s.now += 60s;
    s.settle();
    CHECK_FALSE(s.document.cluster_stopped);
    CHECK(s.node(n1).leaving == Leaving::kNo);
    CHECK(s.entry("ups").goal == Goal::kStarted);
    CHECK(s.entry("web").held);
    CHECK(s.sentence(Reason::kGroupStopWaitOver) ==
          "The stop of the cluster is cancelled: group ups waits for group web, and the time-out of its stop_wait is "
          "over. Stop what is named, then run `kagami cluster stop` again.");
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message == "the stop of the cluster was cancelled");
    s.report_state(n1, GroupState::kStopped, "web");
    s.settle();
    CHECK(s.owner("web") == kNobody);
    CHECK(s.owner("ups") == n1);
}

TEST_CASE("a stop wait that goes on lets the group stop before the others") {
    Scene s = ups_last();
    s.group("ups").stop_wait.on_timeout = config::WaitOutcome::kGoOn;
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    s.report_state(n1, GroupState::kStopping, "web");
    s.now += 60s;
    CHECK(stops(s) == std::vector<std::string>{"ups"});
    CHECK(s.said(Reason::kGroupStopWaitOver));
    CHECK(s.document.cluster_stopped);
}

TEST_CASE("a group that could not be stopped is told to the person at once, and the stop goes on once it is") {
    Scene s = ups_last();
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    s.report_state(n1, GroupState::kStopFailed, "web");
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.owner("ups") == n1);
    s.report_state(n1, GroupState::kStopped, "web");
    CHECK(stops(s) == std::vector<std::string>{"ups"});
}

TEST_CASE("at the stop of a node a group waits only for what this node owns") {
    Scene s = ups_last();
    s.group("ups").stop_wait.at_cluster_stop = false;
    s.group("ups").stop_wait.at_node_stop = true;
    s.group("ups").nodes = {n1};
    s.ask(OperatorVerb::kNodeShutdown, "node1");
    CHECK(stops(s) == std::vector<std::string>{"web"});
    SECTION("the others move away first") {
        s.report_state(n1, GroupState::kStopped, "web");
        CHECK(stops(s) == std::vector<std::string>{"ups"});
        CHECK(s.owner("web") == n2);
        s.leaving.insert(n1);
        s.report_state(n1, GroupState::kStopped, "ups");
        s.self = n2;
        s.settle();
        CHECK(s.node(n1).state == NodeState::kLeft);
    }
    SECTION("too long: the node stays, the move goes on") {
        s.report_state(n1, GroupState::kStopping, "web");
        s.now += 60s;
        s.settle();
        CHECK(s.node(n1).leaving == Leaving::kNo);
        CHECK(s.entry("ups").goal == Goal::kStarted);
        CHECK(s.last_reply().message == "the stop of node1 was cancelled");
        s.report_state(n1, GroupState::kStopped, "web");
        s.settle();
        CHECK(s.owner("web") == n2);
    }
}

TEST_CASE("a person's stop of the group waits only where that is configured") {
    const bool waits = GENERATE(true, false);
    Scene s = ups_last();
    s.group("ups").stop_wait.at_group_stop = waits;
    s.ask(OperatorVerb::kGroupStop, "ups");
    CHECK(stops(s) == (waits ? std::vector<std::string>{} : std::vector<std::string>{"ups"}));
    if (!waits) return;
    s.now += 60s;
    s.settle();
    CHECK(s.entry("ups").goal == Goal::kStarted);
    CHECK_FALSE(s.entry("ups").held);
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
}

TEST_CASE("a failover waits for no stop") {
    Scene s = ups_last();
    s.group("ups").stop_wait.at_group_stop = s.group("ups").stop_wait.at_node_stop = true;
    s.reported(n1, "ups").wants_failover = true;
    CHECK(stops(s) == std::vector<std::string>{"ups"});
}

// ---- the management group ----

TEST_CASE("a management group starts first and stops last") {
    Scene s(2, {"web", "console", "db"});
    s.group("console").kind = config::GroupKind::kManagement;
    s.settle();
    CHECK(s.owner("console") == n1);
    CHECK(s.owner("web") == kNobody);
    s.report_state(n1, GroupState::kActive, "console");
    s.settle();
    CHECK(s.owner("web") == n1);
    CHECK(s.owner("db") == n1);
    for (const char* name : {"web", "db"}) s.report_state(n1, GroupState::kActive, name);
    s.ask(OperatorVerb::kClusterStop);
    CHECK(stops(s) == std::vector<std::string>{"db", "web"});
    for (const char* name : {"web", "db"}) s.report_state(n1, GroupState::kStopped, name);
    CHECK(stops(s) == std::vector<std::string>{"console"});
}

TEST_CASE("a management group that does not come up keeps nobody") {
    Scene s(2, {"web", "console"});
    s.group("console").kind = config::GroupKind::kManagement;
    SECTION("it has no place") {
        s.group("console").nodes = {n2};
        s.node(n2).isolated = true;
        s.settle();
        CHECK(s.owner("web") == n1);
    }
    SECTION("its start fails") {
        s.settle();
        s.report_state(n1, GroupState::kStartFailed, "console");
        s.settle();
        CHECK(s.owner("web") == n1);
    }
    SECTION("it hangs") {
        s.settle();
        CHECK(s.owner("web") == kNobody);
        s.now += s.timing.hold * 4;
        s.settle();
        CHECK(s.owner("web") == n1);
    }
}

TEST_CASE("after a failure nothing waits for the management group") {
    Scene s(2, {"web", "console"});
    s.group("console").kind = config::GroupKind::kManagement;
    s.run_on(n2, "web");
    s.run_on(n2, "console");
    s.settle();
    s.lose(n2);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("web").owner->node == n1);
    CHECK(out.next->groups.at("console").owner->node == n1);
}

TEST_CASE("what waits for the management group stops after it") {
    Scene s(2, {"web", "console", "ups"});
    s.group("console").kind = config::GroupKind::kManagement;
    s.group("ups").stop_wait.groups = {"web", "console"};
    for (const char* name : {"web", "console", "ups"}) s.run_on(n1, name);
    s.settle();
    s.ask(OperatorVerb::kClusterStop);
    std::vector<std::string> order;
    while (order.size() < 3) {
        const std::vector<std::string> next = stops(s);
        REQUIRE(next.size() == 1);
        order.push_back(next[0]);
        s.report_state(n1, GroupState::kStopped, next[0]);
    }
    CHECK(order == std::vector<std::string>{"web", "console", "ups"});
}
