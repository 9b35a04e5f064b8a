#include "common/host/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace kagami::host {
namespace {

tl::unexpected<Error> bad_address(std::string_view text, const std::string& why) {
    return fail(ErrorCode::kUsage, "\"" + std::string(text) + "\" " + why,
                "write an address with its prefix: \"10.77.1.100/24\" or \"fd00::100/64\"");
}

std::optional<int> parse_bits(std::string_view text, int maximum) {
    int bits = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || bits < 1 || bits > maximum)
        return std::nullopt;
    return bits;
}

// Of the bits after the prefix: all zero or all one?
bool host_bits_are(const IpAddress& ip, int prefix_bits, bool value) {
    for (int bit = prefix_bits; bit < 32; ++bit) {
        const bool set = (ip.bytes[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0;
        if (set != value) return false;
    }
    return true;
}

const char* unusable(const IpAddress& ip, int prefix_bits) {
    const bool zero = std::all_of(ip.bytes.begin(), ip.bytes.end(), [](uint8_t byte) { return byte == 0; });
    if (zero) return "is the unspecified address";
    if (ip.v6) {
        if (ip.bytes[0] == 0xff) return "is a multicast address";
        if (to_string(ip) == "::1") return "is the loopback address";
        return nullptr;
    }
    if (ip.bytes[0] == 127) return "is a loopback address";
    if (ip.bytes[0] >= 224) return "is a multicast or reserved address";
    if (prefix_bits < 31 && host_bits_are(ip, prefix_bits, false))
        return "is the address of its network, not of a host";
    if (prefix_bits < 31 && host_bits_are(ip, prefix_bits, true)) return "is the broadcast address of its network";
    return nullptr;
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
    const std::string copy(text);
    IpAddress address;
    address.v6 = copy.find(':') != std::string::npos;
    if (copy.find('\0') != std::string::npos) return std::nullopt;
    if (::inet_pton(address.v6 ? AF_INET6 : AF_INET, copy.c_str(), address.bytes.data()) != 1) return std::nullopt;
    return address;
}

std::string to_string(const IpAddress& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
    return text.data();
}

bool same_subnet(const IpAddress& a, const IpAddress& b, int prefix_bits) {
    if (a.v6 != b.v6) return false;
    const auto whole = static_cast<size_t>(prefix_bits / 8);
    if (!std::equal(a.bytes.begin(), a.bytes.begin() + static_cast<long>(whole), b.bytes.begin())) return false;
    const int rest = prefix_bits % 8;
    return rest == 0 || (a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest) == 0;
}

bool link_local(const IpAddress& address) {
    return address.v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0U) == 0x80;
}

Result<Address> parse_floating_address(std::string_view text) {
    const size_t slash = text.find('/');
    const auto ip = parse_ip(text.substr(0, slash));
    if (!ip) return bad_address(text, "is not an IPv4 or IPv6 address");
    if (slash == std::string_view::npos) return bad_address(text, "has no prefix length");
    const auto bits = parse_bits(text.substr(slash + 1), ip->v6 ? 128 : 32);
    if (!bits) return bad_address(text, "has a prefix length that is not possible");
    if (const char* why = unusable(*ip, *bits)) return bad_address(text, why);
    return Address{to_string(*ip), *bits, ""};
}

}  // namespace kagami::host
