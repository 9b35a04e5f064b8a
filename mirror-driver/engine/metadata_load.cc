// Reading metadata back: which superblock, which batch was the last whole one, which slots, which bitmap pages.
// Whatever cannot be read adds resync work; nothing here ever takes work away.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "mirror-driver/engine/metadata_blocks.h"
#include "mirror-driver/engine/signature.h"

namespace kagami::mirror {

using namespace blocks;

namespace {

constexpr const char* kMakeNew =
    "if the peer's copy is good, make new metadata with `kagami mirror init`; a full copy from the peer follows";

std::string count_of(uint64_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// ---- superblock ----

struct Superblocks {
    std::optional<Superblock> best;
    uint64_t best_seq = 0;
    uint32_t sound = 0;
    bool newer = false;  // one of a later format version
    bool unreadable = false;
    bool ours = false;  // a block of ours, whatever its state
    bool zero = true;   // all that could be read
};

Superblocks read_superblocks(const BlockReader& read, uint64_t device_bytes) {
    Superblocks found;
    Block block;
    for (const uint64_t place : superblock_places(device_bytes)) {
        if (!read(place, block)) {
            found.unreadable = true;
            continue;
        }
        const Opened opened = open(block, place);
        found.zero = found.zero && opened.validity == Validity::kZero;
        found.newer = found.newer || opened.validity == Validity::kNewer;
        found.ours = found.ours || std::equal(block.begin(), block.begin() + 4, "KGMM");
        if (opened.validity != Validity::kValid || opened.header.type != BlockType::kSuperblock) continue;
        auto value = get_superblock(block);
        if (!value || value->context.mirror != opened.header.mirror) continue;
        ++found.sound;
        if (found.best && opened.header.seq <= found.best_seq) continue;
        found.best_seq = opened.header.seq;
        found.best = std::move(value);
    }
    return found;
}

Result<Superblock> superblock_of(const BlockReader& read, uint64_t device_bytes, std::vector<std::string>& findings) {
    if (device_bytes < kMinMetadataBytes) {
        return fail("the metadata device has " + std::to_string(device_bytes) + " bytes, less than the least size of " +
                        std::to_string(kMinMetadataBytes),
                    "give it a device or file of at least 16 MiB");
    }
    const Superblocks found = read_superblocks(read, device_bytes);
    if (found.newer) {
        return fail(ErrorCode::kRefused, "the metadata were written by a newer version of Kagami",
                    "install that version on this node");
    }
    if (!found.best) {
        return fail("no superblock of the metadata is valid" + std::string(found.unreadable ? " (read errors)" : ""),
                    found.ours || found.unreadable ? kMakeNew : "make metadata with `kagami mirror init`");
    }
    const uint64_t needed = metadata_bytes_for(found.best->context.size_bytes);
    if (device_bytes < needed) {
        return fail("the metadata device has " + std::to_string(device_bytes) + " bytes, the mirror of " +
                        std::to_string(found.best->context.size_bytes) + " bytes needs " + std::to_string(needed),
                    "give it a larger device and make new metadata with `kagami mirror init`");
    }
    if (device_bytes != found.best->device_bytes) {
        findings.push_back("the metadata device had " + std::to_string(found.best->device_bytes) +
                           " bytes when the metadata were made, now it has " + std::to_string(device_bytes));
    } else if (found.sound < 4) {
        findings.push_back(count_of(4 - found.sound, "superblock") + " of 4 cannot be read; the others are used");
    }
    return *found.best;
}

// ---- rings ----

// Each load goes on so much higher: no batch has the number of one that was cut off, or that lands late, from a process
// that was killed.
constexpr uint64_t kNumbersOfALife = 1U << 16U;
constexpr uint64_t kMaxNumber = uint64_t{1} << 62U;  // of batches and blocks: never reached by counting

struct RingBlock {
    bool valid = false;
    bool unreadable = false;
    Header header;
    RingPosition at;               // after its batch; `batch` from the header
    std::unique_ptr<Block> bytes;  // of a valid one
};

class Rings {
 public:
    Rings(const BlockReader& read, const Context& identity) : identity_(identity) {
        for (uint32_t i = 0; i < kStateBlocks; ++i) take(read, BlockType::kState, state_place(i), state_[i]);
        for (uint32_t i = 0; i < kLogBlocks; ++i) take(read, BlockType::kLog, log_place(i), log_[i]);
    }

    Status into(Loaded& loaded) {
        const std::optional<RingPosition> last = last_whole_batch(loaded.findings);
        if (!last) return fail("no block of the metadata's state ring and activity log is valid", kMakeNew);
        loaded.position = *last;
        if (!context_into(loaded)) return fail("no block of the metadata's state ring is valid", kMakeNew);
        slots_into(loaded);
        newer_into(loaded);
        loaded.position.batch = newest_number_ + kNumbersOfALife;
        return {};
    }

 private:
    void take(const BlockReader& read, BlockType type, uint64_t place, RingBlock& block) {
        Block bytes;
        block.unreadable = !read(place, bytes);
        if (block.unreadable) return;
        const Opened opened = open(bytes, place);
        block.header = opened.header;
        const uint64_t own_place =
            type == BlockType::kState ? state_place(block.header.seq) : log_place(block.header.seq);
        if (opened.validity != Validity::kValid || opened.header.type != type || own_place != place ||
            opened.header.mirror != identity_.mirror || opened.header.part >= opened.header.parts) {
            return;
        }
        Context ignored = identity_;
        block.valid = type == BlockType::kLog || get_state(bytes, block.at, ignored);
        if (type == BlockType::kLog) block.at = get_log_position(bytes);
        block.at.batch = block.header.batch;
        const uint64_t newest = type == BlockType::kState ? block.at.context : block.at.log;
        block.valid = block.valid && newest >= block.header.seq && newest - block.header.seq < block.header.parts &&
                      std::max({block.header.batch, block.at.context, block.at.log}) < kMaxNumber;
        if (block.valid) block.bytes = std::make_unique<Block>(bytes);
    }

    template <typename Step>
    void each_valid(Step step) const {
        for (const RingBlock& block : state_) {
            if (block.valid) step(block);
        }
        for (const RingBlock& block : log_) {
            if (block.valid) step(block);
        }
    }

    // The batch with the highest number of which every state and log block is there. Later ones were cut off by a crash
    // before their flush, and nothing has been done on their strength.
    std::optional<RingPosition> last_whole_batch(std::vector<std::string>& findings) {
        std::map<uint64_t, std::set<uint16_t>> parts;
        each_valid([&](const RingBlock& block) { parts[block.header.batch].insert(block.header.part); });
        if (parts.empty()) return std::nullopt;
        newest_number_ = parts.rbegin()->first;
        std::optional<RingPosition> last;
        each_valid([&](const RingBlock& block) {
            const bool whole = parts[block.header.batch].size() == block.header.parts;
            if (whole && (!last || block.header.batch > last->batch)) last = block.at;
        });
        if (last && last->batch < newest_number_) {
            findings.push_back("an unfinished write of the metadata was dropped: the state before it counts");
        }
        return last;
    }

    bool context_into(Loaded& loaded) {
        const RingBlock* best = nullptr;
        for (const RingBlock& block : state_) {
            if (block.valid && block.header.seq <= loaded.position.context &&
                (best == nullptr || block.header.seq > best->header.seq)) {
                best = &block;
            }
        }
        if (best == nullptr) return false;
        RingPosition ignored;
        get_state(*best->bytes, ignored, loaded.context);
        if (best->header.seq != loaded.position.context) {
            incomplete(loaded, "the newest state block is damaged: an older one is used");
        }
        return true;
    }

    // From the newest block backwards; the first that names a slot is right.
    void slots_into(Loaded& loaded) {
        std::vector<bool> known(loaded.context.hot_extents);
        loaded.slots.assign(loaded.context.hot_extents, kFreeSlot);
        size_t unknown = known.size();
        bool gap = false;
        const auto name = [&](uint32_t slot, uint32_t extent) {
            if (known[slot]) return;
            known[slot] = true;
            --unknown;
            loaded.slots[slot] = extent;
        };
        for (uint64_t back = 0; back < std::min<uint64_t>(kLogBlocks, loaded.position.log) && unknown > 0; ++back) {
            const uint64_t seq = loaded.position.log - back;
            const RingBlock& block = log_[seq % kLogBlocks];
            const bool sound =
                block.valid && block.header.seq == seq &&
                get_log(*block.bytes, loaded.context.hot_extents, extents_of(loaded.context.size_bytes), name);
            gap = gap || !sound;
        }
        if (gap || unknown > 0) incomplete(loaded, "the activity log is damaged");
    }

    // A place where a newer block may lie, and that cannot be read: unlike a torn block, it may have been flushed.
    void newer_into(Loaded& loaded) {
        uint64_t unreadable = 0;
        for (const RingBlock& block : state_) unreadable += block.unreadable ? 1 : 0;
        for (const RingBlock& block : log_) unreadable += block.unreadable ? 1 : 0;
        if (unreadable == 0) return;
        loaded.findings.push_back(count_of(unreadable, "block") +
                                  " of the metadata cannot be read: replace the device");
        bool next = state_[(loaded.position.context + 1) % kStateBlocks].unreadable;
        for (uint32_t i = 1; i <= blocks_of_whole_log(loaded.context.hot_extents); ++i) {
            next = next || log_[(loaded.position.log + i) % kLogBlocks].unreadable;
        }
        if (next) incomplete(loaded, "the newest block may be among those that cannot be read");
    }

    static void incomplete(Loaded& loaded, const std::string& why) {
        loaded.log_incomplete = true;
        loaded.findings.push_back(why + "; every block of the disk counts as dirty");
    }

    const Context& identity_;
    std::vector<RingBlock> state_ = std::vector<RingBlock>(kStateBlocks);
    std::vector<RingBlock> log_ = std::vector<RingBlock>(kLogBlocks);
    uint64_t newest_number_ = 0;
};

// ---- bitmap ----

void bitmap_into(const BlockReader& read, Loaded& loaded) {
    loaded.bitmap = Bitmap(loaded.context.size_bytes);
    uint64_t bad = 0;
    Block block;
    for (uint32_t page = 0; page < loaded.bitmap.pages(); ++page) {
        const uint64_t place = page_place(page);
        const Opened opened = read(place, block) ? open(block, place) : Opened{};
        if (opened.validity == Validity::kValid && opened.header.type == BlockType::kBitmap &&
            opened.header.mirror == loaded.context.mirror && opened.header.seq == page) {
            loaded.bitmap.load_page(page, get_page(block));
        } else {
            loaded.bitmap.set_page(page);
            ++bad;
        }
    }
    if (bad > 0) {
        loaded.findings.push_back(count_of(bad, "page") +
                                  " of the bitmap cannot be read: each counts as dirty as a whole (" +
                                  std::to_string(uint64_t{kBitsPerPage} * kBlockBytes >> 20U) + " MiB)");
    }
}

}  // namespace

Result<Loaded> Metadata::load(const BlockReader& read, uint64_t device_bytes) {
    Loaded loaded;
    const auto superblock = superblock_of(read, device_bytes, loaded.findings);
    if (!superblock) return tl::unexpected(superblock.error());
    loaded.context = superblock->context;
    Rings rings(read, superblock->context);
    if (const Status done = rings.into(loaded); !done) return tl::unexpected(done.error());
    bitmap_into(read, loaded);
    return loaded;
}

Identified identify(const BlockReader& read, uint64_t device_bytes) {
    if (device_bytes < kMinMetadataBytes) {
        return {MetadataKind::kDamaged,
                "a device of " + std::to_string(device_bytes) + " bytes, smaller than 16 MiB",
                {},
                {},
                {}};
    }
    const Superblocks found = read_superblocks(read, device_bytes);
    if (found.newer) return {MetadataKind::kForeign, "metadata of a newer version of Kagami", {}, {}, {}};
    if (found.best) {
        const Context& context = found.best->context;
        return {MetadataKind::kOurs, {}, context.cluster, context.mirror, context.self};
    }
    if (found.ours) return {MetadataKind::kDamaged, "metadata of a mirror without a valid superblock", {}, {}, {}};
    if (found.unreadable) return {MetadataKind::kDamaged, "a device with read errors", {}, {}, {}};
    const std::string foreign = recognise(read);
    if (!foreign.empty()) return {MetadataKind::kForeign, foreign, {}, {}, {}};
    Block block;
    if (!found.zero || !read(kStateOffset, block) || open(block, kStateOffset).validity != Validity::kZero) {
        return {MetadataKind::kForeign, "data of an unknown kind", {}, {}, {}};
    }
    return {};
}

}  // namespace kagami::mirror
