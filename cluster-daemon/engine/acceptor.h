// The acceptor: one node's (or the witness's) vote. protocol.md 3, 4 and 10 are its law; the Promela model is
// lease.pml.
//
// Decides: whether to promise a ballot, to accept a document, to acknowledge a renewal.
// States:  silent   - the first T_grant after a (re)start: it may have promised before, so it grants nothing new; it
// still
//                     acknowledges the present leader
//          promised - it acknowledged a leader less than T_grant ago: no other candidate gets a promise, except the
//          very incarnation
//                     that holds the promise, or the one it was released to (hand-over)
//          free
// Invariants: I1 `promised` never decreases; I12 nothing is acknowledged across different timing; I13 a store that is
// not the one of
//          the last admission shows by its nonce (counts_for) and gets a new voter id; an older document never replaces
//          a newer one.
// Order:   the record changes in memory first; an answer that depends on it carries the serial it must wait for
// (Ledger).
#pragma once

#include "cluster-daemon/engine/ledger.h"
#include "cluster-daemon/engine/timing.h"

namespace kagami::engine {

template <typename Reply>
struct Answered {
    Reply reply;
    uint64_t after_persist = 0;
};

// Whether a vote of `id` with `nonce` counts under this document: a restored store shows another nonce (I13).
bool counts_for(const Document& document, VoterId id, Nonce nonce);

class Acceptor {
 public:
    Acceptor(Ledger& ledger, const Incarnation& self, Instant booted, uint64_t seed);

    const Document& document() const { return document_; }  // newest accepted
    const Document& chosen() const { return chosen_; }  // newest known to be chosen (after a start: the accepted one)
    Version known_chosen() const { return chosen_known_ ? chosen_.version : Version{}; }
    const Timing& timing() const { return timing_; }
    Epoch promised() const { return ledger_.state().promised; }
    VoterId id() const { return ledger_.state().voter; }
    Nonce nonce() const { return ledger_.state().nonce; }
    Nonce next_nonce() const { return ledger_.state().next_nonce; }
    uint64_t identity_serial() const {
        return ledger_.wait_for(identity_serial_);
    }  // id and nonces may be told after it
    bool promise_durable() const { return ledger_.is_durable(promise_serial_); }
    bool accept_durable() const { return ledger_.is_durable(accept_serial_); }
    uint64_t accept_serial() const { return ledger_.wait_for(accept_serial_); }
    // When it would promise to `candidate`: now or earlier = at once.
    Instant willing_at(const Incarnation& candidate, bool hand_over) const;

    PreVoteReply on_pre_vote(NodeId from, const PreVote& question, Instant now) const;
    Answered<PrepareReply> on_prepare(NodeId from, const Prepare& prepare, Instant now);
    Answered<AcceptReply> on_accept(NodeId from, const Accept& accept, Instant now);
    Answered<RenewAck> on_renew(NodeId from, const Renew& renew, Instant now);
    void on_release(NodeId from, const Release& release);
    // A late copy of an Accept that somebody else relays.
    void on_document(const DocumentIs& copy, Instant now);

    // The leader's own vote: its proposal, its renewal, its hand-over. False when it has promised a higher epoch.
    bool accept_own(const Document& document, Bytes bytes, Instant now);
    bool renew_own(Epoch epoch, Instant now);
    // `version` is chosen; takes over what the chosen document says of this voter (its id, its nonce).
    void on_chosen(Version version);

 private:
    bool promise_stands(const Incarnation& candidate, bool hand_over) const;
    bool already_promised(const Prepare& prepare) const;
    void acknowledge(Epoch epoch, const Incarnation& leader, Instant now);
    void store(const Document& document, Bytes bytes, Instant now);
    void adopt_identity();
    void raise(Epoch epoch);

    Ledger& ledger_;
    Incarnation self_;
    Document document_;
    Document chosen_;
    Timing timing_;
    Instant silent_until_;
    Instant promise_until_;
    Epoch promise_epoch_;         // of the leader acknowledged last
    Incarnation promise_holder_;  // node 0 = not known
    Epoch candidate_epoch_;       // promised last by PREPARE, in this run of the daemon
    Incarnation candidate_;
    Release released_;
    uint64_t promise_serial_ = 0;  // change that made `promised` durable
    uint64_t accept_serial_ = 0;   // ... and the accepted document
    uint64_t identity_serial_ = 0;
    bool chosen_known_ = false;  // not yet since the start of this daemon
};

}  // namespace kagami::engine
