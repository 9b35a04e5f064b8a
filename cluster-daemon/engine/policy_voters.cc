// Voters: nonces of stores, and the weights of two nodes (protocol.md 7). One change at a time, agreed by the old and the new set.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {
namespace {

bool any_group_moves(const Document& document) {
    return std::any_of(document.groups.begin(), document.groups.end(),
                       [](const auto& item) { return item.second.target != kNobody; });
}

}  // namespace

void Plan::plan_voters() {
    plan_nonces();
    if (!next_.previous_voters.empty()) {
        if (chosen_.previous_voters == next_.previous_voters) next_.previous_voters.clear();  // the change is chosen
        return;
    }
    plan_weights();
}

// In two steps, so that a crash between the store and the document spoils nothing: the voter's next nonce beside the present one; then
// the next one alone. A store that says neither was rolled back: its promises do not count (register.h).
void Plan::plan_nonces() {
    for (Voter& voter : next_.voters) {
        const Heartbeat* heartbeat = heartbeat_of(voter.id.node);
        if (heartbeat == nullptr || !is_heard(voter.id.node)) continue;
        const std::string name = name_of(voter.id.node);
        if (heartbeat->voter.generation > voter.id.generation && next_.previous_voters.empty()) {
            next_.previous_voters = chosen_.voters;
            voter.id.generation = heartbeat->voter.generation;
            voter.nonce = heartbeat->nonce;
            voter.next_nonce = heartbeat->next_nonce;
            say(Reason::kVoterReplaced, "node " + name, "The vote of " + name + " is renewed: it lost what it had stored.");
            return;
        }
        if (heartbeat->voter != voter.id) continue;
        const bool fresh = voter.nonce == Nonce{} && voter.next_nonce == Nonce{};
        if (!fresh && heartbeat->nonce != voter.nonce && heartbeat->nonce != voter.next_nonce) {
            say_once("store" + name, Reason::kStoreMismatch, "node " + name,
                     "The vote of " + name + " does not count: its store is older than what it promised.");
            continue;
        }
        voter.nonce = heartbeat->nonce;
        voter.next_nonce = heartbeat->next_nonce;
    }
}

bool Plan::weights_settled() const { return next_.previous_voters.empty() && next_.voters == chosen_.voters; }

// Does a witness vote count? Its weight follows its state only after T_hold, so that a lost datagram changes nothing.
std::optional<bool> Plan::witness_counts() {
    const Voter* witness = chosen_.voter(kWitnessId);
    if (witness == nullptr) return std::nullopt;
    const NodeFacts* facts = facts_of(kWitnessId);
    const bool votes = facts != nullptr && facts->votes_now;
    const bool counts = witness->weight > 0;
    if (votes == counts) {
        memory_.witness_changed.reset();
        return counts;
    }
    if (!memory_.witness_changed) memory_.witness_changed = input_.now;
    const Instant at = *memory_.witness_changed + input_.timing->hold;
    consider(at);
    return input_.now >= at ? votes : counts;
}

// The active side wins ties: the member that owns most started groups, the present holder when equal, never one that leaves.
NodeId Plan::tie_holder() const {
    std::map<NodeId, size_t> owned;
    for (const auto& [name, entry] : next_.groups)
        if (entry.owner && entry.goal == Goal::kStarted) ++owned[entry.owner->node];
    NodeId best = kNobody;
    const auto weight = [&](NodeId node) { return chosen_.voter(node) != nullptr ? chosen_.voter(node)->weight : 0; };
    for (const NodeId node : members()) {
        if (next_.node(node).leaving != Leaving::kNo) continue;
        if (best == kNobody || std::pair(owned[node], weight(node)) > std::pair(owned[best], weight(best))) best = node;
    }
    return best;
}

std::vector<Voter> Plan::wanted_voters(bool witness_counts, NodeId tie) const {
    std::vector<Voter> voters = next_.voters;
    for (Voter& voter : voters) {
        const bool witness = voter.id.node == kWitnessId;
        voter.weight = witness ? (witness_counts ? 1 : 0) : (!witness_counts && voter.id.node == tie ? 2 : 1);
    }
    return voters;
}

// Two nodes only, and only while both vote: a weight is never taken from somebody who cannot be asked.
void Plan::plan_weights() {
    if (input_.config->nodes.size() != 2) return;
    const std::optional<bool> counts = witness_counts();
    for (const config::Node& node : input_.config->nodes) {
        const NodeFacts* facts = facts_of(node.id);
        const bool votes = node.id == input_.self || (facts != nullptr && facts->votes_now && is_heard(node.id));
        if (!votes || next_.node(node.id).state != NodeState::kMember) return;
    }
    const NodeId tie = tie_holder();
    if (tie == kNobody || any_group_moves(next_)) return;
    std::vector<Voter> wanted = wanted_voters(counts.value_or(false), tie);
    if (wanted == next_.voters) return;
    const bool witness_changes = counts && *counts != (chosen_.voter(kWitnessId)->weight > 0);
    if (witness_changes && *counts)
        say(Reason::kWitnessRestored, "witness", "The witness votes again.");
    else if (witness_changes)
        say(Reason::kWitnessLost, "witness", "The witness is lost: " + name_of(tie) + " decides alone if the nodes lose each other.");
    next_.previous_voters = chosen_.voters;
    next_.voters = std::move(wanted);
}

}  // namespace kagami::engine
