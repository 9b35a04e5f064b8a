// A TOML text as a plain tree with the place of every key and value, so that only toml_document.cc includes the TOML
// library.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace kagami::config {

struct Position {
    int line = 1;    // 1-based
    int column = 1;  // 1-based, in characters
    auto operator<=>(const Position&) const = default;
};

struct Entry;

struct Item {
    enum class Kind { kString, kInteger, kFloat, kBoolean, kTime, kList, kTable };
    Kind kind = Kind::kTable;
    Position at;
    std::string text;  // scalars: a string's content, else the canonical text
    std::vector<Item> list;
    std::vector<Entry> entries;  // of a table, in the order of the file

    const Entry* find(std::string_view key) const;
};

struct Entry {
    std::string key;
    Position at;
    Item value;
};

struct SyntaxError {
    Position at;
    std::string message;
};

tl::expected<Item, SyntaxError> parse_toml(std::string_view text);

}  // namespace kagami::config
