#include "mirror-driver/engine/metadata.h"

#include <algorithm>

#include "common/assert.h"
#include "mirror-driver/engine/metadata_blocks.h"

namespace kagami::mirror {

using namespace blocks;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20U;

BlockWrite& at(std::vector<BlockWrite>& out, uint64_t place) {
    BlockWrite& write = out.emplace_back();
    write.offset = place;
    return write;
}

uint64_t bitmap_pages(uint64_t size_bytes) {
    const uint64_t page_bytes = uint64_t{kBitsPerPage} * kBlockBytes;
    return size_bytes / page_bytes + (size_bytes % page_bytes != 0 ? 1 : 0);
}

// Zeroes over the rest of the rings: blocks of an earlier life must not be taken for newer ones.
void void_rings(std::vector<BlockWrite>& out) {
    std::vector<uint64_t> places;
    for (uint32_t i = 0; i < kStateBlocks; ++i) places.push_back(state_place(i));
    for (uint32_t i = 0; i < kLogBlocks; ++i) places.push_back(log_place(i));
    for (const BlockWrite& write : out) std::erase(places, write.offset);
    for (const uint64_t place : places) at(out, place);
}

}  // namespace

uint64_t metadata_bytes_for(uint64_t size_bytes) {
    const uint64_t bitmap_end = kBitmapOffset + bitmap_pages(size_bytes) * kMetadataBlockBytes;
    const uint64_t with_end_copies = bitmap_end + uint64_t{2} * kMetadataBlockBytes;
    return std::max(kMinMetadataBytes, (with_end_copies + kMiB - 1) / kMiB * kMiB);
}

std::vector<std::vector<BlockWrite>> Metadata::create(const Context& context, uint64_t device_bytes) {
    KAGAMI_ASSERT(device_bytes >= metadata_bytes_for(context.size_bytes), "metadata device as large as the disk needs");
    std::vector<std::vector<BlockWrite>> batches(3);
    const auto places = superblock_places(device_bytes);
    for (const uint64_t place : places) at(batches[0], place);

    Loaded empty;
    empty.context = context;
    empty.slots.assign(context.hot_extents, kFreeSlot);
    empty.bitmap = Bitmap(context.size_bytes);
    empty.log_incomplete = true;  // the first batch writes every slot
    Metadata fresh(empty, device_bytes);
    MetadataBatch first;
    first.context = true;
    fresh.encode(first, context, empty.bitmap, batches[1]);
    void_rings(batches[1]);
    MetadataBatch pages;
    for (uint32_t page = 0; page < empty.bitmap.pages(); ++page) pages.bitmap_pages.push_back(page);
    std::vector<BlockWrite> written;
    fresh.encode(pages, context, empty.bitmap, written);
    batches[1].insert(batches[1].end(), written.begin(), written.end());

    for (const uint64_t place : places) {
        BlockWrite& write = at(batches[2], place);
        put_superblock(write.bytes, {context, device_bytes});
        seal(write.bytes, place, {.type = BlockType::kSuperblock, .seq = 1, .mirror = context.mirror});
    }
    return batches;
}

Metadata::Metadata(const Loaded& loaded, uint64_t device_bytes)
    : position_(loaded.position), whole_log_(loaded.log_incomplete), slots_(loaded.slots) {
    KAGAMI_ASSERT(device_bytes >= metadata_bytes_for(loaded.context.size_bytes), "every block lies on the device");
    KAGAMI_ASSERT(slots_.size() == loaded.context.hot_extents && !slots_.empty(), "slots as the context says");
}

// A batch with more updates than fit is written as the whole log: the rotating parts of so many blocks name every slot.
uint32_t Metadata::log_blocks_of(const MetadataBatch& batch) const {
    const uint32_t whole = blocks_of_whole_log(static_cast<uint32_t>(slots_.size()));
    if (whole_log_) return whole;
    return static_cast<uint32_t>(
        std::min<size_t>(whole, (batch.slots.size() + kUpdatesPerBlock - 1) / kUpdatesPerBlock));
}

void Metadata::encode(const MetadataBatch& batch, const Context& context, const Bitmap& bitmap,
                      std::vector<BlockWrite>& out) {
    out.clear();
    const uint64_t extents = extents_of(context.size_bytes);
    for (const SlotUpdate& update : batch.slots) {
        KAGAMI_ASSERT(update.slot < slots_.size(), "a slot of the log");
        KAGAMI_ASSERT(update.extent < extents || update.extent == kFreeSlot, "an extent of the disk");
        slots_[update.slot] = update.extent;
    }
    const uint32_t log_blocks = log_blocks_of(batch);
    whole_log_ = false;
    const uint64_t first_log = position_.log + 1;
    position_.batch += 1;
    position_.context += batch.context ? 1 : 0;
    position_.log += log_blocks;
    Header header{.mirror = context.mirror,
                  .batch = position_.batch,
                  .parts = static_cast<uint16_t>(log_blocks + (batch.context ? 1 : 0))};
    const auto finish = [&](BlockWrite& write, BlockType type, uint64_t seq) {
        header.type = type;
        header.seq = seq;
        seal(write.bytes, write.offset, header);
        ++header.part;
    };
    if (batch.context) {
        BlockWrite& write = at(out, state_place(position_.context));
        put_state(write.bytes, position_, context);
        finish(write, BlockType::kState, position_.context);
    }
    for (uint32_t i = 0; i < log_blocks; ++i) {
        const size_t from = std::min(batch.slots.size(), size_t{i} * kUpdatesPerBlock);
        const size_t count = std::min<size_t>(kUpdatesPerBlock, batch.slots.size() - from);
        BlockWrite& write = at(out, log_place(first_log + i));
        put_log(write.bytes, position_, std::span(batch.slots).subspan(from, count), slots_, rotate_);
        finish(write, BlockType::kLog, first_log + i);
    }
    header.part = header.parts = 0;  // pages count by themselves
    for (const uint32_t page : batch.bitmap_pages) {
        BlockWrite& write = at(out, page_place(page));
        put_page(write.bytes, bitmap.page(page));
        header.part = 0;
        finish(write, BlockType::kBitmap, page);
    }
}

}  // namespace kagami::mirror
