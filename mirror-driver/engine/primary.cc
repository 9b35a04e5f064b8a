// The modes of a primary: connected, stalled, solo and back; what the register's word does to them; the end (halted).
// protocol.md 9 "Solo grant", model M_ACKUNCOMMITTED, M_ACKMETA, PAGE_SOLOLATE, PAGE_JOINBACK.
#include <algorithm>
#include <cstring>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

bool Mirror::Impl::may_issue() const {
    return alone() || mode == Mode::kConnected || mode == Mode::kJoining;
}

// The peer is lost: nothing is acknowledged until it is back in time, or the register has granted to go alone.
void Mirror::Impl::stall(bool now_already) {
    mode = Mode::kStalled;
    if (now > link.since + detect()) lost = now;  // a connection that ended at once gives no new time
    at_once = at_once || now_already;
    note("stalled: " + settings.peer_name + " is lost");
    changed();
}

bool Mirror::Impl::solo_due() const {
    if (mode != Mode::kStalled || solo || granting || !attached || !record_known() || promotion) return false;
    if (at_once) return true;
    if (demotion && nothing_in_doubt()) return false;
    // Made equal right now: worth a moment, not the time of all hot extents.
    if (link.established && source_active() && now < lost + kEvenPatience * detect()) return false;
    if (now < lost + detect()) return false;
    const bool greeting = link.up && !link.established && now < link.since + detect() && now < lost + 2 * detect();
    return !greeting;
}

// Once reported it stays until the register answers: whoever reads an old report may still grant it.
void Mirror::Impl::wish_solo() {
    Wish wanted{.kind = WishKind::kSolo, .token = token, .base = ctx.current};
    wanted.next.counter = std::max(ctx.current.counter, authority.record.generation.counter) + 1;
    for (const uint64_t half : {random(), random()}) {
        std::memmove(wanted.next.random.data() + sizeof half, wanted.next.random.data(), sizeof half);
        std::memcpy(wanted.next.random.data(), &half, sizeof half);
    }
    solo = wanted;
    at_once = false;
    note("asks the register to go on alone");
    if (link.up && link.mine) disconnect("goes on alone first", kRetryBackOff);
    changed();
}

void Mirror::Impl::begin_grant(const Generation& generation, Cause cause) {
    if (link.up && link.mine) disconnect("goes on alone first", kRetryBackOff);
    mode = Mode::kStalled;
    adopt(generation, cause);
    granting = true;
    grant_barrier = meta.persist_context();
    grant_barrier.pages = meta.persist_pages().pages;
    changed();
}

void Mirror::Impl::enter_connected() {
    mode = Mode::kConnected;
    at_once = false;
    link.sending = true;
    note("connected");
    resend();
    pump = true;
    changed();
}

void Mirror::Impl::halt(const std::string& why) {
    if (mode == Mode::kHalted) return;
    note("halted: " + why);
    problem = settings.name + ": " + why;
    disconnect(why, kRetryBackOff);
    mode = Mode::kHalted;
    solo.reset();
    granting = false;
    at_once = false;
    meta.persist_pages();
    pump = true;
    changed();
}

void Mirror::Impl::disk_failed(const std::string& what, int error) {
    note(what + ": " + std::strerror(error));
    if (ctx.flags.failed) return;
    ctx.flags.failed = true;
    meta.persist_context();
    if (promoted())
        halt(what);
    else
        disconnect(what, kRefusedBackOff);
    problem = settings.name + ": " + what;
    changed();
}

// What the chosen record means for a primary. It never becomes alone by itself: either the register chose the
// generation that was asked for, or one in which this copy is the only current one.
void Mirror::Impl::check_register() {
    if (authority.token != token) {
        if (!authority.fresh && authority.version < token) return;  // older than what made us primary
        return halt("the group is not this node's any more");
    }
    const Record& record = authority.record;
    if (standing() != Standing::kCurrent)
        return halt("the register says that this copy is " + std::string(word(standing())));
    if (record.generation != ctx.current) {
        if (record.generation.counter <= ctx.current.counter && !authority.fresh) return;
        if (record.generation.counter > ctx.current.counter && sole_current()) {
            if (!authority.fresh) return;  // waits until it is known to be the newest word
            return begin_grant(record.generation, Cause::kSolo);
        }
        return halt("the register has another generation");
    }
    const bool peer_current = peer_standing() == Standing::kCurrent;
    if (peer_current && mode == Mode::kJoining) {
        if (authority.fresh) source_finished();
        return;
    }
    if (peer_current && alone()) {  // an add that nobody should have asked for
        disconnect("the register counts the peer as current", kRetryBackOff);
        return stall(true);
    }
    if (!peer_current && mode == Mode::kConnected) {
        at_once = true;
        return disconnect("the register does not count " + settings.peer_name + " as current", kRetryBackOff);
    }
    if (!peer_current && mode == Mode::kStalled) at_once = true;
}

void Mirror::Impl::settle_primary() {
    if (!promoted() || mode == Mode::kHalted) return;
    if (record_known() && attached && !granting) check_register();
    if (granting && meta.reached(grant_barrier)) {
        granting = false;
        solo.reset();
        at_once = false;
        resumed = false;
        mode = Mode::kSolo;
        note("goes on alone");
        pump = true;
        changed();
    }
    if (solo_due()) wish_solo();
}

}  // namespace kagami::mirror
