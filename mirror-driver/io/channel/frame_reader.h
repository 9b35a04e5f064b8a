// Turns the bytes of one stream into frames. The header and a small body go through fixed buffers, a payload straight
// into a pool buffer of Use::kPeer; nothing is allocated but a body's own bytes (never a frame of data). Every length
// is checked against its limit before anything is received; the type must belong to this stream.
#pragma once

#include <array>
#include <string>

#include "mirror-driver/engine/frames.h"
#include "mirror-driver/io/buffers.h"
#include "mirror-driver/io/channel/byte_stream.h"

namespace kagami::mirror {

class FrameReader {
 public:
    enum class Step : uint8_t {
        kFrame,    // frame() is whole; its payload buffer is the caller's now
        kBlocked,  // the stream has nothing more now
        kStarved,  // no buffer of wanted_bytes() is free: the stream waits
        kEnded,    // the stream ended
        kBroken,   // why() says what is wrong with the bytes
    };
    FrameReader(Channel channel, uint64_t size_bytes, Buffers& buffers);
    ~FrameReader();
    FrameReader(const FrameReader&) = delete;
    FrameReader& operator=(const FrameReader&) = delete;

    Step next(ByteStream& from);
    Frame& frame() { return header_.frame; }
    uint32_t wanted_bytes() const { return header_.payload_bytes; }
    const std::string& why() const { return why_; }

 private:
    enum class Phase : uint8_t { kHeader, kBody, kPayload };
    Step broken(std::string why);
    Step take_header();
    Step take_body();
    Step take_payload();
    std::span<uint8_t> missing();  // of the phase; empty = it is complete

    Channel channel_;
    uint64_t size_bytes_;
    Buffers& buffers_;
    Phase phase_ = Phase::kHeader;
    size_t filled_ = 0;  // bytes of the phase
    BufferId payload_ = kNoBuffer;
    FrameHeader header_;
    std::array<uint8_t, kFrameHeaderBytes> head_{};
    std::array<uint8_t, kMaxBodyBytes> body_{};
    std::string why_;
};

}  // namespace kagami::mirror
