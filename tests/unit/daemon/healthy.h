// A healthy two-node cluster as node1 sees it, for the tests of the status.
#pragma once

#include "cluster-daemon/runtime/daemon/status_builder.h"
#include "tests/unit/daemon/sample.h"

namespace kagami::testing {

inline constexpr Instant kNow{1000s};
inline const Incarnation kNode1{NodeId{1}, BootId{1}};
inline const Incarnation kNode2{NodeId{2}, BootId{2}};

inline engine::GroupReport web_report(engine::GroupState state, engine::ResourceState resources) {
    engine::GroupReport report;
    report.group = "web";
    report.state = state;
    report.resources = {{"fip1", resources, ""}, {"nginx", resources, ""}};
    return report;
}

// node1 answers, leads and owns web; node2 and the witness were heard just now.
inline runtime::StatusInput healthy() {
    runtime::StatusInput input;
    input.now = kNow;
    input.timing = engine::Timing::derive({});
    input.guard = {true, true, "simulated", false, true, true};
    engine::Snapshot& s = input.snapshot;
    s.config = sample_config();
    s.document = engine::genesis(Uuid{7}, *s.config, sample_packed());
    s.self = kNode1;
    s.leader = kNode1.node;
    s.leading = s.quorum = s.startup_complete = s.guard_alive = s.guard_armed = true;
    s.run_until = kNow + 1500ms;
    for (const Incarnation& who : {kNode1, kNode2}) {
        s.document.nodes[who.node] = {engine::NodeState::kMember, who.boot, true, false, 0,
                                      engine::Leaving::kNo,       {},       0,    0};
    }
    auto& web = s.document.groups["web"];
    web.owner = kNode1;
    web.goal = engine::Goal::kStarted;
    s.own_report.groups = {web_report(engine::GroupState::kActive, engine::ResourceState::kOnline)};
    s.own_report.monitors = {{"nginx-alive", engine::MonitorState::kNormal, "process 7 is alive", 1, 0}};
    for (const NodeId peer : {kNode2.node, kWitnessId}) {
        engine::PeerView& view = s.peers[peer];
        view.id = peer;
        view.heard_at = kNow - 100ms;
        view.heartbeat.emplace();
        view.heartbeat->incarnation = peer == kNode2.node ? kNode2 : Incarnation{kWitnessId, BootId{3}};
        view.heartbeat->joining = false;
        view.heartbeat->guard_alive = true;
        view.heartbeat->heard = 0b11;
        view.heartbeat->hears_witness = true;
    }
    return input;
}

}  // namespace kagami::testing
