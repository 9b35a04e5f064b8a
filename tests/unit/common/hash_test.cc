#include "common/hash.h"

#include <catch2/catch.hpp>
#include <string_view>

using namespace kagami;

namespace {
std::span<const uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string hex(const Hash& hash) { return to_hex(hash.data(), hash.size()); }
}  // namespace

TEST_CASE("hashes match published vectors") {
    CHECK(hex(sha256(bytes_of("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
    CHECK(hex(hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"))) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");  // RFC 4231 case 2
    CHECK(crc32c(bytes_of("123456789")) == 0xe3069283U);
}

TEST_CASE("a CRC32C may be computed in parts, at any boundary and alignment") {
    std::string text;
    for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 37));
    // Bit by bit, straight from the polynomial: an implementation of its own for both the table and the instruction.
    const auto plain = [](std::string_view part) {
        uint32_t crc = ~0U;
        for (const char c : part) {
            crc ^= static_cast<uint8_t>(c);
            for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
        }
        return ~crc;
    };
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        const std::string_view head = std::string_view(text).substr(0, cut);
        const std::string_view tail = std::string_view(text).substr(cut);
        CHECK(crc32c(bytes_of(head)) == plain(head));
        CHECK(crc32c(bytes_of(tail), crc32c(bytes_of(head))) == plain(text));
    }
}

TEST_CASE("constant-time equality needs equal length and content") {
    CHECK(equal_constant_time(bytes_of("key"), bytes_of("key")));
    CHECK_FALSE(equal_constant_time(bytes_of("key"), bytes_of("kez")));
    CHECK_FALSE(equal_constant_time(bytes_of("key"), bytes_of("keys")));
}
