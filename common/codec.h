// Canonical little-endian bytes for what we store, hash or hand between our own processes. Every read is bounds-checked:
// a reader that met a short or oversized field stays failed and yields zeros, so callers check ok() once at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kagami {

using Bytes = std::vector<uint8_t>;

class ByteWriter {
 public:
    void u8(uint8_t v) { out_.push_back(v); }
    void u16(uint16_t v) { little_endian(v, 2); }
    void u32(uint32_t v) { little_endian(v, 4); }
    void u64(uint64_t v) { little_endian(v, 8); }
    void i64(int64_t v) { u64(static_cast<uint64_t>(v)); }
    void boolean(bool v) { u8(v ? 1 : 0); }
    void raw(std::span<const uint8_t> v);
    void bytes(std::span<const uint8_t> v);  // u32 length, then the bytes
    void string(std::string_view v);         // u32 length, then UTF-8
    Bytes take() { return std::move(out_); }
    const Bytes& view() const { return out_; }

 private:
    void little_endian(uint64_t v, int length_bytes);
    Bytes out_;
};

class ByteReader {
 public:
    explicit ByteReader(std::span<const uint8_t> in) : in_(in) {}
    uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
    uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
    uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
    uint64_t u64() { return little_endian(8); }
    int64_t i64() { return static_cast<int64_t>(u64()); }
    bool boolean();
    void raw(std::span<uint8_t> out);
    Bytes bytes(size_t limit_bytes);
    std::string string(size_t limit_bytes);
    // Element count of a list; fails when above the limit (checked before anything is allocated).
    uint32_t count(uint32_t limit);
    void fail() { ok_ = false; }
    bool ok() const { return ok_; }
    bool finished() const { return ok_ && in_.empty(); }

 private:
    uint64_t little_endian(size_t length_bytes);
    std::span<const uint8_t> take(size_t length_bytes);
    std::span<const uint8_t> in_;
    bool ok_ = true;
};

}  // namespace kagami
