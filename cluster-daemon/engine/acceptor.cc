#include "cluster-daemon/engine/acceptor.h"

#include <algorithm>

#include "cluster-daemon/engine/randomness.h"
#include "common/assert.h"

namespace kagami::engine {
namespace {

constexpr Nonce kNeverAdmitted{0};

Document stored_document(const DurableState& state) {
    auto document = decode_document(state.document);
    KAGAMI_ASSERT(document.has_value(), "the shell checked the stored document when it loaded the voter store");
    KAGAMI_ASSERT(document->version == state.accepted, "accepted version and document are one record");
    return std::move(*document);
}

const Voter* entry_of(const std::vector<Voter>& voters, VoterId id) {
    const auto at = std::find_if(voters.begin(), voters.end(), [&](const Voter& v) { return v.id == id; });
    return at == voters.end() ? nullptr : &*at;
}

}  // namespace

bool counts_for(const Document& document, VoterId id, Nonce nonce) {
    const Voter* entry = entry_of(document.voters, id);
    if (entry == nullptr) entry = entry_of(document.previous_voters, id);
    if (entry == nullptr) return false;
    return nonce == entry->nonce || (entry->next_nonce != kNeverAdmitted && nonce == entry->next_nonce);
}

Acceptor::Acceptor(Ledger& ledger, const Incarnation& self, Instant booted, uint64_t seed)
    : ledger_(ledger),
      self_(self),
      document_(stored_document(ledger.state())),
      chosen_(document_),
      timing_(Timing::derive(document_.timing)),
      silent_until_(booted + std::max(ledger.state().silence, timing_.grant)),
      promise_until_(silent_until_) {
    if (ledger.state().boot == self.boot) return;
    DurableState& state = ledger_.change();
    state.boot = self.boot;
    Randomness random(seed);
    do {
        state.next_nonce = Nonce{random.next()};
    } while (state.next_nonce == kNeverAdmitted || state.next_nonce == state.nonce);
    identity_serial_ = ledger_.serial();
}

bool Acceptor::promise_stands(const Incarnation& candidate, bool hand_over) const {
    if (promise_holder_ == candidate) return false;
    return !(hand_over && released_.to == candidate.node && released_.epoch == promise_epoch_);
}

Instant Acceptor::willing_at(const Incarnation& candidate, bool hand_over) const {
    return promise_stands(candidate, hand_over) ? std::max(silent_until_, promise_until_) : silent_until_;
}

PreVoteReply Acceptor::on_pre_vote(NodeId from, const PreVote& question, Instant now) const {
    const Instant willing = willing_at(question.candidate, question.hand_over);
    PreVoteReply reply;
    reply.epoch = question.epoch;
    reply.promised = promised();
    reply.lease_left = std::max(Duration{}, willing - now);
    reply.granted = question.candidate.node == from && now >= willing && question.epoch > promised();
    return reply;
}

// The same candidate asks again because the answer was lost.
bool Acceptor::already_promised(const Prepare& prepare) const {
    return prepare.epoch == promised() && prepare.epoch == candidate_epoch_ && prepare.candidate == candidate_ &&
           document_.version.epoch < prepare.epoch;
}

Answered<PrepareReply> Acceptor::on_prepare(NodeId from, const Prepare& prepare, Instant now) {
    const Instant willing = willing_at(prepare.candidate, prepare.hand_over);
    const bool repeated = already_promised(prepare);
    PrepareReply reply;
    reply.epoch = prepare.epoch;
    reply.voter = id();
    reply.nonce = nonce();
    const bool genuine = prepare.candidate.node == from && prepare.epoch.node() == from;
    if (!genuine || (!repeated && (now < willing || prepare.epoch <= promised()))) {
        reply.promised = promised();
        reply.lease_left = std::max(Duration{}, willing - now);
        return {reply, 0};
    }
    if (!repeated) raise(prepare.epoch);
    candidate_epoch_ = prepare.epoch;
    candidate_ = prepare.candidate;
    reply.promised_it = true;
    reply.promised = promised();
    reply.accepted = document_.version;
    reply.document = ledger_.state().document;
    return {reply, ledger_.wait_for(std::max(promise_serial_, accept_serial_))};
}

Answered<AcceptReply> Acceptor::on_accept(NodeId from, const Accept& accept, Instant now) {
    AcceptReply reply{accept.version, false, promised(), id(), nonce()};
    auto document = decode_document(accept.document);
    const Epoch epoch = accept.version.epoch;
    if (!document || document->version != accept.version || document->cluster != document_.cluster ||
        epoch.node() != from || document->leader.node != from ||
        Timing::derive(document->timing).digest != accept.timing_digest)
        return {reply, 0};
    if (epoch < promised() || accept.version < document_.version) return {reply, 0};  // stale
    // I2: documents of one version are identical; a leader that breaks it is not followed.
    if (accept.version == document_.version && accept.document != ledger_.state().document) return {reply, 0};
    if (accept.version > document_.version) store(*document, accept.document, now);
    acknowledge(epoch, document_.leader, now);
    reply.accepted = true;
    reply.promised = promised();
    return {reply, ledger_.wait_for(accept_serial_)};
}

Answered<RenewAck> Acceptor::on_renew(NodeId from, const Renew& renew, Instant now) {
    RenewAck ack{renew.epoch, renew.stamp, false, promised(), document_.version, id(), nonce()};
    if (renew.epoch.node() != from || renew.epoch < promised() || renew.timing_digest != timing_.digest)
        return {ack, 0};
    Incarnation holder;
    if (renew.epoch == document_.version.epoch) holder = document_.leader;
    if (renew.epoch == candidate_epoch_) holder = candidate_;
    acknowledge(renew.epoch, holder, now);
    on_chosen(renew.chosen);
    ack.acknowledged = true;
    ack.promised = promised();
    return {ack, ledger_.wait_for(promise_serial_)};
}

void Acceptor::on_release(NodeId from, const Release& release) {
    if (release.epoch.node() == from && release.epoch == promise_epoch_) released_ = release;
}

void Acceptor::on_document(const DocumentIs& copy, Instant now) {
    auto document = decode_document(copy.document);
    if (!document || document->cluster != document_.cluster || document->version.epoch < promised() ||
        document->version <= document_.version)
        return;
    if (document->version.epoch == promised() && promise_holder_ == self_) return;  // nobody else proposes in my epoch
    store(*document, copy.document, now);
}

bool Acceptor::accept_own(const Document& document, Bytes bytes, Instant now) {
    if (document.version.epoch < promised()) return false;
    store(document, std::move(bytes), now);
    acknowledge(document.version.epoch, self_, now);
    return true;
}

bool Acceptor::renew_own(Epoch epoch, Instant now) {
    if (epoch < promised()) return false;
    acknowledge(epoch, self_, now);
    return true;
}

void Acceptor::acknowledge(Epoch epoch, const Incarnation& leader, Instant now) {
    raise(epoch);
    promise_epoch_ = epoch;
    promise_holder_ = leader;
    promise_until_ = std::max(promise_until_, now + timing_.grant);
}

void Acceptor::raise(Epoch epoch) {
    KAGAMI_ASSERT(epoch >= promised(), "I1: a voter's epoch never decreases");
    if (epoch == promised()) return;
    ledger_.change().promised = epoch;
    promise_serial_ = ledger_.serial();
}

void Acceptor::store(const Document& document, Bytes bytes, Instant now) {
    KAGAMI_ASSERT(document.version > document_.version, "I2: an older document never replaces a newer one");
    const Version before = document_.version;
    // A leader proposes (e, s + 1) only once (e, s) is chosen.
    if (document.version.epoch == before.epoch && document.version.seq == before.seq + 1) on_chosen(before);
    raise(document.version.epoch);
    const Duration still_promised = now < promise_until_ ? ledger_.state().silence : Duration{};
    document_ = document;
    timing_ = Timing::derive(document_.timing);
    DurableState& state = ledger_.change();
    state.accepted = document_.version;
    state.document = std::move(bytes);
    state.silence = std::max(still_promised, timing_.grant);
    accept_serial_ = ledger_.serial();
    promise_serial_ = accept_serial_;
}

void Acceptor::on_chosen(Version version) {
    if (version != document_.version || (chosen_known_ && version == chosen_.version)) return;
    chosen_known_ = true;
    chosen_ = document_;
    adopt_identity();
}

void Acceptor::adopt_identity() {
    const Voter* entry = chosen_.voter(self_.node);
    if (entry == nullptr) return;
    const DurableState& state = ledger_.state();
    const bool replaced = entry->id.generation > state.voter.generation;
    const bool admitted = state.next_nonce != kNeverAdmitted &&
                          (entry->next_nonce == state.next_nonce || entry->nonce == state.next_nonce);
    if (!replaced && !admitted) return;
    DurableState& changed = ledger_.change();
    identity_serial_ = ledger_.serial();
    changed.voter = entry->id;
    if (!admitted)
        return;  // a voter that booted again meanwhile keeps its old nonce, is found out and replaced once more
    changed.nonce = changed.next_nonce;
    changed.next_nonce = kNeverAdmitted;
}

}  // namespace kagami::engine
