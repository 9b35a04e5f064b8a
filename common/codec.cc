#include "common/codec.h"

#include <algorithm>

namespace kagami {

// Not inline: GCC 12 at -O2 sees an overflow in the insertion that is none.
void ByteWriter::raw(std::span<const uint8_t> v) {
    out_.insert(out_.end(), v.begin(), v.end());
}

void ByteWriter::little_endian(uint64_t v, int length_bytes) {
    for (int i = 0; i < length_bytes; ++i) out_.push_back(static_cast<uint8_t>(v >> (8 * i)));
}

void ByteWriter::bytes(std::span<const uint8_t> v) {
    u32(static_cast<uint32_t>(v.size()));
    raw(v);
}

void ByteWriter::string(std::string_view v) {
    u32(static_cast<uint32_t>(v.size()));
    out_.insert(out_.end(), v.begin(), v.end());
}

std::span<const uint8_t> ByteReader::take(size_t length_bytes) {
    if (!ok_ || in_.size() < length_bytes) {
        ok_ = false;
        return {};
    }
    const auto taken = in_.first(length_bytes);
    in_ = in_.subspan(length_bytes);
    return taken;
}

uint64_t ByteReader::little_endian(size_t length_bytes) {
    uint64_t v = 0;
    unsigned shift = 0;
    for (const uint8_t byte : take(length_bytes)) {
        v |= static_cast<uint64_t>(byte) << shift;
        shift += 8;
    }
    return v;
}

bool ByteReader::boolean() {
    const uint8_t v = u8();
    if (v > 1) ok_ = false;
    return v == 1;
}

void ByteReader::raw(std::span<uint8_t> out) {
    const auto taken = take(out.size());
    if (taken.size() == out.size()) {
        std::copy(taken.begin(), taken.end(), out.begin());
    } else {
        std::fill(out.begin(), out.end(), uint8_t{0});
    }
}

uint32_t ByteReader::count(uint32_t limit) {
    const uint32_t n = u32();
    if (n > limit) ok_ = false;
    return ok_ ? n : 0;
}

Bytes ByteReader::bytes(size_t limit_bytes) {
    const auto taken = take(count(static_cast<uint32_t>(limit_bytes)));
    return {taken.begin(), taken.end()};
}

std::string ByteReader::string(size_t limit_bytes) {
    const auto taken = take(count(static_cast<uint32_t>(limit_bytes)));
    return {taken.begin(), taken.end()};
}

}  // namespace kagami
