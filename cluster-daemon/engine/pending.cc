#include "cluster-daemon/engine/pending.h"

#include <algorithm>

#include "cluster-daemon/engine/placement.h"
#include "cluster-daemon/engine/restraint.h"
#include "cluster-daemon/engine/waits.h"

namespace kagami::engine {
namespace {

using Kind = Pending::Kind;

const GroupReport* report_of(const PolicyInput& input, const std::string& group, const Incarnation& owner) {
    const auto facts = input.facts.find(owner.node);
    if (facts == input.facts.end() || !facts->second.report || facts->second.report->incarnation != owner)
        return nullptr;
    const std::vector<GroupReport>& reports = facts->second.report->groups;
    const auto at = std::find_if(reports.begin(), reports.end(), [&](const auto& item) { return item.group == group; });
    return at == reports.end() ? nullptr : &*at;
}

// It shall stop, and runs on until others have stopped.
std::optional<Pending> stop_pending(const PolicyInput& input, const config::Group& group, const GroupEntry& entry,
                                    const Incarnation& owner) {
    const GroupReport* report = report_of(input, group.name, owner);
    if (entry.goal != Goal::kStopped || report == nullptr || report->state != GroupState::kActive) return std::nullopt;
    const std::vector<std::string> names = stop_waits_for(*input.document, *input.config, group);
    if (names.empty()) return std::nullopt;
    return Pending{Kind::kStop, "waits for " + groups_named(names) + " to stop"};
}

std::optional<Pending> restraint_pending(const PolicyInput& input, const config::Group& group,
                                         const GroupEntry& entry) {
    const NodeId home = home_of(entry);
    const bool at_home = home == kNobody || judge(input, *input.document, group, home).fitness == Fitness::kFit;
    const auto restraint =
        restraint_of(*input.document, *input.config, group.name, at_home ? Automatic::kStart : Automatic::kElsewhere);
    if (!restraint) return std::nullopt;
    return Pending{Kind::kRestraint, "waits: " + restraint->words + "; " + restraint->remedy + " ends that"};
}

// It has no owner, or one that is lost, and shall run.
std::optional<Pending> start_pending(const PolicyInput& input, const config::Group& group, const GroupEntry& entry) {
    const NodeId lost = entry.owner ? entry.owner->node : kNobody;
    const Placement placement = place(input, *input.document, group, lost, Asker::kPolicy);
    const NodeId node = entry.target != kNobody ? entry.target : placement.node;
    if (node != kNobody) {
        const std::vector<std::string> names = start_waits_for(input, *input.document, group, node);
        if (names.empty()) return std::nullopt;
        return Pending{Kind::kStart, "waits for " + groups_named(names) + " to start"};
    }
    if (auto found = restraint_pending(input, group, entry); found) return found;
    return Pending{Kind::kPlace, "waits for a place: " + joined(placement.rejected)};
}

}  // namespace

std::optional<Pending> pending_of(const PolicyInput& input, const config::Group& group) {
    const auto at = input.document->groups.find(group.name);
    if (at == input.document->groups.end()) return std::nullopt;
    const GroupEntry& entry = at->second;
    const bool by_itself = group.start == config::StartAttribute::kAuto && !entry.held;
    const bool wanted = entry.goal == Goal::kStarted || (by_itself && !entry.owner);
    const bool lost = entry.owner && input.document->node(entry.owner->node).state == NodeState::kLost;
    if (entry.owner && !lost) return stop_pending(input, group, entry, *entry.owner);
    if (!wanted || input.document->cluster_stopped || (lost && group.failover == config::FailoverAttribute::kManual))
        return std::nullopt;
    return start_pending(input, group, entry);
}

}  // namespace kagami::engine
