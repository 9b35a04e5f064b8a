#include "cluster-daemon/engine/leadership.h"

#include <algorithm>

#include "common/assert.h"

namespace kagami::engine {
namespace {

uint64_t stamp_of(Instant now) {
    return static_cast<uint64_t>(now.time_since_epoch().count());
}

}  // namespace

Leadership::Leadership(Acceptor& acceptor, const Incarnation& self, Outbox& out, Epoch epoch, Instant now)
    : acceptor_(acceptor), self_(self), out_(out), epoch_(epoch), since_(now), renew_at_(now) {}

bool Leadership::open(const Document& adopted, Instant now) {
    Document first = adopted;
    first.previous = hash_of(adopted);
    return put(std::move(first), {epoch_, 0}, now).has_value();
}

void Leadership::resume(Instant now) {
    send_accept(now);
}

Status Leadership::propose(Document next, Instant now) {
    KAGAMI_ASSERT(opened_ && chosen_, "one proposal in flight at most, the first one chosen before any other");
    next.previous = hash_of(proposed());
    return put(std::move(next), {epoch_, proposed().version.seq + 1}, now);
}

Status Leadership::put(Document next, Version version, Instant now) {
    next.version = version;
    next.leader = self_;
    for (auto& [name, group] : next.groups)
        if (group.owner && group.token == Token{}) group.token = version;
    Bytes bytes = encode(next);
    if (bytes.size() > kMaxDocumentBytes)
        return fail(ErrorCode::kRefused, "the cluster document would have " + std::to_string(bytes.size()) + " bytes",
                    "make the scripts or the configuration smaller");
    if (!acceptor_.accept_own(next, std::move(bytes), now))
        return fail(ErrorCode::kNoQuorum, "another node is about to lead the cluster", "try again");
    chosen_ = false;
    accepted_.clear();
    has_it_.clear();
    send_accept(now);
    return {};
}

void Leadership::send_accept(Instant now) {
    resend_at_ = now + acceptor_.timing().renew;
    const Accept accept{proposed().version, encode(proposed()), acceptor_.timing().digest};
    for (const NodeId node : voting_nodes(proposed()))
        if (node != self_.node && !has_it_.contains(node)) out_.send(node, accept, acceptor_.accept_serial());
    count_accepts(now);
}

void Leadership::on_accept_reply(NodeId from, const AcceptReply& reply, Instant now) {
    if (!reply.accepted) {
        if (reply.promised > epoch_) refused_for_ = std::max(refused_for_, reply.promised);
        return;
    }
    if (reply.version != proposed().version || reply.voter.node != from) return;
    has_it_.insert(from);
    if (counts_for(proposed(), reply.voter, reply.nonce)) accepted_.insert(reply.voter);
    count_accepts(now);
}

void Leadership::count_accepts(Instant now) {
    if (chosen_ || acceptor_.promised() != epoch_) return;
    if (acceptor_.accept_durable() && counts_for(proposed(), acceptor_.id(), acceptor_.nonce()))
        accepted_.insert(acceptor_.id());
    if (!is_quorum(proposed(), accepted_)) return;
    chosen_ = true;
    opened_ = true;
    acceptor_.on_chosen(proposed().version);
    renew_at_ = std::min(renew_at_, now);  // tells the others at once that it is chosen
}

void Leadership::renew(Instant now) {
    renew_at_ = now + acceptor_.timing().renew;
    if (!rounds_.empty() && rounds_.back().sent_at == now) return;
    Round round{stamp_of(now), now, acceptor_.timing().hold, {}};
    const Renew renewal{epoch_, round.stamp, acceptor_.timing().digest, acceptor_.known_chosen()};
    for (const NodeId node : voting_nodes(proposed()))
        if (node != self_.node) out_.send(node, renewal);
    while (!rounds_.empty() && rounds_.front().sent_at + rounds_.front().hold <= now) rounds_.pop_front();
    rounds_.push_back(std::move(round));
    count(rounds_.back(), now);
}

void Leadership::on_renew_ack(NodeId from, const RenewAck& ack, Instant now) {
    if (ack.epoch != epoch_ || ack.voter.node != from) return;
    const Voter* voter = proposed().voter(from);
    if (!ack.acknowledged) {
        if (ack.promised > epoch_ && voter != nullptr && voter->weight > 0)
            refused_for_ = std::max(refused_for_, ack.promised);
        return;
    }
    if (ack.newest > proposed().version) return refuse_newer(from, ack.newest);
    if (!counts_for(proposed(), ack.voter, ack.nonce)) return;
    acknowledged_at_[from] = now;
    const auto round =
        std::find_if(rounds_.begin(), rounds_.end(), [&](const Round& r) { return r.stamp == ack.stamp; });
    if (round == rounds_.end()) return;
    round->acknowledged.insert(ack.voter);
    count(*round, now);
}

// I2: nobody has accepted what its leader did not propose. A voter that says so is wrong; it must not stop the leader.
void Leadership::refuse_newer(NodeId from, Version newest) {
    if (!refused_newer_.insert(from).second) return;
    out_.say(Reason::kStoreMismatch, out_.name(from),
             out_.name(from) + " acknowledges document " + to_string(newest) +
                 ", which its leader has never proposed: its vote does not count.");
}

void Leadership::count(Round& round, Instant now) {
    if (round.sent_at + round.hold <= lease_until_ || !acceptor_.promise_durable()) return;
    std::set<VoterId> who = round.acknowledged;
    if (counts_for(proposed(), acceptor_.id(), acceptor_.nonce())) who.insert(acceptor_.id());
    if (!is_quorum(proposed(), who)) return;
    const bool own = acceptor_.renew_own(epoch_, now);
    if (!own && !is_quorum(proposed(), round.acknowledged)) return;
    KAGAMI_ASSERT(now >= round.sent_at, "I17: a lease counts from the send time of its renewal");
    lease_until_ = round.sent_at + round.hold;
    lease_sent_at_ = round.sent_at;
}

void Leadership::forget_rounds() {
    rounds_.clear();
    lease_until_ = {};
    lease_sent_at_ = {};
}

void Leadership::advance(Instant now) {
    count_accepts(now);
    for (Round& round : rounds_) count(round, now);
    if (now >= renew_at_) renew(now);
    if (!chosen_ && now >= resend_at_) send_accept(now);
}

bool Leadership::votes_now(NodeId node, Instant now) const {
    if (node == self_.node) return true;
    const auto at = acknowledged_at_.find(node);
    return at != acknowledged_at_.end() && now - at->second <= acceptor_.timing().detect;
}

Instant Leadership::wake_at() const {
    return chosen_ ? renew_at_ : std::min(renew_at_, resend_at_);
}

}  // namespace kagami::engine
