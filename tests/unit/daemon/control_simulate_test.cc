// The answer as it goes to people; what is decided is the engine's (tests/unit/policy).
#include "cluster-daemon/runtime/daemon/control_simulate.h"

#include <catch2/catch.hpp>

#include "proto/control.pb.h"
#include "tests/unit/daemon/healthy.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;
namespace proto = control::v1;

namespace {

// As healthy(), with a document that a leader has chosen, and reports of both nodes.
StatusInput running() {
    StatusInput input = healthy();
    engine::Snapshot& s = input.snapshot;
    s.document.version = {Epoch::make(1, NodeId{1}), 5};
    s.document.leader = kNode1;
    s.document.groups["web"].token = s.document.version;
    s.document.groups["web"].last_owner = NodeId{1};
    s.own_report.incarnation = kNode1;
    s.own_report.groups[0].token = s.document.version;
    auto& other = s.peers[NodeId{2}];
    other.report.emplace();
    other.report->incarnation = kNode2;
    for (auto& [id, peer] : s.peers) peer.heartbeat->timing_digest = input.timing.digest;
    return input;
}

proto::SimulateAnswer asked(const StatusInput& input, const std::string& events) {
    proto::SimulateAnswer answer;
    simulate(input, events, answer);
    return answer;
}

}  // namespace

TEST_CASE("the loss of a group's node takes it to the other one, with a gap, a reason and candidates") {
    const proto::SimulateAnswer answer = asked(running(), "power-off node1");
    INFO(answer.DebugString());
    REQUIRE_FALSE(answer.has_refused());
    REQUIRE(answer.groups_size() == 1);
    CHECK(answer.groups(0).from() == "node1");
    CHECK(answer.groups(0).to() == "node2");
    CHECK(answer.groups(0).gap_ms() > 0);
    CHECK(answer.groups(0).gap_ms() < 30'000);
    CHECK(answer.groups(0).candidates_size() == 2);
    CHECK_FALSE(answer.groups(0).why().empty());
    CHECK_FALSE(answer.outcome().empty());
    CHECK(answer.decisions_size() > 0);
    CHECK_FALSE(answer.data_risk());
}

TEST_CASE("the loss of the other node leaves the group alone") {
    const proto::SimulateAnswer answer = asked(running(), "power-off node2");
    INFO(answer.DebugString());
    CHECK(answer.groups(0).to() == "node1");
    CHECK(answer.groups(0).gap_ms() == 0);
}

TEST_CASE("what stays down has no gap but -1, and what is missing is named") {
    const proto::SimulateAnswer answer = asked(running(), "power-off node2, power-off witness");
    INFO(answer.DebugString());
    CHECK(answer.groups(0).to().empty());
    CHECK(answer.groups(0).gap_ms() == -1);
    CHECK(answer.unmet_size() >= 1);
}

TEST_CASE("what would be refused, and what is not understood, is refused with its code and remedy") {
    CHECK(asked(running(), "move web node1").refused().code() != 0);
    CHECK(asked(running(), "move wep").refused().code() == 3);
    CHECK(asked(running(), "power-off nodee1").refused().remedy().find("node1") != std::string::npos);
    CHECK(asked(running(), "explode node1").refused().code() == 2);
    CHECK(asked(running(), "").has_refused());
    StatusInput nothing = running();
    nothing.snapshot.config.reset();
    CHECK(asked(nothing, "power-off node1").has_refused());
}
