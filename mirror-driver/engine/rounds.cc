// Flushes: one at a time here, one at a time at the peer; requests that come meanwhile share the next one. A starved
// activity log asks for them too.
#include <cerrno>

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
    if (error == 0) return log.flush_done();
    if (mode == Mode::kHalted) return log.mark_hot(bits);  // whatever may be lost here counts as dirty
    if (mode == Mode::kConnected || mode == Mode::kJoining) {
        return disk_failed("the data device of this node cannot be flushed", error);
    }
    problem = settings.name + ": the data device of this node cannot be flushed, and no other copy is current";
    for (const uint16_t index : active_) {
        Request& request = requests[index];
        const bool waits = request.operation == Operation::kFlush && request.stage == Request::Stage::kIo;
        if (waits && request.local_round <= rounds.local_done) request.error = EIO;
    }
}

void Mirror::Impl::far_round_done() {
    rounds.far_under_way = false;
    rounds.far_done = rounds.far_started;
    log.confirmed();
    pump = true;
}

}  // namespace kagami::mirror
