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

Candidate unfit(NodeId node, std::string why) {
    return {node, Fitness::kUnfit, std::move(why), {}, {}};
}

Candidate soon(NodeId node, std::string why) {
    return {node, Fitness::kSoon, std::move(why), {}, {}};
}

// Whether the node is a member, well, and within reach.
Candidate judge_node(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node) {
    if (std::find(group.nodes.begin(), group.nodes.end(), node) == group.nodes.end())
        return unfit(node, "not a server of group " + group.name);
    if (!is_heard(input, node)) return unfit(node, "not heard");
    const NodeEntry& entry = document.node(node);
    const auto facts = input.facts.find(node);
    const Heartbeat* heartbeat =
        facts != input.facts.end() && facts->second.heartbeat ? &*facts->second.heartbeat : nullptr;
    if (heartbeat != nullptr && heartbeat->leaving) return unfit(node, "leaving the cluster");
    if (entry.state != NodeState::kMember) {
        const bool coming = heartbeat != nullptr && heartbeat->joining && entry.state != NodeState::kFenced;
        return coming ? soon(node, "joining the cluster") : unfit(node, state_obstacle(entry.state));
    }
    if (entry.leaving != Leaving::kNo) return unfit(node, "leaving the cluster");
    if (entry.isolated) return unfit(node, "isolated until it is returned");
    if (heartbeat != nullptr && heartbeat->incarnation.boot != entry.boot) return soon(node, "joining the cluster");
    if (heartbeat != nullptr && !heartbeat->guard_alive) return soon(node, "its guard does not run");
    const auto in_document = document.groups.find(group.name);
    if (in_document != document.groups.end() && in_document->second.failed_on.contains(node))
        return unfit(node, "the group failed there before");
    if (heartbeat != nullptr && node != input.self && !hears(*heartbeat, input.self))
        return soon(node, "does not hear the leader");
    return {node, Fitness::kFit, {}, {}, {}};
}

// Why the fit node `passed` was not taken although it is earlier in the order.
std::string passed_over(const Question& question, const Candidate& passed, const Candidate& taken) {
    if (passed.worth.last_resort && !taken.worth.last_resort) return passed.drawback;
    return words_of(question, passed.worth, taken.worth);
}

}  // namespace

bool is_heard(const PolicyInput& input, NodeId node) {
    if (node == input.self) return true;
    const auto at = input.facts.find(node);
    return at != input.facts.end() && at->second.heartbeat && at->second.heard_at != Instant{} &&
           input.now < at->second.heard_at + input.timing->detect;
}

bool hears(const Heartbeat& heartbeat, NodeId other) {
    return other.value >= 1 && other.value <= 32 && (heartbeat.heard >> (other.value - 1U) & 1U) != 0;
}

Candidate judge(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node,
                Asker asker) {
    Candidate candidate = judge_node(input, document, group, node);
    if (candidate.fitness == Fitness::kUnfit) return candidate;
    Verdicts verdicts = apply_rules({input, document, group, node, asker});
    candidate.worth = verdicts.worth;
    candidate.drawback = std::move(verdicts.drawback);
    std::vector<std::string> obstacles = std::move(verdicts.obstacles);
    if (candidate.fitness == Fitness::kSoon) {
        obstacles.insert(obstacles.begin(), candidate.obstacle);
    } else if (const Candidate replicas = judge_replicas(input, document, group, node); !replicas.obstacle.empty()) {
        candidate.fitness = replicas.fitness;
        obstacles.push_back(replicas.obstacle);
    }
    candidate.fitness = std::max(candidate.fitness, verdicts.fitness);
    candidate.obstacle = joined(obstacles, ", and ");
    return candidate;
}

Placement place(const PolicyInput& input, const Document& document, const config::Group& group, NodeId except,
                Asker asker) {
    std::vector<Candidate> candidates;
    for (const NodeId node : group.nodes)
        if (node != except) candidates.push_back(judge(input, document, group, node, asker));
    const Candidate* best = nullptr;
    for (const Candidate& candidate : candidates)
        if (candidate.fitness == Fitness::kFit && (best == nullptr || candidate.worth < best->worth)) best = &candidate;
    Placement placement;
    bool later = false;
    for (const Candidate& candidate : candidates) {
        if (&candidate == best) {
            placement.node = candidate.node;
            later = true;
            continue;
        }
        if (candidate.fitness == Fitness::kSoon) {
            placement.soon = true;
            const bool better =
                best != nullptr && (candidate.worth < best->worth || (candidate.worth == best->worth && !later));
            placement.better_soon = placement.better_soon || better;
        }
        std::string why = candidate.obstacle;
        if (candidate.fitness == Fitness::kFit && !later)
            why = passed_over({input, document, group, candidate.node, asker}, candidate, *best);
        if (!why.empty()) placement.rejected.push_back(input.config->node_name(candidate.node) + ": " + why);
    }
    return placement;
}

std::string joined(const std::vector<std::string>& items, const char* between) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : between) + item;
    return text;
}

}  // namespace kagami::engine
