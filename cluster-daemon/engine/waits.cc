#include "cluster-daemon/engine/waits.h"

#include <algorithm>
#include <set>

namespace kagami::engine {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

const GroupEntry* entry_of(const Document& document, const std::string& group) {
    const auto at = document.groups.find(group);
    return at == document.groups.end() ? nullptr : &at->second;
}

bool is_active(const PolicyInput& input, const Document& document, const std::string& group, const GroupEntry& entry) {
    if (!entry.owner || !document.names(*entry.owner) || entry.goal != Goal::kStarted) return false;
    const auto facts = input.facts.find(entry.owner->node);
    if (facts == input.facts.end() || !facts->second.report || facts->second.report->incarnation != *entry.owner)
        return false;
    const std::vector<GroupReport>& reports = facts->second.report->groups;
    return std::any_of(reports.begin(), reports.end(), [&](const GroupReport& report) {
        return report.group == group && report.token == entry.token && report.state == GroupState::kActive;
    });
}

// Will it start on `node`, as far as is known?
bool comes_to(const config::Group* other, const GroupEntry& entry, NodeId node) {
    if (entry.owner) return entry.owner->node == node || entry.target == node;
    if (entry.target != kNobody) return entry.target == node;
    const bool wanted = entry.goal == Goal::kStarted ||
                        (other != nullptr && other->start == config::StartAttribute::kAuto && !entry.held);
    return wanted && other != nullptr &&
           std::find(other->nodes.begin(), other->nodes.end(), node) != other->nodes.end();
}

// Everything that `group` waits for when it stops, and what that waits for.
std::set<std::string> closure(const config::Config& config, const config::Group& group) {
    std::set<std::string> found;
    std::vector<std::string> open = group.stop_wait.groups;
    while (!open.empty()) {
        const std::string name = open.back();
        open.pop_back();
        const config::Group* next = config.group(name);
        if (!found.insert(name).second || next == nullptr) continue;
        open.insert(open.end(), next->stop_wait.groups.begin(), next->stop_wait.groups.end());
    }
    return found;
}

// Those that stop before a management group when the whole cluster stops.
std::vector<std::string> before_management(const config::Config& config, const config::Group& management) {
    std::vector<std::string> names = management.stop_wait.groups;
    for (const config::Group& other : config.groups) {
        if (other.kind == config::GroupKind::kManagement || contains(names, other.name)) continue;
        if (!closure(config, other).contains(management.name)) names.push_back(other.name);
    }
    return names;
}

}  // namespace

std::vector<std::string> start_waits_for(const PolicyInput& input, const Document& document, const config::Group& group,
                                         NodeId node) {
    std::vector<std::string> missing;
    for (const std::string& name : group.start_wait.groups) {
        const GroupEntry* entry = entry_of(document, name);
        if (entry == nullptr) continue;
        if (group.start_wait.same_node && !comes_to(input.config->group(name), *entry, node)) continue;
        if (!is_active(input, document, name, *entry)) missing.push_back(name);
    }
    return missing;
}

std::vector<std::string> stop_waits_for(const Document& document, const config::Config& config,
                                        const config::Group& group) {
    const GroupEntry* entry = entry_of(document, group.name);
    if (entry == nullptr || !entry->owner) return {};
    const bool node_stops = !document.cluster_stopped && document.node(entry->owner->node).leaving != Leaving::kNo;
    const bool by_person = !document.cluster_stopped && !node_stops && entry->target == kNobody && entry->held;
    const bool first_of_all = document.cluster_stopped && group.kind == config::GroupKind::kManagement;
    const bool waits = (document.cluster_stopped && group.stop_wait.at_cluster_stop) ||
                       (node_stops && group.stop_wait.at_node_stop) || (by_person && group.stop_wait.at_group_stop);
    std::vector<std::string> missing;
    if (!waits && !first_of_all) return missing;
    for (const std::string& name : first_of_all ? before_management(config, group) : group.stop_wait.groups) {
        const GroupEntry* other = entry_of(document, name);
        if (other == nullptr || !other->owner) continue;
        if (!node_stops || other->owner->node == entry->owner->node) missing.push_back(name);
    }
    return missing;
}

std::string groups_named(const std::vector<std::string>& names) {
    std::string text = names.size() == 1 ? "group " : "groups ";
    for (size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return text;
}

std::string start_wait_sentence(const config::Group& group, const std::vector<std::string>& names) {
    return "Group " + group.name + " starts once " + groups_named(names) + (names.size() == 1 ? " runs" : " run") +
           (group.start_wait.same_node ? " on the same node" : "") + ": it waits (start_wait). To see what keeps " +
           (names.size() == 1 ? "it" : "them") + ": `kagami why " + names.front() + "`.";
}

std::string stop_wait_sentence(const config::Group& group, const std::vector<std::string>& names) {
    return "Group " + group.name + " stops once " + groups_named(names) +
           (names.size() == 1 ? " is stopped" : " are stopped") + ": it waits (" +
           (group.stop_wait.groups.empty() ? "a management group stops last" : "stop_wait") + "). To see what keeps " +
           (names.size() == 1 ? "it" : "them") + ": `kagami why " + names.front() + "`.";
}

}  // namespace kagami::engine
