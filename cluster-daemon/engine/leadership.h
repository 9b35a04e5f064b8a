// The leader's part: commits, renewals and the leader lease. protocol.md 4 and 10.
//
// States:  opening  - its first document (epoch, 0), the adopted one, is not chosen yet
//          settled  - nothing in flight: propose() may follow
//          busy     - one proposal in flight, sent again every T_renew until a quorum has it durably
// Lease:   send time of the newest renewal that a quorum acknowledged + T_hold. The own vote counts when the quorum is
// counted, not when the
//          renewal is sent: a leader that nobody answers does not hold its own voter back from others.
// Invariants: I1, I2 (own accept durable before others see the proposal; one proposal at a time), I17.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "cluster-daemon/engine/acceptor.h"
#include "cluster-daemon/engine/outbox.h"

namespace kagami::engine {

class Leadership {
 public:
    Leadership(Acceptor& acceptor, const Incarnation& self, Outbox& out, Epoch epoch, Instant now);

    // Re-accepts the document that an election found. False when the own voter has promised more meanwhile.
    bool open(const Document& adopted, Instant now);
    // The daemon restarted: goes on with the own accepted document of the own epoch.
    void resume(Instant now);
    Status propose(Document next, Instant now);
    void advance(Instant now);
    void on_accept_reply(NodeId from, const AcceptReply& reply, Instant now);
    void on_renew_ack(NodeId from, const RenewAck& ack, Instant now);
    void forget_rounds();  // the clock may have stopped: nothing sent before counts

    Epoch epoch() const { return epoch_; }
    Instant since() const { return since_; }
    const Document& proposed() const { return acceptor_.document(); }
    bool opened() const { return opened_; }  // the first document is chosen
    bool busy() const { return !chosen_; }
    Instant lease_until() const { return lease_until_; }
    Instant lease_sent_at() const { return lease_sent_at_; }
    Epoch refused_for() const {
        return refused_for_;
    }  // highest epoch that kept a voter with weight from acknowledging
    bool votes_now(NodeId node, Instant now) const;
    Instant wake_at() const;

 private:
    struct Round {
        uint64_t stamp = 0;
        Instant sent_at;
        Duration hold{};
        std::set<VoterId> acknowledged;
    };
    void renew(Instant now);
    void refuse_newer(NodeId from, Version newest);
    void count(Round& round, Instant now);
    void count_accepts(Instant now);
    void send_accept(Instant now);
    Status put(Document next, Version version, Instant now);

    Acceptor& acceptor_;
    Incarnation self_;
    Outbox& out_;
    Epoch epoch_;
    Instant since_;
    bool opened_ = false;
    bool chosen_ = false;
    std::set<VoterId> accepted_;
    std::set<NodeId> has_it_;
    std::deque<Round> rounds_;
    std::set<NodeId> refused_newer_;  // already said
    Instant lease_until_;
    Instant lease_sent_at_;
    Instant renew_at_;
    Instant resend_at_;
    Epoch refused_for_;
    std::map<NodeId, Instant> acknowledged_at_;
};

}  // namespace kagami::engine
