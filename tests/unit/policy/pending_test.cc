// What displays say a group waits for: the same as what the policy decides.
#include "cluster-daemon/engine/pending.h"
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

std::string waits(Scene& s, const std::string& group = "web") {
    const PolicyInput in = s.input();
    const auto found = pending_of(in, s.group(group));
    return found ? found->words : "";
}

}  // namespace

TEST_CASE("a group that runs, or is not wanted, waits for nothing") {
    Scene s;
    SECTION("runs") {
        s.run_on(n1);
    }
    SECTION("held") {
        s.entry().held = true;
    }
    SECTION("manual") {
        s.group().start = config::StartAttribute::kManual;
    }
    SECTION("the cluster is stopped") {
        s.document.cluster_stopped = true;
        s.node(n1).isolated = s.node(n2).isolated = true;
    }
    CHECK(waits(s).empty());
}

TEST_CASE("waiting for a place names every node with its obstacle, at the first start and after a loss") {
    Scene s(3);
    s.node(n1).isolated = true;
    s.node(n2).isolated = true;
    SECTION("first start") {
        s.lose(n3);
        s.node(n3).state = NodeState::kLost;
        CHECK(
            waits(s) ==
            "waits for a place: node1: isolated until it is returned; node2: isolated until it is returned; node3: not "
            "heard");
    }
    SECTION("its owner is lost") {
        s.run_on(n3);
        s.settle();
        s.lose(n3);
        s.settle();
        CHECK(waits(s) ==
              "waits for a place: node1: isolated until it is returned; node2: isolated until it is returned");
    }
}

TEST_CASE("waits between groups and restraints are named") {
    Scene s(2, {"web", "db"});
    SECTION("start") {
        s.group("web").start_wait.groups = {"db"};
        s.settle();
        CHECK(waits(s) == "waits for group db to start");
    }
    SECTION("stop") {
        s.group("web").stop_wait.groups = {"db"};
        s.run_on(n1, "web");
        s.run_on(n1, "db");
        s.settle();
        s.ask(OperatorVerb::kClusterStop);
        s.settle();
        CHECK(waits(s) == "waits for group db to stop");
        CHECK(waits(s, "db").empty());
    }
    SECTION("the switch") {
        s.run_on(n2, "web");
        s.settle();
        s.document.failover = {false, false, "by root on node1"};
        s.lose(n2);
        s.settle();
        CHECK(waits(s) == "waits: failover is switched off (by root on node1); `kagami failover on` ends that");
    }
    SECTION("a maintenance") {
        s.document.maintenance = {MaintenanceKind::kObserve, 5};
        s.settle();
        CHECK(waits(s) == "waits: the cluster is under maintenance; `kagami maintenance end` ends that");
    }
}
