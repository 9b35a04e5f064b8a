#include "mirror-driver/io/channel/connection.h"

#include <utility>

namespace kagami::mirror {
namespace {

constexpr size_t kBulkSlots = 1024;                  // more than requests, copies and flushes that can be under way
constexpr size_t kControlSlots = 1024;               // acknowledgements, pings
constexpr size_t kControlLimit = size_t{64} << 10U;  // runs of a resync

}  // namespace

Connection::Connection(ConnectionId id, Pair pair, uint64_t size_bytes, Buffers& buffers, const Poller& poller)
    : id_(id),
      path_(pair.path),
      buffers_(buffers),
      poller_(poller),
      bulk_(make_half(Channel::kBulk, std::move(pair.bulk), pair.bulk_watched, size_bytes)),
      control_(make_half(Channel::kControl, std::move(pair.control), pair.control_watched, size_bytes)) {
    watch(bulk_);
    watch(control_);
}

Connection::Half Connection::make_half(Channel channel, std::unique_ptr<PeerStream> stream, uint32_t watched,
                                       uint64_t size_bytes) {
    const bool bulk = channel == Channel::kBulk;
    Half half;
    half.stream = std::move(stream);
    half.reader = std::make_unique<FrameReader>(channel, size_bytes, buffers_);
    half.writer = bulk ? std::make_unique<FrameWriter>(kBulkSlots, kBulkSlots, buffers_)
                       : std::make_unique<FrameWriter>(kControlSlots, kControlLimit, buffers_);
    half.awake = bulk ? kAwakeBulk : kAwakeControl;
    half.watched = watched;
    return half;
}

void Connection::watch(Half& half) {
    const uint32_t in = half.starved ? 0U : static_cast<uint32_t>(EPOLLIN);
    const uint32_t out = half.stream->wants_to_send() && !half.unsendable ? static_cast<uint32_t>(EPOLLOUT) : 0U;
    poller_.watch(half.stream->descriptor(), half.awake, in | out, half.watched);
}

void Connection::end(const std::string& why, bool path_failed) {
    if (ended_) return;
    ended_ = true;
    path_failed_ = path_failed;
    why_ = why;
    poller_.ring();
}

// ---- out ----

void Connection::send(Frame&& frame, bool release) {
    Half& half = channel_of(frame.type) == Channel::kBulk ? bulk_ : control_;
    if (!half.writer->push(std::move(frame), release)) end("too many frames wait to be sent", false);
}

void Connection::push_out(Half& half, bool writable) {
    if (ended_ || half.unsendable || (half.stream->wants_to_send() && !writable)) return;
    IoState state = half.writer->pump(*half.stream);
    if (state == IoState::kDone) state = half.stream->drain();
    if (state == IoState::kEnded) {
        half.unsendable = true;
        poller_.ring();
    }
    watch(half);
}

void Connection::flush(uint32_t awake) {
    push_out(control_, (awake & kAwakeControlOut) != 0);
    push_out(bulk_, (awake & kAwakeBulkOut) != 0);
}

// ---- in ----

void Connection::receive(const Deliver& deliver) {
    take_in(control_, deliver);
    take_in(bulk_, deliver);
    if (ended_ || (!control_.unsendable && !bulk_.unsendable)) return;
    const Half& gone = control_.unsendable ? control_ : bulk_;
    end(gone.stream->why(), gone.stream->path_failed());
}

void Connection::take_in(Half& half, const Deliver& deliver) {
    if (ended_ || half.starved) return;
    half.stream->grant();
    FrameReader::Step step = FrameReader::Step::kFrame;
    while (!ended_ && (step = half.reader->next(*half.stream)) == FrameReader::Step::kFrame) deliver_one(half, deliver);
    if (ended_) return;
    switch (step) {
        case FrameReader::Step::kFrame:
        case FrameReader::Step::kBlocked: break;
        case FrameReader::Step::kStarved: half.starved = true; break;
        case FrameReader::Step::kBroken: return end(half.reader->why(), false);
        case FrameReader::Step::kEnded:
            // A good-bye on the control stream may have come just before the end of the other one.
            if (&half == &bulk_) take_in(control_, deliver);
            return end(half.stream->why(), half.stream->path_failed());
    }
    watch(half);
}

void Connection::deliver_one(Half& half, const Deliver& deliver) {
    Frame& frame = half.reader->frame();
    received_bytes_ += kFrameHeaderBytes + frame.body.size() + (frame.payload == kNoBuffer ? 0 : frame.length);
    deliver(id_, frame);
}

void Connection::buffers_released() {
    if (!bulk_.starved || !buffers_.available(bulk_.reader->wanted_bytes(), Use::kPeer)) return;
    bulk_.starved = false;
    poller_.ring();
}

void Connection::retire(const std::string& why) {
    push_out(control_, true);
    end(why, false);
    for (Half* half : {&control_, &bulk_}) {
        half->stream->close();
        half->writer->forget();
    }
}

}  // namespace kagami::mirror
