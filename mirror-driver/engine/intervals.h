// Who may touch which part of the disk: the one structure that serialises writes of clients, writes of the peer, copies
// of a resync and repairs of unreadable blocks (mirror.md 5.15). Holders of overlapping extents are served in the order
// in which they asked; reads do not ask. Fixed memory.
#pragma once

#include <cstddef>
#include <vector>

#include "mirror-driver/engine/types.h"

namespace kagami::mirror {

enum class HolderKind : uint8_t { kClient, kPeer, kCopy };
struct Holder {
    HolderKind kind = HolderKind::kClient;
    uint16_t index = 0;  // in the pool of its kind
    bool operator==(const Holder&) const = default;
};

class Intervals {
 public:
    explicit Intervals(size_t capacity);
    // True = held at once. Otherwise it waits, and next_granted() names the holder when its turn has come.
    bool take(const Extent& extent, Holder holder);
    void release(Holder holder);  // held or waiting
    bool next_granted(Holder& holder);
    bool empty() const { return entries_.empty(); }

 private:
    struct Entry {
        Extent extent;
        Holder holder;
        bool held = false;
    };
    bool free_up_to(size_t position) const;  // no earlier entry overlaps
    std::vector<Entry> entries_;             // in the order in which they asked
    std::vector<Holder> granted_;
};

}  // namespace kagami::mirror
