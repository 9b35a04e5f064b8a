// The nearest known word to a misspelt one: of keys, names and types in cluster.toml, and of commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kagami::config {

// "did you mean "x"?" when one of the words is near, else "PLURAL: a, b, c" ("" when plural is empty).
std::string nearest(std::string_view word, const std::vector<std::string_view>& words, std::string_view plural);

}  // namespace kagami::config
