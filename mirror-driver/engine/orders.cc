// Orders of the daemon: promotion and demotion in their durable steps, and the small ones.
#include <algorithm>
#include <cerrno>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

void Mirror::Impl::done(const Order& order, Status status) {
    out.orders.push_back({order.id, std::move(status)});
    changed();
}

void Mirror::Impl::handle(const Order& event) {
    switch (event.kind) {
        case OrderKind::kPromote:
            if (promotion) promotion_failed({ErrorCode::kRefused, "another order to promote came", ""});
            if (promoted() && mode != Mode::kHalted && !demotion && authority.token == token) return done(event);
            promotion = Promotion{};
            promotion->order = event;
            promotion->limit = now + kPromoteLimit;
            return;
        case OrderKind::kDemote:
            if (promotion) promotion_failed({ErrorCode::kRefused, "an order to demote came", ""});
            if (!promoted()) return done(event);
            if (demotion) done(demotion->order, fail(ErrorCode::kRefused, "another order to demote came"));
            demotion = Demotion{};
            demotion->order = event;
            return;
        case OrderKind::kFailAll:
            if (failing) done(*failing);
            failing = event;
            // The buffers of what is on its way to the peer are about to be used for something else.
            disconnect("the front end is gone", kRetryBackOff);
            pump = true;
            return;
        case OrderKind::kResync:
            if (source.phase == Source::Phase::kWaiting) {
                source.asked = true;
            } else if (link.established && !source_active() && target.phase == Target::Phase::kOff &&
                       bits.count() > 0 && mode != Mode::kConnected) {
                disconnect("a person asks for a resync", {});
            }
            return done(event);
        case OrderKind::kDetach: {
            if (promoted() || promotion) {
                return done(event,
                            fail(ErrorCode::kRefused, settings.name + " is primary here", "stop its group first"));
            }
            detaching = event;
            Frame frame{.type = FrameType::kGoodbye};
            static constexpr std::string_view kWhy = "the driver stops";
            frame.body.assign(kWhy.begin(), kWhy.end());
            if (link.up) send(std::move(frame));
            return disconnect("the driver stops", kRetryBackOff);
        }
    }
}

void Mirror::Impl::settle_other_orders() {
    if (failing && active_.empty()) {
        const Order order = *failing;
        failing.reset();
        done(order);
    }
    if (detaching && foreign_under_way() == 0 && (broken || (meta.idle() && !log.wants_batch()))) {
        const Order order = *detaching;
        detaching.reset();
        done(order);
    }
}

// ---- promotion ----

// Why not; `passes` = it may go away by itself within moments.
std::optional<Error> Mirror::Impl::promotion_obstacle(bool& passes) const {
    const auto refuse = [&](const std::string& why, const std::string& remedy = {}) {
        return std::optional(Error{ErrorCode::kRefused, "mirror " + settings.name + ": " + why, remedy});
    };
    passes = false;
    if (promoted()) return refuse("is still primary under an older token", "deactivate its md resource first");
    if (broken || ctx.flags.failed)
        return refuse("the disk of this node failed", "replace it and run `kagami mirror init`");
    passes = true;
    if (!record_known()) return refuse("the register has not told of it yet");
    if (!attached || !opened || attach != AttachStep::kSettled) return refuse("its disk is not attached yet");
    if (!authority.fresh) return refuse("this node has no lease");
    if (authority.token == Token{}) return refuse("this node does not own its group");
    if (authority.token < ctx.highest_token) return refuse("a newer primary has been seen");
    if (standing() != Standing::kCurrent) {
        return refuse("the copy of this node is " + std::string(word(standing())),
                      "start the group on the node that has the current copy");
    }
    const bool newer = authority.record.generation.counter > ctx.current.counter && sole_current();
    if (authority.record.generation != ctx.current && !newer) return refuse("its generation is not the register's");
    if (!newer && (ctx.flags.inconsistent || ctx.flags.full_sync || ctx.flags.suspect)) {
        return refuse("the copy of this node is not complete");
    }
    if (link.up && link.theirs && link.theirs->promoted >= authority.token) {
        return refuse(settings.peer_name + " is primary");
    }
    return std::nullopt;
}

void Mirror::Impl::promotion_failed(Error error) {
    const Order order = promotion->order;
    promotion.reset();
    done(order, tl::unexpected<Error>(std::move(error)));
}

void Mirror::Impl::begin_promotion() {
    promotion->token = authority.token;
    promotion->step = Promotion::Step::kDraining;
    disconnect("this node becomes primary", {});
}

// Whatever the former primary wrote here is flushed before anybody reads it.
void Mirror::Impl::settle_promotion() {
    if (!promotion) return;
    if (broken) return promotion_failed({ErrorCode::kFailed, problem, ""});
    bool passes = false;
    switch (promotion->step) {
        case Promotion::Step::kConditions:
            if (auto obstacle = promotion_obstacle(passes)) {
                if (!passes || now >= promotion->limit) promotion_failed(std::move(*obstacle));
                return;
            }
            begin_promotion();
            [[fallthrough]];
        case Promotion::Step::kDraining:
            if (foreign_under_way() > 0) return;
            promotion->step = Promotion::Step::kFlushing;
            promotion->io = next_io(Owner::kPromotion, 0);
            return local_io(promotion->io, Operation::kFlush, {}, kNoBuffer);
        case Promotion::Step::kFlushing: return;
        case Promotion::Step::kWriting:
            if (meta.reached(promotion->written)) finish_promotion();
            return;
    }
}

void Mirror::Impl::write_promotion() {
    bool passes = false;
    if (auto obstacle = promotion_obstacle(passes)) {  // a lease may be away for a moment while documents are chosen
        if (!passes || now >= promotion->limit) return promotion_failed(std::move(*obstacle));
        promotion->step = Promotion::Step::kConditions;
        return changed();
    }
    promotion->token = authority.token;
    if (authority.record.generation != ctx.current) {  // a takeover's, or what a person declared the latest copy
        adopt(authority.record.generation, Cause::kTakeover);
        ctx.flags.inconsistent = ctx.flags.full_sync = ctx.flags.suspect = false;
        ctx.aim = {};
    }
    ctx.flags.primary_indicated = true;
    ctx.highest_token = promotion->token;
    ctx.peer_boot = {};
    promotion->step = Promotion::Step::kWriting;
    promotion->written = meta.persist_context();
}

void Mirror::Impl::finish_promotion() {
    const Order order = promotion->order;
    token = promotion->token;
    promotion.reset();
    lost = now;
    at_once = false;
    resumed = false;
    crashed_primary = false;
    problem.clear();
    const bool sole = sole_current() && authority.record.generation == ctx.current && authority.token == token;
    mode = sole ? Mode::kSolo : Mode::kStalled;
    note("primary under " + to_string(token) + (sole ? ", alone" : ", waits for " + settings.peer_name));
    pump = true;
    done(order);
}

// ---- demotion ----

void Mirror::Impl::demotion_rounds() {
    demotion->local_round = rounds.local_started + 1;
    demotion->far_round = with_peer() ? rounds.far_started + 1 : 0;
    local_wanted = true;
    far_wanted = far_wanted || demotion->far_round > 0;
    demotion->step = Demotion::Step::kFlushing;
    changed();
}

// Stalled, but nothing was written since both sides were equal and flushed: no grant is needed to stop.
bool Mirror::Impl::nothing_in_doubt() const {
    return mode == Mode::kStalled && !solo && !granting && bits.count() == 0 && !log.unconfirmed();
}

void Mirror::Impl::settle_demotion() {
    if (!demotion) return;
    const bool halted = mode == Mode::kHalted;
    switch (demotion->step) {
        case Demotion::Step::kDraining:
            if (active_.empty() && (may_issue() || halted || nothing_in_doubt())) demotion_rounds();
            return;
        case Demotion::Step::kFlushing: {
            const bool alone_now = alone() || halted || nothing_in_doubt();
            if (!alone_now && !with_peer()) return;  // lost meanwhile: first the register must let it go alone
            if (rounds.local_done < demotion->local_round) return;
            if (!alone_now && demotion->far_round == 0) return demotion_rounds();
            if (!alone_now && rounds.far_done < demotion->far_round) {
                if (!rounds.far_under_way && !far_wanted) return demotion_rounds();  // it went with a connection
                return;
            }
            if (mode == Mode::kConnected && source_active()) return;  // made equal first
            demotion->written = meta.persist_pages();
            demotion->step = Demotion::Step::kPages;
            return changed();
        }
        case Demotion::Step::kPages:
            if (!broken && !meta.reached(demotion->written)) return;
            if (!flush_failed) ctx.flags.primary_indicated = false;
            ctx.peer_boot = {};
            demotion->written = meta.persist_context();
            demotion->step = Demotion::Step::kContext;
            return changed();
        case Demotion::Step::kContext:
            if (broken || meta.reached(demotion->written)) finish_demotion();
            return;
    }
}

void Mirror::Impl::finish_demotion() {
    const Order order = demotion->order;
    demotion.reset();
    const bool rests_equal =
        mode == Mode::kConnected && link.established && !source_active() && bits.count() == 0 && !log.unconfirmed();
    token = {};
    mode = Mode::kIdle;
    solo.reset();
    granting = false;
    at_once = false;
    if (rests_equal) {
        link.sending = false;
        link.mine->promoted = {};
        send({.type = FrameType::kRole});
    } else {
        disconnect("this node is not primary any more", {});
    }
    note("secondary");
    done(order);
}

}  // namespace kagami::mirror
