// Which blocks differ, or may differ, from the peer's: one bit per kBlockBytes, with the set of metadata pages that have
// changed since they were last written. Bits are only cleared by clear(), after a durable copy (I8).
// Memory is allocated once, in the constructor.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "mirror-driver/engine/types.h"

namespace kagami::mirror {

constexpr uint32_t kBitsPerPage = 4032 * 8;  // payload of one 4 KiB metadata block; a multiple of 64

class Bitmap {
 public:
    explicit Bitmap(uint64_t size_bytes);

    void set(const Extent& extent);
    void clear(const Extent& extent);
    void set_all();
    void merge(const Bitmap& other);
    bool any(const Extent& extent) const;
    bool all(const Extent& extent) const;
    uint64_t count() const { return count_; }  // set bits
    // The first run of set bits at or after `from`, at most `limit_bytes` long; nothing when there is none.
    std::optional<Extent> next(uint64_t from, uint64_t limit_bytes) const;

    uint32_t pages() const;
    std::span<const uint64_t> page(uint32_t index) const;      // the last one is shorter than kBitsPerPage
    void load_page(uint32_t index, std::span<const uint64_t> words);  // as read; bits behind the end are dropped
    void set_page(uint32_t index);                             // its copy on the disk cannot be read: all dirty
    // Pages changed since taken last, ascending, at most as many as fit in `into`; they count as unchanged from now on.
    size_t take_changed(std::span<uint32_t> into);
    bool changed(const Extent& extent) const;  // a page of it has changes that nobody has taken
    uint64_t size_bytes() const { return size_bytes_; }

 private:
    uint64_t size_bytes_;
    uint64_t count_ = 0;
    std::vector<uint64_t> words_;
    std::vector<uint64_t> changed_;  // one bit per page
};

}  // namespace kagami::mirror
