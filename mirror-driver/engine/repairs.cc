// Reads that this disk cannot answer: the peer's copy is asked and written over the bad blocks, under their interval so
// that no write comes between.
#include <cerrno>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

using Stage = Request::Stage;

void Mirror::Impl::repair(size_t index) {
    Request& request = requests[index];
    note("a read failed: asks " + settings.peer_name);
    request.stage = Stage::kRepairInterval;
    request.interval = intervals.take(request.extent, {HolderKind::kClient, static_cast<uint16_t>(index)});
    if (request.interval) repair_granted(index);
}

void Mirror::Impl::repair_granted(size_t index) {
    Request& request = requests[index];
    if (mode != Mode::kConnected) return repair_failed(index);
    request.stage = Stage::kRepairAsk;
    Frame frame{.type = FrameType::kRead, .token = token, .generation = ctx.current};
    frame.offset = request.extent.offset;
    frame.length = static_cast<uint32_t>(request.extent.length);
    request.seq = send(std::move(frame), Owner::kClient, index);
    request.far = Request::Far::kSent;
    request.sent = now;
}

void Mirror::Impl::on_read_reply(const Frame& frame) {
    const auto index = static_cast<size_t>(frame.seq & kIndexMask);
    Request* request = index < requests.size() ? &requests[index] : nullptr;
    const bool asked = request != nullptr && request->stage == Stage::kRepairAsk && request->seq == frame.seq;
    if (!asked) return release(frame.payload);
    request->far = Request::Far::kNone;
    if (frame.error != 0 || frame.payload == kNoBuffer || frame.length != request->extent.length) {
        release(frame.payload);
        return repair_failed(index);
    }
    request->repaired = frame.payload;
    request->stage = Stage::kRepairWrite;
    request->local = true;
    request->io = next_io(Owner::kClient, index);
    local_io(request->io, Operation::kWrite, request->extent, request->repaired);
}

void Mirror::Impl::repair_ended(size_t index) {
    read_ended(index);  // whether or not the bad blocks could be written: the client has its data
}

void Mirror::Impl::repair_failed(size_t index) {
    requests[index].error = EIO;
    complete(index);
}

}  // namespace kagami::mirror
