// The primary's side of a resync. Bits stay until the register counts the target as current (or, of two current copies,
// until the target has flushed): a crash anywhere leaves too many, never too few. `todo` is what is left of this pass;
// it takes in what must be copied once more.
#include <algorithm>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

using Phase = Source::Phase;

void Mirror::Impl::begin_source(Outcome kind) {
    const uint32_t reading = source.copies;  // of an older resync
    source = Source{};
    source.copies = reading;
    source.kind = kind;
    source.since = source.phase_since = now;
    if (kind == Outcome::kEven || settings.automatic_resync) return send_begin();
    source.phase = Phase::kWaiting;
}

void Mirror::Impl::send_begin() {
    source.phase = Phase::kAwaitReady;
    source.since = source.phase_since = now;
    const bool even = source.kind == Outcome::kEven;
    if (!even && mode == Mode::kSolo) mode = Mode::kSyncing;
    Frame frame{.type = FrameType::kResyncBegin, .token = token, .generation = ctx.current};
    frame.body = {static_cast<uint8_t>(even ? 1 : 0), static_cast<uint8_t>(source.kind == Outcome::kFull ? 1 : 0)};
    send(std::move(frame));
    changed();
}

void Mirror::Impl::on_dirty(const Frame& frame) {
    if (source.phase != Phase::kAwaitReady) return disconnect("dirty blocks that nobody asked for", kErrorBackOff);
    bits.set({frame.offset, frame.length});
    answer(FrameType::kAck, frame.seq);
}

void Mirror::Impl::on_resync_ready() {
    if (source.phase != Phase::kAwaitReady) return disconnect("ready for a resync that nobody began", kErrorBackOff);
    source.phase = Phase::kMarking;
    source.phase_since = now;
    source.marked = meta.persist_pages();
    changed();
}

// From here on every write goes to the peer; what was issued before has its bits set and is copied.
void Mirror::Impl::start_copying() {
    source.phase = Phase::kCopying;
    source.phase_since = now;
    todo.clear(whole_disk());
    if (source.kind == Outcome::kFull)
        todo.set_all();
    else
        todo.merge(bits);
    source.total_bytes = todo.count() * kBlockBytes;
    source.cursor = 0;
    link.sending = true;
    note("copies " + std::to_string(source.total_bytes >> 10U) + " KiB to " + settings.peer_name);
    // A peer that has been connected in this promotion lacks nothing that was acknowledged, and nobody has read what is
    // in doubt but who waits for it: work goes on while it is made equal.
    if (source.kind == Outcome::kEven && mode == Mode::kStalled && link.mine->context.peer_boot != BootId{})
        enter_connected();
    changed();
}

void Mirror::Impl::settle_source() {
    switch (source.phase) {
        case Phase::kOff:
        case Phase::kAwaitReady:
        case Phase::kEnding:
        case Phase::kAdding: return;
        case Phase::kWaiting:
            if (source.asked) send_begin();
            return;
        case Phase::kMarking:
            if (meta.reached(source.marked)) start_copying();
            return;
        case Phase::kCopying:
            fill_copies();
            if (source.copies == 0 && todo.count() == 0 && !rounds.far_under_way) end_source();
            return;
    }
}

void Mirror::Impl::fill_copies() {
    for (size_t i = 0; i < copies.size() && todo.count() > 0; ++i) {
        if (copies[i].stage != Copy::Stage::kFree) continue;
        auto run = todo.next(source.cursor, kCopyBytes);
        if (!run) run = todo.next(0, kCopyBytes);  // another pass for what was set behind the cursor
        source.cursor = run->end();
        todo.clear(*run);
        copies[i] = Copy{};
        copies[i].extent = *run;
        copies[i].stage = Copy::Stage::kInterval;
        ++source.copies;
        if (intervals.take(*run, {HolderKind::kCopy, static_cast<uint16_t>(i)})) start_copy(i);
    }
}

void Mirror::Impl::start_copy(size_t index) {
    Copy& copy = copies[index];
    copy.stage = Copy::Stage::kReading;
    copy.io = next_io(Owner::kCopy, index);
    local_io(copy.io, Operation::kRead, copy.extent, kNoBuffer);
}

void Mirror::Impl::copy_read(size_t index, const IoDone& event) {
    Copy& copy = copies[index];
    if (copy.stage != Copy::Stage::kReading || copy.io != event.id) return;
    if (copy.dropped || event.error != 0) {
        const bool failed = !copy.dropped;
        release(event.buffer);
        free_copy(index);
        if (!failed) return;
        problem =
            settings.name + ": blocks at " + std::to_string(copy.extent.offset) + " cannot be read and not be copied";
        return disconnect(problem, kRefusedBackOff);
    }
    Frame frame{.type = FrameType::kCopy, .token = token, .generation = ctx.current};
    frame.offset = copy.extent.offset;
    frame.length = static_cast<uint32_t>(copy.extent.length);
    frame.payload = event.buffer;
    copy.seq = send(std::move(frame), Owner::kCopy, index, true);
    copy.stage = Copy::Stage::kSent;
    copy.sent = now;
    counters.copied_bytes += copy.extent.length;
}

void Mirror::Impl::copy_acked(size_t index, const Frame& frame) {
    if (copies[index].stage != Copy::Stage::kSent || copies[index].seq != frame.seq) return;
    free_copy(index);
}

void Mirror::Impl::free_copy(size_t index) {
    copies[index].stage = Copy::Stage::kFree;
    --source.copies;
    intervals.release({HolderKind::kCopy, static_cast<uint16_t>(index)});
    changed();
}

// Everything sent so far is flushed by the target before it answers; later writes are remembered as unconfirmed.
void Mirror::Impl::end_source() {
    source.phase = Phase::kEnding;
    source.phase_since = now;
    log.confirm_started();
    source.end = send({.type = FrameType::kResyncEnd, .token = token, .generation = ctx.current}, Owner::kEnd);
    changed();
}

void Mirror::Impl::source_end_acked(const Frame& frame) {
    if (source.phase != Phase::kEnding || source.end != frame.seq) return;
    log.confirmed();
    source.phase_since = now;
    pump = true;
    if (source.kind == Outcome::kEven) return source_finished();
    source.phase = Phase::kAdding;
    mode = Mode::kJoining;  // solo ends before the wish, not with its fulfilment
    // A flush that was acknowledged alone since the end was sent is not the target's yet: one more for both.
    source.add_round = rounds.far_started + 1;
    far_wanted = true;
    note("copied: asks the register to count " + settings.peer_name + " as current");
    changed();
}

void Mirror::Impl::source_finished() {
    const bool added = mode == Mode::kJoining;
    source = Source{};
    bits.clear(whole_disk());
    ctx.base = {};
    ctx.peer_boot = link.theirs->boot;
    meta.persist_pages();
    meta.persist_context();
    if (added) send({.type = FrameType::kCurrent, .token = token, .generation = ctx.current});
    if (mode == Mode::kJoining) {
        mode = Mode::kConnected;
        note("connected");
    } else if (mode == Mode::kStalled) {
        enter_connected();
    }
    problem.clear();
    at_once = false;
    pump = true;
    changed();
}

// The connection ended: bits stand for all of it, copied or not.
void Mirror::Impl::abort_source() {
    for (size_t i = 0; i < copies.size(); ++i) {
        if (copies[i].stage == Copy::Stage::kReading)
            copies[i].dropped = true;
        else if (copies[i].stage != Copy::Stage::kFree)
            free_copy(i);
    }
    const uint32_t reading = source.copies;
    source = Source{};
    source.copies = reading;
    todo.clear(whole_disk());
}

}  // namespace kagami::mirror
