// Who votes with which weight: pure functions from document to document, combined with the policy's plan by the engine.
// protocol.md 3, 7.
//
// Rules:   every node that has not left and does not leave has weight 1 (one that was added later: once it is a member); an odd number of them needs nobody else; with
// an even number the witness has 1 as
//          long as it lives, else one node more: the tie holder (the node that owns most groups, then the leader).
//          The witness is written off (weight 0) when it has not voted for max(5 T_hold, 10 s) while all others do; it
//          gets its weight back once it votes. A nonce that a voter announces at boot is admitted; a voter that shows
//          neither its nonce nor the announced one has lost its store and is replaced by a voter of the next generation
//          (I13).
// Invariants: total weight is odd; a changed set of voters stands beside the former one (joint quorum) until the next
// commit settles it;
//          nothing is changed that the voters heard now could not choose.
// Leaves to others: which nodes are members (policy.h).
#pragma once

#include <map>
#include <set>
#include <vector>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/engine/messages.h"

namespace kagami::engine {

struct VoterFacts {
    NodeId self;                             // the leader
    std::map<NodeId, Heartbeat> heartbeats;  // newest of every node and of the witness heard now
    std::set<NodeId> voting;                 // acknowledge the leader now, itself included
    bool witness_configured = false;
    bool witness_given_up = false;  // has not voted for witness_patience()
};
Duration witness_patience(Duration hold);

// Changes `next` (the policy's next document, or a copy of the chosen one) where voters have to change.
std::vector<Decision> keep_voters(Document& next, const VoterFacts& facts);

// After a person's word that `down` nodes are down (P5), without a quorum: they are fenced and lose their weight,
// `self` can go on.
Document without_nodes(const Document& document, const std::set<NodeId>& down, NodeId self);

}  // namespace kagami::engine
