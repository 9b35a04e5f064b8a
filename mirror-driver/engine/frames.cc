#include "mirror-driver/engine/frames.h"

#include "common/assert.h"
#include "common/mirror_coder.h"
#include "mirror-driver/engine/put.h"

namespace kagami::mirror {

// Found by the coder, hence not in an unnamed namespace.
template <typename C, Is<Ancestor> V>
void fields(C& c, V& v) {
    c(v.generation);
    c.choice(v.cause, Cause::kResync);
}
template <typename C, Is<Flags> V>
void fields(C& c, V& v) {
    c(v.constructed, v.primary_indicated, v.inconsistent, v.full_sync, v.suspect, v.outdated, v.failed);
}
template <typename C, Is<Context> V>
void fields(C& c, V& v) {  // as a Hello carries it: what identifies a disk is nobody else's business
    c(v.cluster, v.mirror, v.self, v.peer, v.size_bytes, v.hot_extents, v.attached_in);
    c(v.current, v.base, v.aim, v.peer_last, v.peer_boot, v.highest_token, v.flags);
    for (auto& ancestor : v.history) c(ancestor);
}
template <typename C, Is<Hello> V>
void fields(C& c, V& v) {
    c(v.context, v.boot, v.instance, v.promoted, v.crashed_primary, v.dirty_blocks, v.version, v.record);
}

namespace {

constexpr uint32_t kMagic = 0x464d474bU;  // "KGMF"
constexpr size_t kChecksumAt = kFrameHeaderBytes - 4;
constexpr int32_t kMaxErrno = 4095;

enum class Has : uint8_t { kNo, kMay, kMust };
struct Shape {
    const char* name;
    Channel channel;
    Has extent;
    bool payload;  // of frame.length bytes
    bool body;
    bool error;
};

constexpr FrameType kLastType = FrameType::kGoodbye;

Shape shape_of(FrameType type) {
    constexpr Channel kBulk = Channel::kBulk, kControl = Channel::kControl;
    switch (type) {
        case FrameType::kWrite: return {"write", kBulk, Has::kMust, true, false, false};
        case FrameType::kZero: return {"zero", kBulk, Has::kMust, false, false, false};
        case FrameType::kCopy: return {"copy", kBulk, Has::kMust, true, false, false};
        case FrameType::kCopyZero: return {"copy-zero", kBulk, Has::kMust, false, false, false};
        case FrameType::kFlush: return {"flush", kBulk, Has::kNo, false, false, false};
        case FrameType::kResyncEnd: return {"resync-end", kBulk, Has::kNo, false, false, false};
        case FrameType::kReadReply: return {"read-reply", kBulk, Has::kMay, true, false, true};
        case FrameType::kHello: return {"hello", kControl, Has::kNo, false, true, false};
        case FrameType::kVerdict: return {"verdict", kControl, Has::kNo, false, true, false};
        case FrameType::kAck: return {"ack", kControl, Has::kMay, false, false, true};
        case FrameType::kRead: return {"read", kControl, Has::kMust, false, false, false};
        case FrameType::kResyncBegin: return {"resync-begin", kControl, Has::kNo, false, true, false};
        case FrameType::kDirty: return {"dirty", kControl, Has::kMust, false, false, false};
        case FrameType::kResyncReady: return {"resync-ready", kControl, Has::kNo, false, false, false};
        case FrameType::kCurrent: return {"current", kControl, Has::kNo, false, false, false};
        case FrameType::kRole: return {"role", kControl, Has::kNo, false, false, false};
        case FrameType::kPing: return {"ping", kControl, Has::kNo, false, false, false};
        case FrameType::kPong: return {"pong", kControl, Has::kNo, false, false, false};
        case FrameType::kGoodbye: return {"goodbye", kControl, Has::kNo, false, true, false};
    }
    return {"unknown", kControl, Has::kNo, false, false, false};
}

auto bad(const std::string& what) {
    return fail("the peer's mirror channel sent a frame that is not valid: " + what);
}

Status check_extent(const Frame& frame, const Shape& shape, uint64_t size_bytes) {
    const auto refuse = [&](const char* why) {
        return bad(std::string(shape.name) + " of " + std::to_string(frame.length) + " bytes at " +
                   std::to_string(frame.offset) + ": " + why);
    };
    if (shape.extent == Has::kNo || (shape.extent == Has::kMay && frame.length == 0)) {
        if (frame.length != 0 || frame.offset != 0) return refuse("it is about no part of the disk");
        return {};
    }
    if (frame.length == 0) return refuse("it must be about a part of the disk");
    if (size_bytes == 0) return refuse("not before the sizes are known");
    if (frame.offset % kBlockBytes != 0 || frame.length % kBlockBytes != 0) return refuse("not in whole blocks");
    if (frame.offset > size_bytes || frame.length > size_bytes - frame.offset)
        return refuse("behind the end of the disk");
    const bool moves_data = shape.payload || frame.type == FrameType::kRead;
    if (moves_data && frame.length > kMaxRequestBytes) return refuse("longer than a request may be");
    return {};
}

Status check_shape(const Frame& frame, uint64_t body_bytes, uint64_t size_bytes) {
    const Shape shape = shape_of(frame.type);
    if (body_bytes > kMaxBodyBytes || (body_bytes != 0 && !shape.body)) {
        return bad(std::string(shape.name) + " with a body of " + std::to_string(body_bytes) + " bytes");
    }
    if (frame.error < 0 || frame.error > kMaxErrno || (frame.error != 0 && !shape.error)) {
        return bad(std::string(shape.name) + " with error " + std::to_string(frame.error));
    }
    return check_extent(frame, shape, size_bytes);
}

}  // namespace

Channel channel_of(FrameType type) {
    return shape_of(type).channel;
}
const char* name_of(FrameType type) {
    return shape_of(type).name;
}

Status check_frame(const Frame& frame, uint64_t size_bytes) {
    return check_shape(frame, frame.body.size(), size_bytes);
}

std::array<uint8_t, kFrameHeaderBytes> encode_header(const Frame& frame, uint32_t payload_crc) {
    std::array<uint8_t, kFrameHeaderBytes> bytes{};
    Put out(bytes);
    out.u32(kMagic);
    out.u8(kFrameVersion);
    out.u8(static_cast<uint8_t>(frame.type));
    out.u16(0);
    out.u64(frame.seq);
    out.u64(frame.token.epoch.value);
    out.u64(frame.token.seq);
    out.u64(frame.generation.counter);
    out.raw(frame.generation.random);
    out.u64(frame.offset);
    out.u32(frame.length);
    out.u32(static_cast<uint32_t>(frame.error));
    out.u32(static_cast<uint32_t>(frame.body.size()));
    out.u32(shape_of(frame.type).payload ? frame.length : 0);
    out.u32(crc32c(frame.body));
    out.u32(payload_crc);
    out.u32(0);
    out.u32(crc32c(std::span(bytes).first(kChecksumAt)));
    return bytes;
}

Result<FrameHeader> decode_header(std::span<const uint8_t, kFrameHeaderBytes> bytes, uint64_t size_bytes) {
    ByteReader in(bytes);
    if (in.u32() != kMagic) return bad("it does not begin with KGMF");
    const uint8_t version = in.u8();
    const uint8_t type = in.u8();
    const uint16_t flags = in.u16();
    FrameHeader header;
    Frame& frame = header.frame;
    frame.seq = in.u64();
    frame.token.epoch.value = in.u64();
    frame.token.seq = in.u64();
    frame.generation.counter = in.u64();
    in.raw(frame.generation.random);
    frame.offset = in.u64();
    frame.length = in.u32();
    frame.error = static_cast<int32_t>(in.u32());
    header.body_bytes = in.u32();
    header.payload_bytes = in.u32();
    header.body_crc = in.u32();
    header.payload_crc = in.u32();
    const uint32_t reserved = in.u32();
    if (in.u32() != crc32c(bytes.first(kChecksumAt))) return bad("the checksum of its header is wrong");
    if (version != kFrameVersion)
        return bad("version " + std::to_string(version) + ", not " + std::to_string(kFrameVersion));
    if (type > static_cast<uint8_t>(kLastType)) return bad("type " + std::to_string(type) + " is not known");
    if (flags != 0 || reserved != 0) return bad("it has flags that are not known");
    frame.type = static_cast<FrameType>(type);
    const Shape shape = shape_of(frame.type);
    if (header.payload_bytes != (shape.payload ? frame.length : 0)) {
        return bad(std::string(shape.name) + " of " + std::to_string(frame.length) + " bytes with a payload of " +
                   std::to_string(header.payload_bytes));
    }
    if (header.payload_bytes == 0 && header.payload_crc != 0) return bad("it has a checksum of a payload, but none");
    if (const Status fits = check_shape(frame, header.body_bytes, size_bytes); !fits)
        return tl::unexpected(fits.error());
    return header;
}

Bytes encode(const Hello& hello) {
    Encoder coder;
    coder(hello);
    Bytes body = coder.take();
    KAGAMI_ASSERT(body.size() <= kMaxBodyBytes, "a hello fits into a frame");
    return body;
}

Result<Hello> decode_hello(std::span<const uint8_t> body) {
    if (body.size() > kMaxBodyBytes) return bad("a hello of " + std::to_string(body.size()) + " bytes");
    Decoder coder(body);
    Hello hello;
    coder(hello);
    const Context& context = hello.context;
    const bool in_range =
        context.size_bytes % kBlockBytes == 0 && context.hot_extents > 0 && context.hot_extents <= kMaxLogSlots;
    if (!coder.finished() || !in_range) return bad("its hello cannot be read");
    return hello;
}

}  // namespace kagami::mirror
