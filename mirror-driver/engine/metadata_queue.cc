#include "mirror-driver/engine/metadata_queue.h"

#include <algorithm>

#include "common/assert.h"

namespace kagami::mirror {

namespace {
constexpr size_t kPagesPerBatch = 256;  // 1 MiB: a full bitmap must not hold up the log
constexpr uint64_t kPageCoversBytes = uint64_t{kBitsPerPage} * kBlockBytes;
}  // namespace

MetadataQueue::MetadataQueue(Bitmap& bitmap) : bitmap_(bitmap), waiting_(bitmap.pages()), scratch_(bitmap.pages()) {
    queue_.reserve(bitmap.pages());
    writing_.reserve(kPagesPerBatch);
}

Barrier MetadataQueue::persist_context() {
    context_wanted_ = true;
    return {.serial = last_serial_ + 1};
}

Barrier MetadataQueue::persist_pages() {
    const size_t changed = bitmap_.take_changed(scratch_);
    for (size_t i = 0; i < changed; ++i) {
        if (waiting_[scratch_[i]] != 0) continue;
        waiting_[scratch_[i]] = 1;
        queue_.push_back(scratch_[i]);
        ++pages_queued_;
    }
    return {.pages = pages_queued_};
}

bool MetadataQueue::reached(const Barrier& barrier) const {
    return durable_serial_ >= barrier.serial && pages_written_ >= barrier.pages;
}

bool MetadataQueue::durable(const Extent& extent) const {
    if (bitmap_.changed(extent)) return false;
    const auto end = std::min(extent.end(), bitmap_.size_bytes());  // the last hot extent may reach beyond the disk
    const auto last = static_cast<uint32_t>((end - 1) / kPageCoversBytes);
    for (auto page = static_cast<uint32_t>(extent.offset / kPageCoversBytes); page <= last; ++page) {
        if (waiting_[page] != 0) return false;
        if (std::find(writing_.begin(), writing_.end(), page) != writing_.end()) return false;
    }
    return true;
}

void MetadataQueue::take_pages(std::vector<uint32_t>& into) {
    const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kPagesPerBatch));
    writing_.assign(queue_.begin(), queue_.begin() + count);
    queue_.erase(queue_.begin(), queue_.begin() + count);
    for (const uint32_t page : writing_) waiting_[page] = 0;
    into.assign(writing_.begin(), writing_.end());
}

bool MetadataQueue::next(ActivityLog& log, MetadataBatch& into) {
    if (under_way_ || (!context_wanted_ && queue_.empty() && !log.wants_batch())) return false;
    under_way_ = true;
    into.serial = ++last_serial_;
    into.context = context_wanted_;
    context_wanted_ = false;
    log.take_updates(into.slots);
    take_pages(into.bitmap_pages);
    return true;
}

bool MetadataQueue::done(uint64_t serial) {
    if (!under_way_ || serial != last_serial_) return false;
    under_way_ = false;
    durable_serial_ = serial;
    pages_written_ += writing_.size();
    writing_.clear();
    return true;
}

}  // namespace kagami::mirror
