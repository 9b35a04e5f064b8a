// Dynamic failover and server groups: which of several fit nodes is taken.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

const NodeId n4{4};

Scene dynamic(int nodes = 3) {
    Scene s(nodes);
    s.group().failover = config::FailoverAttribute::kDynamic;
    s.add_monitor("net");
    s.add_monitor("disk");
    s.add_monitor("web-alive", true);
    s.run_on(n1);
    s.self = n2;
    s.settle();
    return s;
}

Scene sites(config::ServerGroupPolicy policy) {
    Scene s(4);
    s.config.server_groups = {{"tokyo", {n1, n2}}, {"osaka", {n3, n4}}};
    s.group().server_groups = {"tokyo", "osaka"};
    s.group().server_group_policy = policy;
    return s;
}

}  // namespace

TEST_CASE("dynamic: a node with a monitor in error takes nothing, unless failover is forced and there is no other") {
    Scene s = dynamic();
    s.monitor_state(n2, "net", MonitorState::kError);
    s.lose(n1);
    SECTION("another is healthy") {
        s.settle();
        CHECK(s.owner() == n3);
        CHECK(s.rejected(Reason::kGroupFailover)[0] == "node2: monitor net reports an error there");
    }
    SECTION("none is") {
        s.monitor_state(n3, "disk", MonitorState::kError);
        s.settle();
        CHECK(s.owner() == n1);
        REQUIRE(s.rejected(Reason::kGroupNoPlace).size() == 2);
        CHECK(s.rejected(Reason::kGroupNoPlace)[1] == "node3: monitor disk reports an error there");
        s.monitor_state(n3, "disk", MonitorState::kNormal);
        s.settle();
        CHECK(s.owner() == n3);
    }
    SECTION("none is, and it is forced: fewer errors first") {
        s.group().forced_failover = true;
        s.monitor_state(n2, "disk", MonitorState::kError);
        s.monitor_state(n3, "disk", MonitorState::kError);
        s.settle();
        CHECK(s.owner() == n3);
        CHECK(s.rejected(Reason::kGroupFailover)[0] == "node2: monitor net reports an error there");
    }
}

TEST_CASE("dynamic: cautions count after errors, monitors of an active target and unknown ones not at all") {
    Scene s = dynamic();
    s.monitor_state(n2, "net", MonitorState::kCaution);
    s.monitor_state(n3, "web-alive", MonitorState::kError);
    s.monitor_state(n3, "no-longer-configured", MonitorState::kError);
    s.lose(n1);
    s.settle();
    CHECK(s.owner() == n3);
    CHECK(s.rejected(Reason::kGroupFailover)[0] == "node2: monitor net reports a caution there");
}

TEST_CASE("dynamic: equal health falls back to the order, smart looks at free memory first") {
    Scene s = dynamic();
    s.memory = {{n2, 1024}, {n3, 4096}};
    SECTION("by order") {
        s.lose(n1);
        s.settle();
        CHECK(s.owner() == n2);
    }
    SECTION("smart") {
        s.group().smart_failover = true;
        s.lose(n1);
        s.settle();
        CHECK(s.owner() == n3);
        CHECK(s.rejected(Reason::kGroupFailover)[0] == "node2: less memory is free there");
    }
    SECTION("smart, but health counts more") {
        s.group().smart_failover = true;
        s.monitor_state(n3, "net", MonitorState::kCaution);
        s.lose(n1);
        s.settle();
        CHECK(s.owner() == n2);
    }
}

TEST_CASE("dynamic: a group may start again where it ran although a monitor reports an error there") {
    Scene s = dynamic();
    s.monitor_state(n1, "net", MonitorState::kError);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("dynamic: a report of an earlier incarnation says nothing") {
    Scene s = dynamic();
    s.monitor_state(n2, "net", MonitorState::kError);
    s.lose(n1);
    PolicyInput in = s.input();
    in.facts[n2].report->incarnation.boot = boot_of(n2, 9);
    const PolicyOutput out = s.policy.plan(in);
    REQUIRE(out.next);
    CHECK(out.next->groups.at("web").owner->node == n2);
}

TEST_CASE("without dynamic, monitors of a candidate do not count") {
    Scene s = dynamic();
    s.group().failover = config::FailoverAttribute::kAuto;
    s.monitor_state(n2, "net", MonitorState::kError);
    s.lose(n1);
    s.settle();
    CHECK(s.owner() == n2);
}

TEST_CASE("prefer: first to nodes of the server group where it ran") {
    Scene s = sites(config::ServerGroupPolicy::kPrefer);
    s.run_on(n3);
    s.settle();
    s.lose(n3);
    SECTION("its own server group has a node") {
        s.settle();
        CHECK(s.owner() == n4);
        CHECK(s.rejected(Reason::kGroupFailover)[0] == "node1: in another server group than where it ran");
    }
    SECTION("it has none") {
        s.silence(n4);
        s.settle();
        CHECK(s.owner() == n1);
    }
}

TEST_CASE("manual-between: by itself only within the server group, a person may move it") {
    Scene s = sites(config::ServerGroupPolicy::kManualBetween);
    s.run_on(n3);
    s.settle();
    s.silence(n4);
    s.lose(n3);
    s.settle();
    CHECK(s.owner() == n3);
    REQUIRE(s.rejected(Reason::kGroupNoPlace).size() == 3);
    CHECK(s.rejected(Reason::kGroupNoPlace)[0] ==
          "node1: in server group tokyo, and osaka is where it ran: only a person moves it there");
    CHECK(s.rejected(Reason::kGroupNoPlace)[2] == "node4: not heard");
    s.ask(OperatorVerb::kGroupStart, "web", n1);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("manual-between: the first start follows the order, failback stays within") {
    Scene s = sites(config::ServerGroupPolicy::kManualBetween);
    s.group().failback = true;
    SECTION("first start") {
        s.settle();
        CHECK(s.owner() == n1);
    }
    SECTION("failback") {
        s.run_on(n4);
        s.settle();
        CHECK(s.entry().target == n3);
    }
}

TEST_CASE("exclusive rules weigh more than server groups") {
    Scene s = sites(config::ServerGroupPolicy::kPrefer);
    config::Group db = s.group();
    db.name = "db";
    s.config.groups.push_back(db);
    s.config.exclusive_rules.push_back({"apart", false, {"web", "db"}});
    s.run_on(n3);
    s.run_on(n4, "db");
    s.settle();
    s.lose(n3);
    s.settle();
    CHECK(s.owner() == n1);
    CHECK(s.owner("db") == n4);
}
