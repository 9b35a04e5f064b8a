#include "cluster-daemon/engine/startup.h"

namespace kagami::engine {
namespace {

std::set<NodeId> missing_nodes(const StartupFacts& facts) {
    std::set<NodeId> missing;
    for (const auto& [node, entry] : facts.document->nodes)
        if (node != facts.self.node && !facts.heard.contains(node)) missing.insert(node);
    return missing;
}

std::string list(const std::set<NodeId>& nodes, const Outbox& names) {
    std::string text;
    for (const NodeId node : nodes) text += (text.empty() ? "" : ", ") + names.name(node);
    return text;
}

bool left_last(const StartupFacts& facts) {
    return facts.document->last_standing && facts.document->last_standing->node == facts.self.node;
}

StartupVerdict wait(std::string sentence) {
    return {false, false, std::move(sentence)};
}

}  // namespace

StartupVerdict judge_startup(const StartupFacts& facts, const Outbox& names) {
    if (facts.left_in_this_run) return wait("This node has left the cluster.");
    if (facts.document->names(facts.self)) return {true, true, {}};
    if (facts.leader != kNobody) return wait("Waits to be admitted by " + names.name(facts.leader) + ".");
    if (left_last(facts)) return {true, false, {}};
    const std::set<NodeId> missing = missing_nodes(facts);
    const std::string absent = list(missing, names);
    std::set<NodeId> present = facts.heard;
    present.insert(facts.self.node);
    const bool alone = facts.heard.empty() && facts.document->nodes.size() > 1;
    if (alone || !is_quorum(*facts.document, ids_of(*facts.document, present)))
        return wait("Hears no majority; not heard: " + absent +
                    ". If they are down for certain: kagami cluster start --alone --confirm-down NODE.");
    if (!missing.empty() && !facts.wait_over)
        return wait("Waits for " + absent + ", for " + std::to_string(milliseconds(facts.wait_left) / 1000) +
                    " s more; to go on without: kagami cluster start --now.");
    return {true, false, {}};
}

}  // namespace kagami::engine
