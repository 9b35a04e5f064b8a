#include "cluster-daemon/engine/election.h"

#include <algorithm>
#include <vector>

#include "cluster-daemon/engine/voters_policy.h"

namespace kagami::engine {

Election::Election(Acceptor& acceptor, const Incarnation& self, Outbox& out, Randomness& random, Epoch max_seen,
                   ElectionTerms terms)
    : acceptor_(acceptor), self_(self), out_(out), random_(random), terms_(std::move(terms)), max_seen_(max_seen) {}

// The document whose voter sets decide, after a person's word about nodes that are down.
Document Election::rules(const Document& document) const {
    return terms_.down.empty() ? document : without_nodes(document, terms_.down, self_.node);
}

void Election::advance(Instant now) {
    if (now < act_at_) return;
    if (phase_ == Phase::kPreparing && now < give_up_at_) {
        send_prepare();
        act_at_ = std::min(give_up_at_, now + acceptor_.timing().renew);
        return;
    }
    ask(now);
}

void Election::ask(Instant now) {
    learn();
    phase_ = Phase::kAsking;
    promises_.clear();
    granted_.clear();
    own_promise_ = false;
    max_seen_ = std::max(max_seen_, acceptor_.promised());
    epoch_ = Epoch::make(max_seen_.counter() + (terms_.down.empty() ? 1 : kForcedStep), self_.node);
    const Duration renew = acceptor_.timing().renew;
    act_at_ = now + (terms_.hand_over ? renew / 4 : renew + random_.up_to(renew / 4));
    const PreVote question{epoch_, self_, terms_.hand_over};
    for (const NodeId node : voting_nodes(known()))
        if (node != self_.node) out_.send(node, question);
    on_pre_vote_reply(self_.node, acceptor_.on_pre_vote(self_.node, question, now), now);
}

const Document& Election::known() const {
    return learned_ && learned_->version > acceptor_.document().version ? *learned_ : acceptor_.document();
}

// A PREPARE that was not enough still tells who votes: a candidate whose own store is void does not raise epochs again
// and again.
void Election::learn() {
    if (promises_.empty()) return;
    learned_ = newest();
    if (mismatch_said_ || counts_for(*learned_, acceptor_.id(), acceptor_.nonce())) return;
    mismatch_said_ = true;
    out_.say(Reason::kStoreMismatch, out_.name(self_.node),
             "The voter store of " + out_.name(self_.node) +
                 " is not the one that was last admitted: its vote does not count until a leader replaces it. If "
                 "nobody can lead without it, "
                 "start another node with `kagami cluster start --alone`.");
}

bool Election::granted_by_quorum() const {
    const Document deciding = rules(known());
    std::set<VoterId> who = ids_of(deciding, granted_);
    if (!counts_for(deciding, acceptor_.id(), acceptor_.nonce())) who.erase(acceptor_.id());
    return is_quorum(deciding, who);
}

void Election::on_pre_vote_reply(NodeId from, const PreVoteReply& reply, Instant now) {
    if (phase_ != Phase::kAsking || reply.epoch != epoch_) return;
    if (!reply.granted) return note_refusal(from, reply.promised, reply.lease_left, now);
    granted_.insert(from);
    if (granted_by_quorum()) prepare(now);
}

void Election::note_refusal(NodeId from, Epoch promised, Duration lease_left, Instant now) {
    const bool overtaken = promised > max_seen_;
    max_seen_ = std::max(max_seen_, promised);
    free_at_[from] = now + std::clamp(lease_left, Duration{}, 2 * acceptor_.timing().grant);
    const Instant free = quorum_free_at(now);
    if (free > now) {
        if (free == kNever) return;
        // Soon: exactly then, so that who is preferred comes first; asking at a random moment would take that away.
        const bool soon = free - now <= acceptor_.timing().renew;
        act_at_ = soon ? free + terms_.patience : std::min(act_at_, free + terms_.patience);
    } else if (overtaken) {
        act_at_ = std::min(act_at_, now + random_.up_to(acceptor_.timing().renew / 4));
    }
}

// The earliest moment at which voters that have answered form a quorum of free ones; kNever when they do not.
Instant Election::quorum_free_at(Instant now) const {
    std::vector<std::pair<Instant, NodeId>> order;
    for (const auto& [node, at] : free_at_) order.emplace_back(granted_.contains(node) ? now : at, node);
    for (const NodeId node : granted_) order.emplace_back(now, node);
    std::sort(order.begin(), order.end());
    std::set<NodeId> free;
    const Document deciding = rules(known());
    for (const auto& [at, node] : order) {
        free.insert(node);
        if (is_quorum(deciding, ids_of(deciding, free))) return at;
    }
    return kNever;
}

void Election::prepare(Instant now) {
    phase_ = Phase::kPreparing;
    give_up_at_ = now + acceptor_.timing().detect;
    act_at_ = now + acceptor_.timing().renew;
    const auto own = acceptor_.on_prepare(self_.node, {epoch_, self_, terms_.hand_over}, now);
    own_promise_ = own.reply.promised_it;
    send_prepare();
}

void Election::send_prepare() {
    for (const NodeId node : voting_nodes(known()))
        if (node != self_.node && !promises_.contains(node)) out_.send(node, Prepare{epoch_, self_, terms_.hand_over});
}

void Election::on_prepare_reply(NodeId from, const PrepareReply& reply, Instant now) {
    if (phase_ != Phase::kPreparing || reply.epoch != epoch_) return;
    if (!reply.promised_it) {
        max_seen_ = std::max(max_seen_, reply.promised);
        free_at_[from] = now + std::clamp(reply.lease_left, Duration{}, 2 * acceptor_.timing().grant);
        // Somebody else is ahead: a new round soon, not at once, so that two candidates do not chase each other.
        if (reply.promised > epoch_)
            give_up_at_ = act_at_ = std::min(act_at_, now + random_.up_to(acceptor_.timing().renew));
        return;
    }
    auto document = decode_document(reply.document);
    if (!document || document->version != reply.accepted || document->cluster != acceptor_.document().cluster) return;
    if (reply.voter.node != from) return;
    promises_[from] = {reply.voter, reply.nonce, std::move(*document)};
}

const Document& Election::newest() const {
    const Document* newest = &acceptor_.document();
    for (const auto& [node, promise] : promises_)
        if (promise.document.version > newest->version) newest = &promise.document;
    return *newest;
}

// After a boot the own weight alone proves nothing, whatever the own document says of it: the store may be an old
// image, and the weight may have moved since. One other voter must have answered, so that its document and nonces
// count. Not for whom the document names in this boot, certifies as the last to leave, or a person lets start.
bool Election::needs_another_voice() const {
    const Document& document = newest();
    const bool last = document.last_standing && document.last_standing->node == self_.node;
    return promises_.empty() && terms_.down.empty() && !last && !document.names(self_) && document.nodes.size() > 1;
}

bool Election::won() const {
    if (phase_ != Phase::kPreparing || needs_another_voice()) return false;
    const Document deciding = rules(newest());
    std::set<VoterId> who;
    for (const auto& [node, promise] : promises_)
        if (counts_for(deciding, promise.voter, promise.nonce)) who.insert(promise.voter);
    if (own_promise_ && acceptor_.promise_durable() && acceptor_.promised() == epoch_ &&
        counts_for(deciding, acceptor_.id(), acceptor_.nonce()))
        who.insert(acceptor_.id());
    return is_quorum(deciding, who);
}

Document Election::adopted() const {
    return rules(newest());
}

}  // namespace kagami::engine
