// What the leader leaves to persons at the moment: a maintenance, a planned reboot, the failover switch and its latch.
// Each automatic decision about a group asks here first.
#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {
namespace {

std::string subject_of(const config::Group& group) {
    return "group " + group.name;
}

}  // namespace

std::optional<Restraint> Plan::may_decide(const config::Group& group, Automatic what) const {
    return restraint_of(next_, *input_.config, group.name, what);
}

bool Plan::restrained(const config::Group& group, const GroupEntry& entry, Automatic what, const std::string& would) {
    const std::optional<Restraint> restraint = may_decide(group, what);
    if (!restraint) return false;
    const NodeId home = home_of(entry);
    const bool there = entry.owner && next_.node(home).state == NodeState::kMember;
    const std::string stays = there             ? "stays on " + name_of(home)
                              : home == kNobody ? "waits"
                                                : "waits for " + name_of(home);
    const std::string person = std::string("`kagami group ") + (there ? "move " : "start ") + group.name + "`";
    const std::string remedy = restraint->reason == Reason::kGroupReserved
                                   ? "To have it elsewhere at once: " + restraint->remedy + "."
                                   : "To end that: " + restraint->remedy + "; by hand: " + person + ".";
    say_once("restraint" + group.name, restraint->reason, subject_of(group),
             "Group " + group.name + " would " + would + ", but " + restraint->words +
                 (restraint->reason == Reason::kGroupReserved ? "" : ": it " + stays) + ". " + remedy);
    return true;
}

// Where it would go if nothing held it back: "fail over from node1 to node2 (start.sh exited with status 1)".
std::string Plan::would_go(const config::Group& group, const GroupEntry& entry, const std::string& verb,
                           const std::string& cause) const {
    const NodeId home = home_of(entry);
    const NodeId node = place(input_, next_, group, entry.owner ? home : kNobody, Asker::kPerson).node;
    const bool starts = verb == "start";
    return verb + (starts || home == kNobody ? "" : " from " + name_of(home)) +
           (node == kNobody ? ", and there is no node that could take it"
                            : (starts ? " on " : " to ") + name_of(node)) +
           (cause.empty() ? "" : " (" + cause + ")");
}

// ---- the latch ----

void Plan::note_failover(const config::Group& group, NodeId from, NodeId to) {
    if (!input_.config->failover_latch || !latched_by_.empty() || from == to) return;
    latched_by_ = "group " + group.name + " failed over" + (from == kNobody ? "" : " from " + name_of(from)) + " to " +
                  name_of(to);
}

// {on, latched} stands for a latch that falls as soon as what belongs to the same failure has gone over as well: groups
// of the lost node that still wait for its watchdog must not be left behind.
void Plan::plan_latch() {
    FailoverSwitch& failover = next_.failover;
    if (failover.on && !failover.latched && !latched_by_.empty()) {
        failover.latched = true;
        failover.why = latched_by_;
    }
    if (!failover.on || !failover.latched || failovers_under_way()) return;
    failover.on = false;
    say(Reason::kFailoverLatched, "cluster",
        "Failover is switched off since " + failover.why +
            " (failover_latch): nothing goes elsewhere by itself until `kagami failover on`.");
}

bool Plan::failovers_under_way() {
    for (const config::Group& group : input_.config->groups) {
        const auto at = next_.groups.find(group.name);
        if (at == next_.groups.end()) continue;
        const GroupEntry& entry = at->second;
        if (entry.target != kNobody) return true;
        if (entry.goal == Goal::kStarted && memory_.start_waits.contains(group.name)) return true;
        if (!entry.owner || next_.node(owner_of(entry).node).state != NodeState::kLost) continue;
        const NodeFacts* facts = facts_of(owner_of(entry).node);
        const bool proof_comes = next_.node(owner_of(entry).node).armed && facts != nullptr &&
                                 facts->may_run_until != kNever && expired(group, entry) == Proof::kNone;
        if (proof_comes && group.failover != config::FailoverAttribute::kManual) return true;
    }
    return false;
}

}  // namespace kagami::engine
