// The fixed pool of one mirror: aligned, locked, touched at start; nothing is allocated on the I/O path (mirror.md 2).
// Two sizes, so that many small requests and a few large ones fit into 16 MiB; a share of each is kept for what must
// never wait for clients (frames of the peer, metadata, acknowledgements), another is the most that a resync may take.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/result.h"
#include "mirror-driver/engine/types.h"

namespace kagami::mirror {

enum class Use : uint8_t { kClient, kPeer, kResync };

class Buffers {
 public:
    static constexpr uint32_t kSmallBytes = 16U << 10U;
    // Memory for `small` buffers of kSmallBytes and `large` ones of kMaxRequestBytes.
    static Result<Buffers> make(uint32_t small, uint32_t large);
    ~Buffers();
    Buffers(Buffers&&) noexcept;
    Buffers& operator=(Buffers&&) noexcept;

    BufferId take(uint32_t length_bytes, Use use);  // kNoBuffer when the share is used up
    void release(BufferId buffer);
    uint64_t releases() const { return releases_; }   // so far: who waits for a buffer looks whether it has grown
    std::span<uint8_t> bytes(BufferId buffer) const;  // whole capacity, 4096-aligned
    bool available(uint32_t length_bytes, Use use) const;
    std::span<uint8_t> memory() const { return {memory_, memory_bytes_}; }
    bool locked() const { return locked_; }  // false: mlock was refused, a warning for the status

 private:
    Buffers() = default;
    uint8_t* memory_ = nullptr;
    size_t memory_bytes_ = 0;
    bool locked_ = false;
    uint32_t small_ = 0;
    uint32_t large_ = 0;
    uint64_t releases_ = 0;
    std::vector<uint32_t> free_small_;
    std::vector<uint32_t> free_large_;
    std::vector<Use> use_;
    bool may_take(const uint32_t (&taken)[3], uint32_t all, Use use) const;
    uint32_t taken_small_[3] = {};
    uint32_t taken_large_[3] = {};
};

}  // namespace kagami::mirror
