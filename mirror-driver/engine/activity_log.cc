#include "mirror-driver/engine/activity_log.h"

#include <algorithm>

#include "common/assert.h"
#include "mirror-driver/engine/metadata_queue.h"

namespace kagami::mirror {

ActivityLog::ActivityLog(uint64_t size_bytes, const std::vector<uint32_t>& loaded)
    : slots_(loaded.size()), slot_of_((size_bytes + kHotExtentBytes - 1) / kHotExtentBytes, kNone) {
    for (auto* list : {&free_, &updates_, &writing_, &since_, &confirming_}) list->reserve(slots_.size());
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        const uint32_t extent = loaded[i];
        if (extent == kFreeSlot || extent >= slot_of_.size() || slot_of_[extent] != kNone) {
            free_.push_back(i);
            continue;
        }
        slots_[i].extent = extent;
        slots_[i].former = true;
        slot_of_[extent] = i;
        link_newest(i);
    }
}

// ---- order of use ----

void ActivityLog::unlink(uint32_t index) {
    Slot& slot = slots_[index];
    (slot.newer == kNone ? newest_ : slots_[slot.newer].older) = slot.older;
    (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = slot.newer;
    slot.newer = slot.older = kNone;
}

void ActivityLog::link_newest(uint32_t index) {
    Slot& slot = slots_[index];
    slot.older = newest_;
    slot.newer = kNone;
    (newest_ == kNone ? oldest_ : slots_[newest_].newer) = index;
    newest_ = index;
}

// ---- hot extents ----

bool ActivityLog::evictable(const Slot& slot, const MetadataQueue& metadata) const {
    const Extent extent{slot.extent * kHotExtentBytes, kHotExtentBytes};
    return slot.users == 0 && slot.on_disk == OnDisk::kYes && flushes_done_ >= slot.flush && !slot.in_since &&
           !slot.in_confirming && metadata.durable(extent);
}

uint32_t ActivityLog::find_room(const MetadataQueue& metadata) {
    if (!free_.empty()) {
        const uint32_t index = free_.back();
        free_.pop_back();
        return index;
    }
    if (starved_) return kNone;
    for (uint32_t index = oldest_; index != kNone; index = slots_[index].newer) {
        if (!evictable(slots_[index], metadata)) continue;
        unlink(index);
        slot_of_[slots_[index].extent] = kNone;
        return index;
    }
    return kNone;
}

void ActivityLog::assign(uint32_t index, uint32_t extent) {
    Slot& slot = slots_[index];
    slot.extent = extent;
    slot.on_disk = OnDisk::kQueued;
    slot.flush = 0;
    slot.former = false;
    slot_of_[extent] = index;
    updates_.push_back(index);
    link_newest(index);
}

bool ActivityLog::pin(uint32_t extent, const MetadataQueue& metadata) {
    uint32_t index = slot_of_[extent];
    if (index == kNone) {
        index = find_room(metadata);
        if (index == kNone) return false;
        assign(index, extent);
    } else {
        unlink(index);
        link_newest(index);
    }
    slots_[index].former = false;
    ++slots_[index].users;
    return true;
}

bool ActivityLog::enter(const Extent& extent, const MetadataQueue& metadata) {
    const uint32_t first = first_extent(extent);
    for (uint32_t each = first; each < end_extent(extent); ++each) {
        if (pin(each, metadata)) continue;
        for (uint32_t pinned = first; pinned < each; ++pinned) --slots_[slot_of_[pinned]].users;
        starved_ = true;
        return false;
    }
    return true;
}

bool ActivityLog::flush_helps() const {
    return std::any_of(slots_.begin(), slots_.end(), [this](const Slot& slot) {
        return slot.extent != kNone && slot.users == 0 && slot.flush > flushes_done_;
    });
}

bool ActivityLog::durable(const Extent& extent) const {
    for (uint32_t each = first_extent(extent); each < end_extent(extent); ++each) {
        if (slots_[slot_of_[each]].on_disk != OnDisk::kYes) return false;
    }
    return true;
}

void ActivityLog::leave(const Extent& extent) {
    for (uint32_t each = first_extent(extent); each < end_extent(extent); ++each) {
        Slot& slot = slots_[slot_of_[each]];
        KAGAMI_ASSERT(slot.users > 0, "who leaves has entered");
        if (--slot.users == 0) starved_ = false;
    }
}

bool ActivityLog::covers(const Extent& extent) const {
    for (uint32_t each = first_extent(extent); each < end_extent(extent); ++each) {
        if (slot_of_[each] == kNone) return false;
    }
    return true;
}

void ActivityLog::mark_hot(Bitmap& bits) const {
    for (const Slot& slot : slots_) {
        if (slot.extent != kNone) bits.set({slot.extent * kHotExtentBytes, kHotExtentBytes});
    }
}

void ActivityLog::retire() {
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        Slot& slot = slots_[i];
        if (!slot.former) continue;
        unlink(i);
        slot_of_[slot.extent] = kNone;
        slot.extent = kNone;
        slot.former = false;
        slot.on_disk = OnDisk::kQueued;
        updates_.push_back(i);
    }
}

// ---- batches ----

void ActivityLog::take_updates(std::vector<SlotUpdate>& into) {
    into.clear();
    for (const uint32_t index : updates_) {
        slots_[index].on_disk = OnDisk::kWriting;
        into.push_back({index, slots_[index].extent});
    }
    writing_.swap(updates_);
    updates_.clear();
}

void ActivityLog::batch_done() {
    for (const uint32_t index : writing_) {
        slots_[index].on_disk = OnDisk::kYes;
        if (slots_[index].extent == kNone) free_.push_back(index);
    }
    writing_.clear();
    starved_ = false;
}

// ---- what has been flushed ----

void ActivityLog::written(const Extent& extent) {
    for (uint32_t each = first_extent(extent); each < end_extent(extent); ++each) {
        slots_[slot_of_[each]].flush = flushes_started_ + 1;
    }
}

void ActivityLog::sent(const Extent& extent) {
    for (uint64_t block = extent.offset / kBlockBytes; block < extent.end() / kBlockBytes; ++block) {
        const uint32_t index = slot_of_[block / kBlocksPerExtent];
        Slot& slot = slots_[index];
        const uint64_t inside = block % kBlocksPerExtent;
        slot.since[inside / 64] |= uint64_t{1} << (inside % 64);
        if (slot.in_since) continue;
        slot.in_since = true;
        since_.push_back(index);
    }
}

void ActivityLog::confirm_started() {
    KAGAMI_ASSERT(confirming_.empty(), "one flush of the peer at a time");
    confirming_.swap(since_);
    for (const uint32_t index : confirming_) {
        Slot& slot = slots_[index];
        slot.confirming = slot.since;
        slot.since.fill(0);
        slot.in_confirming = true;
        slot.in_since = false;
    }
}

void ActivityLog::confirmed() {
    for (const uint32_t index : confirming_) {
        slots_[index].confirming.fill(0);
        slots_[index].in_confirming = false;
    }
    confirming_.clear();
    starved_ = false;
}

void ActivityLog::add_bits(Blocks& blocks, uint32_t extent, Bitmap& bits) {
    const uint64_t first = uint64_t{extent} * kBlocksPerExtent;
    for (uint32_t i = 0; i < kBlocksPerExtent; ++i) {
        if ((blocks[i / 64] >> (i % 64) & 1U) != 0) bits.set({(first + i) * kBlockBytes, kBlockBytes});
    }
    blocks.fill(0);
}

void ActivityLog::lost(Bitmap& bits) {
    for (const uint32_t index : since_) {
        add_bits(slots_[index].since, slots_[index].extent, bits);
        slots_[index].in_since = false;
    }
    for (const uint32_t index : confirming_) {
        add_bits(slots_[index].confirming, slots_[index].extent, bits);
        slots_[index].in_confirming = false;
    }
    since_.clear();
    confirming_.clear();
    starved_ = false;
}

}  // namespace kagami::mirror
