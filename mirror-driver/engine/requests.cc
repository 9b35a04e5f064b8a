// Client requests on the primary. A write: interval, activity log durable, then the local disk and the peer at once;
// complete when both have it, or alone by a grant with its bits set. A long zero goes part by part.
#include <algorithm>
#include <cerrno>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

using Stage = Request::Stage;
using Far = Request::Far;

namespace {
bool writes(Operation operation) {
    return operation == Operation::kWrite || operation == Operation::kZero;
}
}  // namespace

void Mirror::Impl::handle(const ClientRequest& event) {
    if (doomed() || (demotion && demotion->step != Demotion::Step::kDraining)) {
        out.completions.push_back({event.id, EIO, kNoBuffer});
        return;
    }
    KAGAMI_ASSERT(!free_requests_.empty(), "at most kMaxRequests client requests at a time");
    const uint16_t index = free_requests_.back();
    free_requests_.pop_back();
    active_.push_back(index);
    Request& request = requests[index];
    request = Request{};
    request.operation = event.operation;
    request.id = event.id;
    request.extent = event.extent;
    request.end = event.extent.end();
    request.buffer = event.buffer;
    request.arrived = now;
    switch (event.operation) {
        case Operation::kRead:
            ++counters.reads;
            counters.read_bytes += event.extent.length;
            request.stage = Stage::kIo;
            request.local = true;
            request.io = next_io(Owner::kClient, index);
            return local_io(request.io, Operation::kRead, request.extent, request.buffer);
        case Operation::kWrite:
        case Operation::kZero:
            ++counters.writes;
            counters.written_bytes += event.extent.length;
            return part_begins(index);
        case Operation::kFlush:
            ++counters.flushes;
            request.stage = Stage::kIo;
            request.local_round = rounds.local_started + 1;
            request.far_round = rounds.far_started + 1;
            local_wanted = true;
            far_wanted = far_wanted || !alone();
            return;
    }
}

// ---- a write, step by step ----

void Mirror::Impl::part_begins(size_t index) {
    Request& request = requests[index];
    if (request.operation == Operation::kZero) {
        const uint64_t slots = std::max<uint64_t>(1, std::min(kZeroChunkBytes / kHotExtentBytes, log.slots() / 4));
        const uint64_t limit = (request.extent.offset / kHotExtentBytes + slots) * kHotExtentBytes;
        request.extent.length = std::min(request.end, limit) - request.extent.offset;
    }
    request.stage = Stage::kGate;
    request.far = Far::kNone;
    advance(index);
}

void Mirror::Impl::interval_granted(size_t index) {
    Request& request = requests[index];
    request.interval = true;
    if (request.stage == Stage::kRepairInterval) return repair_granted(index);
    advance(index);
}

bool Mirror::Impl::enter_log(Request& request) {
    if (!request.pinned) request.pinned = log.enter(request.extent, meta);
    return request.pinned && log.durable(request.extent);
}

// Moves a request on as far as it can go now.
void Mirror::Impl::advance(size_t index) {
    Request& request = requests[index];
    if (request.stage == Stage::kFree) return;
    if (doomed() && !request.local) {  // what is on its way to the disk keeps its buffer until it is there
        request.error = EIO;
        return complete(index);
    }
    switch (request.stage) {
        case Stage::kGate:
            if (!may_issue()) return;
            request.stage = Stage::kInterval;
            request.interval = intervals.take(request.extent, {HolderKind::kClient, static_cast<uint16_t>(index)});
            [[fallthrough]];
        case Stage::kInterval:
            if (!request.interval) return;
            request.stage = Stage::kLog;
            [[fallthrough]];
        case Stage::kLog:
            if (!enter_log(request)) return;
            request.stage = Stage::kHeld;
            [[fallthrough]];
        case Stage::kHeld:
            if (may_issue()) issue(index);
            return;
        case Stage::kIo:
            if (writes(request.operation)) return settle_write(index);
            if (request.operation == Operation::kFlush) return settle_flush(index);
            return;
        case Stage::kReady:
            // A read needs the lease alone: past it somebody else may have written what was read here.
            if (now < lease && (alone() || with_peer() || request.operation == Operation::kRead)) complete(index);
            return;
        case Stage::kFree:
        case Stage::kRepairInterval:
        case Stage::kRepairAsk:
        case Stage::kRepairWrite: return;
    }
}

void Mirror::Impl::advance_all() {
    walk_.assign(active_.begin(), active_.end());
    for (const uint16_t index : walk_) advance(index);
}

void Mirror::Impl::issue(size_t index) {
    Request& request = requests[index];
    request.stage = Stage::kIo;
    if (alone()) bits.set(request.extent);
    request.local = true;
    request.io = next_io(Owner::kClient, index);
    local_io(request.io, request.operation, request.extent, request.buffer);
    if (link.sending) send_write(index);
}

void Mirror::Impl::send_write(size_t index) {
    Request& request = requests[index];
    Frame frame;
    frame.type = request.operation == Operation::kWrite ? FrameType::kWrite : FrameType::kZero;
    frame.token = token;
    frame.generation = ctx.current;
    frame.offset = request.extent.offset;
    frame.length = static_cast<uint32_t>(request.extent.length);
    frame.payload = request.operation == Operation::kWrite ? request.buffer : kNoBuffer;
    request.seq = send(std::move(frame), Owner::kClient, index);
    request.far = Far::kSent;
    request.sent = now;
    log.sent(request.extent);
}

void Mirror::Impl::settle_write(size_t index) {
    Request& request = requests[index];
    if (request.local || request.far == Far::kSent) return;  // the buffer is in use
    if (request.error != 0) return complete(index);
    const bool both = request.far == Far::kAcked && with_peer();
    if (!both && !alone()) return;
    KAGAMI_ASSERT(both || bits.all(request.extent), "what is acknowledged alone has its bits set");
    part_ended(index);
}

void Mirror::Impl::part_ended(size_t index) {
    Request& request = requests[index];
    give_back(index);
    if (request.extent.end() < request.end) {
        request.extent = {request.extent.end(), request.end - request.extent.end()};
        return part_begins(index);
    }
    request.stage = Stage::kReady;
    advance(index);
}

void Mirror::Impl::settle_flush(size_t index) {
    Request& request = requests[index];
    if (request.error != 0) return complete(index);
    if (rounds.local_done < request.local_round) return;
    if (!alone()) {
        if (!with_peer()) return;
        if (request.far_round == 0) request.far_round = rounds.far_started + 1;
        if (rounds.far_done < request.far_round) {
            if (rounds.far_started < request.far_round && !far_wanted) {
                far_wanted = true;
                changed();
            }
            return;
        }
    }
    request.stage = Stage::kReady;
    advance(index);
}

// ---- the end of a request ----

void Mirror::Impl::give_back(size_t index) {
    Request& request = requests[index];
    if (request.pinned) {
        const bool starved = log.starved();
        log.leave(request.extent);
        pump = pump || (starved && !log.starved());
    }
    const bool asked = request.stage == Stage::kInterval || request.interval || request.stage == Stage::kRepairInterval;
    if (asked) {
        intervals.release({HolderKind::kClient, static_cast<uint16_t>(index)});
        changed();
    }
    request.pinned = request.interval = false;
    request.stage = Stage::kReady;
}

void Mirror::Impl::complete(size_t index) {
    Request& request = requests[index];
    give_back(index);
    const bool answered = request.error == 0 && request.repaired != kNoBuffer;
    out.completions.push_back({request.id, request.error, answered ? request.repaired : kNoBuffer});
    release(request.repaired);
    if (request.operation != Operation::kRead) {
        counters.longest_stall = std::max(counters.longest_stall, now - request.arrived);
    }
    request.stage = Stage::kFree;
    std::erase(active_, static_cast<uint16_t>(index));
    free_requests_.push_back(static_cast<uint16_t>(index));
    if (demotion || failing) changed();
}

void Mirror::Impl::client_io_done(size_t index, const IoDone& event) {
    Request& request = requests[index];
    if (request.stage == Stage::kFree || !request.local || request.io != event.id) return;
    request.local = false;
    if (request.stage == Stage::kRepairWrite) return repair_ended(index);
    if (request.operation == Operation::kRead) {
        if (event.error != 0 && !doomed() && mode == Mode::kConnected && !todo.any(request.extent))
            return repair(index);
        request.error = event.error;
        return read_ended(index);
    }
    if (request.pinned) log.written(request.extent);
    if (event.error != 0) local_write_failed(request, event.error);
    advance(index);
}

void Mirror::Impl::read_ended(size_t index) {
    if (requests[index].error != 0) return complete(index);
    give_back(index);
    advance(index);
}

void Mirror::Impl::local_write_failed(Request& request, int error) {
    request.error = EIO;
    bits.set(request.extent);
    if (mode == Mode::kConnected || mode == Mode::kJoining)
        return disk_failed("the data device of this node cannot be written", error);
    problem = settings.name + ": the data device of this node cannot be written, and no other copy is current";
}

// ---- the peer's part ----

void Mirror::Impl::client_acked(size_t index, const Frame& frame) {
    Request& request = requests[index];
    if (request.stage != Stage::kIo || request.far != Far::kSent || request.seq != frame.seq) return;
    request.far = Far::kAcked;
    if (source.phase == Source::Phase::kCopying) todo.clear(request.extent);
    advance(index);
    if (source_active()) changed();
}

// On a new connection to a peer that is still current: what was under way goes out again, in the order of arrival.
void Mirror::Impl::resend() {
    for (const uint16_t index : active_) {
        const Request& request = requests[index];
        if (request.stage == Stage::kIo && writes(request.operation) && request.far == Far::kNone) send_write(index);
    }
}

void Mirror::Impl::forget_peer() {
    far_wanted = false;
    walk_.assign(active_.begin(), active_.end());
    for (const uint16_t index : walk_) {
        Request& request = requests[index];
        if (request.stage == Stage::kRepairInterval || request.stage == Stage::kRepairAsk) {
            repair_failed(index);
        } else if (request.operation == Operation::kFlush) {
            request.far_round = 0;
            request.stage = Stage::kIo;  // also when only the lease held it back
        } else if (request.stage == Stage::kIo && writes(request.operation)) {
            bits.set(request.extent);
            request.far = Far::kNone;
        }
    }
}

}  // namespace kagami::mirror
