#include "common/ids.h"

#include <algorithm>

namespace kagami {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

std::optional<uint8_t> hex_digit(char c) {
    const auto at = kHexDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    if (at == std::string_view::npos) return std::nullopt;
    return static_cast<uint8_t>(at);
}

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string to_string(NodeId node) {
    if (node == kWitnessId) return "witness";
    return "node " + std::to_string(node.value);
}

std::string to_string(Epoch epoch) {
    return std::to_string(epoch.counter()) + "@" + std::to_string(epoch.node().value);
}

std::string to_string(Version version) { return to_string(version.epoch) + "." + std::to_string(version.seq); }

std::string to_hex(const uint8_t* data, size_t length_bytes) {
    std::string text;
    text.reserve(length_bytes * 2);
    for (size_t i = 0; i < length_bytes; ++i) {
        text += kHexDigits[data[i] >> 4U];
        text += kHexDigits[data[i] & 15U];
    }
    return text;
}

std::string to_string(const Uuid& uuid) {
    std::string text = to_hex(uuid.data(), uuid.size());
    for (const size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
    return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    Uuid uuid{};
    size_t digits = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const auto digit = hex_digit(text[i]);
        if (!digit) return std::nullopt;
        uint8_t& byte = uuid[digits / 2];
        byte = static_cast<uint8_t>(byte << 4U | *digit);
        ++digits;
    }
    return uuid;
}

bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= 31 && alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(), [](char c) { return alphanumeric(c) || c == '_' || c == '-'; });
}

}  // namespace kagami
