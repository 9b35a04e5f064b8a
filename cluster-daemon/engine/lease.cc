#include "cluster-daemon/engine/lease.h"

#include <algorithm>

namespace kagami::engine {

void RunLease::ask(NodeId leader, Instant now) {
    if (now < ask_at_) return;
    const Timing& timing = acceptor_.timing();
    ask_at_ = now + timing.renew;
    while (!asked_.empty() && asked_.front() + timing.hold <= now) asked_.pop_front();
    asked_.push_back(now);
    out_.send(leader, LeaseRequest{static_cast<uint64_t>(now.time_since_epoch().count()), self_, timing.digest});
}

void RunLease::on_grant(NodeId from, const LeaseGrant& grant, Instant now) {
    const Instant sent_at{Duration(static_cast<Duration::rep>(grant.stamp))};
    const bool asked = std::find(asked_.begin(), asked_.end(), sent_at) != asked_.end();
    if (!asked || grant.epoch.node() != from || sent_at > now) return;
    const Document& document = acceptor_.document();
    if (document.version < grant.newest || !document.names(self_)) return;
    extend(sent_at, sent_at + std::clamp(grant.length, Duration{}, acceptor_.timing().hold));
}

void RunLease::on_leader_lease(Instant sent_at, Instant until) {
    extend(sent_at, until);
}

void RunLease::extend(Instant sent_at, Instant until) {
    if (sent_at < not_before_ || until <= run_until_) return;
    run_until_ = until;
    sent_at_ = sent_at;
}

void RunLease::on_pause(Instant now) {
    asked_.clear();
    not_before_ = now;
    run_until_ = {};
    sent_at_ = {};
}

void Grants::given(const Incarnation& who, Instant until) {
    Instant& known = given_[who];
    known = std::max(known, until);
}

Instant Grants::may_run_until(const Incarnation& who) const {
    const auto at = given_.find(who);
    return at == given_.end() ? everybody_until_ : std::max(everybody_until_, at->second);
}

void Grants::forget_expired(Instant now) {
    std::erase_if(given_, [&](const auto& grant) { return grant.second <= now; });
}

}  // namespace kagami::engine
