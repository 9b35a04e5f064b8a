#include "mirror-driver/io/channel/frame_writer.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"

namespace kagami::mirror {

FrameWriter::FrameWriter(size_t slots, size_t limit, Buffers& buffers)
    : buffers_(buffers), ring_(slots), limit_(limit) {}

FrameWriter::~FrameWriter() {
    forget();
}

void FrameWriter::forget() {
    for (; used_ > 0; --used_, first_ = (first_ + 1) % ring_.size())
        if (ring_[first_].release) buffers_.release(ring_[first_].frame.payload);
    begun_ = false;
}

bool FrameWriter::push(Frame&& frame, bool release) {
    const bool data =
        frame.type == FrameType::kWrite || frame.type == FrameType::kCopy || frame.type == FrameType::kReadReply;
    KAGAMI_ASSERT((data && frame.length > 0) == (frame.payload != kNoBuffer), "a payload belongs to its header");
    release = release && frame.payload != kNoBuffer;
    if (used_ == ring_.size() && !grow()) {
        if (release) buffers_.release(frame.payload);
        return false;
    }
    Slot& slot = ring_[(first_ + used_) % ring_.size()];
    slot.frame = std::move(frame);
    slot.release = release;
    ++used_;
    return true;
}

bool FrameWriter::grow() {
    if (ring_.size() >= limit_) return false;
    std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(first_), ring_.end());
    first_ = 0;
    ring_.resize(std::min(limit_, ring_.size() * 2));
    return true;
}

void FrameWriter::begin(const Frame& frame) {
    // No checksum of the payload: TLS authenticates it, and a CRC32C on both sides would add a third of its cost again.
    head_ = encode_header(frame, 0);
    written_ = 0;
    begun_ = true;
}

std::span<const uint8_t> FrameWriter::rest(const Frame& frame) const {
    size_t at = written_;
    if (at < head_.size()) return std::span(head_).subspan(at);
    at -= head_.size();
    if (at < frame.body.size()) return std::span(frame.body).subspan(at);
    at -= frame.body.size();
    if (frame.payload == kNoBuffer) return {};
    return buffers_.bytes(frame.payload).first(frame.length).subspan(at);
}

IoState FrameWriter::pump(ByteStream& into) {
    while (used_ > 0) {
        Slot& slot = ring_[first_];
        if (!begun_) begin(slot.frame);
        for (auto piece = rest(slot.frame); !piece.empty(); piece = rest(slot.frame)) {
            const IoResult taken = into.write(piece);
            if (taken.state != IoState::kDone) return taken.state;
            written_ += taken.bytes;
            bytes_ += taken.bytes;
        }
        if (slot.release) buffers_.release(slot.frame.payload);
        begun_ = false;
        first_ = (first_ + 1) % ring_.size();
        --used_;
    }
    return IoState::kDone;
}

}  // namespace kagami::mirror
