// What two drivers say to each other. A connection is a pair of ordered streams: kBulk carries what moves data, kControl
// everything else, so that acknowledgements and pings are never behind bulk data. Nothing orders the two against each
// other. A frame of an older connection is never delivered once a newer one is up.
// Wire form: a fixed header with two CRC32C, a small body, the payload (docs/formats/mirror-channel.md). Every length is
// checked against its limit before anything is received into memory.
#pragma once

#include <string>
#include <vector>

#include "common/codec.h"
#include "common/hash.h"  // crc32c
#include "common/result.h"
#include "mirror-driver/engine/context.h"

namespace kagami::mirror {

constexpr uint32_t kFrameHeaderBytes = 96;
constexpr uint32_t kMaxBodyBytes = 4096;
constexpr uint8_t kFrameVersion = 1;

enum class Channel : uint8_t { kBulk, kControl };

enum class FrameType : uint8_t {
    // kBulk, primary -> secondary; the secondary refuses a token below the highest it has seen, and another generation
    kWrite,    // offset, length, payload
    kZero,     // offset, length: write zeroes (also a discard: both ends must read the same)
    kCopy,     // like kWrite, of a resync: inside its intervals
    kCopyZero, // like kZero, of a resync
    kFlush,    // everything before it on this connection durable, then kAck
    kResyncEnd,  // all copied: flush data, then metadata {aim becomes current, own bits and log cleared}, then kAck
    // kBulk, secondary -> primary
    kReadReply,  // payload; seq of the kRead; length 0 = it cannot read it either
    // kControl
    kHello,        // body: Hello; first frame of each side
    kVerdict,      // body: HandshakeDecision of the sender; both must be each other's mirror image, else both disconnect
    kAck,          // seq; error (errno, 0 = done)
    kRead,         // offset, length: the primary's own disk could not read it
    kResyncBegin,  // primary -> secondary: generation = aim; body: even (1) or catch-up (0), full (1) or bitmap (0)
    kDirty,        // secondary -> primary: a run of blocks that its bitmap or its log names
    kResyncReady,  // secondary -> primary: all kDirty sent, and the target's mark is durable
    kCurrent,      // primary -> secondary: the register counts you as current of `generation`
    kRole,         // token: promoted under it; zero: demoted
    kPing,
    kPong,
    kGoodbye,      // body: sentence; the sender closes the connection on purpose
};
Channel channel_of(FrameType type);

using Seq = uint64_t;
struct Frame {
    FrameType type = FrameType::kPing;
    Seq seq = 0;        // of the sender, within the connection; kAck and kReadReply: of the frame they answer
    Token token{};      // of the primary
    Generation generation{};
    uint64_t offset = 0;
    uint32_t length = 0;  // bytes of the disk that it is about
    int32_t error = 0;
    Bytes body{};         // small; empty for all but kHello, kVerdict, kResyncBegin, kGoodbye
    BufferId payload = kNoBuffer;  // `length` bytes; kWrite, kCopy, kReadReply only
    bool operator==(const Frame&) const = default;
};

struct Hello {
    Context context;  // what its metadata say (device_identity and nonces left empty)
    BootId boot{};
    Uuid instance{};  // of the driver process: drawn at its start
    Token promoted;   // zero = secondary
    bool crashed_primary = false;  // primary was indicated when the metadata were opened
    uint64_t dirty_blocks = 0;     // bits set, hot extents of a crashed primary included
    Version version;               // of the document its authority comes from
    Record record;                 // ... and what that says of this mirror
    bool operator==(const Hello&) const = default;
};
Bytes encode(const Hello& hello);
Result<Hello> decode_hello(std::span<const uint8_t> body);

// Whether the fields fit the type and the disk: the part of decode_header's refusals that a sender can get wrong (for
// simulators and tests, whose frames never become bytes). `size_bytes` as in decode_header.
Status check_frame(const Frame& frame, uint64_t size_bytes);

// The header's bytes, CRCs included. `payload_crc` is the CRC32C of the payload, 0 without one.
std::array<uint8_t, kFrameHeaderBytes> encode_header(const Frame& frame, uint32_t payload_crc);
struct FrameHeader {
    Frame frame;  // without body and payload
    uint32_t body_bytes = 0;
    uint32_t payload_bytes = 0;  // 0, or frame.length
    uint32_t body_crc = 0;
    uint32_t payload_crc = 0;
};
// Errors: magic, version, type, a wrong CRC, lengths above the limits or against the type, offset + length above
// `size_bytes` (0 = not known yet: only control frames without extent are taken). Names what was wrong.
Result<FrameHeader> decode_header(std::span<const uint8_t, kFrameHeaderBytes> bytes, uint64_t size_bytes);

const char* name_of(FrameType type);

}  // namespace kagami::mirror
