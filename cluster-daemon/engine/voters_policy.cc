#include "cluster-daemon/engine/voters_policy.h"

#include <algorithm>

namespace kagami::engine {
namespace {

using Voters = std::vector<Voter>;

// Who leaves gives its weight away beforehand, so that its going needs nobody's vote but those who stay.
bool keeps_weight(const NodeEntry& entry) {
    return entry.state != NodeState::kLeft && entry.leaving == Leaving::kNo;
}

// A node that was added to a running cluster is listened to, but counts only once it is a member: until then it could
// only be missed.
bool counts(const NodeEntry& entry, const Voter* present) {
    const bool never_voted = present == nullptr || present->weight == 0;
    return keeps_weight(entry) && !(entry.state == NodeState::kAbsent && never_voted);
}

size_t groups_owned(const Document& document, NodeId node) {
    return static_cast<size_t>(std::count_if(document.groups.begin(), document.groups.end(), [&](const auto& g) {
        return g.second.owner && g.second.owner->node == node;
    }));
}

Voter* find(Voters& voters, NodeId node) {
    const auto at = std::find_if(voters.begin(), voters.end(), [&](const Voter& v) { return v.id.node == node; });
    return at == voters.end() ? nullptr : &*at;
}

uint16_t weight_of(const Document& document, NodeId node) {
    const Voter* voter = document.voter(node);
    return voter == nullptr ? uint16_t{0} : voter->weight;
}

// The tie weight stays where it is while that node is a member, unless another one owns more groups.
NodeId tie_holder(const Document& document, const std::vector<NodeId>& members, const VoterFacts& facts) {
    const auto holder =
        std::find_if(members.begin(), members.end(), [&](NodeId n) { return weight_of(document, n) > 1; });
    const bool leader_stays = std::find(members.begin(), members.end(), facts.self) != members.end();
    NodeId best = holder != members.end() ? *holder : leader_stays ? facts.self : members.front();
    for (const NodeId node : members)
        if (facts.voting.contains(node) && groups_owned(document, node) > groups_owned(document, best)) best = node;
    return best;
}

bool witness_counts(const Document& document, const VoterFacts& facts) {
    if (!facts.witness_configured) return false;
    if (weight_of(document, kWitnessId) == 0) return facts.voting.contains(kWitnessId);
    if (!facts.witness_given_up) return true;
    return !std::all_of(document.voters.begin(), document.voters.end(), [&](const Voter& v) {
        return v.weight == 0 || v.id.node == kWitnessId || facts.voting.contains(v.id.node);
    });
}

// The voters that the nodes and the witness ask for, with the weights of the rules above; ids and nonces as they are.
Voters wanted_voters(const Document& document, const VoterFacts& facts) {
    std::vector<NodeId> members;
    Voters wanted;
    for (const auto& [node, entry] : document.nodes) {
        const Voter* present = document.voter(node);
        Voter voter = present != nullptr ? *present : Voter{{node, 0}, 0, {}, {}};
        if (counts(entry, present)) members.push_back(node);
        voter.weight = counts(entry, present) ? 1 : 0;
        wanted.push_back(voter);
    }
    if (members.empty()) return document.voters;  // all leave: the last ones keep what they have
    const bool even = members.size() % 2 == 0;
    const bool witness = even && witness_counts(document, facts);
    if (even && !witness) {
        if (Voter* holder = find(wanted, tie_holder(document, members, facts))) holder->weight = 2;
    }
    if (facts.witness_configured) {
        const Voter* present = document.voter(kWitnessId);
        Voter voter = present != nullptr ? *present : Voter{{kWitnessId, 0}, 0, {}, {}};
        voter.weight = witness ? 1 : 0;
        wanted.push_back(voter);
    }
    return wanted;
}

// Both sets must be able to choose the change with the voters that are heard now; `fresh` voters cannot vote yet.
bool can_choose(const Voters& before, const Voters& after, const std::set<NodeId>& voting, NodeId fresh) {
    std::set<NodeId> able = voting;
    able.erase(fresh);
    return is_quorum(before, ids_of(before, able)) && is_quorum(after, ids_of(after, able));
}

void change_voters(Document& next, Voters wanted) {
    next.previous_voters = std::move(next.voters);
    next.voters = std::move(wanted);
}

void admit_nonces(Document& next, const VoterFacts& facts) {
    for (Voter& voter : next.voters) {
        const auto at = facts.heartbeats.find(voter.id.node);
        if (at == facts.heartbeats.end() || at->second.voter != voter.id) continue;
        const Heartbeat& heard = at->second;
        if (voter.next_nonce.value != 0 && heard.nonce == voter.next_nonce) {
            voter.nonce = voter.next_nonce;
            voter.next_nonce = {};
        }
        if (heard.nonce == voter.nonce && heard.next_nonce.value != 0) voter.next_nonce = heard.next_nonce;
    }
}

bool lost_its_store(const Voter& voter, const Heartbeat& heard) {
    // A node that was removed, and was added again with the store of its former membership.
    if (heard.voter.node == voter.id.node && heard.voter.generation > voter.id.generation)
        return heard.next_nonce.value != 0;
    return heard.voter == voter.id && heard.nonce != voter.nonce &&
           (voter.next_nonce.value == 0 || heard.nonce != voter.next_nonce) && heard.next_nonce.value != 0;
}

// One voter at a time.
std::vector<Decision> replace_lost_voter(Document& next, const VoterFacts& facts) {
    for (const Voter& voter : next.voters) {
        const auto at = facts.heartbeats.find(voter.id.node);
        if (at == facts.heartbeats.end() || !lost_its_store(voter, at->second)) continue;
        Voters wanted = next.voters;
        Voter* fresh = find(wanted, voter.id.node);
        fresh->id.generation = std::max(voter.id.generation, at->second.voter.generation);
        ++fresh->id.generation;
        fresh->nonce = at->second.next_nonce;
        fresh->next_nonce = {};
        const NodeId node = voter.id.node;
        if (!can_choose(next.voters, wanted, facts.voting, node)) continue;
        const std::string who = to_string(node);
        change_voters(next, std::move(wanted));
        return {{Reason::kStoreMismatch,
                 who,
                 "The voter store of " + who + " is not the one that was last admitted; its votes do not count.",
                 {}},
                {Reason::kVoterReplaced, who, who + " votes again under a new voter id.", {}}};
    }
    return {};
}

std::vector<Decision> adjust_weights(Document& next, const VoterFacts& facts) {
    Voters wanted = wanted_voters(next, facts);
    if (wanted == next.voters || !can_choose(next.voters, wanted, facts.voting, kNobody)) return {};
    const uint16_t before = weight_of(next, kWitnessId);
    change_voters(next, std::move(wanted));
    const uint16_t after = weight_of(next, kWitnessId);
    if (before == after) return {};
    if (after == 0 && !facts.voting.contains(kWitnessId))
        return {{Reason::kWitnessLost,
                 "witness",
                 "The witness does not answer; its vote went to a node, so the cluster can go on without it.",
                 {}}};
    if (after != 0) return {{Reason::kWitnessRestored, "witness", "The witness votes again.", {}}};
    return {};
}

}  // namespace

Duration witness_patience(Duration hold) {
    return std::max<Duration>(5 * hold, 10s);
}

std::vector<Decision> keep_voters(Document& next, const VoterFacts& facts) {
    const bool settling = !next.previous_voters.empty();
    next.previous_voters.clear();
    admit_nonces(next, facts);
    if (settling) return {};
    auto said = replace_lost_voter(next, facts);
    if (next.previous_voters.empty()) said = adjust_weights(next, facts);
    return said;
}

Document without_nodes(const Document& document, const std::set<NodeId>& down, NodeId self) {
    Document next = document;
    next.previous_voters.clear();
    uint32_t total = 0;
    for (Voter& voter : next.voters) {
        if (down.contains(voter.id.node)) voter.weight = 0;
        total += voter.weight;
    }
    for (const NodeId node : down)
        if (next.nodes.contains(node)) next.nodes[node].state = NodeState::kFenced;
    if (Voter* own = find(next.voters, self); own != nullptr && total % 2 == 0) ++own->weight;
    return next;
}

}  // namespace kagami::engine
