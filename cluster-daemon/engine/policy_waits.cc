// Groups that wait for others before they start or stop. What they wait for stands in waits.h; here is for how long,
// and what happens then. A new leader measures anew. A start waits before the group is given to a node; a stop waits
// with the order: the document says already that the group shall stop, so the intent outlives a leader.
#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/waits.h"

namespace kagami::engine {
namespace {

std::string subject_of(const config::Group& group) {
    return "group " + group.name;
}

}  // namespace

// ---- starts ----

bool Plan::waits_to_start(const config::Group& group, GroupEntry& entry, NodeId node) {
    const std::vector<std::string> names = start_waits_for(input_, next_, group, node);
    if (names.empty()) {
        memory_.start_waits.erase(group.name);
        return false;
    }
    PolicyMemory::Wait& wait =
        memory_.start_waits.try_emplace(group.name, PolicyMemory::Wait{input_.now}).first->second;
    if (wait.over) return false;
    const Instant limit = wait.since + group.start_wait.timeout;
    if (input_.now < limit) {
        consider(limit);
        say_once("start-wait" + group.name, Reason::kGroupStartWaits, subject_of(group),
                 start_wait_sentence(group, names));
        return true;
    }
    if (group.start_wait.on_timeout == config::WaitOutcome::kCancel) {
        cancel_start(group, entry, groups_named(names));
        return true;
    }
    wait.over = true;
    say(Reason::kGroupStartWaitOver, subject_of(group),
        "Group " + group.name + " starts without " + groups_named(names) + ": the time-out of its start_wait is over.");
    return false;
}

void Plan::cancel_start(const config::Group& group, GroupEntry& entry, const std::string& names) {
    memory_.start_waits.erase(group.name);
    entry.goal = Goal::kStopped;
    entry.target = kNobody;
    entry.held = true;
    say(Reason::kGroupStartWaitOver, subject_of(group),
        "The start of group " + group.name + " is cancelled: " + names +
            " did not run within the time-out of its start_wait. Start it with `kagami group start " + group.name +
            "`.");
}

// A management group is given to its node before the others, and they let it come up first; one that cannot is not
// waited for.
bool Plan::waits_for_management(const config::Group& group) {
    if (group.kind == config::GroupKind::kManagement) return false;
    for (const config::Group& first : input_.config->groups) {
        if (first.kind != config::GroupKind::kManagement) continue;
        const auto at = next_.groups.find(first.name);
        if (at == next_.groups.end()) continue;
        const GroupEntry& entry = at->second;
        const GroupReport* report = entry.owner ? report_of(*entry.owner, first.name) : nullptr;
        const bool settled = report != nullptr && report->token == entry.token &&
                             report->state != GroupState::kStarting && report->state != GroupState::kStopped;
        if (!entry.owner || entry.goal != Goal::kStarted || settled) {
            memory_.management_waits.erase(first.name);
            continue;
        }
        const Instant since = memory_.management_waits.try_emplace(first.name, input_.now).first->second;
        const Instant limit = since + limit_of(first);
        if (input_.now >= limit) continue;
        consider(limit);
        return true;
    }
    return false;
}

// ---- stops ----

bool Plan::ordered_to_stop(const std::string& group, const GroupEntry& entry) const {
    const auto sent = memory_.sent.find(group);
    if (sent != memory_.sent.end() && sent->second.token == entry.token && !sent->second.start) return true;
    const GroupReport* report = report_of(owner_of(entry), group);
    return report != nullptr && report->token >= entry.token &&
           (report->state == GroupState::kStopping || report->state == GroupState::kStopped);
}

void Plan::wait_to_stop(const config::Group& group, GroupEntry& entry) {
    const std::vector<std::string> names = stop_waits_for(next_, *input_.config, group);
    if (names.empty() || ordered_to_stop(group.name, entry)) {
        memory_.stop_waits.erase(group.name);
        return;
    }
    PolicyMemory::Wait& wait = memory_.stop_waits.try_emplace(group.name, PolicyMemory::Wait{input_.now}).first->second;
    if (wait.over) return;
    const Instant limit = wait.since + group.stop_wait.timeout;
    if (input_.now < limit) {
        consider(limit);
        held_stops_.insert(group.name);
        return say_once("stop-wait" + group.name, Reason::kGroupStopWaits, subject_of(group),
                        stop_wait_sentence(group, names));
    }
    if (!group.stop_wait.groups.empty() && group.stop_wait.on_timeout == config::WaitOutcome::kCancel)
        return cancel_stop(group, entry, groups_named(names));
    wait.over = true;
    say(Reason::kGroupStopWaitOver, subject_of(group),
        "Group " + group.name + " stops before " + groups_named(names) + ": the time-out of its stop_wait is over.");
}

void Plan::cancel_stop(const config::Group& group, GroupEntry& entry, const std::string& names) {
    const NodeId node = owner_of(entry).node;
    const bool node_stops = next_.node(node).leaving != Leaving::kNo;
    const std::string what = next_.cluster_stopped ? "the cluster" : node_stops ? name_of(node) : "group " + group.name;
    const std::string again = next_.cluster_stopped ? "kagami cluster stop"
                              : node_stops          ? "kagami node shutdown " + name_of(node)
                                                    : "kagami group stop " + group.name;
    say(Reason::kGroupStopWaitOver, subject_of(group),
        "The stop of " + what + " is cancelled: group " + group.name + " waits for " + names +
            ", and the time-out of its stop_wait is over. Stop what is named, then run `" + again + "` again.");
    if (next_.cluster_stopped)
        cancel_cluster_stop();
    else if (node_stops)
        cancel_node_stop(node);
    entry.goal = Goal::kStarted;
    entry.target = kNobody;
    entry.held = false;
    memory_.stop_waits.erase(group.name);
}

// What runs still goes on, what is stopped stays stopped until a person starts it.
void Plan::cancel_cluster_stop() {
    next_.cluster_stopped = false;
    for (auto& [node, entry] : next_.nodes)
        if (entry.state == NodeState::kMember) entry.leaving = Leaving::kNo;
    for (auto& [name, entry] : next_.groups) {
        if (entry.goal == Goal::kStarted) continue;
        const bool goes_on = entry.owner && !entry.stop_failed && !ordered_to_stop(name, entry);
        entry.target = kNobody;
        entry.held = !goes_on;
        if (goes_on) entry.goal = Goal::kStarted;
    }
    held_stops_.clear();
}

// Its groups that were told to stop come back; those that move away go on with it.
void Plan::cancel_node_stop(NodeId node) {
    next_.nodes[node].leaving = Leaving::kNo;
    next_.nodes[node].reserved_minutes = 0;
    for (auto& [name, entry] : next_.groups) {
        if (!entry.owner || owner_of(entry).node != node || entry.goal == Goal::kStarted) continue;
        if (entry.held || entry.stop_failed || entry.target != kNobody) continue;
        if (ordered_to_stop(name, entry))
            entry.target = node;
        else
            entry.goal = Goal::kStarted;
    }
}

}  // namespace kagami::engine
