// Nodes, their paths, the witness and who votes.
#include <fmt/format.h>

#include <algorithm>

#include "cluster-daemon/runtime/daemon/status_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::NodeState;

std::string leaving_message(engine::Leaving leaving) {
    switch (leaving) {
        case engine::Leaving::kNo: return {};
        case engine::Leaving::kStopDaemon: return "leaves the cluster; its operating system stays up";
        case engine::Leaving::kHalt: return "leaves the cluster and shuts down";
        case engine::Leaving::kReboot: return "leaves the cluster and reboots";
    }
    return {};
}

void add_flags(const engine::NodeEntry& entry, proto::Node& out) {
    if (entry.state == NodeState::kMember && !entry.armed) out.add_flags("UNARMED");
    if (entry.maintenance.kind == engine::MaintenanceKind::kObserve) out.add_flags("OBSERVE");
    if (entry.maintenance.kind == engine::MaintenanceKind::kUnmanaged) out.add_flags("UNMANAGED");
    if (entry.reserved_minutes != 0) out.add_flags("RESERVED");
}

std::string role_of(const View& view, NodeId id) {
    if (view.in.snapshot.leader == id) return "LEADER";
    const bool member = view.document().node(id).state == NodeState::kMember && view.heard(id);
    return member && view.in.snapshot.leader != kNobody ? "MEMBER" : "UNKNOWN";
}

std::string server_group_of(const View& view, NodeId id) {
    std::string names;
    for (const config::ServerGroup& group : view.config.server_groups) {
        if (std::find(group.nodes.begin(), group.nodes.end(), id) == group.nodes.end()) continue;
        names += (names.empty() ? "" : ", ") + group.name;
    }
    return names;
}

// What the node's report says of the machine.
void fill_machine(const View& view, NodeId id, proto::Node& out) {
    out.set_final_actions_limit(static_cast<uint32_t>(std::max(0, view.config.final_action_limit)));
    const engine::NodeReport* report = view.report(id);
    if (report == nullptr) return;
    out.set_final_actions(report->final_actions);
    out.set_memory_free_mib(report->memory_free_mib);
    out.set_disk_free_mib(report->disk_free_mib);
}

void fill_lease(const View& view, NodeId id, proto::Node& out) {
    const engine::Snapshot& s = view.in.snapshot;
    if (!view.is_self(id)) {
        out.set_lease(view.heard(id) && view.document().node(id).state == NodeState::kMember && s.quorum);
        return;
    }
    const Duration left = s.run_until - view.in.now;
    out.set_lease(s.run_until != Instant{} && left > Duration::zero());
    out.set_lease_left_ms(out.lease() ? milliseconds(left) : 0);
    out.set_binary_version(KAGAMI_VERSION);
}

void fill_node(const View& view, const config::Node& node, proto::Node& out) {
    const engine::NodeEntry& entry = view.document().node(node.id);
    out.set_id(node.id.value);
    out.set_name(node.name);
    out.set_comment(node.comment);
    out.set_state(node_state(view, node.id));
    out.set_member_state(word(entry.state));
    out.set_incarnation(to_string(entry.boot).substr(0, 8));
    out.set_armed(entry.armed && entry.state == NodeState::kMember);
    out.set_message(node_message(view, node.id));
    out.set_role(role_of(view, node.id));
    out.set_server_group(server_group_of(view, node.id));
    out.set_reserved_left_ms(int64_t{60'000} * entry.reserved_minutes);
    if (entry.maintenance.kind != engine::MaintenanceKind::kNone)
        fill_maintenance(entry.maintenance, *out.mutable_maintenance());
    add_flags(entry, out);
    fill_machine(view, node.id, out);
    fill_lease(view, node.id, out);
    for (const PathView& path : view.in.paths) {
        if (path.peer == node.id) fill_path(view, path, *out.add_paths());
    }
    const engine::Heartbeat* beat = view.heartbeat(node.id);
    if (beat != nullptr) out.set_witness_state(beat->hears_witness ? "Normal" : "Error");
}

void fill_witness(const View& view, proto::Status& status) {
    const engine::Voter* voter = view.document().voter(kWitnessId);
    if (voter == nullptr) return;
    proto::Witness& out = *status.mutable_witness();
    out.set_kind("server");
    out.set_weight(voter->weight);
    const bool heard = view.heard(kWitnessId);
    out.set_state(heard ? "Normal" : "Error");
    if (!heard) out.set_message("does not answer");
    if (heard && voter->weight == 0) {
        out.set_message(view.config.nodes.size() % 2 == 1 ? "stands by: an odd number of nodes decides without it"
                                                          : "answers, but has no vote now");
    }
    for (const PathView& path : view.in.paths) {
        if (path.peer != kWitnessId) continue;
        fill_path(view, path, *out.add_paths());
        if (out.address().empty()) out.set_address(path.peer_address);
    }
}

void fill_arbitration(const View& view, proto::Status& status) {
    proto::Arbitration& out = *status.mutable_arbitration();
    out.set_option(std::string(config::word(view.config.arbitration.option)));
    uint32_t total = 0;
    uint32_t reachable = 0;
    for (const engine::Voter& voter : view.document().voters) {
        proto::Voter& line = *out.add_voters();
        line.set_name(view.name(voter.id.node));
        line.set_weight(voter.weight);
        line.set_reachable(view.heard(voter.id.node));
        total += voter.weight;
        if (line.reachable()) reachable += voter.weight;
        if (voter.weight > 1) out.set_tie_holder(line.name());
    }
    out.set_majority(total / 2 + 1);
    out.set_reachable_weight(reachable);
    const bool all = reachable == total;
    out.set_state(!view.in.snapshot.quorum ? "Error" : (all ? "Normal" : "Caution"));
    if (!view.in.snapshot.quorum)
        out.set_message("no majority: groups are suspended here until one is reached");
    else if (reachable < out.majority() + 1 && total > 1)
        out.set_message("one more loss and nobody has a majority");
}

}  // namespace

std::string node_state(const View& view, NodeId id) {
    const engine::NodeEntry& entry = view.document().node(id);
    const engine::Heartbeat* beat = view.heartbeat(id);
    const engine::NodeReport* report = view.report(id);
    if (entry.state == NodeState::kMember) {
        if (!view.heard(id)) return "Unknown";
        if (beat != nullptr && beat->joining) return "Online Pending";
        if ((report != nullptr && report->leaving) || entry.leaving != engine::Leaving::kNo) return "Offline Pending";
        return entry.isolated ? "Suspend" : "Online";
    }
    const bool up = view.is_self(id) || beat != nullptr;
    return up && entry.state != NodeState::kLeft ? "Online Pending" : "Offline";
}

std::string node_message(const View& view, NodeId id) {
    const engine::NodeEntry& entry = view.document().node(id);
    if (view.is_self(id) && !view.in.snapshot.waiting_for.empty()) return view.in.snapshot.waiting_for;
    if (entry.isolated) return fmt::format("isolated: runs no groups until `kagami node return {}`", view.name(id));
    if (entry.reserved_minutes != 0) {
        return fmt::format("a planned reboot: its groups wait up to {} min more for it", entry.reserved_minutes);
    }
    if (view.heard(id)) return entry.state == NodeState::kMember ? leaving_message(entry.leaving) : std::string();
    switch (entry.state) {
        case NodeState::kAbsent: return "never joined";
        case NodeState::kMember: return "not heard; its promises have not run out yet";
        case NodeState::kLeft: return "left the cluster cleanly";
        case NodeState::kLost: return "lost: not heard until its promises had run out";
        case NodeState::kFenced: return "off, verified or by a person's word";
    }
    return {};
}

void fill_path(const View& view, const PathView& path, proto::Path& out) {
    out.set_network(path.network);
    out.set_from(view.name(view.in.snapshot.self.node));
    out.set_to(view.name(path.peer));
    out.set_from_address(path.own_address);
    out.set_to_address(path.peer_address);
    out.set_state(path.alive ? (path.loss_percent >= 10 ? "Caution" : "Normal") : "Error");
    out.set_rtt_ms(path.rtt_ms);
    out.set_loss_percent(path.loss_percent);
    out.set_last_seen_ms(path.last_seen < Duration::zero() ? -1 : milliseconds(path.last_seen));
    out.set_control(path.control);
    out.set_control_state(path.control ? (path.alive ? "Normal" : "Error") : "Unused");
}

void fill_nodes(const View& view, proto::Status& status) {
    for (const config::Node& node : view.config.nodes) fill_node(view, node, *status.add_nodes());
    fill_witness(view, status);
    fill_arbitration(view, status);
}

}  // namespace kagami::runtime
