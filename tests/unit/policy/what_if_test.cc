// `kagami simulate`: the real policy on idealised nodes.
#include "cluster-daemon/engine/what_if.h"

#include "tests/unit/policy/asking.h"
#include "tests/unit/policy/mirrored.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

Snapshot snapshot_of(Scene& s) {
    s.settle();
    const PolicyInput input = s.input();
    Snapshot view;
    view.self = {s.self, s.boots[s.self]};
    view.document = s.document;
    view.config = std::make_shared<config::Config>(s.config);
    view.leader = s.self;
    view.leading = view.quorum = true;
    view.own_report = s.report(s.self);
    for (const auto& [node, facts] : input.facts) {
        if (node == s.self) continue;
        view.peers[node] = {node, facts.heard_at, facts.heartbeat, facts.report};
    }
    return view;
}

WhatIf ask(Scene& s, const std::string& events) {
    const Document before = s.document;
    const auto found = what_if(snapshot_of(s), events, s.now);
    REQUIRE(found);
    CHECK(s.document == before);
    return *found;
}

Error refusal(Scene& s, const std::string& events) {
    const auto found = what_if(snapshot_of(s), events, s.now);
    REQUIRE_FALSE(found);
    CHECK_FALSE(found.error().remedy.empty());
    return found.error();
}

bool has(const std::vector<std::string>& texts, const std::string& part) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a power failure of the standby changes nothing") {
    Scene s;
    s.run_on(n1);
    const WhatIf found = ask(s, "power-off node2");
    CHECK(found.outcome == "Every group would stay where it is.");
    REQUIRE(found.groups.size() == 1);
    CHECK(found.groups[0].from == n1);
    CHECK(found.groups[0].to == n1);
    CHECK(found.groups[0].gap == Duration{});
    CHECK(found.unmet.empty());
}

TEST_CASE("a power failure of the active node: its groups go over after detection, lease and start") {
    Scene s;
    SECTION("of a follower") {
        s.run_on(n2);
    }
    SECTION("of the leader") {
        s.run_on(n1);
    }
    const NodeId from = s.owner();
    const NodeId to = from == n1 ? n2 : n1;
    const WhatIf found = ask(s, from == n1 ? "power-off node1" : "power-off node2");
    CHECK(found.groups[0].from == from);
    CHECK(found.groups[0].to == to);
    CHECK(found.groups[0].gap >= s.timing.hold);
    CHECK(found.groups[0].gap <= 2 * s.timing.grant + 2 * kStepGuess);
    CHECK(found.groups[0].why.find("fails over") != std::string::npos);
    REQUIRE(found.groups[0].candidates.size() == 2);
    CHECK_FALSE(found.groups[0].candidates[from == n1 ? 0 : 1].obstacle.empty());
}

TEST_CASE("without a majority nothing runs") {
    Scene s;
    s.run_on(n1);
    const WhatIf found = ask(s, "power-off witness, power-off node2");
    CHECK(found.outcome == "The cluster has no majority: nothing runs.");
    CHECK(has(found.unmet, "a majority"));
    CHECK(found.groups[0].to == kNobody);
}

TEST_CASE("a witness that goes first, and is written off, leaves a pair that survives in part") {
    Scene s;
    s.run_on(n1);
    CHECK(ask(s, "power-off witness").outcome == "Every group would stay where it is.");
}

TEST_CASE("a cut between the nodes leaves the groups with the side of the witness and the leader") {
    Scene s;
    s.run_on(n2);
    const WhatIf split = ask(s, "cut node1 node2");
    CHECK(split.groups[0].to == n1);
    CHECK(split.groups[0].gap > Duration{});
    const WhatIf alone = ask(s, "cut node1 all");
    CHECK(alone.groups[0].to == n2);
}

TEST_CASE("a planned move, stop, shutdown and reboot are the policy's own") {
    Scene s(3, {"web", "db"});
    s.run_on(n1, "web");
    s.run_on(n2, "db");
    const WhatIf move = ask(s, "move web node3");
    CHECK(move.groups[0].to == n3);
    CHECK(move.groups[0].gap == 2 * kStepGuess);
    CHECK(move.groups[1].to == n2);
    CHECK(ask(s, "stop web").groups[0].to == kNobody);
    CHECK(ask(s, "stop web").unmet.empty());
    const WhatIf leaves = ask(s, "shutdown node1");
    CHECK(leaves.groups[0].to == n2);
    const WhatIf reboot = ask(s, "reboot node2, move web node3");
    CHECK(reboot.groups[0].to == n3);
    CHECK(reboot.groups[1].to == n1);
}

TEST_CASE("a broken resource is restarted, goes over, or stays broken as its monitor says") {
    Scene s;
    s.group().resources = {resource("app")};
    s.run_on(n1);
    CHECK(has(ask(s, "kill-resource app").unmet, "no monitor watches resource app"));
    config::Monitor monitor;
    monitor.name = "m1";
    monitor.target = "app";
    monitor.target_group = "web";
    s.config.monitors = {monitor};
    const WhatIf restart = ask(s, "kill-resource app");
    CHECK(restart.groups[0].to == n1);
    CHECK(restart.groups[0].gap > Duration{});
    s.config.monitors[0].on_error.restart = 0;
    const WhatIf over = ask(s, "kill-resource app");
    CHECK(over.groups[0].to == n2);
    CHECK(over.groups[0].why.find("monitor m1 found resource app broken") != std::string::npos);
    s.config.monitors[0].on_error.failover = 0;
    CHECK(has(ask(s, "kill-resource app").unmet, "neither a restart nor a failover"));
}

TEST_CASE("what the switches and the sentence of a refusal say holds in the simulation") {
    Scene s;
    s.run_on(n2);
    s.document.failover = {false, false, "by alice"};
    const WhatIf found = ask(s, "power-off node2");
    CHECK(found.groups[0].to == kNobody);
    CHECK(has(found.unmet, "a place for group web"));
    CHECK(found.groups[0].why.find("failover") != std::string::npos);
    CHECK(refusal(s, "move web node2").message == "group web already runs on node2");
}

TEST_CASE("the data of a mirror: nothing lost with two current copies, a risk when the only one is away") {
    Mirrored s;
    const WhatIf safe = ask(s, "power-off node1");
    CHECK_FALSE(safe.data_risk);
    CHECK(safe.groups[0].to == n2);
    CHECK(safe.data_sentence == "Mirror md1: nothing acknowledged is lost; one current copy is left.");
    s.record().replicas[n2].standing = mirror::Standing::kStale;
    const WhatIf risk = ask(s, "power-off node1");
    CHECK(risk.data_risk);
    CHECK(risk.groups[0].to == kNobody);
    CHECK(has(risk.unmet, "a current copy of mirror md1"));
}

TEST_CASE("what is not understood is refused with the forms, or the nearest name") {
    Scene s;
    s.run_on(n1);
    CHECK(refusal(s, "").code == ErrorCode::kUsage);
    CHECK(refusal(s, " , ").code == ErrorCode::kUsage);
    CHECK(refusal(s, "explode node1").remedy.find("kill-resource RESOURCE") != std::string::npos);
    CHECK(refusal(s, "power-off").code == ErrorCode::kUsage);
    CHECK(refusal(s, "cut node1 node1").remedy == "write: cut NODE NODE, of two different nodes");
    CHECK(refusal(s, "power-off mode2").remedy == "did you mean \"node2\"?");
    CHECK(refusal(s, "move wob").remedy == "did you mean \"web\"?");
    CHECK(refusal(s, "kill-resource app").code == ErrorCode::kNotFound);
    Snapshot empty = snapshot_of(s);
    empty.config = nullptr;
    CHECK_FALSE(what_if(empty, "power-off node1", s.now));
}
