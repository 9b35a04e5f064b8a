// Little-endian values one behind the other, into bytes that are there already: writing allocates nothing (unlike
// common/codec.h, whose reader is the counterpart). Running over the end is a programmer's error.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "common/assert.h"

namespace kagami::mirror {

class Put {
 public:
    explicit Put(std::span<uint8_t> into) : into_(into) {}
    void u8(uint8_t v) { number<1>(v); }
    void u16(uint16_t v) { number<2>(v); }
    void u32(uint32_t v) { number<4>(v); }
    void u64(uint64_t v) { number<8>(v); }
    void raw(std::span<const uint8_t> v) {
        KAGAMI_ASSERT(v.size() <= into_.size(), "room for every field");
        std::copy(v.begin(), v.end(), into_.begin());
        into_ = into_.subspan(v.size());
    }

 private:
    template <size_t N>
    void number(uint64_t v) {
        KAGAMI_ASSERT(N <= into_.size(), "room for every field");
        for (size_t i = 0; i < N; ++i) into_[i] = static_cast<uint8_t>(v >> (8 * i));
        into_ = into_.subspan(N);
    }
    std::span<uint8_t> into_;
};

}  // namespace kagami::mirror
