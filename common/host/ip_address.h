// IPv4 and IPv6 addresses in text and bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/host/host.h"
#include "common/result.h"

namespace kagami::host {

struct IpAddress {
    bool v6 = false;
    std::array<uint8_t, 16> bytes{};  // of an IPv4 address the first four count
    std::span<const uint8_t> view() const { return std::span(bytes).first(v6 ? 16 : 4); }
    bool operator==(const IpAddress&) const = default;
};

std::optional<IpAddress> parse_ip(std::string_view text);  // "10.77.1.100", "fd00::1"; no prefix, no zone
std::string to_string(const IpAddress& address);           // the canonical text (RFC 5952)
bool same_subnet(const IpAddress& a, const IpAddress& b, int prefix_bits);
bool link_local(const IpAddress& address);  // fe80::/10

// "10.77.1.100/24" or "fd00::100/64" as an address without interface, its text canonical. Refuses what no host can
// bear: the unspecified, loopback and multicast addresses, and of an IPv4 network the first and the last one.
Result<Address> parse_floating_address(std::string_view text);

}  // namespace kagami::host
