// Flushes: one at a time here, one at a time at the peer; requests that come meanwhile share the next one. A starved
// activity log asks for them too.
#include <cerrno>
#include <cstring>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

void Mirror::Impl::start_rounds() {
    if (!promoted()) return;
    if (log.starved()) feed_log();
    if (local_wanted && !rounds.local_under_way) {
        local_wanted = false;
        rounds.local_under_way = true;
        ++rounds.local_started;
        log.flush_started();
        rounds.io = next_io(Owner::kFlush, 0);
        local_io(rounds.io, Operation::kFlush, {}, kNoBuffer);
    }
    // The end of a resync is a flush too: what it confirms must not mix with another one.
    if (!far_wanted || rounds.far_under_way || !link.sending || source.phase == Source::Phase::kEnding) return;
    far_wanted = false;
    rounds.far_under_way = true;
    ++rounds.far_started;
    rounds.far_since = now;
    log.confirm_started();
    Frame frame;
    frame.type = FrameType::kFlush;
    frame.token = token;
    frame.generation = ctx.current;
    rounds.seq = send(std::move(frame), Owner::kFlush);
}

// No slot is free: what could leave needs to be flushed on both sides, or to have its bits on the disk.
void Mirror::Impl::feed_log() {
    local_wanted = local_wanted || (!rounds.local_under_way && log.flush_helps());
    far_wanted = far_wanted || (link.sending && log.unconfirmed());
    meta.persist_pages();
}

void Mirror::Impl::local_round_done(int error) {
    if (!rounds.local_under_way) return;
    rounds.local_under_way = false;
    rounds.local_done = rounds.local_started;
    pump = true;
    if (error != 0) flush_has_failed(error);
    if (flush_failed) {
        log.mark_hot(bits);
        meta.persist_pages();
    }
    log.flush_done();  // after a failed one extents leave the log only because their bits are durable
    if (flush_failed) fail_flushes();
}

void Mirror::Impl::fail_flushes() {
    for (const uint16_t index : active_) {
        Request& request = requests[index];
        const bool waits = request.operation == Operation::kFlush && request.stage == Request::Stage::kIo;
        if (waits && request.local_round <= rounds.local_done) request.error = EIO;
    }
}

// protocol.md A3: what a failed flush left in doubt is in no later one, so a later success says nothing.
void Mirror::Impl::flush_has_failed(int error) {
    note(std::string("the data device of this node cannot be flushed: ") + std::strerror(error));
    flush_failed = true;
    log.mark_hot(bits);
    meta.persist_pages();
    changed();
}

// While another copy is current, that one goes on. The only current copy goes on itself, but promises nothing any more;
// it gives up as soon as its peer has been made equal.
void Mirror::Impl::settle_failed_flush() {
    if (!flush_failed || ctx.flags.failed || !record_known() || sole_current()) return;
    if (!authority.fresh && authority.record.generation.counter < ctx.current.counter) return;  // an old record
    disk_failed("the data device of this node cannot be flushed", EIO);
}

void Mirror::Impl::far_round_done() {
    rounds.far_under_way = false;
    rounds.far_done = rounds.far_started;
    log.confirmed();
    pump = true;
}

}  // namespace kagami::mirror
