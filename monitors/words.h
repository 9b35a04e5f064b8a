// Checks of parameters that are one of a few words, for the tables of the types.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace kagami::monitors {

template <typename... Words>
Status one_of(std::string_view text, Words... words) {
    if (((text == words) || ...)) return {};
    std::string known;
    ((known += (known.empty() ? "\"" : ", \"") + std::string(words) + "\""), ...);
    return fail(ErrorCode::kUsage, "is not one of the known words", "write one of " + known);
}

}  // namespace kagami::monitors
