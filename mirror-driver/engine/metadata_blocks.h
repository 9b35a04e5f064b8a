// The single blocks of the metadata: places, header, and the bytes of each type (docs/formats/mirror-metadata.md).
// A block counts as valid only with its own place, mirror and checksum: a torn, misdirected or foreign block, or a
// value out of range, is "nothing". Used by metadata.cc (writing) and metadata_load.cc (reading) alone.
#pragma once

#include <optional>

#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror::blocks {

using Block = std::array<uint8_t, kMetadataBlockBytes>;

constexpr uint64_t kStateOffset = uint64_t{64} << 10U;
constexpr uint32_t kStateBlocks = 64;
constexpr uint64_t kLogOffset = uint64_t{2} << 20U;
constexpr uint32_t kLogBlocks = 256;
constexpr uint64_t kBitmapOffset = uint64_t{8} << 20U;

constexpr uint16_t kFormatVersion = 1;
constexpr uint32_t kUpdatesPerBlock = 64;
constexpr uint32_t kRotatingSlots = 872;  // what is left of a log block behind its header and 64 updates
constexpr size_t kMaxIdentityBytes = 191;

constexpr uint32_t blocks_of_whole_log(uint32_t slots) {
    return (slots + kRotatingSlots - 1) / kRotatingSlots;
}
// The ring holds every slot even after a batch of the largest size was cut off over its oldest blocks.
static_assert(3 * blocks_of_whole_log(kMaxLogSlots) <= kLogBlocks);

constexpr uint64_t state_place(uint64_t seq) {
    return kStateOffset + seq % kStateBlocks * kMetadataBlockBytes;
}
constexpr uint64_t log_place(uint64_t seq) {
    return kLogOffset + seq % kLogBlocks * kMetadataBlockBytes;
}
constexpr uint64_t page_place(uint32_t page) {
    return kBitmapOffset + uint64_t{page} * kMetadataBlockBytes;
}
// Two slots at the beginning and two at the end of the device.
std::array<uint64_t, 4> superblock_places(uint64_t device_bytes);
uint64_t extents_of(uint64_t size_bytes);  // of the activity log

enum class BlockType : uint16_t { kSuperblock = 1, kState = 2, kLog = 3, kBitmap = 4 };
struct Header {
    BlockType type = BlockType::kSuperblock;
    uint64_t seq = 0;  // grows within the superblocks, the state ring, the log; of a bitmap page: its number
    Uuid mirror{};
    uint64_t batch = 0;  // that wrote the block
    uint16_t part = 0;   // a batch counts only with all its state and log blocks
    uint16_t parts = 0;
};
// Fills in header and checksum around the payload that is there.
void seal(Block& block, uint64_t place, const Header& header);

enum class Validity : uint8_t { kValid, kZero, kBad, kNewer };  // kNewer: sound, of a later format version
struct Opened {
    Validity validity = Validity::kBad;
    Header header;
};
Opened open(const Block& block, uint64_t place);

struct Superblock {
    Context context;  // its identity part
    uint64_t device_bytes = 0;
};
void put_superblock(Block& block, const Superblock& value);
std::optional<Superblock> get_superblock(const Block& block);

struct State {
    RingPosition at;  // after the batch
    Context context;  // its state part
};
void put_state(Block& block, const RingPosition& at, const Context& context);
// Takes over the state part into `context` when every value is in range.
bool get_state(const Block& block, RingPosition& at, Context& context);

// `rotate`: the first slot of the rotating part; moved on behind it.
void put_log(Block& block, const RingPosition& at, std::span<const SlotUpdate> updates, std::span<const uint32_t> slots,
             uint32_t& rotate);
RingPosition get_log_position(const Block& block);
// Calls `slot(number, extent)` for each slot that the block names; false = out of range (then called for none).
bool get_log(const Block& block, uint32_t slot_count, uint64_t extents,
             const std::function<void(uint32_t slot, uint32_t extent)>& slot);

void put_page(Block& block, std::span<const uint64_t> words);
std::array<uint64_t, kBitsPerPage / 64> get_page(const Block& block);

}  // namespace kagami::mirror::blocks
