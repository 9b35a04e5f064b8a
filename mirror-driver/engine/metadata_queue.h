// Turns "this must be durable" into metadata batches, one under way at a time, and says when it is.
// What is written: the context (as it is when the batch is handed out), the activity log's updates, and bitmap pages
// that changed. Pages are written only when somebody asks: between a bit and its page the activity log covers the
// block.
#pragma once

#include <optional>
#include <vector>

#include "mirror-driver/engine/activity_log.h"
#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

// A point in the order of batches; default = reached long ago.
struct Barrier {
    uint64_t serial = 0;  // of the batch with the context
    uint64_t pages = 0;   // so many pages written altogether
};

class MetadataQueue {
 public:
    explicit MetadataQueue(Bitmap& bitmap);

    Barrier persist_context();  // as it is now, or later
    Barrier persist_pages();    // every bit as it is now
    bool reached(const Barrier& barrier) const;
    bool durable(const Extent& extent) const;  // the bits of the extent, as they are now
    bool idle() const { return !under_way_ && !context_wanted_ && queue_.empty(); }
    uint64_t under_way() const { return under_way_ ? last_serial_ : 0; }

    // The next batch into `into` (whose vectors are reused), when none is under way and something is wanted.
    bool next(ActivityLog& log, MetadataBatch& into);
    bool done(uint64_t serial);  // false = not the batch that was under way
    uint64_t pages_written() const { return pages_written_; }

 private:
    void take_pages(std::vector<uint32_t>& into);

    Bitmap& bitmap_;
    uint64_t last_serial_ = 0;
    uint64_t durable_serial_ = 0;
    bool under_way_ = false;
    bool context_wanted_ = false;
    std::vector<uint32_t> queue_;  // pages to write, oldest wish first
    uint64_t pages_queued_ = 0;
    uint64_t pages_taken_ = 0;
    uint64_t pages_written_ = 0;
    std::vector<uint8_t> waiting_;   // per page: in the queue
    std::vector<uint32_t> writing_;  // pages of the batch under way
    std::vector<uint32_t> scratch_;
};

}  // namespace kagami::mirror
