#include "mirror-driver/io/buffers.h"

#include <sys/mman.h>

#include <cerrno>
#include <numeric>
#include <string>
#include <utility>

#include "common/assert.h"
#include "common/files.h"

namespace kagami::mirror {
namespace {

constexpr size_t kHugePage = size_t{2} << 20U;

size_t slot(Use use) {
    return static_cast<size_t>(use);
}

// What is always left for a use, whatever the others want.
uint32_t kept_for(Use use, uint32_t all) {
    switch (use) {
        case Use::kClient: return 0;
        case Use::kPeer: return (all + 3) / 4;
        case Use::kResync: return (all + 7) / 8;
    }
    return 0;
}

}  // namespace

Result<Buffers> Buffers::make(uint32_t small, uint32_t large) {
    Buffers made;
    made.small_ = small;
    made.large_ = large;
    made.memory_bytes_ = size_t{small} * kSmallBytes + size_t{large} * kMaxRequestBytes;
    void* at =
        mmap(nullptr, made.memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) {
        return fail(
            "mirror buffers: cannot map " + std::to_string(made.memory_bytes_ >> 20U) + " MiB: " + errno_text(errno),
            "free some memory, or mirror fewer disks on this node");
    }
    made.memory_ = static_cast<uint8_t*>(at);
    if (made.memory_bytes_ >= kHugePage) madvise(at, made.memory_bytes_, MADV_HUGEPAGE);
    made.locked_ = mlock(at, made.memory_bytes_) == 0;
    made.free_small_.resize(small);
    made.free_large_.resize(large);
    std::iota(made.free_small_.rbegin(), made.free_small_.rend(), 1U);
    std::iota(made.free_large_.rbegin(), made.free_large_.rend(), small + 1U);
    made.use_.resize(size_t{small} + large + 1);
    return made;
}

Buffers::~Buffers() {
    if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

Buffers::Buffers(Buffers&& other) noexcept {
    *this = std::move(other);
}

Buffers& Buffers::operator=(Buffers&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(memory_bytes_, other.memory_bytes_);
    std::swap(locked_, other.locked_);
    std::swap(small_, other.small_);
    std::swap(large_, other.large_);
    std::swap(releases_, other.releases_);
    std::swap(free_small_, other.free_small_);
    std::swap(free_large_, other.free_large_);
    std::swap(use_, other.use_);
    std::swap(taken_small_, other.taken_small_);
    std::swap(taken_large_, other.taken_large_);
    return *this;
}

// A use may take what is free once the unused part of every other use's own share is left aside.
bool Buffers::may_take(const uint32_t (&taken)[3], uint32_t all, Use use) const {
    uint32_t used = 0, kept = 0;
    for (const Use other : {Use::kClient, Use::kPeer, Use::kResync}) {
        used += taken[slot(other)];
        const uint32_t share = kept_for(other, all);
        if (other != use && taken[slot(other)] < share) kept += share - taken[slot(other)];
    }
    if (use == Use::kResync && taken[slot(use)] >= all / 2) return false;
    return used + kept < all;
}

bool Buffers::available(uint32_t length_bytes, Use use) const {
    if (length_bytes <= kSmallBytes && may_take(taken_small_, small_, use)) return true;
    return length_bytes <= kMaxRequestBytes && may_take(taken_large_, large_, use);
}

BufferId Buffers::take(uint32_t length_bytes, Use use) {
    const auto from = [&](std::vector<uint32_t>& free, uint32_t(&taken)[3]) {
        const uint32_t id = free.back();
        free.pop_back();
        ++taken[slot(use)];
        use_[id] = use;
        return BufferId{id};
    };
    if (length_bytes <= kSmallBytes && may_take(taken_small_, small_, use)) return from(free_small_, taken_small_);
    if (length_bytes <= kMaxRequestBytes && may_take(taken_large_, large_, use)) return from(free_large_, taken_large_);
    return kNoBuffer;
}

void Buffers::release(BufferId buffer) {
    KAGAMI_ASSERT(buffer.value >= 1 && buffer.value <= small_ + large_, "a buffer of this pool");
    const bool is_small = buffer.value <= small_;
    auto& taken = is_small ? taken_small_ : taken_large_;
    auto& free = is_small ? free_small_ : free_large_;
    KAGAMI_ASSERT(free.size() < (is_small ? small_ : large_) && taken[slot(use_[buffer.value])] > 0, "released once");
    --taken[slot(use_[buffer.value])];
    free.push_back(buffer.value);
    ++releases_;
}

std::span<uint8_t> Buffers::bytes(BufferId buffer) const {
    KAGAMI_ASSERT(buffer.value >= 1 && buffer.value <= small_ + large_, "a buffer of this pool");
    const size_t index = buffer.value - 1;
    if (index < small_) return {memory_ + index * kSmallBytes, kSmallBytes};
    return {memory_ + size_t{small_} * kSmallBytes + (index - small_) * kMaxRequestBytes, kMaxRequestBytes};
}

}  // namespace kagami::mirror
