#include "common/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <cstring>

#include "common/assert.h"

namespace kagami {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? crc >> 1U ^ 0x82f63b78U : crc >> 1U;
        table[i] = crc;
    }
    return table;
}
constexpr auto kCrcTable = make_crc_table();

uint32_t crc_by_table(std::span<const uint8_t> data, uint32_t crc) {
    for (const uint8_t byte : data) crc = crc >> 8U ^ kCrcTable[(crc ^ byte) & 0xffU];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc_by_instruction(std::span<const uint8_t> data, uint32_t crc) {
    const uint8_t* at = data.data();
    size_t left = data.size();
    uint64_t wide = crc;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = 0;
        std::memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; left > 0; --left, ++at) crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}
#endif

}  // namespace

Hash sha256(std::span<const uint8_t> data) {
    Hash hash{};
    SHA256(data.data(), data.size(), hash.data());
    return hash;
}

Hash hmac_sha256(std::span<const uint8_t> key, std::span<const uint8_t> data) {
    Hash hash{};
    unsigned length_bytes = 0;
    const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
                            hash.data(), &length_bytes);
    KAGAMI_ASSERT(done != nullptr && length_bytes == hash.size(), "HMAC-SHA256 is always available");
    return hash;
}

bool equal_constant_time(std::span<const uint8_t> a, std::span<const uint8_t> b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

uint32_t crc32c(std::span<const uint8_t> data, uint32_t before) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_by_instruction(data, ~before);
#endif
    return ~crc_by_table(data, ~before);
}

}  // namespace kagami
