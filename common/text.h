// Text from outside (scripts, devices, people) made fit for protobuf, JSON and terminals.
#pragma once

#include <string>
#include <string_view>

namespace kagami {

// Every byte that belongs to no whole UTF-8 character becomes '?', and so does every C1 control (U+0080 to U+009F, of
// which terminals take some for escape sequences). ASCII controls pass: a message may have several lines.
std::string valid_utf8(std::string_view text);

// The same on one line: every control character becomes a visible "\x0a". No line of a log may pretend to be another
// one.
std::string one_line(std::string_view text);

// The beginning of valid UTF-8, `limit_bytes` at most, that ends with a whole character.
std::string_view utf8_prefix(std::string_view text, size_t limit_bytes);

}  // namespace kagami
