// The register on one node (or on the witness): voter, proposer, leader and the leases. Pure. protocol.md 3, 4, 8 and 10 are its law.
//
// Roles:   follower  - acknowledges the leader; on a node it asks the leader for its node lease every T_renew
//          candidate - T_detect (and T_pref, unless it owns a group) without a leader: PreVote, then PREPARE
//          leader    - renews every T_renew; its lease runs T_hold from the send time of the newest renewal that a majority acknowledged
// Parts:   Voter (voter.h) the durable acceptor; Proposer (proposer.h) elections and the leader's commits; Leases (lease.h)
// Invariants: I1 one leader per epoch, a voter's epoch never decreases; I2; I12; I13; I17 run_until() never exceeds
//          (send time of the newest acknowledged renewal or lease request) + T_hold.
// Leaves to others: what the document says of groups (policy.h), what runs here (local_manager.h).
#pragma once

#include <memory>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/timing.h"

namespace kagami::engine {

struct RegisterSettings {
    Incarnation self;
    bool witness = false;                 // a voter without groups: never contends
    std::vector<NodeId> configured;       // all configured nodes, the witness not included
    Duration startup_wait{};
    uint64_t seed = 0;                    // randomness of this boot: nonces, jitter
    Instant booted;                       // start of this daemon
    bool restarted = false;               // the daemon restarted within the same boot (DurableState::boot == self.boot)
};

// What the rest of the engine reads.
class RegisterView {
 public:
    virtual ~RegisterView() = default;
    virtual const Document& document() const = 0;         // newest accepted (of the leader: proposed or chosen, see chosen())
    virtual const Document& chosen() const = 0;           // newest known to be chosen
    virtual bool leading(Instant now) const = 0;          // leader with a valid lease, own first document of this epoch chosen
    virtual NodeId leader() const = 0;                    // whom it follows; itself when leading; kNobody
    virtual Instant run_until() const = 0;                // groups may run here until then (leader lease or node lease); Instant{} = no lease
    virtual Instant run_lease_sent_at() const = 0;        // send stamp of the renewal or request behind run_until()
    // Leader only: the latest moment at which incarnation `who` may still hold a run lease (from me, or before me). P4 is allowed after it.
    virtual Instant may_run_until(const Incarnation& who) const = 0;
    virtual bool busy() const = 0;                        // leader: a proposal is not chosen yet; propose() would be refused
    virtual bool has_quorum(Instant now) const = 0;       // for displays
};

}  // namespace kagami::engine
