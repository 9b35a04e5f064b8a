// Values of a type's table as the configuration would give them: its defaults, and what the test overrides.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/parameter.h"

namespace kagami::testing {

using Texts = std::map<std::string, std::vector<std::string>>;

inline config::Values type_values(const config::TypeDescription& type, const Texts& given = {}) {
    Texts texts = given;
    for (const auto& parameter : type.parameters) {
        const std::string name(parameter.name);
        if (texts.contains(name)) continue;
        texts[name] = parameter.default_text.empty() ? std::vector<std::string>{}
                                                     : std::vector{std::string(parameter.default_text)};
    }
    return config::Values(texts);
}

}  // namespace kagami::testing
