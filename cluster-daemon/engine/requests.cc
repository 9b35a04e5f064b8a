#include "cluster-daemon/engine/requests.h"

#include <algorithm>

namespace kagami::engine {
namespace {

constexpr size_t kRemembered = 256;

}  // namespace

void Requests::ask(const OperatorRequest& request, Instant now) {
    own_[request.id] = {request, now, now, {}, kNobody, false};
}

void Requests::on_request(NodeId from, const OperatorRequest& request) {
    const std::pair key(from, request.id);
    if (std::find(taken_.begin(), taken_.end(), key) != taken_.end()) return;
    taken_.push_back(key);
    if (taken_.size() > kRemembered) taken_.pop_front();
    incoming_.push_back({request, from});
}

void Requests::forget_incoming() {
    for (const PendingRequest& pending : std::exchange(incoming_, {}))
        std::erase(taken_, std::pair(pending.origin, pending.request.id));
}

void Requests::on_reply(NodeId from, const OperatorReply& reply) {
    const auto at = own_.find(reply.id);
    if (at == own_.end() || at->second.sent_to != from) return;
    answers_.push_back(reply);
    if (reply.outcome == OperatorOutcome::kAccepted) {
        at->second.accepted = true;
    } else {
        own_.erase(at);
    }
}

void Requests::reply(NodeId origin, const OperatorReply& reply) {
    if (origin == self_) return on_reply(self_, reply);
    out_.send(origin, reply);
}

void Requests::answer(const Own& own, OperatorOutcome outcome, ErrorCode code, std::string message,
                      std::string remedy) {
    const bool good = outcome == OperatorOutcome::kDone;
    answers_.push_back({own.request.id, outcome, good ? uint8_t{0} : static_cast<uint8_t>(code), std::move(message),
                        std::move(remedy)});
}

void Requests::advance(const Leader& leader, const Timing& timing, Instant now) {
    wake_at_ = kNever;
    for (auto at = own_.begin(); at != own_.end();)
        at = settle(at->second, leader, timing, now) ? own_.erase(at) : std::next(at);
}

// The request was accepted under another leader, or another epoch of the same one.
void Requests::answer_of_new_leader(const Own& own, const Leader& leader) {
    const std::string who = out_.name(leader.node);
    const NodeId wanted = own.request.node;
    if (own.request.verb != OperatorVerb::kLeaderMove)
        return answer(own, OperatorOutcome::kDone, ErrorCode::kFailed,
                      "Accepted; the leadership has moved to " + who + ", which carries it out: see `kagami status`.",
                      {});
    if (wanted == kNobody ? leader.node != own.sent_to : leader.node == wanted)
        return answer(own, OperatorOutcome::kDone, ErrorCode::kFailed, "The leadership has moved to " + who + ".",
                      {});
    answer(own, OperatorOutcome::kFailed, ErrorCode::kFailed,
           (wanted == kNobody ? "no other node" : out_.name(wanted)) + " did not take the leadership: " + who + " leads",
           "look at `kagami paths`, then try again");
}

// True when nothing is to be waited for any more.
bool Requests::settle(Own& own, const Leader& leader, const Timing& timing, Instant now) {
    if (leader.node == kNobody) {
        if (own.accepted) return false;  // its intent stands in the document
        const Instant patience = own.without_leader_since + 2 * timing.detect + timing.grant;
        if (now < patience) {
            wake_at_ = std::min(wake_at_, patience);
            return false;
        }
        answer(own, OperatorOutcome::kRefused, ErrorCode::kNoQuorum,
               "The cluster has no leader: no majority of it is in contact.",
               "bring nodes or networks back; `kagami status` tells what is heard");
        return true;
    }
    own.without_leader_since = now;
    if (own.accepted) {
        if (own.sent_under == leader.epoch) return false;
        answer_of_new_leader(own, leader);
        return true;
    }
    if (own.sent_under == leader.epoch && now < own.send_at) {
        wake_at_ = std::min(wake_at_, own.send_at);
        return false;
    }
    own.sent_under = leader.epoch;
    own.sent_to = leader.node;
    own.send_at = now + timing.detect;
    wake_at_ = std::min(wake_at_, own.send_at);
    if (leader.here) {
        on_request(self_, own.request);
    } else {
        out_.send(leader.node, own.request);
    }
    return false;
}

}  // namespace kagami::engine
