#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

TEST_CASE("a wanted group starts on the first node of its order") {
    Scene s;
    const PolicyOutput out = s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.entry().goal == Goal::kStarted);
    CHECK(s.entry().token == s.document.version);
    REQUIRE(orders_of<StartGroup>(out).size() == 1);
    CHECK(orders_of<StartGroup>(out)[0].token == s.entry().token);
    CHECK(out.orders[0].to == n1);
}

TEST_CASE("each obstacle of a candidate is named and the next node is taken") {
    Scene s;
    s.self = n2;
    std::string why;
    SECTION("not heard") {
        s.silence(n1);
        why = "node1: not heard";
    }
    SECTION("isolated") {
        s.node(n1).isolated = true;
        why = "node1: isolated until it is returned";
    }
    SECTION("leaving") {
        s.node(n1).leaving = Leaving::kHalt;
        s.entry().last_owner = n2;
        why = "node1: leaving the cluster";
    }
    SECTION("left") {
        s.node(n1).state = NodeState::kLeft;
        s.leaving.insert(n1);
        why = "node1: leaving the cluster";
    }
    SECTION("failed before") {
        s.entry().failed_on.insert(n1);
        why = "node1: the group failed there before";
    }
    s.input();
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("web").owner->node == n2);
    const auto placed = std::find_if(out.decisions.begin(), out.decisions.end(),
                                     [](const Decision& d) { return d.reason == Reason::kGroupPlaced; });
    REQUIRE(placed != out.decisions.end());
    REQUIRE(placed->rejected.size() == 1);
    CHECK(placed->rejected[0] == why);
}

TEST_CASE("a first start waits a moment for an earlier node that is about to be fit, a takeover does not") {
    Scene s;
    s.self = n2;
    s.guardless.insert(n1);
    PolicyOutput out = s.settle();
    CHECK(s.owner() == kNobody);
    REQUIRE(out.wake_at);
    CHECK(*out.wake_at <= s.now + s.timing.hold);
    SECTION("it becomes fit") {
        s.guardless.clear();
        s.settle();
        CHECK(s.owner() == n1);
    }
    SECTION("it does not") {
        s.now += s.timing.hold;
        s.settle();
        CHECK(s.owner() == n2);
    }
}

TEST_CASE("a node that does not hear the leader gets no group") {
    Scene s(3);
    s.self = n2;
    s.deaf.insert(n1);
    s.run_on(n3);
    s.silence(n3);
    s.now += s.timing.hold;
    s.facts[n3].heard_at = s.now - s.timing.hold;
    s.facts[n3].may_run_until = s.now;
    s.settle();
    CHECK(s.owner() == n2);
}

TEST_CASE("a group without any fit node says so once and starts when a node comes") {
    Scene s;
    s.node(n1).isolated = s.node(n2).isolated = true;
    s.settle();
    CHECK(s.said(Reason::kGroupNoPlace));
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupNoPlace));
    s.node(n2).isolated = false;
    s.settle();
    CHECK(s.owner() == n2);
}

TEST_CASE("nothing starts while the cluster waits for start-up, is stopped, or the group is manual or held") {
    Scene s;
    SECTION("start-up") {
        s.startup_complete = false;
    }
    SECTION("cluster stopped") {
        s.document.cluster_stopped = true;
    }
    SECTION("manual") {
        s.group().start = config::StartAttribute::kManual;
    }
    SECTION("held") {
        s.entry().held = true;
    }
    s.settle();
    CHECK(s.owner() == kNobody);
}
