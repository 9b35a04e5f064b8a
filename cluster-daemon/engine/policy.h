// The leader's decisions about groups and members: document + facts -> next document, orders, sentences. Pure.
// A call looks at everything anew (level-triggered), so a new leader goes on where the old one stopped; the document
// holds all intent.
//
// Rules:      protocol.md 6 (proofs P1..P5), 7 (W and T), 8 (start-up, leaving, return), 10 decide();
//             expresscluster.md 2.1, 2.2.
// Invariants: I16 a start only after a proof for the last owner; a takeover of all groups of one lost node is ONE
//             commit; L4 one fault causes at most one move per group; every rejected candidate keeps its reason.
// Leaves to others: who votes (voters_policy.h), choosing the document (register.h), doing it on the node
//             (local_manager.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/messages.h"
#include "cluster-daemon/engine/timing.h"

namespace kagami::engine {

// What the leader knows of one node (itself included) or of the witness.
struct NodeFacts {
    std::optional<Heartbeat> heartbeat;  // newest
    Instant heard_at;                    // when; Instant{} = never
    std::optional<NodeReport> report;    // newest of the present incarnation
    Instant may_run_until;               // of the incarnation in the document; after it P4 holds
    bool votes_now = false;              // acknowledged a renewal within T_detect
};

struct PendingRequest {
    OperatorRequest request;
    NodeId origin;
};

struct PolicyInput {
    const Document* document = nullptr;      // chosen
    const config::Config* config = nullptr;  // of that document
    const Timing* timing = nullptr;
    NodeId self;
    Instant now;
    Instant leading_since;
    bool startup_complete = true;          // a start-up condition of protocol.md 8 holds
    std::map<NodeId, NodeFacts> facts;     // nodes and witness
    std::vector<PendingRequest> requests;  // new operator requests
    uint64_t random = 0;                   // another one at every call: new generations of mirrors come from it
    // Settings::parse_config, for kConfigApply. Null: configurations are not accepted here.
    const std::function<std::shared_ptr<const config::Config>(const Bytes& packed)>* parse_config = nullptr;
};

struct PolicyOutput {
    std::optional<Document> next;  // to propose (content only: the register fills version, previous, leader)
    std::vector<Envelope> orders;  // START and STOP, repeated while the reports do not match
    std::vector<std::pair<NodeId, OperatorReply>> replies;
    std::vector<Decision> decisions;
    std::optional<Instant> wake_at;
    std::optional<NodeId> hand_over_to;  // leadership should move to the node that owns most mirrors and groups
};

struct PolicyMemory;  // replies that wait for their end, moves of the last hour, sentences already said

// plan() is called after every event while the register is not busy; requests are consumed by the call that brings
// them. In `next` a group that was just assigned carries Token{} beside its owner; the register puts the proposed
// version there.
class Policy {
 public:
    Policy();
    PolicyOutput plan(const PolicyInput& input);
    void reset();  // no longer leader: forget waiting replies, storm counters and what was already said

 private:
    std::shared_ptr<PolicyMemory> memory_;
};

}  // namespace kagami::engine
