// A candidate's way to leadership: PreVote, PREPARE, and what it then has to adopt.
//
// States:  asking    - PreVote to every voter; asked again every T_renew, and exactly when a quorum says it will be
// free, so that a
//                      takeover needs T_grant and a few round trips
//          preparing - PREPARE with a fresh epoch to every voter; given up after T_detect for a new PreVote
//          won()     - a quorum of counting promises: the newest document among them is the one to re-accept
// Invariants: promises count only with the voter's id and nonce of the newest document among them (I13), in both voter
// sets while a
//          change is under way; the own promise only once it is durable.
// A person's word that nodes are down (ElectionTerms::down, proof P5) takes their weight away beforehand, and lifts the
// epoch by a step that no election reaches: of two documents of which neither knows the other, the forced one wins.
#pragma once

#include <map>
#include <set>

#include "cluster-daemon/engine/acceptor.h"
#include "cluster-daemon/engine/outbox.h"
#include "cluster-daemon/engine/randomness.h"

namespace kagami::engine {

constexpr uint64_t kForcedStep = 1ULL << 24U;  // of the epoch's counter

struct ElectionTerms {
    bool hand_over = false;  // the present leader asked for it
    Duration patience{};     // how much later than possible it asks: others are preferred
    std::set<NodeId> down;   // a person's word; empty in an ordinary election
};

class Election {
 public:
    Election(Acceptor& acceptor, const Incarnation& self, Outbox& out, Randomness& random, Epoch max_seen,
             ElectionTerms terms);

    void advance(Instant now);
    void on_pre_vote_reply(NodeId from, const PreVoteReply& reply, Instant now);
    void on_prepare_reply(NodeId from, const PrepareReply& reply, Instant now);

    bool won() const;
    Document adopted() const;  // of a won election: what to re-accept under the own epoch
    Epoch epoch() const { return epoch_; }
    const ElectionTerms& terms() const { return terms_; }
    Instant wake_at() const { return act_at_; }

 private:
    enum class Phase : uint8_t { kAsking, kPreparing };
    struct Promise {
        VoterId voter;
        Nonce nonce;
        Document document;
    };
    void ask(Instant now);
    void prepare(Instant now);
    void send_prepare();
    void note_refusal(NodeId from, Epoch promised, Duration lease_left, Instant now);
    bool needs_another_voice() const;
    Instant quorum_free_at(Instant now) const;
    bool granted_by_quorum() const;
    const Document& newest() const;
    const Document& known() const;
    void learn();
    Document rules(const Document& document) const;

    Acceptor& acceptor_;
    Incarnation self_;
    Outbox& out_;
    Randomness& random_;
    ElectionTerms terms_;
    Epoch max_seen_;
    Phase phase_ = Phase::kAsking;
    Epoch epoch_;
    Instant act_at_;                     // ask again, or send PREPARE again
    Instant give_up_at_;                 // of this PREPARE
    std::set<NodeId> granted_;           // PreVotes of this round
    std::map<NodeId, Instant> free_at_;  // when a voter that refused will be free
    std::map<NodeId, Promise> promises_;
    bool own_promise_ = false;         // given, maybe not durable yet
    std::optional<Document> learned_;  // newest document of earlier promises: it tells who votes
    bool mismatch_said_ = false;
};

}  // namespace kagami::engine
