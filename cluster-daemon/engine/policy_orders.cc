// What follows from the chosen document: START and STOP until the reports match, replies that have come to their end,
// hand-over.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"

namespace kagami::engine {

void Plan::send_orders() {
    for (const auto& [group, entry] : chosen_.groups) {
        const auto planned = next_.groups.find(group);
        const bool unchanged = planned != next_.groups.end() && planned->second.owner == entry.owner &&
                               planned->second.goal == entry.goal && planned->second.token == entry.token;
        if (!entry.owner || !unchanged || !is_heard(owner_of(entry).node) || !chosen_.names(owner_of(entry))) continue;
        if (entry.goal == Goal::kStarted)
            order_start(group, entry);
        else if (!held_stops_.contains(group))
            order_stop(group, entry);
    }
}

void Plan::order_start(const std::string& group, const GroupEntry& entry) {
    const GroupReport* report = report_of(owner_of(entry), group);
    if (report != nullptr && report->token >= entry.token) return;
    if (!input_.startup_complete || !due(group, entry.token, true)) return;
    StartGroup order;
    order.group = group;
    order.token = entry.token;
    order.previous = entry.last_owner;
    const auto known = memory_.assigned.find(group);
    if (known != memory_.assigned.end() && known->second.owner == owner_of(entry)) {
        order.failover = known->second.failover;
        order.proven_stopped = known->second.proven_stopped;
    }
    out_.orders.push_back({owner_of(entry).node, order, 0});
}

void Plan::order_stop(const std::string& group, const GroupEntry& entry) {
    const GroupReport* report = report_of(owner_of(entry), group);
    const bool seen = report != nullptr && report->token >= entry.token;
    const bool again = memory_.stop_again.contains(group);
    if (seen && report->state == GroupState::kStopFailed && !again) return;
    if (seen && (report->state == GroupState::kStopping || report->state == GroupState::kStopped)) {
        memory_.stop_again.erase(group);
        return;
    }
    if (!due(group, entry.token, false)) return;
    StopGroup order;
    order.group = group;
    order.token = entry.token;
    order.reason = stop_reason(entry);
    const Leaving leaving = chosen_.node(owner_of(entry).node).leaving;
    order.last_action = leaving == Leaving::kHalt ? 1 : leaving == Leaving::kReboot ? 2 : 0;
    out_.orders.push_back({owner_of(entry).node, order, 0});
}

bool Plan::due(const std::string& group, const Token& token, bool start) {
    const Duration every = 3 * input_.timing->renew;
    const auto at = memory_.sent.find(group);
    const bool same = at != memory_.sent.end() && at->second.token == token && at->second.start == start;
    if (same && input_.now < at->second.at + every) {
        consider(at->second.at + every);
        return false;
    }
    memory_.sent[group] = {token, start, input_.now};
    consider(input_.now + every);
    return true;
}

StopReason Plan::stop_reason(const GroupEntry& entry) const {
    if (chosen_.node(owner_of(entry).node).leaving != Leaving::kNo)
        return chosen_.cluster_stopped ? StopReason::kClusterShutdown : StopReason::kServerShutdown;
    if (entry.target == kNobody) return StopReason::kGroupStop;
    return entry.failed_on.contains(owner_of(entry).node) ? StopReason::kGroupFailover : StopReason::kGroupMove;
}

// ---- replies ----

void Plan::settle_replies() {
    std::erase_if(memory_.owed, [&](OwedReply& owed) { return settle(owed); });
}

bool Plan::settle(OwedReply& owed) {
    if (owed.changes && chosen_.version <= owed.asked_at) return false;
    switch (owed.verb) {
        case OperatorVerb::kGroupStart:
        case OperatorVerb::kGroupStop:
        case OperatorVerb::kGroupMove: return settle_group(owed);
        case OperatorVerb::kNodeShutdown: return settle_shutdown(owed);
        case OperatorVerb::kClusterStop: return settle_cluster_stop(owed);
        case OperatorVerb::kNodeReturn:
            reply(owed, OperatorOutcome::kDone, owed.subject + " is back: groups may start there.");
            return true;
        case OperatorVerb::kClusterStart: reply(owed, OperatorOutcome::kDone, "The cluster is running."); return true;
        case OperatorVerb::kConfigApply: return settle_apply(owed);
        case OperatorVerb::kConfirmDown:
            reply(owed, OperatorOutcome::kDone, owed.subject + " is recorded as down.");
            return true;
        case OperatorVerb::kMirrorForce:
        case OperatorVerb::kMirrorResync:
        case OperatorVerb::kMirrorCancel:
        case OperatorVerb::kMirrorBreak:
        case OperatorVerb::kMirrorRejoin: return settle_mirror(owed);
        case OperatorVerb::kResourceStart:
        case OperatorVerb::kResourceStop: return settle_resources(owed);
        case OperatorVerb::kFailoverForce: return settle_force(owed);
        case OperatorVerb::kLeaderMove: return settle_leader_move(owed);
        case OperatorVerb::kMonitorSuspend:
        case OperatorVerb::kMonitorResume:
        case OperatorVerb::kMonitorDummyOn:
        case OperatorVerb::kMonitorDummyOff:
        case OperatorVerb::kMonitorClear:
        case OperatorVerb::kFailoverOn:
        case OperatorVerb::kFailoverOff:
        case OperatorVerb::kMaintenanceBegin:
        case OperatorVerb::kMaintenanceEnd:
        case OperatorVerb::kTimeoutRatio:
        case OperatorVerb::kFinalActionsClear:
        case OperatorVerb::kConfigConfirm: return settle_followed(owed);
    }
    return true;
}

// A group that cannot be stopped keeps its node, kNobody = any node, in the cluster.
bool Plan::stuck(const OwedReply& owed, NodeId node) {
    const auto at = std::find_if(chosen_.groups.begin(), chosen_.groups.end(), [&](const auto& item) {
        const GroupEntry& entry = item.second;
        return entry.stop_failed && entry.owner && (node == kNobody || owner_of(entry).node == node);
    });
    if (at == chosen_.groups.end()) return false;
    const std::string place = name_of(owner_of(at->second).node);
    reply(
        owed, OperatorOutcome::kFailed,
        "group " + at->first + " could not be stopped on " + place + ": " + place + " stays in the cluster",
        "repair what its stop reported and run `kagami group stop " + at->first + "` again; the shutdown goes on then");
    return true;
}

bool Plan::cancelled(const OwedReply& owed) {
    const std::string what = owed.subject.empty() ? "the cluster" : owed.subject;
    reply(owed, OperatorOutcome::kFailed, "the stop of " + what + " was cancelled",
          "look at `kagami why" + (owed.subject.empty() ? "" : " " + owed.subject) + "`");
    return true;
}

bool Plan::settle_shutdown(const OwedReply& owed) {
    const config::Node* node = input_.config->node(owed.subject);
    const NodeState state = node == nullptr ? NodeState::kAbsent : chosen_.node(node->id).state;
    if (state == NodeState::kMember && chosen_.node(node->id).leaving == Leaving::kNo) return cancelled(owed);
    if (state == NodeState::kMember) return stuck(owed, node->id);
    const bool left = state == NodeState::kLeft;
    reply(owed, left ? OperatorOutcome::kDone : OperatorOutcome::kFailed,
          owed.subject + (left ? " has left the cluster." : " was lost while it was leaving."),
          left ? "" : "look at `kagami why " + owed.subject + "`");
    return true;
}

bool Plan::settle_cluster_stop(const OwedReply& owed) {
    for (const auto& [node, entry] : chosen_.nodes)
        if (entry.state == NodeState::kMember) return chosen_.cluster_stopped ? stuck(owed, kNobody) : cancelled(owed);
    reply(owed, OperatorOutcome::kDone, "The cluster is stopped.");
    return true;
}

bool Plan::settle_group(OwedReply& owed) {
    const auto at = chosen_.groups.find(owed.subject);
    if (at == chosen_.groups.end()) {
        reply(owed, OperatorOutcome::kFailed, "group " + owed.subject + " is no longer configured");
        return true;
    }
    const GroupEntry& entry = at->second;
    const GroupReport* report = entry.owner ? report_of(owner_of(entry), owed.subject) : nullptr;
    if (report != nullptr && report->token < entry.token) report = nullptr;
    const bool ended =
        owed.verb == OperatorVerb::kGroupStop ? settle_stop(owed, entry, report) : settle_start(owed, entry, report);
    if (ended) return true;
    if (input_.now < owed.deadline) {
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kFailed,
          "group " + owed.subject + ": the command took longer than the time-outs of its resources",
          "look at `kagami why " + owed.subject + "`; the cluster goes on with it", ErrorCode::kTimedOut);
    return true;
}

bool Plan::settle_start(const OwedReply& owed, const GroupEntry& entry, const GroupReport* report) {
    const std::string group = "group " + owed.subject;
    if (entry.goal == Goal::kStopped && entry.target == kNobody) {
        reply(owed, OperatorOutcome::kFailed, group + " was stopped before it had started");
        return true;
    }
    if (entry.stop_failed) {
        reply(owed, OperatorOutcome::kFailed, group + " could not be stopped on " + name_of(owner_of(entry).node),
              "repair what its stop reported, then run `kagami group stop " + owed.subject + "` again");
        return true;
    }
    if (report == nullptr || entry.goal != Goal::kStarted) return false;
    const std::string place = name_of(owner_of(entry).node);
    if (report->state == GroupState::kActive) {
        const bool elsewhere = owed.node != kNobody && owed.node != owner_of(entry).node;
        reply(owed, elsewhere ? OperatorOutcome::kFailed : OperatorOutcome::kDone,
              group + " is active on " + place + (elsewhere ? ", not on " + name_of(owed.node) : "") + ".",
              elsewhere ? "look at `kagami why " + owed.subject + "`" : "");
        return true;
    }
    if (report->state != GroupState::kStartFailed || report->wants_failover) return false;
    reply(owed, OperatorOutcome::kFailed, group + " could not be started on " + place + ": " + report->cause,
          "repair it and run `kagami group start " + owed.subject + "`");
    return true;
}

bool Plan::settle_stop(OwedReply& owed, const GroupEntry& entry, const GroupReport* report) {
    const std::string group = "group " + owed.subject;
    if (!entry.owner) {
        reply(owed, OperatorOutcome::kDone, group + " is stopped.");
        return true;
    }
    if (entry.goal == Goal::kStarted) {
        reply(owed, OperatorOutcome::kFailed, group + " was started again before it had stopped");
        return true;
    }
    if (report == nullptr) return false;
    if (report->state == GroupState::kStopping) owed.saw_stopping = true;
    if (report->state != GroupState::kStopFailed || !owed.saw_stopping) return false;
    reply(owed, OperatorOutcome::kFailed,
          group + " could not be stopped on " + name_of(owner_of(entry).node) + ": " + report->cause,
          "repair what its stop reported, then run `kagami group stop " + owed.subject + "` again");
    return true;
}

// ---- leadership ----

// Nothing is under way that a change of the leader could delay.
bool Plan::quiet() const {
    if (out_.next || !memory_.owed.empty() || !input_.startup_complete) return false;
    return std::all_of(chosen_.groups.begin(), chosen_.groups.end(), [&](const auto& item) {
        const GroupEntry& entry = item.second;
        if (!entry.owner) return entry.target == kNobody;
        const GroupReport* report = report_of(owner_of(entry), item.first);
        const bool settled = report != nullptr && report->token == entry.token &&
                             (report->state == GroupState::kActive || report->state == GroupState::kStartFailed);
        return entry.goal == Goal::kStarted && settled && !report->wants_failover && is_heard(owner_of(entry).node);
    });
}

// The active side leads, so that the death of a standby needs no election: with mirrors, each moment of one would stall
// their writes.
void Plan::plan_hand_over() {
    if (out_.next) out_.hand_over_to.reset();
    if (!quiet()) {
        memory_.quiet_since.reset();
        return;
    }
    if (!memory_.quiet_since) memory_.quiet_since = input_.now;
    std::map<NodeId, std::pair<size_t, size_t>> owned;  // mirrors, then groups
    for (const config::Group& group : input_.config->groups) {
        const auto entry = chosen_.groups.find(group.name);
        if (entry == chosen_.groups.end() || !entry->second.owner) continue;
        auto& [mirrors, groups] = owned[owner_of(entry->second).node];
        mirrors += mirrors_of(group).size();
        ++groups;
    }
    NodeId best = input_.self;
    for (const auto& [node, count] : owned)
        if (count > owned[best]) best = node;
    if (chosen_.leader_wish != kNobody) best = chosen_.leader_wish;
    const NodeFacts* facts = facts_of(best);
    if (best == input_.self || out_.hand_over_to || facts == nullptr || !facts->votes_now ||
        !chosen_.names({best, chosen_.node(best).boot}))
        return;
    const Instant from = std::max(*memory_.quiet_since, input_.leading_since) + 2 * input_.timing->renew;
    if (input_.now < from) return consider(from);
    out_.hand_over_to = best;
}

}  // namespace kagami::engine
