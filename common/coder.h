// One description per struct serves writing and reading: a struct's `fields(coder, value)` names its members once, in
// the order of the bytes. The form is canonical: equal values give equal bytes, and bytes that read as a value are
// exactly the bytes of that value (booleans are 0 or 1, keys ascend strictly, enums are in range). Every list and text
// is bounded before anything is allocated. Included by the .cc and coder headers of documents and messages only.
#pragma once

#include <array>
#include <concepts>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "common/codec.h"
#include "common/ids.h"
#include "common/text.h"
#include "common/time.h"

namespace kagami {

constexpr size_t kMaxNameBytes = 31;       // valid_name()
constexpr size_t kMaxSentenceBytes = 512;  // texts for people; longer ones are cut when written

template <typename V, typename T>
concept Is = std::same_as<std::remove_const_t<V>, T>;

class Encoder {
 public:
    template <typename... Vs>
    void operator()(const Vs&... values) {
        (one(values), ...);
    }
    template <typename E>
    void choice(const E& value, E /*last*/) {
        writer_.u8(static_cast<uint8_t>(value));
    }
    void name(const std::string& text) { writer_.string(text); }
    void sentence(const std::string& words) { text(words, kMaxSentenceBytes); }
    void text(const std::string& words, size_t limit_bytes);  // cut at the limit
    void sentences(const std::vector<std::string>& values, uint32_t limit);  // the first `limit`
    void blob(const Bytes& bytes, size_t /*limit_bytes*/) { writer_.bytes(bytes); }
    template <typename T>
    void list(const std::vector<T>& values, uint32_t /*limit*/) {
        writer_.u32(static_cast<uint32_t>(values.size()));
        for (const T& value : values) one(value);
    }
    template <typename T>
    void set(const std::set<T>& values, uint32_t /*limit*/) {
        writer_.u32(static_cast<uint32_t>(values.size()));
        for (const T& value : values) one(value);
    }
    template <typename K, typename T>
    void map(const std::map<K, T>& values, uint32_t /*limit*/) {
        writer_.u32(static_cast<uint32_t>(values.size()));
        for (const auto& [key, value] : values) {
            one(key);
            one(value);
        }
    }
    Bytes take() { return writer_.take(); }

 private:
    void one(bool v) { writer_.boolean(v); }
    void one(uint8_t v) { writer_.u8(v); }
    void one(uint16_t v) { writer_.u16(v); }
    void one(uint32_t v) { writer_.u32(v); }
    void one(uint64_t v) { writer_.u64(v); }
    void one(const Duration& v) { writer_.i64(v.count()); }
    void one(const std::string& v) { name(v); }
    void one(const Epoch& v) { writer_.u64(v.value); }
    template <size_t N>
    void one(const std::array<uint8_t, N>& v) {
        writer_.raw(v);
    }
    template <typename V, typename Tag>
    void one(const Tagged<V, Tag>& v) {
        one(v.value);
    }
    template <typename T>
    void one(const std::optional<T>& v) {
        writer_.boolean(v.has_value());
        if (v) one(*v);
    }
    template <typename T>
        requires std::is_class_v<T>
    void one(const T& v) {
        fields(*this, v);
    }
    ByteWriter writer_;
};

class Decoder {
 public:
    explicit Decoder(std::span<const uint8_t> in) : reader_(in) {}
    template <typename... Vs>
    void operator()(Vs&... values) {
        (one(values), ...);
    }
    template <typename E>
    void choice(E& value, E last) {
        const uint8_t raw = reader_.u8();
        if (raw > static_cast<uint8_t>(last)) reader_.fail();
        value = reader_.ok() ? static_cast<E>(raw) : E{};
    }
    void name(std::string& text) { text = reader_.string(kMaxNameBytes); }
    void sentence(std::string& words) { text(words, kMaxSentenceBytes); }
    void text(std::string& words, size_t limit_bytes) { words = reader_.string(limit_bytes); }
    void sentences(std::vector<std::string>& values, uint32_t limit) {
        const uint32_t count = reader_.count(limit);
        values.clear();
        for (uint32_t i = 0; i < count && reader_.ok(); ++i) sentence(values.emplace_back());
    }
    void blob(Bytes& bytes, size_t limit_bytes) { bytes = reader_.bytes(limit_bytes); }
    template <typename T>
    void list(std::vector<T>& values, uint32_t limit) {
        const uint32_t count = reader_.count(limit);
        values.clear();
        for (uint32_t i = 0; i < count && reader_.ok(); ++i) one(values.emplace_back());
    }
    template <typename T>
    void set(std::set<T>& values, uint32_t limit) {
        const uint32_t count = reader_.count(limit);
        values.clear();
        for (uint32_t i = 0; i < count && reader_.ok(); ++i) {
            T value{};
            one(value);
            if (!values.empty() && !(*values.rbegin() < value)) reader_.fail();
            values.insert(values.end(), value);
        }
    }
    template <typename K, typename T>
    void map(std::map<K, T>& values, uint32_t limit) {
        const uint32_t count = reader_.count(limit);
        values.clear();
        for (uint32_t i = 0; i < count && reader_.ok(); ++i) {
            K key{};
            one(key);
            if (!values.empty() && !(values.rbegin()->first < key)) reader_.fail();
            one(values[key]);
        }
    }
    void fail() { reader_.fail(); }
    bool finished() const { return reader_.finished(); }

 private:
    void one(bool& v) { v = reader_.boolean(); }
    void one(uint8_t& v) { v = reader_.u8(); }
    void one(uint16_t& v) { v = reader_.u16(); }
    void one(uint32_t& v) { v = reader_.u32(); }
    void one(uint64_t& v) { v = reader_.u64(); }
    void one(Duration& v) { v = Duration(reader_.i64()); }
    void one(std::string& v) { name(v); }
    void one(Epoch& v) { v.value = reader_.u64(); }
    template <size_t N>
    void one(std::array<uint8_t, N>& v) {
        reader_.raw(v);
    }
    template <typename V, typename Tag>
    void one(Tagged<V, Tag>& v) {
        one(v.value);
    }
    template <typename T>
    void one(std::optional<T>& v) {
        v.reset();
        if (reader_.boolean()) one(v.emplace());
    }
    template <typename T>
        requires std::is_class_v<T>
    void one(T& v) {
        fields(*this, v);
    }
    ByteReader reader_;
};

template <typename C, Is<Version> V>
void fields(C& c, V& v) {
    c(v.epoch, v.seq);
}
template <typename C, Is<Incarnation> V>
void fields(C& c, V& v) {
    c(v.node, v.boot);
}

}  // namespace kagami
