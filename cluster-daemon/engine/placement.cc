#include "cluster-daemon/engine/placement.h"

#include <algorithm>

#include "cluster-daemon/engine/replicas.h"

namespace kagami::engine {
namespace {

std::string state_obstacle(NodeState state) {
    switch (state) {
        case NodeState::kAbsent: return "never joined the cluster";
        case NodeState::kMember: return "";
        case NodeState::kLeft: return "left the cluster";
        case NodeState::kLost: return "was lost and has not come back";
        case NodeState::kFenced: return "was confirmed down";
    }
    return "";
}

// The heartbeat's bit n stands for node n + 1.
bool hears(const Heartbeat& heartbeat, NodeId other) {
    return other.value >= 1 && other.value <= 32 && (heartbeat.heard >> (other.value - 1U) & 1U) != 0;
}

Candidate unfit(NodeId node, std::string why) {
    return {node, Fitness::kUnfit, std::move(why)};
}

}  // namespace

bool is_heard(const PolicyInput& input, NodeId node) {
    if (node == input.self) return true;
    const auto at = input.facts.find(node);
    return at != input.facts.end() && at->second.heartbeat && at->second.heard_at != Instant{} &&
           input.now < at->second.heard_at + input.timing->detect;
}

Candidate judge(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node) {
    if (std::find(group.nodes.begin(), group.nodes.end(), node) == group.nodes.end())
        return unfit(node, "not a server of group " + group.name);
    if (!is_heard(input, node)) return unfit(node, "not heard");
    const NodeEntry& entry = document.node(node);
    const auto facts = input.facts.find(node);
    const bool known = facts != input.facts.end() && facts->second.heartbeat.has_value();
    const Heartbeat heartbeat = known ? facts->second.heartbeat.value_or(Heartbeat{}) : Heartbeat{};
    if (known && heartbeat.leaving) return unfit(node, "leaving the cluster");
    if (entry.state != NodeState::kMember) {
        const bool coming = known && heartbeat.joining && entry.state != NodeState::kFenced;
        return {node, coming ? Fitness::kSoon : Fitness::kUnfit,
                coming ? "joining the cluster" : state_obstacle(entry.state)};
    }
    if (entry.leaving != Leaving::kNo) return unfit(node, "leaving the cluster");
    if (entry.isolated) return unfit(node, "isolated until it is returned");
    if (known && heartbeat.incarnation.boot != entry.boot) return {node, Fitness::kSoon, "joining the cluster"};
    if (known && !heartbeat.guard_alive) return {node, Fitness::kSoon, "its guard does not run"};
    const auto in_document = document.groups.find(group.name);
    if (in_document != document.groups.end() && in_document->second.failed_on.contains(node))
        return unfit(node, "the group failed there before");
    if (known && node != input.self && !hears(heartbeat, input.self))
        return {node, Fitness::kSoon, "does not hear the leader"};
    return judge_replicas(input, document, group, node);
}

Placement place(const PolicyInput& input, const Document& document, const config::Group& group, NodeId except) {
    Placement placement;
    bool soon = false;
    for (const NodeId node : group.nodes) {
        if (node == except) continue;
        const Candidate candidate = judge(input, document, group, node);
        if (candidate.fitness == Fitness::kFit && placement.node == kNobody) {
            placement.node = node;
            placement.better_soon = soon;
        }
        if (candidate.fitness == Fitness::kSoon) placement.soon = soon = true;
        if (candidate.fitness != Fitness::kFit)
            placement.rejected.push_back(input.config->node_name(node) + ": " + candidate.obstacle);
    }
    return placement;
}

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : "; ") + item;
    return text;
}

}  // namespace kagami::engine
