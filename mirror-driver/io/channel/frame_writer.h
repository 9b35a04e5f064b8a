// The queue of one stream's frames on their way out. A ring that is allocated once for data; that of the control stream
// may grow to its limit while a resync tells its runs. A payload is copied (or sealed) into the stream's buffers, after
// which its pool buffer goes back if it was given up.
#pragma once

#include <array>
#include <vector>

#include "mirror-driver/engine/frames.h"
#include "mirror-driver/io/buffers.h"
#include "mirror-driver/io/channel/byte_stream.h"

namespace kagami::mirror {

class FrameWriter {
 public:
    FrameWriter(size_t slots, size_t limit, Buffers& buffers);
    ~FrameWriter();
    FrameWriter(const FrameWriter&) = delete;
    FrameWriter& operator=(const FrameWriter&) = delete;

    bool push(Frame&& frame, bool release);  // false: the queue is full (the payload is released all the same)
    IoState pump(ByteStream& into);          // kDone: the queue is empty
    void forget();                           // releases what was given up
    bool empty() const { return used_ == 0; }
    uint64_t bytes() const { return bytes_; }  // handed to the stream so far

 private:
    struct Slot {
        Frame frame;
        bool release = false;
    };
    void begin(const Frame& frame);
    bool grow();
    std::span<const uint8_t> rest(const Frame& frame) const;  // of the part that is being written

    Buffers& buffers_;
    std::vector<Slot> ring_;
    size_t limit_;
    size_t first_ = 0;
    size_t used_ = 0;
    size_t written_ = 0;  // of the frame at the front: header, body, payload
    bool begun_ = false;
    std::array<uint8_t, kFrameHeaderBytes> head_{};
    uint64_t bytes_ = 0;
};

}  // namespace kagami::mirror
