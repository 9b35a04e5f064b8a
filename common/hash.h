// Hashes and checksums that engines may use: pure functions of their input.
#pragma once

#include <cstdint>
#include <span>

#include "common/ids.h"

namespace kagami {

Hash sha256(std::span<const uint8_t> data);
Hash hmac_sha256(std::span<const uint8_t> key, std::span<const uint8_t> data);
bool equal_constant_time(std::span<const uint8_t> a, std::span<const uint8_t> b);
// Castagnoli, as in iSCSI (RFC 3720 B.4). crc32c(b, crc32c(a)) is the checksum of a followed by b.
uint32_t crc32c(std::span<const uint8_t> data, uint32_t before = 0);

}  // namespace kagami
