// A new configuration: what it may not change while the cluster runs, what of the running it stops and starts, and what
// it changes in the document.
#include <algorithm>
#include <set>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"
#include "common/config/diff.h"

namespace kagami::engine {
namespace {

std::string listed(const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

bool begins_with(const std::string& text, const char* with) {
    return text.rfind(with, 0) == 0;
}

// Why a key cannot change under running daemons.
std::string why_cluster(const std::string& path) {
    if (begins_with(path, "network.") || begins_with(path, "node.") || begins_with(path, "order."))
        return "the nodes find each other by it, and while it differed they would lose each other";
    if (begins_with(path, "arbitration."))
        return "who decides after a split must be the same on every node at any time";
    if (path == "cluster.name") return "it names the cluster in every node's keys";
    return "every lease that is in force was given under the present value";
}

}  // namespace

Result<Plan::Impact> Plan::accept_config(const config::Config& wanted, const OperatorRequest& request) {
    if (const Status nodes = may_change_nodes(wanted, request.amount != 0); !nodes)
        return tl::unexpected(nodes.error());
    for (const config::Change& change : config::diff(*input_.config, wanted))
        if (change.restarts == config::RestartScope::kCluster)
            return fail(ErrorCode::kRefused,
                        change.path + " cannot be changed while the cluster runs: " + why_cluster(change.path),
                        "stop the cluster, and initialise it with the new configuration");
    if (const Status kept = keeps_current_copies(wanted); !kept) return tl::unexpected(kept.error());
    Impact impact = impact_of(wanted);
    for (const std::string& group : impact.stops)
        if (const Status may = may_stop_for_change(group, "the change restarts it"); !may)
            return tl::unexpected(may.error());
    if (request.force) return impact;
    for (const config::Node& node : input_.config->nodes) {
        const config::Node* kept = wanted.node(node.id);
        if (kept == nullptr || (next_.node(node.id).state == NodeState::kMember && is_heard(node.id))) continue;
        return fail(ErrorCode::kRefused, node.name + " is not in the cluster and could not take the new configuration",
                    "bring it back, or apply with --without " + node.name);
    }
    return impact;
}

// Nodes may come, and go once they have left; who stays keeps name and number, and the others keep theirs.
Status Plan::may_change_nodes(const config::Config& wanted, bool confirmed_later) const {
    bool changed = false;
    for (const config::Node& node : input_.config->nodes) {
        const config::Node* kept = wanted.node(node.id);
        if (kept != nullptr && kept->name == node.name) continue;
        if (kept != nullptr || wanted.node(node.name) != nullptr)
            return fail(ErrorCode::kRefused,
                        "node " + node.name + " has the number " + std::to_string(node.id.value) + ", which " +
                            (kept != nullptr ? "the change gives to " + kept->name : "the change takes from it"),
                        "give each [[node]] the id that it has now: `id = " + std::to_string(node.id.value) + "` for " +
                            node.name + "; a new node takes an id that no node ever had");
        changed = true;
        const NodeState state = next_.node(node.id).state;
        if (state != NodeState::kLeft && state != NodeState::kFenced && state != NodeState::kAbsent)
            return fail(ErrorCode::kRefused, node.name + " is still in the cluster and cannot be removed from it",
                        "let it leave with `kagami node shutdown " + node.name + "`; when it is lost and off, run " +
                            "`kagami cluster start --alone --confirm-down " + node.name + "`");
        if (state == NodeState::kFenced && is_heard(node.id))  // once it is forgotten, its boot might be admitted again
            return fail(ErrorCode::kRefused, node.name + " was confirmed down and is heard all the same: it is not removed",
                        "switch it off, then apply the change again");
        for (const auto& [name, entry] : next_.groups)
            if (entry.owner && owner_of(entry).node == node.id)
                return fail(ErrorCode::kRefused, "group " + name + " may have effects on " + node.name + " still",
                            "look at `kagami why " + name + "`, and remove the node when the group is elsewhere");
    }
    changed = changed || wanted.nodes.size() != input_.config->nodes.size();
    if (changed && confirmed_later)
        return fail(ErrorCode::kUsage,
                    "a change of the nodes cannot wait for a confirmation: a node that has joined by "
                    "then could not be taken back",
                    "apply it without --confirm-within");
    return {};
}

// A mirror may go as a whole; it may not lose the only copy that counts.
Status Plan::keeps_current_copies(const config::Config& wanted) const {
    for (const config::Group& group : wanted.groups) {
        for (const std::string& name : mirrors_of(group)) {
            const auto at = next_.mirrors.find(name);
            if (at == next_.mirrors.end() || at->second.generation.none()) continue;
            const bool kept = std::any_of(group.nodes.begin(), group.nodes.end(), [&](NodeId node) {
                return at->second.standing(node) == mirror::Standing::kCurrent;
            });
            if (!kept)
                return fail(ErrorCode::kRefused, "the change takes the only current copy of mirror " + name + " away",
                            "let another copy become current first, or remove the mirror as a whole");
        }
    }
    return {};
}

// It is stopped in good order, or nothing is changed at all.
Status Plan::may_stop_for_change(const std::string& group, const std::string& why) const {
    const GroupEntry& entry = next_.groups.at(group);
    const std::string name = "group " + group;
    const std::string owner = name_of(owner_of(entry).node);
    if (entry.stop_failed)
        return fail(ErrorCode::kRefused, name + " could not be stopped on " + owner + ", and " + why,
                    "repair it there and run `kagami group stop " + group + "` first");
    if (next_.node(owner_of(entry).node).state != NodeState::kMember || !is_heard(owner_of(entry).node))
        return fail(ErrorCode::kRefused, name + " may still run on " + owner + ", which is not heard, and " + why,
                    "bring " + owner + " back, or wait until the group runs elsewhere");
    if (entry.target != kNobody)
        return fail(ErrorCode::kRefused, name + " is being moved, and " + why, "wait until it has arrived");
    return {};
}

Plan::Impact Plan::impact_of(const config::Config& wanted) const {
    Impact impact;
    for (const config::Change& change : config::diff(*input_.config, wanted)) {
        if (change.restarts == config::RestartScope::kMonitor) impact.monitors.insert(change.restarts_name);
        if (change.restarts == config::RestartScope::kGroup) impact.stops.insert(change.restarts_name);
    }
    for (const config::Group& group : wanted.groups) {  // it cannot stay where it may not be
        const auto at = next_.groups.find(group.name);
        if (at != next_.groups.end() && at->second.owner &&
            std::find(group.nodes.begin(), group.nodes.end(), owner_of(at->second).node) == group.nodes.end())
            impact.stops.insert(group.name);
    }
    std::erase_if(impact.stops, [&](const std::string& name) {
        const auto at = next_.groups.find(name);
        return at == next_.groups.end() || !at->second.owner;
    });
    return impact;
}

// "it restarts group web and monitor genw1", "nothing restarts"
std::string Plan::impact_words(const Impact& impact, const config::Config& wanted) const {
    std::set<std::string> restarts;
    std::set<std::string> ends;
    for (const std::string& name : impact.stops)
        (wanted.group(name) != nullptr ? restarts : ends).insert("group " + name);
    for (const std::string& name : impact.monitors)
        if (wanted.monitor(name) != nullptr) restarts.insert("monitor " + name);
    std::string text = restarts.empty() ? "" : "it restarts " + listed(restarts);
    if (!ends.empty()) text += (text.empty() ? "it stops " : ", and stops ") + listed(ends) + " for good";
    return text.empty() ? "nothing restarts" : text;
}

void Plan::install_config(const config::Config& wanted) {
    const PendingChange& change = *next_.pending;
    const ConfigEntry former = next_.config;
    next_.config = change.wanted;
    if (change.goes_back) next_.config.packed = next_.unconfirmed->previous.packed;
    next_.config.version = former.version + 1;
    for (const config::Group& group : wanted.groups) next_.groups.try_emplace(group.name);
    std::erase_if(next_.groups, [&](const auto& item) { return wanted.group(item.first) == nullptr; });
    std::erase_if(next_.monitors, [&](const auto& item) { return wanted.monitor(item.first) == nullptr; });
    for (const config::Node& node : wanted.nodes)
        if (next_.nodes.try_emplace(node.id).second)
            say(Reason::kNodeAdded, "node " + node.name,
                node.name + " is a node of the cluster now; it votes and runs groups once it has joined.");
    std::erase_if(next_.nodes, [&](const auto& item) {
        if (wanted.node(item.first) != nullptr) return false;
        say(Reason::kNodeRemoved, "node " + name_of(item.first),
            name_of(item.first) + " is no node of the cluster any more.");
        return true;
    });
    for (auto& [name, entry] : next_.groups)
        std::erase_if(entry.failed_on, [&](NodeId node) { return wanted.node(node) == nullptr; });
    const std::string number = std::to_string(next_.config.version);
    if (change.goes_back)
        say(Reason::kConfigWentBack, "cluster",
            "Configuration " + std::to_string(former.version) + " was not confirmed in time: configuration " +
                std::to_string(next_.unconfirmed->previous.version) + " is in force again, as " + number + ".");
    else
        say(Reason::kConfigApplied, "cluster", "Configuration " + number + " was applied by " + change.person + ".");
    next_.unconfirmed.reset();
    if (change.confirm_within == 0) return;
    next_.unconfirmed = Unconfirmed{former, change.confirm_within};
    say(Reason::kConfigUnconfirmed, "cluster",
        "Configuration " + number + " goes back to " + std::to_string(former.version) + " in " +
            std::to_string(change.confirm_within) + " s, unless it is confirmed: `kagami config confirm`.");
}

}  // namespace kagami::engine
