// What kagami-check prints and LinuxChecks reads: at most three lines, the first a word, then for a failure the message
// and the remedy.
#pragma once

#include <string_view>

namespace kagami::host::answer {

constexpr std::string_view kOk = "ok";      // then a number in the second line
constexpr std::string_view kFull = "full";  // no room to write
constexpr std::string_view kFailed = "failed";
constexpr std::string_view kUsage = "usage";
constexpr std::string_view kNotFound = "not-found";

}  // namespace kagami::host::answer
