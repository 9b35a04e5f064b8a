#include "mirror-driver/driver/promotion.h"

#include <algorithm>
#include <utility>

namespace kagami::mirror {

void Promotion::order(OrderKind kind) {
    hands_.order({++last_order_, kind});
}

void Promotion::promote(Reply reply, Instant now) {
    switch (step_) {
        case Step::kServing: return reply({}, false);
        case Step::kClosing:
        case Step::kDemoting:
        case Step::kLosing:
            return reply(fail(ErrorCode::kRefused, "the mirror's device is still being closed", "try again"), true);
        case Step::kPromoting:
        case Step::kOpening:
        case Step::kSecondary:
        case Step::kBare: break;
    }
    waiting_.push_back({true, std::move(reply), now + kLimit});
    failure_ = {};
    if (step_ == Step::kBare) return open(-1);
    if (step_ != Step::kSecondary) return;
    step_ = Step::kPromoting;
    order(OrderKind::kPromote);
}

void Promotion::demote(Reply reply, Instant now) {
    switch (step_) {
        case Step::kSecondary: return reply({}, false);
        case Step::kPromoting:
        case Step::kOpening:
        case Step::kLosing:
            return reply(fail(ErrorCode::kRefused, "the mirror's device is just being opened or closed", "try again"),
                         true);
        case Step::kServing:
            if (auto idle = front_->idle(); !idle) return reply(idle, false);
            if (auto closing = front_->close(); !closing) return reply(closing, false);
            step_ = Step::kClosing;
            break;
        case Step::kBare:
            step_ = Step::kDemoting;
            order(OrderKind::kDemote);
            break;
        case Step::kClosing:
        case Step::kDemoting: break;
    }
    waiting_.push_back({false, std::move(reply), now + kLimit});
}

void Promotion::resume(int kept_descriptor) {
    open(kept_descriptor);
}

void Promotion::open(int kept_descriptor) {
    step_ = Step::kOpening;
    auto front = hands_.open(kept_descriptor);
    if (front) {
        front_ = std::move(*front);
        trouble_.clear();
        return;
    }
    failure_ = tl::unexpected(front.error());
    trouble_ = front.error().message;
    hands_.note("the device cannot be opened: " + trouble_);
    demote_then_ = true;
    closed();
}

void Promotion::order_done(const OrderDone& done) {
    if (done.id != last_order_) return;
    if (step_ == Step::kPromoting) {
        if (done.status) return open(-1);
        step_ = Step::kSecondary;
        answer(true, done.status);
    } else if (step_ == Step::kDemoting) {
        step_ = done.status ? Step::kSecondary : Step::kBare;
        if (done.status) trouble_.clear();
        answer(true, failure_ ? Status(fail(ErrorCode::kRefused, "the mirror was demoted meanwhile", "try again"))
                              : failure_);
        answer(false, done.status);
    }
}

void Promotion::look(Instant now) {
    const FrontEndState state = front_ ? front_->state() : FrontEndState::kClosed;
    switch (step_) {
        case Step::kOpening:
            if (state == FrontEndState::kOpen) opened();
            if (state == FrontEndState::kFailed) {
                failure_ = fail(front_->trouble(), "look at the log of kagami-mirrord");
                demote_then_ = true;
                lost(front_->trouble());
            }
            break;
        case Step::kServing:
            if (state == FrontEndState::kFailed) {
                demote_then_ = false;
                lost(front_->trouble());
                order(OrderKind::kFailAll);
            }
            break;
        case Step::kClosing:
            if (state == FrontEndState::kClosed) {
                demote_then_ = true;
                closed();
            } else if (state == FrontEndState::kOpen) {
                step_ = Step::kServing;
                answer(false, fail(ErrorCode::kRefused, front_->trouble(), "end what uses the device, then try again"));
            }
            break;
        case Step::kLosing:
            if (state == FrontEndState::kClosed) closed();
            break;
        case Step::kSecondary:
        case Step::kPromoting:
        case Step::kDemoting:
        case Step::kBare: break;
    }
    expire(now);
}

void Promotion::expire(Instant now) {
    std::vector<Reply> late;
    std::erase_if(waiting_, [&](Waiting& waiting) {
        if (waiting.until > now) return false;
        late.push_back(std::move(waiting.reply));
        return true;
    });
    const bool opening_too_long = !late.empty() && step_ == Step::kOpening;
    for (auto& reply : late)
        reply(fail(ErrorCode::kTimedOut, "the mirror has not done it within 60 s",
                   "look at `kagami mirror status`, then try again"),
              false);
    if (opening_too_long) {
        demote_then_ = true;
        lost("opening the device took too long");
    }
}

void Promotion::opened() {
    step_ = Step::kServing;
    hands_.note("device " + front_->device() + " is open");
    answer(true, {});
}

void Promotion::lost(const std::string& why) {
    trouble_ = why;
    hands_.note("the device is lost: " + why);
    step_ = Step::kLosing;
    std::ignore = front_->close();
}

// The device is gone: the engine goes on without, or is demoted.
void Promotion::closed() {
    front_.reset();
    step_ = demote_then_ ? Step::kDemoting : Step::kBare;
    if (demote_then_) order(OrderKind::kDemote);
}

void Promotion::answer(bool promote, const Status& status) {
    std::vector<Reply> now;
    std::erase_if(waiting_, [&](Waiting& waiting) {
        if (waiting.promote != promote) return false;
        now.push_back(std::move(waiting.reply));
        return true;
    });
    for (auto& reply : now) reply(status, false);
}

}  // namespace kagami::mirror
