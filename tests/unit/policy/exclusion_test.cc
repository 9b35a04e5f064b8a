// Exclusive rules: groups that keep away from each other's nodes.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

Scene apart(int nodes, std::vector<std::string> groups, bool absolute) {
    Scene s(nodes, groups);
    s.config.exclusive_rules.push_back({"apart", absolute, groups});
    return s;
}

void lose_owner(Scene& s, NodeId node) {
    s.settle();
    s.lose(node);
}

}  // namespace

TEST_CASE(
    "two groups of an absolute rule race for the first node in one commit: the order of the configuration decides") {
    Scene s = apart(2, {"a", "b"}, true);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("a").owner->node == n1);
    CHECK(out.next->groups.at("b").owner->node == n2);
    const auto placed = std::find_if(out.decisions.begin(), out.decisions.end(),
                                     [](const Decision& d) { return d.subject == "group b"; });
    REQUIRE(placed != out.decisions.end());
    REQUIRE(placed->rejected.size() == 1);
    CHECK(placed->rejected[0] == "node1: group a, which it never shares a node with (rule apart), runs there");
}

TEST_CASE("an absolute rule leaves a group without a place, which it gets as soon as one is free") {
    Scene s = apart(2, {"a", "b"}, true);
    s.run_on(n1, "a");
    s.run_on(n2, "b");
    lose_owner(s, n2);
    s.settle();
    CHECK(s.owner("b") == n2);  // nobody may take it over: it may resume
    CHECK(s.sentence(Reason::kGroupNoPlace) == "Group b of node2 has no node to go to.");
    REQUIRE(s.rejected(Reason::kGroupNoPlace).size() == 1);
    CHECK(s.rejected(Reason::kGroupNoPlace)[0] ==
          "node1: group a, which it never shares a node with (rule apart), runs there");
    SECTION("the other group is stopped by a person") {
        s.entry("a").owner.reset();
        s.entry("a").goal = Goal::kStopped;
        s.entry("a").held = true;
        s.settle();
        CHECK(s.owner("b") == n1);
    }
    SECTION("its node comes back") {
        s.reboot(n2, 2);
        s.settle();
        CHECK(s.owner("b") == n2);
    }
}

TEST_CASE("a normal rule is broken only when there is no other node, and that is said") {
    Scene s = apart(3, {"a", "b"}, false);
    s.run_on(n1, "a");
    s.run_on(n2, "b");
    s.settle();
    s.lose(n2);
    SECTION("another node is there") {
        s.settle();
        CHECK(s.owner("b") == n3);
        CHECK_FALSE(s.said(Reason::kGroupSharesNode));
        REQUIRE(s.rejected(Reason::kGroupFailover).size() == 1);
        CHECK(s.rejected(Reason::kGroupFailover)[0] ==
              "node1: group a, which it shares a node with only when there is no other (rule apart), runs there");
    }
    SECTION("none is") {
        s.silence(n3);
        s.settle();
        CHECK(s.owner("b") == n1);
        CHECK(s.sentence(Reason::kGroupSharesNode) ==
              "Group b shares node1 with group a (rule apart), because there is no other node for it. Once there is: "
              "`kagami group move b`.");
    }
}

TEST_CASE("rules in a circle place each group on a node of its own, as far as nodes go") {
    Scene s(3, {"a", "b", "c", "d"});
    s.config.exclusive_rules = {{"ab", true, {"a", "b"}}, {"bc", true, {"b", "c"}}, {"ca", true, {"c", "a"}}};
    s.config.exclusive_rules.push_back({"all", true, {"a", "b", "c", "d"}});
    s.settle();
    CHECK(s.owner("a") == n1);
    CHECK(s.owner("b") == n2);
    CHECK(s.owner("c") == n3);
    CHECK(s.owner("d") == kNobody);
    CHECK(s.rejected(Reason::kGroupNoPlace).size() == 3);
}

TEST_CASE("a person is bound by an absolute rule, and not by a normal one") {
    const bool absolute = GENERATE(true, false);
    Scene s = apart(2, {"a", "b"}, absolute);
    s.run_on(n1, "a");
    s.run_on(n2, "b");
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "b", n1);
    s.settle();
    if (absolute) {
        CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
        CHECK(s.last_reply().message ==
              "group b cannot move to node1: group a, which it never shares a node with (rule apart), runs there");
    } else {
        CHECK(s.last_reply().outcome == OperatorOutcome::kAccepted);
        CHECK(s.entry("b").target == n1);
    }
}

TEST_CASE("a group that moves to a node counts as being there") {
    Scene s = apart(3, {"a", "b"}, true);
    s.run_on(n1, "a");
    s.run_on(n2, "b");
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "a", n3);
    s.settle();
    REQUIRE(s.entry("a").target == n3);
    s.reported(n2, "b").wants_failover = true;
    s.reported(n2, "b").cause = "it broke";
    s.settle();
    CHECK(s.entry("b").target == kNobody);  // node1 is still a's, node3 will be
    REQUIRE(s.rejected(Reason::kGroupNoPlace).size() == 2);
    CHECK(s.rejected(Reason::kGroupNoPlace)[0] ==
          "node1: group a, which it never shares a node with (rule apart), still stops there");
    CHECK(s.rejected(Reason::kGroupNoPlace)[1] ==
          "node3: group a, which it never shares a node with (rule apart), goes there");
    s.report_state(n1, GroupState::kStopped, "a");
    s.settle();
    CHECK(s.owner("a") == n3);
    CHECK(s.entry("b").target == n1);
}

TEST_CASE("failback breaks no rule, not even a normal one") {
    const bool absolute = GENERATE(true, false);
    Scene s = apart(2, {"a", "b"}, absolute);
    s.group("b").failback = true;
    s.run_on(n1, "a");
    s.run_on(n2, "b");
    s.settle();
    CHECK(s.owner("b") == n2);
    CHECK(s.entry("b").target == kNobody);
    s.entry("a").owner.reset();
    s.entry("a").goal = Goal::kStopped;
    s.entry("a").held = true;
    s.settle();
    CHECK(s.entry("b").target == n1);
}

TEST_CASE("groups of one lost node keep apart on those that take them over, in the one commit") {
    Scene s(3, {"a", "b", "c"});
    s.config.exclusive_rules.push_back({"apart", true, {"a", "b"}});
    for (const char* name : {"a", "b", "c"}) s.run_on(n3, name);
    s.settle();
    s.lose(n3);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("a").owner->node == n1);
    CHECK(out.next->groups.at("b").owner->node == n2);
    CHECK(out.next->groups.at("c").owner->node == n1);
}

TEST_CASE("what ran in an earlier boot of a node keeps nobody away from it") {
    Scene s = apart(2, {"a", "b"}, true);
    s.group("a").failover = config::FailoverAttribute::kManual;
    s.run_on(n1, "b");
    s.run_on(n2, "a");
    s.settle();
    s.lose(n2);
    s.settle();
    CHECK(s.owner("a") == n2);  // lost, a person decides
    s.reboot(n2, 2);
    s.settle();
    s.ask(OperatorVerb::kGroupMove, "b", n2);
    s.settle();
    CHECK(s.entry("b").target == n2);
}
