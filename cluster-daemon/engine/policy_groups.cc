// Groups: who may have effects, and what follows from proofs, reports and attributes. protocol.md 6 and 10 decide();
// expresscluster.md 2.1 and 2.2.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/waits.h"

namespace kagami::engine {
namespace {

std::string subject_of(const config::Group& group) {
    return "group " + group.name;
}

bool fits(const GroupReport* report, const GroupEntry& entry) {
    return report != nullptr && report->token == entry.token;
}

}  // namespace

void Plan::plan_groups() {
    note_shortage();
    // A management group goes first; otherwise the order of the configuration decides who gets a node.
    for (const auto kind : {config::GroupKind::kManagement, config::GroupKind::kFailover})
        for (const config::Group& group : input_.config->groups)
            if (group.kind == kind) plan_group(group);
    plan_latch();
}

void Plan::plan_group(const config::Group& group) {
    if (next_.config.version != chosen_.config.version) return;  // decided by the new configuration, once it is chosen
    GroupEntry& entry = next_.groups[group.name];
    calm_storm(group, entry);
    if (entry.owner) memory_.waiting_for_better.erase(group.name);
    if (!entry.owner) memory_.stop_waits.erase(group.name);
    if (entry.owner && !(entry.token == Token{})) {
        const Proof proof = proof_of(group, entry);
        if (proof == Proof::kNone)
            settle_owned(group, entry);
        else
            release(group, entry, proof);
    }
    if (!entry.owner) start_wanted(group, entry);
}

Proof Plan::proof_of(const config::Group& group, const GroupEntry& entry) {
    const Incarnation& owner = owner_of(entry);
    const NodeEntry& node = next_.node(owner.node);
    const GroupReport* report = report_of(owner, group.name);
    if (report != nullptr && report->state == GroupState::kStopped && report->token >= entry.token)
        return Proof::kStopped;
    if (node.boot != owner.boot) return Proof::kRebooted;
    const Heartbeat* heartbeat = heartbeat_of(owner.node);
    if (heartbeat != nullptr && is_heard(owner.node) && heartbeat->incarnation.boot != owner.boot &&
        !memory_.replaced_boots[owner.node].contains(heartbeat->incarnation.boot))
        return Proof::kRebooted;
    if (node.state == NodeState::kFenced) return Proof::kFenced;
    return node.state == NodeState::kLost ? expired(group, entry) : Proof::kNone;
}

// P4 holds for an incarnation that was armed; a strict group waits for the watchdog in addition.
Proof Plan::expired(const config::Group& group, const GroupEntry& entry) {
    const NodeFacts* facts = facts_of(owner_of(entry).node);
    if (!next_.node(owner_of(entry).node).armed || facts == nullptr || facts->may_run_until == kNever)
        return Proof::kNone;
    const bool strict = group.exclusion == config::ExclusionKind::kStrict;
    const Instant from = facts->may_run_until + (strict ? input_.timing->strict : Duration{});
    if (input_.now >= from) return Proof::kExpired;
    consider(from);
    return Proof::kNone;
}

// The owner may have effects still.
void Plan::settle_owned(const config::Group& group, GroupEntry& entry) {
    const NodeEntry& node = next_.node(owner_of(entry).node);
    if (node.state == NodeState::kLost) return settle_lost_owner(group, entry);
    memory_.start_waits.erase(group.name);
    note_stop_failure(group, entry);
    if (entry.goal == Goal::kStopped && !entry.stop_failed) wait_to_stop(group, entry);
    if (entry.goal != Goal::kStarted || entry.stop_failed) return;
    if (node.leaving != Leaving::kNo) return leave_node(group, entry);
    note_health(group, entry);
    const GroupReport* report = report_of(owner_of(entry), group.name);
    if (!fits(report, entry)) return;
    if (const std::string cause = mirror_failure(group, entry); !cause.empty()) return fail_over(group, entry, cause);
    if (report->wants_failover) return fail_over(group, entry, report->cause);
    if (report->state != GroupState::kActive) return;
    if (group.failback) fail_back(group, entry);
    if (entry.goal == Goal::kStarted) leave_short_node(group, entry);
}

void Plan::settle_lost_owner(const config::Group& group, GroupEntry& entry) {
    const std::string owner = name_of(owner_of(entry).node);
    const bool armed = next_.node(owner_of(entry).node).armed;
    say_once("proof" + group.name, Reason::kGroupWaitingForProof, subject_of(group),
             "Group " + group.name + " waits for a proof that " + owner + " has stopped it: " +
                 (armed ? "the time in which its watchdog resets it has not passed yet."
                        : "it ran without an armed guard. If the node is off, run `kagami cluster start --alone "
                          "--confirm-down " +
                              owner + "`."));
}

// ---- the owner is proven to have no effects any more ----

void Plan::release(const config::Group& group, GroupEntry& entry, Proof proof) {
    memory_.healthy_since.erase(group.name);
    memory_.stop_again.erase(group.name);
    // It stopped only because its node leaves, or would have left: it goes on as soon as a node can take it.
    const bool wanted = !entry.held && !next_.cluster_stopped && !is_changing(group.name);
    if (wanted && entry.target == kNobody) entry.goal = Goal::kStarted;
    if (proof == Proof::kStopped) return release_stopped(group, entry);
    if (entry.goal == Goal::kStopped && entry.target == kNobody) {
        clear_owner(entry, proof);
        return say(Reason::kGroupStopped, subject_of(group),
                   "Group " + group.name + " is stopped: " + engine::words_of(proof) + ".");
    }
    take_over(group, entry, proof);
}

void Plan::release_stopped(const config::Group& group, GroupEntry& entry) {
    const GroupReport* report = report_of(owner_of(entry), group.name);
    const NodeId from = owner_of(entry).node;
    const NodeId target = entry.target;
    clear_owner(entry, Proof::kStopped);
    if (target != kNobody) return arrive(group, entry, from, target);
    if (entry.goal == Goal::kStopped)
        return say(Reason::kGroupStopped, subject_of(group),
                   "Group " + group.name + " is stopped on " + name_of(from) + ".");
    if (report->failed) {
        entry.goal = Goal::kStopped;
        entry.held = true;
        return say(Reason::kGroupHeld, subject_of(group),
                   "Group " + group.name + " was stopped on " + name_of(from) + " by its final action (" +
                       report->cause + ") and is not started by itself.");
    }
    const Placement placement = place(input_, next_, group, kNobody);
    const bool again = judge(input_, next_, group, from).fitness == Fitness::kFit;
    const NodeId node = again ? from : placement.node;
    if (node == kNobody || !may_start_on(group, entry, node) || !may_fail_over(group, entry, from, node)) return;
    note_failover(group, from, node);
    assign(group, entry, node, true, true);
}

// It has stopped in order to run on `target`.
void Plan::arrive(const config::Group& group, GroupEntry& entry, NodeId from, NodeId target) {
    entry.goal = Goal::kStarted;
    entry.target = kNobody;  // it is not in its own way
    const Candidate candidate = judge(input_, next_, group, target, Asker::kPerson);
    const NodeId node = candidate.fitness == Fitness::kFit ? target : place(input_, next_, group, kNobody).node;
    if (node != target)
        say(Reason::kGroupNoPlace, subject_of(group),
            "Group " + group.name + " does not go to " + name_of(target) + ": " + candidate.obstacle + ".");
    if (node == kNobody || !input_.startup_complete) return;
    if (!may_start_on(group, entry, node)) {
        if (entry.goal == Goal::kStarted) entry.target = node;  // it waits, and then goes there
        return;
    }
    assign(group, entry, node, entry.failed_on.contains(from), true);
}

// A crash, a reboot, a person's word: all groups of the node in the one document that records it.
void Plan::take_over(const config::Group& group, GroupEntry& entry, Proof proof) {
    const std::string from = name_of(owner_of(entry).node);
    const bool keeps = proof == Proof::kExpired;  // an owner that comes back in the same incarnation simply resumes
    if (!automatic(group, proof)) {
        const std::string sentence = "Group " + group.name + " is not started elsewhere by itself after the loss of " +
                                     from + ": start it with `kagami group start " + group.name + "`.";
        if (keeps) return say_once("manual" + group.name, Reason::kGroupManual, subject_of(group), sentence);
        clear_owner(entry, proof);
        entry.goal = Goal::kStopped;
        entry.target = kNobody;
        entry.held = true;
        return say(Reason::kGroupManual, subject_of(group), sentence);
    }
    const bool moving =
        entry.target != kNobody && judge(input_, next_, group, entry.target, Asker::kPerson).fitness == Fitness::kFit;
    Placement placement = place(input_, next_, group, keeps ? owner_of(entry).node : kNobody);
    if (placement.node == kNobody && !entry.failed_on.empty()) {  // who did better is gone: one more try elsewhere
        entry.failed_on.clear();
        placement = place(input_, next_, group, keeps ? owner_of(entry).node : kNobody);
    }
    const NodeId node = moving ? entry.target : placement.node;
    if (node == kNobody && (keeps || !placement.soon))
        say_no_place(group, entry, "Group " + group.name + " of " + from + " has no node to go to.", placement);
    const bool may = node != kNobody && input_.startup_complete && !next_.cluster_stopped;
    const bool goes =
        may && may_start_on(group, entry, node) && may_fail_over(group, entry, owner_of(entry).node, node);
    if ((!goes && keeps) || entry.held) return;
    clear_owner(entry, proof);
    entry.goal = Goal::kStarted;
    entry.target = kNobody;
    if (!goes) return;
    note_failover(group, entry.last_owner, node);
    assign(group, entry, node, true, false);
    out_.decisions.back().sentence += std::string(" Allowed because ") + engine::words_of(proof) + ".";
    out_.decisions.back().rejected = placement.rejected;
}

bool Plan::automatic(const config::Group& group, Proof proof) const {
    if (input_.config->arbitration.option == config::ArbitrationOption::kManual && proof != Proof::kFenced)
        return false;
    return group.failover != config::FailoverAttribute::kManual;
}

void Plan::clear_owner(GroupEntry& entry, Proof proof) {
    entry.last_owner = owner_of(entry).node;
    entry.owner.reset();
    entry.stop_failed = false;
    entry.crashed = proof != Proof::kStopped;
}

// ---- nobody has effects ----

void Plan::start_wanted(const config::Group& group, GroupEntry& entry) {
    const bool by_itself = group.start == config::StartAttribute::kAuto && !entry.held;
    const bool wanted = input_.startup_complete && !next_.cluster_stopped && !is_changing(group.name) &&
                        (entry.goal == Goal::kStarted || by_itself);
    if (!wanted) {
        memory_.waiting_for_better.erase(group.name);
        memory_.start_waits.erase(group.name);
        return;
    }
    const Placement placement = place(input_, next_, group, kNobody);
    const NodeId node = node_for(group, entry, placement);
    const bool asked = node != kNobody && node == entry.target;
    if (!asked && waits_for_better(group, placement)) return;
    if (node == kNobody)
        return say_no_place(group, entry, "Group " + group.name + " has no node to start on.", placement);
    const bool again = entry.goal == Goal::kStarted && entry.last_owner != kNobody;  // it ran, and was lost
    if (!again && waits_for_management(group)) return;
    if (!may_start_on(group, entry, node)) return;
    if (again && !asked && !may_fail_over(group, entry, entry.last_owner, node)) return;
    const bool failover = asked ? entry.failed_on.contains(entry.last_owner) : again && entry.last_owner != node;
    if (failover) note_failover(group, entry.last_owner, node);
    assign(group, entry, node, failover, asked && !entry.crashed);
    if (!asked) out_.decisions.back().rejected = placement.rejected;
}

// A person, or a move, has named the node; else it is the one that was found.
NodeId Plan::node_for(const config::Group& group, const GroupEntry& entry, const Placement& placement) const {
    if (entry.target == kNobody) return placement.node;
    const bool fit = judge(input_, next_, group, entry.target, Asker::kPerson).fitness == Fitness::kFit;
    return fit ? entry.target : placement.node;
}

// The first start of a group waits a moment for a node that is about to be fit and worth more.
bool Plan::waits_for_better(const config::Group& group, const Placement& placement) {
    if (!placement.better_soon && (placement.node != kNobody || !placement.soon)) return false;
    const Instant since = memory_.waiting_for_better.try_emplace(group.name, input_.now).first->second;
    consider(since + input_.timing->hold);
    return input_.now < since + input_.timing->hold;
}

// What must be true of other nodes and groups before it starts there.
bool Plan::may_start_on(const config::Group& group, GroupEntry& entry, NodeId node) {
    return !runs_elsewhere(group) && !waits_to_start(group, entry, node);
}

// A rule that leaves it to persons is the reason that counts; else every node has its own.
void Plan::say_no_place(const config::Group& group, const GroupEntry& entry, const std::string& sentence,
                        const Placement& placement) {
    const bool first = home_of(entry) == kNobody;
    const Automatic what = first || may_decide(group, Automatic::kStart) ? Automatic::kStart : Automatic::kElsewhere;
    if (may_decide(group, what)) {
        restrained(group, entry, what, would_go(group, entry, entry.owner ? "fail over" : "start", ""));
        return;
    }
    say_once("place" + group.name, Reason::kGroupNoPlace, subject_of(group), sentence, placement.rejected);
}

void Plan::assign(const config::Group& group, GroupEntry& entry, NodeId node, bool failover, bool proven) {
    const std::string from = entry.last_owner == kNobody ? "" : name_of(entry.last_owner);
    if (entry.crashed) take_over_mirrors(group, node);
    entry.crashed = false;
    memory_.assigned[group.name] = {{node, next_.node(node).boot}, failover, proven};
    entry.owner = Incarnation{node, next_.node(node).boot};
    entry.token = Token{};
    entry.goal = Goal::kStarted;
    entry.target = kNobody;
    entry.stop_failed = false;
    const std::string shared = shared_with({input_, next_, group, node, Asker::kPolicy});
    if (!shared.empty())
        say(Reason::kGroupSharesNode, subject_of(group),
            "Group " + group.name + " shares " + name_of(node) + " with " + shared +
                ", because there is no other node for it. Once there is: `kagami group move " + group.name + "`.");
    say(failover ? Reason::kGroupFailover : Reason::kGroupPlaced, subject_of(group),
        "Group " + group.name +
            (failover ? " fails over " + (from.empty() || entry.last_owner == node ? "" : "from " + from + " ") + "to "
                      : " is placed on ") +
            name_of(node) + ".");
    memory_.start_waits.erase(group.name);
}

// ---- it runs, and shall run elsewhere ----

void Plan::begin_move(const config::Group& group, GroupEntry& entry, NodeId target, Reason reason,
                      const std::string& why, std::vector<std::string> rejected) {
    entry.goal = Goal::kStopped;
    entry.target = target;
    const std::string where = target == kNobody ? "stops on " : "moves to " + name_of(target) + " from ";
    say(reason, subject_of(group),
        "Group " + group.name + " " + where + name_of(owner_of(entry).node) + ": " + why + ".", std::move(rejected));
}

void Plan::leave_node(const config::Group& group, GroupEntry& entry) {
    const Placement placement = place(input_, next_, group, owner_of(entry).node);
    const NodeId target = next_.cluster_stopped ? kNobody : placement.node;
    begin_move(group, entry, target, target == kNobody ? Reason::kGroupStopWanted : Reason::kGroupMoveStarted,
               next_.cluster_stopped ? "the cluster is being stopped" : "the node leaves the cluster",
               next_.cluster_stopped ? std::vector<std::string>{} : placement.rejected);
}

void Plan::fail_over(const config::Group& group, GroupEntry& entry, const std::string& cause) {
    const NodeId from = owner_of(entry).node;
    if (may_decide(group, Automatic::kElsewhere)) {
        restrained(group, entry, Automatic::kElsewhere, would_go(group, entry, "fail over", cause));
        return;
    }
    const Placement placement = place(input_, next_, group, from);
    if (placement.node == kNobody)
        return say_once("place" + group.name, Reason::kGroupNoPlace, subject_of(group),
                        "Group " + group.name + " failed on " + name_of(from) + " and has no other node to go to.",
                        placement.rejected);
    if (!may_fail_over(group, entry, from, placement.node)) return;
    note_failover(group, from, placement.node);
    entry.failed_on.insert(from);
    ++entry.failovers;
    begin_move(group, entry, placement.node, Reason::kGroupFailover, cause, placement.rejected);
}

// It must be as well off there as it is here: no drawback is accepted for it, and nothing that waits for it is left.
void Plan::fail_back(const config::Group& group, GroupEntry& entry) {
    const bool may = !may_decide(group, Automatic::kElsewhere);
    const NodeId best = place(input_, next_, group, kNobody, may ? Asker::kImprovement : Asker::kPerson).node;
    const auto rank = [&](NodeId node) { return std::find(group.nodes.begin(), group.nodes.end(), node); };
    if (best == kNobody || rank(best) >= rank(owner_of(entry).node)) return;
    if (restrained(group, entry, Automatic::kElsewhere, "fail back to " + name_of(best))) return;
    if (!start_waits_for(input_, next_, group, best).empty()) return;
    begin_move(group, entry, best, Reason::kGroupMoveStarted, "it fails back to an earlier server");
}

// Failures are forgotten once the group has been well for a while.
void Plan::note_health(const config::Group& group, GroupEntry& entry) {
    const NodeReport* node = report_of(owner_of(entry));
    const GroupReport* report = report_of(owner_of(entry), group.name);
    bool healthy = fits(report, entry) && report->state == GroupState::kActive && !report->wants_failover;
    for (const config::Monitor& monitor : input_.config->monitors) {
        if (!healthy || monitor.target_group != group.name) continue;
        for (const MonitorReport& state : node->monitors)
            if (state.name == monitor.name)
                healthy = state.state != MonitorState::kError && state.state != MonitorState::kUnknown;
    }
    if (!healthy) {
        memory_.healthy_since.erase(group.name);
        return;
    }
    if (entry.failovers == 0 && entry.failed_on.empty()) return;
    const Instant since = memory_.healthy_since.try_emplace(group.name, input_.now).first->second;
    if (input_.now < since + kHealthyAfter) return consider(since + kHealthyAfter);
    entry.failovers = 0;
    entry.failed_on.clear();
}

void Plan::note_stop_failure(const config::Group& group, GroupEntry& entry) {
    const GroupReport* report = report_of(owner_of(entry), group.name);
    if (entry.stop_failed || report == nullptr || report->state != GroupState::kStopFailed ||
        report->token < entry.token)
        return;
    entry.stop_failed = true;
    say(Reason::kGroupStopFailed, subject_of(group),
        "Group " + group.name + " could not be stopped on " + name_of(owner_of(entry).node) + " (" + report->cause +
            "): it is not started anywhere else.");
}

// ---- the storm brake ----

// Counts a failover, unless the brake forbids it. A start again on the same node is none.
bool Plan::may_fail_over(const config::Group& group, GroupEntry& entry, NodeId from, NodeId to) {
    if (from == to) return true;
    const auto limit = static_cast<uint32_t>(std::max(1, input_.config->failovers_per_hour));
    if (entry.storm < limit) {
        ++entry.storm;
        return true;
    }
    say_once("brake" + group.name, Reason::kGroupStormBrake, subject_of(group),
             "Group " + group.name + " has failed over " + std::to_string(entry.storm) +
                 " times within an hour, which is the limit (failovers_per_hour): it stays where it is.");
    return false;
}

// The count lives in the document, so that the brake holds when leaders come and go; its hour is measured by whoever
// leads.
void Plan::calm_storm(const config::Group& group, GroupEntry& entry) {
    PolicyMemory::Storm& storm = memory_.storms[group.name];
    if (storm.count != entry.storm) storm = {entry.storm, input_.now};
    if (entry.storm == 0) return;
    const Instant at = storm.since + Duration(1h) / std::max(1, input_.config->failovers_per_hour);
    if (input_.now < at) return consider(at);
    --entry.storm;
}

}  // namespace kagami::engine
