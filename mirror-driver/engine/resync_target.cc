// The secondary's side of a resync. The mark {inconsistent, aim} is durable before the first copy, and goes in the same
// batch that makes the aim the current generation, after a flush of the data. Of two current copies nothing is marked:
// the target stays current.
#include <algorithm>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

using Phase = Target::Phase;

void Mirror::Impl::on_resync_begin(const Frame& frame) {
    const bool well_formed = frame.body.size() == 2 && frame.body[0] <= 1 && frame.body[1] <= 1;
    const auto agreed = [&] {
        if (!link.established || promoted() || promotion || link.decision->me != Part::kTarget) return false;
        const Outcome outcome = link.decision->outcome;
        const bool even = frame.body[0] == 1;
        const bool full = frame.body[1] == 1;
        return even == (outcome == Outcome::kEven) && full == (outcome == Outcome::kFull) &&
               outcome != Outcome::kInSync && outcome != Outcome::kSoloFirst;
    };
    const bool named =
        link.theirs && frame.token == link.theirs->promoted && frame.generation == link.theirs->context.current;
    if (!well_formed || !agreed() || !named || target.phase != Phase::kOff) {
        return disconnect("a resync that was not agreed", kErrorBackOff);
    }
    target = Target{};
    target.even = frame.body[0] == 1;
    target.full = frame.body[1] == 1;
    target.since = now;
    target.phase = Phase::kMarking;
    if (!target.even) {
        ctx.flags.inconsistent = true;
        ctx.flags.full_sync = ctx.flags.full_sync || target.full;
        ctx.aim = frame.generation;
        target.marked = meta.persist_context();
    }
    changed();
}

// What differs by this side's own doing. Of a bitmap in many pieces whole hot extents are told: more work, fewer
// frames.
void Mirror::Impl::tell_dirty() {
    while (target.unanswered < kDirtyWindow && !target.full) {
        auto run = bits.next(target.cursor, kDirtyRunBytes);
        if (!run) break;
        if (bits.count() > kManyDirtyBlocks) {
            const uint64_t begin = std::max(target.cursor, run->offset / kHotExtentBytes * kHotExtentBytes);
            const uint64_t end =
                std::min(ctx.size_bytes, (run->end() + kHotExtentBytes - 1) / kHotExtentBytes * kHotExtentBytes);
            run = Extent{begin, end - begin};
        }
        target.cursor = run->end();
        Frame frame{.type = FrameType::kDirty};
        frame.offset = run->offset;
        frame.length = static_cast<uint32_t>(run->length);
        send(std::move(frame), Owner::kDirty);
        ++target.unanswered;
    }
    if (target.unanswered > 0 || (!target.full && bits.next(target.cursor, kDirtyRunBytes))) return;
    send({.type = FrameType::kResyncReady});
    target.phase = Phase::kRunning;
    changed();
}

void Mirror::Impl::settle_target() {
    switch (target.phase) {
        case Phase::kOff:
        case Phase::kRunning: return;
        case Phase::kMarking:
            if (!meta.reached(target.marked)) return;
            target.phase = Phase::kTelling;
            [[fallthrough]];
        case Phase::kTelling: return tell_dirty();
        case Phase::kEnding:
            if (!meta.reached(target.marked)) return;
            answer(FrameType::kAck, target.end);
            note("the copy is complete");
            link.decision->outcome = Outcome::kInSync;
            target = {};
            return changed();
    }
}

void Mirror::Impl::target_flushed(Seq seq) {
    if (target.phase != Phase::kRunning) return disconnect("the end of a resync that was not begun", kErrorBackOff);
    target.phase = Phase::kEnding;
    target.end = seq;
    if (!target.even) {
        if (ctx.current != ctx.aim) adopt(ctx.aim, Cause::kResync);
        completed = ctx.aim;
        ctx.aim = {};
        ctx.flags.constructed = true;
        ctx.flags.inconsistent = ctx.flags.full_sync = ctx.flags.suspect = false;
    }
    ctx.base = {};
    bits.clear(whole_disk());
    target.marked = meta.persist_context();
    target.marked.pages = meta.persist_pages().pages;
    changed();
}

void Mirror::Impl::on_current(const Frame& frame) {
    if (promoted() || !link.theirs || frame.token != link.theirs->promoted || frame.generation != ctx.current) {
        return disconnect("it is counted as current of something else", kErrorBackOff);
    }
    note("counted as current of generation " + to_string(frame.generation));
}

}  // namespace kagami::mirror
