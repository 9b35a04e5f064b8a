// The register on one node (or on the witness): acceptor, elections, leadership and leases in one. Pure. protocol.md 3,
// 4, 8 and 10 are its law.
//
// Roles:   follower  - acknowledges the leader; on a node it asks the leader for its node lease every T_renew
//          candidate - T_detect (and T_pref, unless it owns a group) without a leader: PreVote, then PREPARE
//          leader    - renews every T_renew; its lease runs T_hold from the send time of the newest renewal that a
//          majority acknowledged
// Parts:   Acceptor (acceptor.h) the vote; Election (election.h); Leadership (leadership.h) commits and renewals;
// RunLease and Grants
//          (lease.h); judge_startup() (startup.h); Peers (peers.h) who is heard
// Invariants: I1 one leader per epoch, a voter's epoch never decreases; I2; I12; I13; I17 run_until() never exceeds
//          (send time of the newest acknowledged renewal or lease request) + T_hold.
// Leaves to others: what the document says of groups (policy.h), who votes (voters_policy.h), what runs here
// (local_manager.h).
//
// Planned hand-over without a gap: the leader stops deciding, releases its promise to the target, and goes on running
// under what is left of its lease; the target is elected at once. Safe because the former leader's lease and every
// grant it gave end within T_grant of the hand-over, and the new leader counts everybody as possibly running until then
// (Grants::everybody_until), so that it starts a group elsewhere only with a proof that the owner has stopped. Whoever
// is elected after the new leader waited out the new leader's own promises, which began later than the former leader's
// last ones.
#pragma once

#include <memory>
#include <variant>

#include "cluster-daemon/engine/election.h"
#include "cluster-daemon/engine/leadership.h"
#include "cluster-daemon/engine/lease.h"
#include "cluster-daemon/engine/peers.h"
#include "cluster-daemon/engine/startup.h"

namespace kagami::engine {

struct RegisterSettings {
    Incarnation self;
    bool witness = false;  // a voter without groups: never contends
    uint64_t seed = 0;     // randomness of this boot: nonces, jitter
    Instant booted;        // start of this daemon
};

// What the rest of the engine reads.
class RegisterView {
 public:
    virtual ~RegisterView() = default;
    virtual const Document& document() const = 0;  // newest accepted (of the leader: proposed or chosen, see chosen())
    virtual const Document& chosen() const = 0;    // newest known to be chosen
    virtual bool leading(Instant now) const = 0;   // leader with a valid lease, own first document of this epoch chosen
    virtual NodeId leader() const = 0;             // whom it follows; itself when leading; kNobody
    virtual Instant run_until()
        const = 0;  // groups may run here until then (leader lease or node lease); Instant{} = no lease
    virtual Instant run_lease_sent_at() const = 0;  // send stamp of the renewal or request behind run_until()
    // Leader only: the latest moment at which incarnation `who` may still hold a run lease (from me, or before me). P4
    // is allowed after it.
    virtual Instant may_run_until(const Incarnation& who) const = 0;
    virtual bool busy() const = 0;                   // leader: a proposal is not chosen yet; propose() would be refused
    virtual bool has_quorum(Instant now) const = 0;  // for displays
};

class Register final : public RegisterView {
 public:
    Register(const RegisterSettings& settings, Ledger& ledger, Outbox& out);

    void on_message(NodeId from, const Message& message, Instant now);  // those of the register; others are ignored
    void on_pause(Instant now);
    void advance(Instant now);  // every step ends with this
    Instant wake_at() const;

    Status propose(Document next, Instant now);
    void hand_over(NodeId to, Instant now);
    // A person's words at a node that starts up or has no leader.
    void set_startup_wait(Duration wait) { startup_wait_ = wait; }
    void cancel_startup_wait() { wait_cancelled_ = true; }
    Status force_start(const std::set<NodeId>& down, Instant now);

    const Document& document() const override { return acceptor_.document(); }
    const Document& chosen() const override { return acceptor_.chosen(); }
    bool leading(Instant now) const override;
    NodeId leader() const override { return leader_; }
    Instant run_until() const override { return run_lease_.run_until(); }
    Instant run_lease_sent_at() const override { return run_lease_.sent_at(); }
    Instant may_run_until(const Incarnation& who) const override { return grants_.may_run_until(who); }
    bool busy() const override;
    bool has_quorum(Instant now) const override;

    const Acceptor& acceptor() const { return acceptor_; }
    const Timing& timing() const { return acceptor_.timing(); }
    const Peers& peers() const { return peers_; }
    const StartupVerdict& startup() const { return startup_; }
    Instant leading_since() const { return leading_since_; }
    bool votes_now(NodeId node, Instant now) const;

 private:
    struct Follower {};
    using Role = std::variant<Follower, Election, Leadership>;

    void on(NodeId from, const Heartbeat& m, Instant now);
    void on(NodeId from, const PreVote& m, Instant now);
    void on(NodeId from, const PreVoteReply& m, Instant now);
    void on(NodeId from, const Prepare& m, Instant now);
    void on(NodeId from, const PrepareReply& m, Instant now);
    void on(NodeId from, const Accept& m, Instant now);
    void on(NodeId from, const AcceptReply& m, Instant now);
    void on(NodeId from, const Renew& m, Instant now);
    void on(NodeId from, const RenewAck& m, Instant now);
    void on(NodeId from, const LeaseRequest& m, Instant now);
    void on(NodeId from, const LeaseGrant& m, Instant now);
    void on(NodeId from, const HandOver& m, Instant now);
    void on(NodeId from, const Release& m, Instant now);
    void on(NodeId from, const FetchDocument& m, Instant now);
    void on(NodeId from, const DocumentIs& m, Instant now);
    template <typename Other>
    void on(NodeId /*from*/, const Other& /*not the register's*/, Instant /*now*/) {}

    void advance_role(Instant now);
    void advance_follower(Instant now);
    void advance_election(Instant now);
    void advance_leadership(Instant now);
    void start_election(ElectionTerms terms, Instant now);
    void lead(Instant now);
    void step_down(Instant now, const std::string& why);
    void heard_leader(NodeId leader, Epoch epoch, Instant now);
    void judge(Instant now);
    void tell_lease_changes(Instant now);
    bool owns_started_group() const;
    Instant contend_at() const;
    Duration patience(Instant now) const;

    RegisterSettings settings_;
    Outbox& out_;
    Randomness random_;
    bool restarted_;  // the daemon restarted within the same boot
    Acceptor acceptor_;
    RunLease run_lease_;
    Grants grants_;
    Peers peers_;
    Role role_;
    NodeId leader_;
    Instant leader_heard_at_;
    Instant leading_since_;
    Epoch max_seen_;
    Epoch handed_over_;  // epoch whose leader asked this node to take over
    Instant hand_over_until_;
    Instant take_back_at_ = kNever;  // this node handed over, and nobody leads yet
    Duration startup_wait_{};
    bool wait_cancelled_ = false;
    bool was_member_ = false;  // in this run of the daemon
    bool had_lease_ = false;
    std::set<NodeId> timing_differs_;  // already said
    std::set<NodeId> other_document_;  // already said
    StartupVerdict startup_;
};

}  // namespace kagami::engine
