// An ordered stream of bytes without blocking: what the frame reader and writer need of a connection.
#pragma once

#include <cstdint>
#include <span>

namespace kagami::mirror {

enum class IoState : uint8_t {
    kDone,     // `bytes` were moved, at least one
    kBlocked,  // nothing can be moved now
    kEnded,    // by the peer, or an error: the stream says why
};
struct IoResult {
    IoState state = IoState::kBlocked;
    size_t bytes = 0;
};

class ByteStream {
 public:
    virtual ~ByteStream() = default;
    virtual IoResult read(std::span<uint8_t> into) = 0;
    // What was taken needs not be sent before the stream is drained by its owner.
    virtual IoResult write(std::span<const uint8_t> bytes) = 0;
};

}  // namespace kagami::mirror
