// Words shared by all parts of the mirror engine. Sizes and offsets are bytes of the exported disk, always multiples of
// kBlockBytes (the device has 4096-byte sectors).
#pragma once

#include <cstdint>

#include "common/ids.h"
#include "common/mirror.h"

namespace kagami::mirror {

constexpr uint32_t kBlockBytes = 4096;                      // what one bit of the bitmap stands for
constexpr uint64_t kHotExtentBytes = uint64_t{4} << 20U;    // what one slot of the activity log stands for
constexpr uint32_t kMaxRequestBytes = uint32_t{1} << 20U;   // of reads, writes and frames with data
constexpr uint32_t kMaxHotExtents = 6400;                   // default size of the activity log
constexpr uint32_t kMaxLogSlots = 65536;                    // the most that it may have

struct Extent {
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t end() const { return offset + length; }
    bool overlaps(const Extent& other) const { return offset < other.end() && other.offset < end(); }
    bool operator==(const Extent&) const = default;
};

// A buffer of the I/O layer's pool, known to the engine by its number alone: the engine never sees bytes.
using BufferId = Tagged<uint32_t, struct BufferIdTag>;
constexpr BufferId kNoBuffer{0};
using RequestId = Tagged<uint64_t, struct RequestIdTag>;  // of the front end
using IoId = Tagged<uint64_t, struct IoIdTag>;            // of the engine
using ConnectionId = Tagged<uint64_t, struct ConnectionIdTag>;  // grows; 0 = none

}  // namespace kagami::mirror
