// Both-system activation: a group that a node reports without owning it.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

void reports_it(Scene& s, NodeId id, GroupState state = GroupState::kActive) {
    s.reported(id).state = state;
    s.reported(id).token = s.document.version;
}

}  // namespace

TEST_CASE("a group is not started while a node reports that it is not stopped there") {
    const auto state = GENERATE(GroupState::kActive, GroupState::kStarting, GroupState::kStopping,
                                GroupState::kStopFailed, GroupState::kStartFailed, GroupState::kSuspended);
    Scene s;
    reports_it(s, n2, state);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.sentence(Reason::kGroupActiveElsewhere) ==
          "Group web is not started: node2 reports that it is not stopped there, without owning it. It starts once "
          "node2 reports it stopped; if that does not come, reboot node2.");
    reports_it(s, n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("the check is of the group's choice, and asks only nodes that can know") {
    Scene s;
    reports_it(s, n2);
    SECTION("not checked") {
        s.group().check_both_active = false;
    }
    SECTION("not heard") {
        s.silence(n2);
    }
    SECTION("deaf: it may be long since it learnt anything") {
        s.deaf.insert(n2);
    }
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("a person's start is refused with the node where it runs") {
    Scene s;
    s.entry().held = true;
    reports_it(s, n2);
    s.ask(OperatorVerb::kGroupStart, "web");
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK(s.last_reply().message == "group web is not stopped on node2, which does not own it");
}

TEST_CASE("active on two nodes: the one that does not own it is told to stop, after a moment") {
    Scene s;
    s.run_on(n1);
    reports_it(s, n2);
    PolicyOutput out = s.settle();
    CHECK_FALSE(s.said(Reason::kGroupActiveTwice));  // the guard may be ending it
    REQUIRE(out.wake_at);
    s.now += s.timing.hold;
    out = s.settle();
    CHECK(s.sentence(Reason::kGroupActiveTwice) ==
          "Group web is active on two nodes: node1 owns it, and node2 reports that it runs there too. node2 is told to "
          "stop it; if it does not, reboot node2.");
    REQUIRE(orders_of<StopGroup>(out).size() == 1);
    CHECK(out.orders[0].to == n2);
    CHECK(s.owner() == n1);
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupActiveTwice));
}

TEST_CASE("a report from before the group was given away is no proof of a double") {
    Scene s;
    s.run_on(n1);
    PolicyInput in = s.input();
    GroupReport old;
    old.group = "web";
    old.state = GroupState::kActive;
    in.facts[n2].report->groups = {old};
    in.facts[n2].report->version = {};
    for (int i = 0; i < 3; ++i) {
        in.now += s.timing.hold;
        for (auto& [node, facts] : in.facts) facts.heard_at = in.now;
        for (const Decision& d : s.policy.plan(in).decisions) CHECK(d.reason != Reason::kGroupActiveTwice);
    }
}

TEST_CASE("one that ends by itself in time is no double") {
    Scene s;
    s.run_on(n1);
    reports_it(s, n2);
    s.settle();
    reports_it(s, n2, GroupState::kStopped);
    s.settle();
    reports_it(s, n2);
    s.now += s.timing.hold;
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupActiveTwice));
}
