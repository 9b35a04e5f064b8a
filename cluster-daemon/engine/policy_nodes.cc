// Members: admission of incarnations, loss, leaving. protocol.md 8 and the node line of 10.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {
namespace {

std::string subject_of(const std::string& name) {
    return "node " + name;
}

}  // namespace

void Plan::plan_nodes() {
    for (const config::Node& node : input_.config->nodes) {
        admit(node.id);
        watch(node.id);
        take_wish_to_leave(node.id);
    }
}

void Plan::admit(NodeId node) {
    const Heartbeat* heartbeat = heartbeat_of(node);
    if (heartbeat == nullptr || !is_heard(node) || !heartbeat->joining || heartbeat->leaving) return;
    if (next_.names(heartbeat->incarnation)) return;
    NodeEntry& entry = next_.nodes[node];
    const BootId boot = heartbeat->incarnation.boot;
    const std::string name = name_of(node);
    if (memory_.replaced_boots[node].contains(boot)) return;  // a late heartbeat of an incarnation that is gone
    if (heartbeat->timing_digest != input_.timing->digest)
        return say_once("digest" + name, Reason::kTimingMismatch, subject_of(name),
                        name + " is not admitted: it has other timing values than the cluster.");
    if (!heartbeat->guard_alive)
        return say_once("guard" + name, Reason::kGuardLost, subject_of(name),
                        name + " is not admitted: its guard does not run.");
    if (entry.state == NodeState::kFenced && entry.boot == boot)
        return say_once(
            "fenced" + name, Reason::kNodeIsolated, subject_of(name),
            name + " was confirmed down but still runs in the same boot: it is not admitted until it has rebooted.");
    if (next_.cluster_stopped) {
        if (!members().empty()) return;  // the stop goes on
        next_.cluster_stopped = false;
        for (auto& [group, in_document] : next_.groups) in_document.held = false;
    }
    const bool rebooted = entry.state == NodeState::kMember && entry.boot != boot;
    const bool clean = entry.state == NodeState::kAbsent || entry.reserved_minutes != 0 ||
                       (chosen_.cluster_stopped && entry.state == NodeState::kLeft);
    if (entry.state != NodeState::kAbsent && entry.boot != boot) memory_.replaced_boots[node].insert(entry.boot);
    NodeEntry admitted;
    admitted.state = NodeState::kMember;
    admitted.boot = boot;
    admitted.maintenance = entry.maintenance;
    if (entry.state == NodeState::kLeft) admitted.reserved_minutes = entry.reserved_minutes;  // until its groups start
    admitted.final_actions_cleared = entry.final_actions_cleared;
    // docs/decisions: armed = its guard covered it at admission; a watchdog decides the safety class only. A boot that
    // was unmanaged may not know yet that it no longer is.
    const bool same_boot = entry.state != NodeState::kAbsent && entry.boot == boot;
    admitted.armed = entry.maintenance.kind != MaintenanceKind::kUnmanaged && (entry.armed || !same_boot);
    entry = admitted;
    entry.isolated = !input_.config->auto_return && !clean;
    next_.last_standing.reset();
    if (rebooted)
        say(Reason::kNodeRebooted, subject_of(name), name + " has rebooted: what it ran before the reboot is stopped.");
    say(entry.isolated ? Reason::kNodeIsolated : Reason::kNodeAdmitted, subject_of(name),
        name + (entry.isolated ? " is back and stays isolated until `kagami node return " + name + "`."
                               : " is a member of the cluster."));
}

// The promises of a silent member must have run out before it is called lost (P4).
void Plan::watch(NodeId node) {
    NodeEntry& entry = next_.nodes[node];
    const NodeFacts* facts = facts_of(node);
    if (node == input_.self || facts == nullptr || entry.state != NodeState::kMember) return;
    const std::string name = name_of(node);
    if (is_heard(node)) {
        consider(facts->heard_at + input_.timing->detect);
        const Heartbeat* heartbeat = heartbeat_of(node);
        if (heartbeat != nullptr && !heartbeat->guard_alive)
            say_once("guard" + name, Reason::kGuardLost, subject_of(name),
                     "The guard of " + name + " does not run: no group starts there and its groups are suspended.");
        return;
    }
    if (input_.now < facts->may_run_until) return consider(facts->may_run_until);
    entry.state = NodeState::kLost;
    say(Reason::kNodeLost, subject_of(name), name + " is lost: nothing was heard of it and its lease has run out.");
}

// A final action on the node asks to leave. The report must know the present document, else it may still speak of a
// cancelled leave.
void Plan::take_wish_to_leave(NodeId node) {
    NodeEntry& entry = next_.nodes[node];
    const NodeReport* report = report_of({node, entry.boot});
    if (entry.state != NodeState::kMember || entry.leaving != Leaving::kNo || report == nullptr) return;
    if (!report->leaving || report->version < chosen_.version) return;
    if (chosen_.node(node).leaving != Leaving::kNo) return;  // it only obeys what a person has just taken back
    entry.leaving = Leaving::kStopDaemon;
    say(Reason::kFinalAction, subject_of(name_of(node)),
        name_of(node) + " leaves the cluster: a final action asks for it.");
}

bool Plan::owns_nothing(NodeId node) const {
    return std::none_of(next_.groups.begin(), next_.groups.end(),
                        [&](const auto& item) { return item.second.owner && item.second.owner->node == node; });
}

void Plan::set_left(NodeId node, uint32_t order) {
    NodeEntry& entry = next_.nodes[node];
    entry.state = NodeState::kLeft;
    entry.leave_order = order;
    say(Reason::kNodeLeft, subject_of(name_of(node)), name_of(node) + " has left the cluster.");
}

void Plan::plan_leaving() {
    if (next_.cluster_stopped) return leave_together();
    for (const NodeId node : members())
        if (next_.node(node).leaving != Leaving::kNo && owns_nothing(node)) leave_alone(node);
}

// All in one document: nobody is last, so each may start again with a majority of the others.
void Plan::leave_together() {
    const std::set<NodeId> staying = members();
    const bool ready = std::all_of(staying.begin(), staying.end(), [&](NodeId node) {
        return next_.node(node).leaving != Leaving::kNo && owns_nothing(node);
    });
    if (!ready) return;
    for (const NodeId node : staying) set_left(node, 1);
}

void Plan::leave_alone(NodeId node) {
    std::set<NodeId> others = members();
    others.erase(node);
    std::erase_if(others, [&](NodeId other) { return !is_heard(other) || next_.node(other).leaving != Leaving::kNo; });
    if (node == input_.self && hand_over_before_leaving(others)) return;
    uint32_t order = 0;
    for (const auto& [other, entry] : next_.nodes) order = std::max(order, entry.leave_order);
    set_left(node, order + 1);
    if (!members().empty()) return;
    next_.last_standing = LastStanding{node, chosen_.version.epoch};
    for (auto& [name, group] : next_.groups)
        if (!group.owner) group.goal = Goal::kStopped;  // the next start of the cluster starts what starts by itself
}

// A leader that leaves lets another node lead first, so that nobody has to wait for its lease to run out.
bool Plan::hand_over_before_leaving(const std::set<NodeId>& others) {
    if (others.empty()) return false;
    if (!memory_.leave_handover) memory_.leave_handover = input_.now;
    const Instant limit = *memory_.leave_handover + input_.timing->hold;
    if (input_.now >= limit) return false;
    consider(limit);
    out_.hand_over_to = *others.begin();
    return true;
}

}  // namespace kagami::engine
