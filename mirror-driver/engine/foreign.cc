// Frames of the primary on the secondary: what may be applied at all, in which order, and the answers.
// Refused: an older token, another generation, frames to a replica that is (about to be) primary itself, or that has no
// agreement with the peer. What an ended connection left waiting is dropped; what is at the disk ends first.
#include <cerrno>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

using Stage = Foreign::Stage;

bool Mirror::Impl::acting_as_target() const {
    if (promoted() || promotion || detaching || broken || ctx.flags.failed || !link.theirs) return false;
    // The primary takes up with our verdict; its first bulk frames may overtake its own verdict on the other stream.
    if (!link.established && !link.verdict_sent) return false;
    switch (link.decision->outcome) {
        case Outcome::kInSync: return link.theirs->promoted > Token{};
        case Outcome::kEven:
        case Outcome::kCatchUp:
        case Outcome::kFull: return target.phase == Target::Phase::kRunning || target.phase == Target::Phase::kEnding;
        case Outcome::kRefuse:
        case Outcome::kRetry:
        case Outcome::kIdle:
        case Outcome::kSoloFirst:
        case Outcome::kSplitBrain:
        case Outcome::kUnrelated: return false;
    }
    return false;
}

bool Mirror::Impl::acceptable(const Frame& frame) {
    const Generation& expected = ctx.flags.inconsistent ? ctx.aim : ctx.current;
    const char* why = nullptr;
    if (!acting_as_target())
        why = "this side is no target";
    else if (frame.token != link.theirs->promoted || frame.token < ctx.highest_token)
        why = "its token is not the newest";
    else if (frame.generation != expected)
        why = "it is of another generation";
    else if (frame.type == FrameType::kResyncEnd && target.phase != Target::Phase::kRunning)
        why = "no resync is under way";
    else if (free_foreign_.empty())
        why = "too many frames at a time";
    if (why == nullptr) return true;
    release(frame.payload);
    disconnect(std::string("a frame of the peer is refused: ") + why, kRetryBackOff);
    return false;
}

void Mirror::Impl::take_foreign(const Frame& frame) {
    if (!acceptable(frame)) return;
    const uint16_t index = free_foreign_.back();
    free_foreign_.pop_back();
    Foreign& taken = foreign[index];
    taken = Foreign{};
    taken.type = frame.type;
    taken.connection = link.id;
    taken.arrival = ++arrivals;
    taken.seq = frame.seq;
    taken.extent = {frame.offset, frame.length};
    taken.payload = frame.payload;
    if (frame.type == FrameType::kFlush || frame.type == FrameType::kResyncEnd) {
        taken.stage = Stage::kBehind;
        ++behind;
        return start_behind();
    }
    taken.stage = Stage::kInterval;
    if (intervals.take(taken.extent, {HolderKind::kPeer, index})) start_foreign(index);
}

void Mirror::Impl::start_foreign(size_t index) {
    Foreign& taken = foreign[index];
    const bool zero = taken.type == FrameType::kZero || taken.type == FrameType::kCopyZero;
    const Operation operation = taken.type == FrameType::kRead ? Operation::kRead
                                : zero                         ? Operation::kZero
                                                               : Operation::kWrite;
    taken.stage = Stage::kIo;
    taken.io = next_io(Owner::kForeign, index);
    local_io(taken.io, operation, taken.extent, taken.payload);
}

// A flush starts when every earlier frame of its connection is at the disk.
void Mirror::Impl::start_behind() {
    if (behind == 0) return;
    for (size_t i = 0; i < foreign.size(); ++i) {
        Foreign& flush = foreign[i];
        if (flush.stage != Stage::kBehind) continue;
        bool clear = true;
        for (const Foreign& each : foreign) {
            clear = clear && (each.stage == Stage::kFree || each.connection != flush.connection ||
                              each.arrival >= flush.arrival);
        }
        if (!clear) continue;
        --behind;
        flush.stage = Stage::kIo;
        flush.io = next_io(Owner::kForeign, i);
        local_io(flush.io, Operation::kFlush, {}, kNoBuffer);
    }
}

void Mirror::Impl::free_foreign(size_t index) {
    foreign[index].stage = Stage::kFree;
    free_foreign_.push_back(static_cast<uint16_t>(index));
    changed();
}

void Mirror::Impl::foreign_read_done(const Foreign& taken, const IoDone& event) {
    if (!link.up || taken.connection != link.id) return release(event.buffer);
    Frame reply{.type = FrameType::kReadReply, .seq = taken.seq};
    if (event.error != 0) {
        release(event.buffer);
        reply.error = event.error;
    } else {
        reply.offset = taken.extent.offset;
        reply.length = static_cast<uint32_t>(taken.extent.length);
        reply.payload = event.buffer;
        counters.sent_bytes += reply.length;
    }
    out.frames.push_back({std::move(reply), true});
}

void Mirror::Impl::foreign_io_done(size_t index, const IoDone& event) {
    if (index >= foreign.size() || foreign[index].stage != Stage::kIo || foreign[index].io != event.id) return;
    const Foreign taken = foreign[index];
    release(taken.payload);
    const bool barrier = taken.type == FrameType::kFlush || taken.type == FrameType::kResyncEnd;
    if (!barrier) intervals.release({HolderKind::kPeer, static_cast<uint16_t>(index)});
    free_foreign(index);
    if (taken.type == FrameType::kRead) return foreign_read_done(taken, event);
    const bool live = link.up && taken.connection == link.id;
    if (event.error != 0) {
        if (live) answer(FrameType::kAck, taken.seq, event.error);
        return disk_failed("the data device of this node cannot be written", event.error);
    }
    if (live && taken.type == FrameType::kResyncEnd) {
        target_flushed(taken.seq);
    } else if (live) {
        if (target.phase == Target::Phase::kRunning && taken.type == FrameType::kCopy)
            target.copied_bytes += taken.extent.length;
        answer(FrameType::kAck, taken.seq);
    }
    start_behind();
}

void Mirror::Impl::drop_waiting_foreign() {
    behind = 0;
    for (size_t i = 0; i < foreign.size(); ++i) {
        Foreign& each = foreign[i];
        if (each.stage != Stage::kInterval && each.stage != Stage::kBehind) continue;
        release(each.payload);
        if (each.stage == Stage::kInterval) intervals.release({HolderKind::kPeer, static_cast<uint16_t>(i)});
        free_foreign(i);
    }
}

}  // namespace kagami::mirror
