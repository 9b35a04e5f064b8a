// The metadata of one replica as 4 KiB blocks: superblock, state ring, activity log, bitmap (mirror.md 4,
// docs/formats/mirror-metadata.md). Pure: blocks in, blocks out. Used by the driver, the simulator, the crash-image
// tests and `kagami mirror dump|check` alike.
//
// Contract with whoever writes: a batch's blocks may become durable in any order and any subset until the flush after
// it; batch n + 1 is written only after the flush of batch n was confirmed. I10: after a crash at any write boundary,
// torn blocks included, load() gives the context and log of before or after the batch (both of the same one), and a
// bitmap whose bits are a superset of what was durable before the batch, minus what the batch cleared. So what must not
// be lost with the log (bits for its hot extents) is made durable a batch before the slots are freed.
// load() comes after the last write of an earlier process: the device is opened exclusively (O_EXCL, or flock on a file),
// which the kernel grants only when nothing of that process is under way any more.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "common/result.h"
#include "mirror-driver/engine/bitmap.h"
#include "mirror-driver/engine/context.h"

namespace kagami::mirror {

constexpr uint32_t kMetadataBlockBytes = 4096;
constexpr uint64_t kMinMetadataBytes = uint64_t{16} << 20U;
uint64_t metadata_bytes_for(uint64_t size_bytes);  // least size of the metadata device for a disk of that size

// One slot of the activity log: extent number `extent` is hot; kFree = nothing.
struct SlotUpdate {
    uint32_t slot = 0;
    uint32_t extent = 0;
};
constexpr uint32_t kFreeSlot = 0xffffffffU;

struct MetadataBatch {
    uint64_t serial = 0;  // grows by one; the next batch is handed out only after this one is durable
    bool context = false; // write the engine's context as it is now
    std::vector<SlotUpdate> slots;
    std::vector<uint32_t> bitmap_pages;  // as the bitmap is now
};

struct BlockWrite {
    uint64_t offset = 0;  // on the metadata device
    std::array<uint8_t, kMetadataBlockBytes> bytes{};
};

// Where the rings stand: the numbers of the last batch, state block and log block that were written.
struct RingPosition {
    uint64_t batch = 0;
    uint64_t context = 0;
    uint64_t log = 0;
    bool operator==(const RingPosition&) const = default;
};

struct Loaded {
    Context context;
    std::vector<uint32_t> slots;  // the activity log: extent of each slot, kFreeSlot
    Bitmap bitmap{0};
    std::vector<std::string> findings;  // what was not as it should be and what was made of it, for a person
    bool log_incomplete = false;        // the activity log could not be read as a whole: every block counts as dirty
    RingPosition position;              // for Metadata alone
};

// Reads one block; false = unreadable.
using BlockReader = std::function<bool(uint64_t offset, std::array<uint8_t, kMetadataBlockBytes>& bytes)>;

enum class MetadataKind : uint8_t {
    kBlank,    // zero wherever we look
    kOurs,     // metadata of some mirror: whether of this one, the caller tells from the uuids
    kForeign,  // something else that must not be overwritten without a person's word
    kDamaged,  // was ours, or cannot be read
};
struct Identified {
    MetadataKind kind = MetadataKind::kBlank;
    std::string what;  // of kForeign and kDamaged: "an ext4 file system", "data of an unknown kind", ...
    Uuid cluster{};
    Uuid mirror{};
    NodeId self;
};
Identified identify(const BlockReader& read, uint64_t device_bytes);

class Metadata {
 public:
    // Lays out new metadata: blocks to write, each batch flushed before the next (what was there is voided first, the
    // superblocks come last, so that a crash in between leaves metadata that are refused, never a mixture).
    static std::vector<std::vector<BlockWrite>> create(const Context& context, uint64_t device_bytes);
    // A bad superblock pair is an error; a bad log tail or bitmap page adds resync work (Loaded::findings).
    static Result<Loaded> load(const BlockReader& read, uint64_t device_bytes);

    Metadata(const Loaded& loaded, uint64_t device_bytes);  // goes on behind what was loaded
    // The blocks of a batch. `out` is cleared and reused; nothing else allocates once it has grown.
    void encode(const MetadataBatch& batch, const Context& context, const Bitmap& bitmap, std::vector<BlockWrite>& out);

 private:
    uint32_t log_blocks_of(const MetadataBatch& batch) const;

    RingPosition position_;
    uint32_t rotate_ = 0;     // the slot at which the rotating part of the whole log goes on
    bool whole_log_ = false;  // the next batch writes every slot, because the ring does not hold them all
    std::vector<uint32_t> slots_;
};

}  // namespace kagami::mirror
