// What is left to persons: the failover switch, its latch, maintenance, planned reboots. Every automatic decision.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

enum class Rule { kSwitch, kCluster, kGroup, kNode };

void set(Scene& s, Rule rule, NodeId node) {
    const Maintenance observe{MaintenanceKind::kObserve, 30};
    switch (rule) {
        case Rule::kSwitch:
            s.document.failover.on = false;
            s.document.failover.why = "by root on node1";
            break;
        case Rule::kCluster: s.document.maintenance = observe; break;
        case Rule::kGroup: s.entry().maintenance = observe; break;
        case Rule::kNode: s.node(node).maintenance = observe; break;
    }
}

void lift(Scene& s, Rule rule, NodeId node) {
    s.document.failover = {};
    s.document.maintenance = s.entry().maintenance = s.node(node).maintenance = {};
    (void)rule;
}

Reason reason_of(Rule rule) {
    return rule == Rule::kSwitch ? Reason::kGroupHeldBack : Reason::kGroupObserved;
}

}  // namespace

TEST_CASE("each rule keeps a lost node's group where it was, until it is lifted") {
    const Rule rule = GENERATE(Rule::kSwitch, Rule::kCluster, Rule::kGroup, Rule::kNode);
    Scene s;
    s.run_on(n2);
    s.settle();
    set(s, rule, n2);
    s.lose(n2);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.said(reason_of(rule)));
    CHECK_FALSE(s.said(Reason::kGroupNoPlace));
    s.settle();
    CHECK_FALSE(s.said(reason_of(rule)));  // once
    lift(s, rule, n2);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("the sentences name what would have been done, the rule, and how to end it") {
    Scene s;
    s.run_on(n2);
    s.settle();
    SECTION("switch") {
        set(s, Rule::kSwitch, n2);
        s.lose(n2);
        s.settle();
        CHECK(
            s.sentence(Reason::kGroupHeldBack) ==
            "Group web would fail over from node2 to node1, but failover is switched off (by root on node1): it waits "
            "for node2. To end that: `kagami failover on`; by hand: `kagami group start web`.");
    }
    SECTION("maintenance of the node, a failed resource") {
        set(s, Rule::kNode, n2);
        s.reported(n2).wants_failover = true;
        s.reported(n2).cause = "resource nginx: it broke";
        s.settle();
        CHECK(
            s.sentence(Reason::kGroupObserved) ==
            "Group web would fail over from node2 to node1 (resource nginx: it broke), but node2 is under maintenance: "
            "it stays on node2. To end that: `kagami maintenance end --node node2`; by hand: `kagami group move "
            "web`.");
        CHECK(s.entry().target == kNobody);
        CHECK(s.entry().failovers == 0);
    }
    SECTION("reserved") {
        s.node(n2).reserved_minutes = 10;
        s.lose(n2);
        s.settle();
        CHECK(s.sentence(Reason::kGroupReserved) ==
              "Group web would fail over from node2 to node1, but it waits for node2, which reboots as planned. "
              "To have it elsewhere at once: `kagami group start web --to NODE`.");
    }
}

TEST_CASE("switched off: a restart on the same node goes on, and after a reboot the group returns to its node only") {
    Scene s;
    s.run_on(n2);
    s.settle();
    set(s, Rule::kSwitch, n2);
    SECTION("killed and stopped there") {
        s.report_state(n2, GroupState::kStopped);
        s.settle();
        CHECK(s.owner() == n2);
    }
    SECTION("rebooted") {
        s.reboot(n2, 2);
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.entry().owner->boot == s.boots[n2]);
    }
    SECTION("first start of another group") {
        config::Group db = s.group();
        db.name = "db";
        s.config.groups.push_back(db);
        s.settle();
        CHECK(s.owner("db") == n1);
    }
}

TEST_CASE("switched off: no failback, nothing because of a shortage, a node that leaves stops its groups") {
    Scene s;
    set(s, Rule::kSwitch, n2);
    s.run_on(n2);
    SECTION("failback") {
        s.group().failback = true;
        s.settle();
        CHECK(s.entry().target == kNobody);
        CHECK(s.sentence(Reason::kGroupHeldBack).find("would fail back to node1") != std::string::npos);
    }
    SECTION("shortage") {
        s.config.minimum_memory_mib = 512;
        s.memory = {{n1, 4096}, {n2, 128}};
        s.settle();
        s.now += 10s;
        s.settle();
        CHECK(s.entry().target == kNobody);
        CHECK(s.sentence(Reason::kGroupHeldBack).find("would move from node2 to node1") != std::string::npos);
    }
    SECTION("leaving") {
        s.settle();
        s.ask(OperatorVerb::kNodeShutdown, "node2");
        s.settle();
        CHECK(s.entry().goal == Goal::kStopped);
        CHECK(s.entry().target == kNobody);
        s.leaving.insert(n2);
        s.report_state(n2, GroupState::kStopped);
        s.settle();
        CHECK(s.owner() == kNobody);
        CHECK(s.said(Reason::kGroupHeldBack));
        s.ask(OperatorVerb::kGroupStart, "web", n1);
        s.settle();
        CHECK(s.owner() == n1);
    }
}

TEST_CASE("persons may start, stop and move whatever the rules say") {
    const Rule rule = GENERATE(Rule::kSwitch, Rule::kCluster, Rule::kGroup, Rule::kNode);
    Scene s;
    s.run_on(n1);
    s.settle();
    set(s, rule, n1);
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    CHECK(s.entry().target == n2);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n2);
    s.report_state(n2, GroupState::kActive);
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == kNobody);
    s.ask(OperatorVerb::kGroupStart, "web", n1);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("under maintenance nothing starts by itself, and a node under maintenance takes nothing") {
    Scene s;
    SECTION("the cluster") {
        set(s, Rule::kCluster, n1);
        s.settle();
        CHECK(s.owner() == kNobody);
        CHECK(s.sentence(Reason::kGroupObserved) ==
              "Group web would start on node1, but the cluster is under maintenance: it waits. To end that: `kagami "
              "maintenance end`; by hand: `kagami group start web`.");
    }
    SECTION("a node") {
        set(s, Rule::kNode, n1);
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.rejected(Reason::kGroupPlaced)[0] == "node1: node1 is under maintenance");
    }
    SECTION("the node where it ran, back from a reboot") {
        s.run_on(n2);
        s.settle();
        set(s, Rule::kNode, n2);
        s.reboot(n2, 2);
        s.settle();
        CHECK(s.node(n2).maintenance.kind == MaintenanceKind::kObserve);  // admission keeps it
        CHECK(s.owner() == kNobody);
        lift(s, Rule::kNode, n2);
        s.settle();
        CHECK(s.owner() != kNobody);
    }
}

TEST_CASE("a planned reboot: the groups stop, wait for the node, and go elsewhere when its time is over") {
    Scene s;
    s.run_on(n2);
    s.settle();
    s.ask(OperatorVerb::kNodeShutdown, "node2");
    s.requests.back().request.reboot = true;
    s.requests.back().request.minutes = 10;
    s.settle();
    CHECK(s.node(n2).reserved_minutes == 10);
    CHECK(s.entry().target == kNobody);
    s.leaving.insert(n2);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kLeft);
    s.silence(n2);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.entry().goal == Goal::kStarted);
    SECTION("it comes back") {
        s.leaving.clear();
        s.reboot(n2, 2);
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.node(n2).reserved_minutes == 0);
    }
    SECTION("it does not") {
        s.node(n2).reserved_minutes = 0;
        s.settle();
        CHECK(s.owner() == n1);
    }
    SECTION("a person does not wait") {
        s.ask(OperatorVerb::kGroupStart, "web", n1);
        s.settle();
        CHECK(s.owner() == n1);
    }
}

TEST_CASE("an automatic failover latches the switch, whole nodes go over together") {
    Scene s(3, {"a", "b"});
    s.config.failover_latch = true;
    s.run_on(n3, "a");
    s.run_on(n3, "b");
    s.settle();
    s.lose(n3);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("a").owner->node == n1);
    CHECK(out.next->groups.at("b").owner->node == n1);
    CHECK_FALSE(out.next->failover.on);
    CHECK(out.next->failover.latched);
    CHECK(out.next->failover.why == "group a failed over from node3 to node1");
    s.choose(*out.next);
    for (const char* name : {"a", "b"}) s.report_state(n1, GroupState::kActive, name);
    s.reported(n1, "a").wants_failover = true;
    s.settle();
    CHECK(s.owner("a") == n1);
    CHECK(s.entry("a").target == kNobody);
    CHECK(s.said(Reason::kGroupHeldBack));
}

TEST_CASE("the latch falls once what belongs to the same loss has gone over: a strict group is not left behind") {
    Scene s(2, {"data", "disk"});
    s.config.failover_latch = true;
    s.group("disk").exclusion = config::ExclusionKind::kStrict;
    s.run_on(n2, "data");
    s.run_on(n2, "disk");
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(s.owner("data") == n1);
    CHECK(s.owner("disk") == n2);
    CHECK(s.document.failover.on);
    CHECK(s.document.failover.latched);
    s.policy.reset();  // whoever leads
    s.now = s.facts[n2].may_run_until + s.timing.strict;
    s.report_state(n1, GroupState::kActive, "data");
    s.settle();
    CHECK(s.owner("disk") == n1);
    CHECK_FALSE(s.document.failover.on);
    CHECK(s.said(Reason::kFailoverLatched));
}

TEST_CASE("a person's move and a restart on the same node latch nothing") {
    Scene s;
    s.config.failover_latch = true;
    s.run_on(n1);
    s.settle();
    SECTION("move") {
        s.ask(OperatorVerb::kGroupMove, "web", n2);
        s.settle();
        s.report_state(n1, GroupState::kStopped);
    }
    SECTION("restart") {
        s.report_state(n1, GroupState::kStopped);
    }
    s.settle();
    CHECK(s.owner() != kNobody);
    CHECK(s.document.failover.on);
    CHECK_FALSE(s.document.failover.latched);
}

TEST_CASE("the only healthy node is never left, whatever its groups want") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.lose(n2);
    s.reported(n1).wants_failover = true;
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.entry().goal == Goal::kStarted);
    CHECK(s.said(Reason::kGroupNoPlace));
}
