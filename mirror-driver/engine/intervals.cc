#include "mirror-driver/engine/intervals.h"

#include <algorithm>

#include "common/assert.h"

namespace kagami::mirror {

Intervals::Intervals(size_t capacity) {
    entries_.reserve(capacity);
    granted_.reserve(capacity);
}

bool Intervals::free_up_to(size_t position) const {
    const Extent& extent = entries_[position].extent;
    return std::none_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(position),
                        [&](const Entry& earlier) { return earlier.extent.overlaps(extent); });
}

bool Intervals::take(const Extent& extent, Holder holder) {
    KAGAMI_ASSERT(entries_.size() < entries_.capacity(), "room for every request, frame and copy");
    entries_.push_back({extent, holder, false});
    entries_.back().held = free_up_to(entries_.size() - 1);
    return entries_.back().held;
}

void Intervals::release(Holder holder) {
    const auto at =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& each) { return each.holder == holder; });
    KAGAMI_ASSERT(at != entries_.end(), "an interval is released by who asked for it");
    const Extent freed = at->extent;
    const auto position = static_cast<size_t>(at - entries_.begin());
    entries_.erase(at);
    std::erase(granted_, holder);
    for (size_t i = position; i < entries_.size(); ++i) {
        if (entries_[i].held || !entries_[i].extent.overlaps(freed) || !free_up_to(i)) continue;
        entries_[i].held = true;
        granted_.push_back(entries_[i].holder);
    }
}

bool Intervals::next_granted(Holder& holder) {
    if (granted_.empty()) return false;
    holder = granted_.front();
    granted_.erase(granted_.begin());
    return true;
}

}  // namespace kagami::mirror
