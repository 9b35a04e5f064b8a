#include "mirror-driver/engine/metadata_blocks.h"

#include <algorithm>
#include <cstring>

#include "common/assert.h"
#include "common/codec.h"
#include "common/hash.h"
#include "mirror-driver/engine/put.h"

namespace kagami::mirror::blocks {
namespace {

constexpr size_t kPayloadAt = 64;
constexpr size_t kChecksumAt = 60;
constexpr uint32_t kMagic = 0x4d4d474bU;  // "KGMM"
constexpr size_t kPositionBytes = 16;     // in the payload of a state or log block: context u64, log u64
constexpr size_t kUpdatesAt = 32;         // in the payload of a log block
constexpr size_t kRotatingAt = kUpdatesAt + kUpdatesPerBlock * 8;
static_assert(kPayloadAt + kRotatingAt + kRotatingSlots * 4 == kMetadataBlockBytes);
static_assert(kPayloadAt + kBitsPerPage / 8 == kMetadataBlockBytes);

std::span<uint8_t> payload(Block& block) {
    return std::span(block).subspan(kPayloadAt);
}
std::span<const uint8_t> payload(const Block& block) {
    return std::span(block).subspan(kPayloadAt);
}

uint32_t checksum(const Block& block) {
    return crc32c(payload(block), crc32c(std::span(block).first(kChecksumAt)));
}

void put(Put& out, const Generation& v) {
    out.u64(v.counter);
    out.raw(v.random);
}
void get(ByteReader& in, Generation& v) {
    v.counter = in.u64();
    in.raw(v.random);
}

constexpr uint16_t kAllFlags = 0x7f;
uint16_t bits_of(const Flags& flags) {
    const bool each[] = {flags.constructed, flags.primary_indicated, flags.inconsistent, flags.full_sync,
                         flags.suspect,     flags.outdated,          flags.failed};
    uint16_t bits = 0;
    for (size_t i = 0; i < std::size(each); ++i) bits = static_cast<uint16_t>(bits | (each[i] ? 1U : 0U) << i);
    return bits;
}
Flags flags_of(uint16_t bits) {
    const auto bit = [bits](int i) { return (bits >> i & 1) != 0; };
    return {bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6)};
}

bool in_range(const Superblock& value) {
    const Context& context = value.context;
    return context.size_bytes > 0 && context.size_bytes % kBlockBytes == 0 && context.hot_extents > 0 &&
           context.hot_extents <= kMaxLogSlots && extents_of(context.size_bytes) < kFreeSlot;
}

}  // namespace

std::array<uint64_t, 4> superblock_places(uint64_t device_bytes) {
    const uint64_t end = device_bytes / kMetadataBlockBytes * kMetadataBlockBytes;
    return {0, kMetadataBlockBytes, end - uint64_t{2} * kMetadataBlockBytes, end - kMetadataBlockBytes};
}

uint64_t extents_of(uint64_t size_bytes) {
    return size_bytes / kHotExtentBytes + (size_bytes % kHotExtentBytes != 0 ? 1 : 0);
}

void seal(Block& block, uint64_t place, const Header& header) {
    Put out{std::span(block).first(kPayloadAt)};
    out.u32(kMagic);
    out.u16(kFormatVersion);
    out.u16(static_cast<uint16_t>(header.type));
    out.u64(header.seq);
    out.raw(header.mirror);
    out.u64(header.batch);
    out.u64(place);
    out.u16(header.part);
    out.u16(header.parts);
    out.u64(0);
    out.u32(checksum(block));
}

Opened open(const Block& block, uint64_t place) {
    if (block[0] == 0 && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0)
        return {Validity::kZero, {}};
    ByteReader in{std::span(block).first(kPayloadAt)};
    Opened opened;
    const bool magic = in.u32() == kMagic;
    const uint16_t version = in.u16();
    const uint16_t type = in.u16();
    opened.header.seq = in.u64();
    in.raw(opened.header.mirror);
    opened.header.batch = in.u64();
    const bool here = in.u64() == place;
    opened.header.part = in.u16();
    opened.header.parts = in.u16();
    in.u64();
    if (!magic || in.u32() != checksum(block)) return {};
    if (version > kFormatVersion) return {Validity::kNewer, {}};
    if (version == 0 || type == 0 || type > static_cast<uint16_t>(BlockType::kBitmap) || !here) return {};
    opened.header.type = static_cast<BlockType>(type);
    opened.validity = Validity::kValid;
    return opened;
}

void put_superblock(Block& block, const Superblock& value) {
    const Context& context = value.context;
    KAGAMI_ASSERT(in_range(value) && context.device_identity.size() <= kMaxIdentityBytes, "metadata of a usable disk");
    Put out(payload(block));
    out.raw(context.cluster);
    out.raw(context.mirror);
    out.u16(context.self.value);
    out.u16(context.peer.value);
    out.u64(context.size_bytes);
    out.u64(value.device_bytes);
    for (const uint32_t v : {uint32_t{kBlockBytes}, static_cast<uint32_t>(kHotExtentBytes), context.hot_extents,
                             kStateBlocks, kLogBlocks}) {
        out.u32(v);
    }
    out.u32(0);  // features that an older driver may ignore
    out.u32(0);  // features that an older driver must refuse
    out.u32(static_cast<uint32_t>(context.device_identity.size()));
    out.raw({reinterpret_cast<const uint8_t*>(context.device_identity.data()), context.device_identity.size()});
}

std::optional<Superblock> get_superblock(const Block& block) {
    ByteReader in(payload(block));
    Superblock value;
    Context& context = value.context;
    in.raw(context.cluster);
    in.raw(context.mirror);
    context.self.value = in.u16();
    context.peer.value = in.u16();
    context.size_bytes = in.u64();
    value.device_bytes = in.u64();
    if (in.u32() != kBlockBytes || in.u32() != kHotExtentBytes) in.fail();
    context.hot_extents = in.u32();
    if (in.u32() != kStateBlocks || in.u32() != kLogBlocks) in.fail();
    in.u32();
    if (in.u32() != 0) in.fail();
    context.device_identity = in.string(kMaxIdentityBytes);
    return in.ok() && in_range(value) ? std::optional(std::move(value)) : std::nullopt;
}

void put_state(Block& block, const RingPosition& at, const Context& context) {
    Put out(payload(block));
    out.u64(at.context);
    out.u64(at.log);
    out.u64(context.nonce.value);
    out.u64(context.next_nonce.value);
    out.raw(context.attached_in);
    out.raw(context.peer_boot);
    out.u64(context.highest_token.epoch.value);
    out.u64(context.highest_token.seq);
    for (const Generation* each : {&context.current, &context.base, &context.aim, &context.peer_last}) put(out, *each);
    out.u16(bits_of(context.flags));
    for (const Ancestor& each : context.history) {
        put(out, each.generation);
        out.u8(static_cast<uint8_t>(each.cause));
    }
}

bool get_state(const Block& block, RingPosition& at, Context& context) {
    ByteReader in(payload(block));
    Context read = context;
    at.context = in.u64();
    at.log = in.u64();
    read.nonce.value = in.u64();
    read.next_nonce.value = in.u64();
    in.raw(read.attached_in);
    in.raw(read.peer_boot);
    read.highest_token.epoch.value = in.u64();
    read.highest_token.seq = in.u64();
    for (Generation* each : {&read.current, &read.base, &read.aim, &read.peer_last}) get(in, *each);
    const uint16_t flags = in.u16();
    if ((flags & ~kAllFlags) != 0) in.fail();
    read.flags = flags_of(flags);
    for (Ancestor& each : read.history) {
        get(in, each.generation);
        const uint8_t cause = in.u8();
        if (cause > static_cast<uint8_t>(Cause::kResync)) in.fail();
        each.cause = in.ok() ? static_cast<Cause>(cause) : Cause::kNone;
    }
    if (!in.ok()) return false;
    context = std::move(read);
    return true;
}

void put_log(Block& block, const RingPosition& at, std::span<const SlotUpdate> updates, std::span<const uint32_t> slots,
             uint32_t& rotate) {
    KAGAMI_ASSERT(updates.size() <= kUpdatesPerBlock, "a log block has room for 64 updates");
    const uint32_t count = std::min(kRotatingSlots, static_cast<uint32_t>(slots.size()));
    Put out(payload(block));
    out.u64(at.context);
    out.u64(at.log);
    out.u32(static_cast<uint32_t>(updates.size()));
    out.u32(rotate);
    out.u32(count);
    for (Put each(payload(block).subspan(kUpdatesAt)); const SlotUpdate& update : updates) {
        each.u32(update.slot);
        each.u32(slots[update.slot]);  // as after the batch, should it name a slot twice: all mentions agree
    }
    Put rotating(payload(block).subspan(kRotatingAt));
    for (uint32_t i = 0; i < count; ++i) {
        rotating.u32(slots[rotate]);
        rotate = rotate + 1 == slots.size() ? 0 : rotate + 1;
    }
}

RingPosition get_log_position(const Block& block) {
    ByteReader in(payload(block));
    const uint64_t context = in.u64();
    return {.context = context, .log = in.u64()};
}

bool get_log(const Block& block, uint32_t slot_count, uint64_t extents,
             const std::function<void(uint32_t slot, uint32_t extent)>& slot) {
    ByteReader in(payload(block).subspan(kPositionBytes));
    const uint32_t updates = in.u32();
    const uint32_t first = in.u32();
    const uint32_t count = in.u32();
    if (updates > kUpdatesPerBlock || first >= slot_count || count > std::min(kRotatingSlots, slot_count)) return false;
    std::array<SlotUpdate, kUpdatesPerBlock + kRotatingSlots> named;
    size_t end = 0;
    for (ByteReader each(payload(block).subspan(kUpdatesAt)); end < updates; ++end)
        named[end] = {each.u32(), each.u32()};
    ByteReader rotating(payload(block).subspan(kRotatingAt));
    for (uint32_t i = 0; i < count; ++i) named[end++] = {(first + i) % slot_count, rotating.u32()};
    const auto valid = [&](const SlotUpdate& each) {
        return each.slot < slot_count && (each.extent < extents || each.extent == kFreeSlot);
    };
    if (!std::all_of(named.begin(), named.begin() + static_cast<std::ptrdiff_t>(end), valid)) return false;
    for (size_t i = 0; i < end; ++i) slot(named[i].slot, named[i].extent);
    return true;
}

void put_page(Block& block, std::span<const uint64_t> words) {
    Put out(payload(block));
    for (const uint64_t word : words) out.u64(word);
}

std::array<uint64_t, kBitsPerPage / 64> get_page(const Block& block) {
    std::array<uint64_t, kBitsPerPage / 64> words;
    ByteReader in(payload(block));
    for (uint64_t& word : words) word = in.u64();
    return words;
}

}  // namespace kagami::mirror::blocks
