#include "common/text.h"

#include <algorithm>
#include <cstdint>

namespace kagami {
namespace {

uint32_t byte_at(std::string_view text, size_t index) {
    return static_cast<uint8_t>(text[index]);
}

bool continues(uint32_t byte) {
    return (byte & 0xc0U) == 0x80U;
}

// Of the character that the text begins with; 0: it begins with none.
size_t character_length(std::string_view text) {
    const uint32_t first = byte_at(text, 0);
    if (first < 0x80U) return 1;
    const size_t length = first >= 0xf0U ? 4 : first >= 0xe0U ? 3 : 2;
    if (first < 0xc2U || first > 0xf4U || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if (!continues(byte_at(text, i))) return 0;
    }
    const uint32_t second = byte_at(text, 1);
    const bool overlong = (first == 0xe0U && second < 0xa0U) || (first == 0xf0U && second < 0x90U);
    const bool surrogate = first == 0xedU && second >= 0xa0U;
    const bool beyond = first == 0xf4U && second >= 0x90U;
    return overlong || surrogate || beyond ? 0 : length;
}

bool is_c1_control(std::string_view character) {
    return character.size() == 2 && byte_at(character, 0) == 0xc2U && byte_at(character, 1) < 0xa0U;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        const size_t length = character_length(text);
        const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
        if (length == 0 || is_c1_control(character))
            valid += '?';
        else
            valid += character;
        text.remove_prefix(character.size());
    }
    return valid;
}

std::string one_line(std::string_view text) {
    constexpr const char* digits = "0123456789abcdef";
    std::string out;
    for (const char c : valid_utf8(text)) {
        const auto byte = static_cast<uint8_t>(c);
        if (byte < 0x20U || byte == 0x7fU) {
            out += {'\\', 'x', digits[byte >> 4U], digits[byte & 0xfU]};
        } else {
            out += c;
        }
    }
    return out;
}

std::string_view utf8_prefix(std::string_view text, size_t limit_bytes) {
    if (text.size() <= limit_bytes) return text;
    while (limit_bytes > 0 && continues(byte_at(text, limit_bytes))) --limit_bytes;
    return text.substr(0, limit_bytes);
}

}  // namespace kagami
