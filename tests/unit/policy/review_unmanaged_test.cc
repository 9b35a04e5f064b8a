// Persons' orders about a node that is unmanaged: it obeys no start, so none is promised.
#include "tests/unit/policy/asking.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

struct Unmanaged : Scene {
    Unmanaged() {
        group().resources.emplace_back();
        group().resources.back().name = "app";
        node(n2).maintenance = {MaintenanceKind::kUnmanaged, 60};
        node(n2).armed = false;
    }
};

}  // namespace

TEST_CASE("a group is not moved to an unmanaged node, where it would not start") {
    Unmanaged s;
    s.run_on(n1);
    const OperatorReply reply = refusal_of(s, request_of(OperatorVerb::kGroupMove, "web", n2));
    CHECK(reply.message ==
          "group web cannot move to node2: unmanaged, so nothing is started there until `kagami maintenance end --node "
          "node2`");
    refusal_of(s, request_of(OperatorVerb::kGroupMove, "web"));
    refusal_of(s, request_of(OperatorVerb::kFailoverForce));
    CHECK(s.owner() == n1);
}

TEST_CASE("a group is not started on an unmanaged node, and goes to another one when none is named") {
    Unmanaged s;
    s.entry().held = true;
    refusal_of(s, request_of(OperatorVerb::kGroupStart, "web", n2));
    s.group().nodes = {n2, n1};
    answer_to(s, request_of(OperatorVerb::kGroupStart, "web"));
    CHECK(s.owner() == n1);
}

TEST_CASE("a move whose target becomes unmanaged meanwhile does not end there") {
    Unmanaged s;
    s.node(n2).maintenance = {};
    s.node(n2).armed = true;
    s.run_on(n1);
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    REQUIRE(s.entry().target == n2);
    s.node(n2).maintenance = {MaintenanceKind::kUnmanaged, 60};
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("resources on an unmanaged node are not handled singly") {
    Unmanaged s;
    s.run_on(n2);
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStop, "app")).message ==
          "group web is on node2, which is unmanaged");
}

TEST_CASE("a group on an unmanaged node is stopped by a person's word") {
    Unmanaged s;
    s.run_on(n2);
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    CHECK(s.entry().goal == Goal::kStopped);
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == kNobody);
}

TEST_CASE("a node does not become unmanaged while a group is being started on it, which would stay half started") {
    Unmanaged s;
    s.node(n2).maintenance = {};
    s.node(n2).armed = true;
    s.run_on(n2);
    OperatorRequest request = request_of(OperatorVerb::kMaintenanceBegin, "node2");
    request.scope = MaintenanceScope::kNode;
    request.maintenance = MaintenanceKind::kUnmanaged;
    request.minutes = 30;
    s.report_state(n2, GroupState::kStarting);
    CHECK(refusal_of(s, request).message == "group web is being started on node2");
    s.report_state(n2, GroupState::kActive);
    answer_to(s, request);
    CHECK(s.node(n2).maintenance.kind == MaintenanceKind::kUnmanaged);
    CHECK_FALSE(s.node(n2).armed);
}
