#include "mirror-driver/engine/bitmap.h"

#include <algorithm>
#include <bit>

#include "common/assert.h"

namespace kagami::mirror {
namespace {

constexpr uint32_t kWordsPerPage = kBitsPerPage / 64;
constexpr uint64_t kFull = ~uint64_t{0};

struct Range {  // of bits
    uint64_t first = 0;
    uint64_t end = 0;
};

uint64_t blocks_of(uint64_t bytes) {
    return bytes / kBlockBytes + (bytes % kBlockBytes != 0 ? 1 : 0);
}

// Every block that the extent touches.
Range touched(const Extent& extent, uint64_t size_bytes) {
    if (extent.length == 0 || extent.offset >= size_bytes) return {};
    const uint64_t end = extent.length > size_bytes - extent.offset ? size_bytes : extent.end();
    return {extent.offset / kBlockBytes, blocks_of(end)};
}

// The blocks that lie in the extent as a whole (a short last block of the disk is whole with its end).
Range covered(const Extent& extent, uint64_t size_bytes) {
    if (extent.length == 0 || extent.offset >= size_bytes) return {};
    const uint64_t end =
        extent.length >= size_bytes - extent.offset ? blocks_of(size_bytes) : extent.end() / kBlockBytes;
    return {blocks_of(extent.offset), end};
}

// Calls `step(word index, mask)` for each word of the range until it returns false.
template <typename Step>
void each_word(const Range& range, Step step) {
    if (range.first >= range.end) return;
    const uint64_t last_word = (range.end - 1) / 64;
    for (uint64_t word = range.first / 64; word <= last_word; ++word) {
        uint64_t mask = kFull;
        if (word == range.first / 64) mask &= kFull << (range.first % 64);
        if (word == last_word) mask &= kFull >> (63 - (range.end - 1) % 64);
        if (!step(word, mask)) return;
    }
}

uint64_t bits(uint64_t word) {
    return static_cast<uint64_t>(std::popcount(word));
}

void mark_page(std::vector<uint64_t>& changed, uint64_t word) {
    const uint64_t page = word / kWordsPerPage;
    changed[page / 64] |= uint64_t{1} << (page % 64);
}

}  // namespace

Bitmap::Bitmap(uint64_t size_bytes)
    : size_bytes_(size_bytes),
      words_((blocks_of(size_bytes) + 63) / 64),
      changed_((words_.size() + kWordsPerPage * 64 - 1) / (kWordsPerPage * 64)) {}

void Bitmap::set(const Extent& extent) {
    each_word(touched(extent, size_bytes_), [this](uint64_t word, uint64_t mask) {
        const uint64_t added = mask & ~words_[word];
        if (added != 0) {
            words_[word] |= added;
            count_ += bits(added);
            mark_page(changed_, word);
        }
        return true;
    });
}

void Bitmap::clear(const Extent& extent) {
    each_word(covered(extent, size_bytes_), [this](uint64_t word, uint64_t mask) {
        const uint64_t removed = mask & words_[word];
        if (removed != 0) {
            words_[word] &= ~removed;
            count_ -= bits(removed);
            mark_page(changed_, word);
        }
        return true;
    });
}

void Bitmap::set_all() {
    set({0, size_bytes_});
}

void Bitmap::merge(const Bitmap& other) {
    KAGAMI_ASSERT(size_bytes_ == other.size_bytes_, "bitmaps of one mirror have one size");
    for (uint64_t word = 0; word < words_.size(); ++word) {
        const uint64_t added = other.words_[word] & ~words_[word];
        if (added == 0) continue;
        words_[word] |= added;
        count_ += bits(added);
        mark_page(changed_, word);
    }
}

bool Bitmap::any(const Extent& extent) const {
    bool found = false;
    each_word(touched(extent, size_bytes_), [&](uint64_t word, uint64_t mask) {
        found = (words_[word] & mask) != 0;
        return !found;
    });
    return found;
}

bool Bitmap::all(const Extent& extent) const {
    bool full = true;
    each_word(touched(extent, size_bytes_), [&](uint64_t word, uint64_t mask) {
        full = (words_[word] & mask) == mask;
        return full;
    });
    return full;
}

std::optional<Extent> Bitmap::next(uint64_t from, uint64_t limit_bytes) const {
    KAGAMI_ASSERT(limit_bytes >= kBlockBytes, "a run has at least one block");
    const uint64_t blocks = blocks_of(size_bytes_);
    std::optional<uint64_t> first;
    each_word({from / kBlockBytes, blocks}, [&](uint64_t word, uint64_t mask) {
        const uint64_t found = words_[word] & mask;
        if (found != 0) first = word * 64 + static_cast<uint64_t>(std::countr_zero(found));
        return found == 0;
    });
    if (!first) return std::nullopt;
    uint64_t end = std::min(blocks, *first + std::min(blocks, limit_bytes / kBlockBytes));
    each_word({*first, end}, [&](uint64_t word, uint64_t mask) {
        const uint64_t missing = ~words_[word] & mask;
        if (missing != 0) end = word * 64 + static_cast<uint64_t>(std::countr_zero(missing));
        return missing == 0;
    });
    return Extent{*first * kBlockBytes, std::min(end * kBlockBytes, size_bytes_) - *first * kBlockBytes};
}

uint32_t Bitmap::pages() const {
    return static_cast<uint32_t>((words_.size() + kWordsPerPage - 1) / kWordsPerPage);
}

std::span<const uint64_t> Bitmap::page(uint32_t index) const {
    KAGAMI_ASSERT(index < pages(), "a page of this bitmap");
    const size_t first = size_t{index} * kWordsPerPage;
    return std::span(words_).subspan(first, std::min<size_t>(kWordsPerPage, words_.size() - first));
}

void Bitmap::load_page(uint32_t index, std::span<const uint64_t> words) {
    const auto old = page(index);
    KAGAMI_ASSERT(words.size() >= old.size(), "a page as long as the bitmap's");
    const size_t first = size_t{index} * kWordsPerPage;
    for (size_t i = 0; i < old.size(); ++i) {
        count_ -= bits(words_[first + i]);
        words_[first + i] = words[i];
        if (first + i + 1 == words_.size()) words_.back() &= kFull >> (63 - (blocks_of(size_bytes_) - 1) % 64);
        count_ += bits(words_[first + i]);
    }
    changed_[index / 64] &= ~(uint64_t{1} << (index % 64));
}

void Bitmap::set_page(uint32_t index) {
    const uint64_t page_bytes = uint64_t{kBitsPerPage} * kBlockBytes;
    KAGAMI_ASSERT(index < pages(), "a page of this bitmap");
    set({index * page_bytes, page_bytes});
    changed_[index / 64] |= uint64_t{1} << (index % 64);
}

size_t Bitmap::take_changed(std::span<uint32_t> into) {
    size_t taken = 0;
    for (size_t word = 0; word < changed_.size(); ++word) {
        while (changed_[word] != 0) {
            if (taken == into.size()) return taken;
            into[taken++] = static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(changed_[word])));
            changed_[word] &= changed_[word] - 1;
        }
    }
    return taken;
}

bool Bitmap::changed(const Extent& extent) const {
    const Range range = touched(extent, size_bytes_);
    if (range.first >= range.end) return false;
    bool found = false;
    each_word({range.first / kBitsPerPage, (range.end - 1) / kBitsPerPage + 1}, [&](uint64_t word, uint64_t mask) {
        found = (changed_[word] & mask) != 0;
        return !found;
    });
    return found;
}

}  // namespace kagami::mirror
