// The activity log: which extents may differ from what the bitmap says because writes to them are, or were lately,
// under way. A write starts only when its extents are hot *durably*. After a crash of the primary every hot extent
// counts as dirty. Rules of leaving (mirror.md 5): no user, flushed here, and confirmed flushed by the peer or its bits
// durable. It also keeps, per hot extent, the blocks that were sent to the peer and whose flush it has not confirmed
// yet: they become bits when the connection is lost. Memory is allocated in the constructor.
#pragma once

#include <array>
#include <vector>

#include "mirror-driver/engine/bitmap.h"
#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

class MetadataQueue;

class ActivityLog {
 public:
    ActivityLog(uint64_t size_bytes, const std::vector<uint32_t>& loaded);

    // ---- hot extents ----
    // Pins the extents of a write, making them hot; false = no slot can be had now (nothing is pinned, starved() is
    // set).
    bool enter(const Extent& extent, const MetadataQueue& metadata);
    bool durable(const Extent& extent) const;  // all of an entered extent's slots are on the disk
    void leave(const Extent& extent);
    bool covers(const Extent& extent) const;  // all of it is hot
    void mark_hot(Bitmap& bits) const;        // every hot extent, those of a former life included
    void retire();                            // the slots of a former life are no longer needed: their bits are durable
    bool starved() const { return starved_; }  // an enter() failed since something could last change that
    bool flush_helps() const;                  // an unused slot waits for a flush of this disk
    size_t slots() const { return slots_.size(); }

    // ---- batches ----
    bool wants_batch() const { return !updates_.empty(); }
    void take_updates(std::vector<SlotUpdate>& into);
    void batch_done();

    // ---- what has been flushed ----
    void written(const Extent& extent);  // the local write of a pinned extent has ended
    void flush_started() { ++flushes_started_; }
    void flush_done() {  // one at a time
        flushes_done_ = flushes_started_;
        starved_ = false;
    }
    void sent(const Extent& extent);  // a write of a pinned extent is on its way to the peer
    void confirm_started();           // a flush was sent behind everything sent so far; one at a time
    void confirmed();
    void lost(Bitmap& bits);  // the connection: what was not confirmed becomes bits
    bool unconfirmed() const { return !since_.empty() || !confirming_.empty(); }

 private:
    static constexpr uint32_t kBlocksPerExtent = static_cast<uint32_t>(kHotExtentBytes / kBlockBytes);
    static constexpr uint32_t kNone = kFreeSlot;
    using Blocks = std::array<uint64_t, kBlocksPerExtent / 64>;
    enum class OnDisk : uint8_t { kYes, kQueued, kWriting };
    struct Slot {
        uint32_t extent = kNone;
        uint32_t users = 0;
        OnDisk on_disk = OnDisk::kYes;
        bool former = false;  // of the life before this one: on the disk, no users yet
        bool in_since = false;
        bool in_confirming = false;
        uint64_t flush = 0;      // the number of the local flush that will cover its last write
        uint32_t newer = kNone;  // neighbours in the order of use
        uint32_t older = kNone;
        Blocks since{};       // sent since the last flush frame
        Blocks confirming{};  // sent before it
    };
    uint32_t first_extent(const Extent& extent) const { return static_cast<uint32_t>(extent.offset / kHotExtentBytes); }
    uint32_t end_extent(const Extent& extent) const {
        return static_cast<uint32_t>((extent.end() - 1) / kHotExtentBytes) + 1;
    }
    bool evictable(const Slot& slot, const MetadataQueue& metadata) const;
    uint32_t find_room(const MetadataQueue& metadata);
    bool pin(uint32_t extent, const MetadataQueue& metadata);
    void assign(uint32_t slot, uint32_t extent);
    void unlink(uint32_t slot);
    void link_newest(uint32_t slot);
    static void add_bits(Blocks& blocks, uint32_t extent, Bitmap& bits);

    std::vector<Slot> slots_;
    std::vector<uint32_t> slot_of_;  // by extent
    std::vector<uint32_t> free_;
    std::vector<uint32_t> updates_;
    std::vector<uint32_t> writing_;
    std::vector<uint32_t> since_;
    std::vector<uint32_t> confirming_;
    uint32_t newest_ = kNone;
    uint32_t oldest_ = kNone;
    uint64_t flushes_started_ = 0;
    uint64_t flushes_done_ = 0;
    bool starved_ = false;
};

}  // namespace kagami::mirror
