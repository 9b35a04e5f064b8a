#include "common/config/toml_document.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>

namespace kagami::config {
namespace {

Position position(const toml::source_region& source) {
    return {static_cast<int>(std::max<toml::source_index>(source.begin.line, 1)),
            static_cast<int>(std::max<toml::source_index>(source.begin.column, 1))};
}

Item convert(const toml::node& node);

Item convert_table(const toml::table& table) {
    Item item;
    for (const auto& [key, value] : table) {
        item.entries.push_back({std::string(key.str()), position(key.source()), convert(value)});
    }
    std::stable_sort(item.entries.begin(), item.entries.end(),
                     [](const Entry& a, const Entry& b) { return a.at < b.at; });
    return item;
}

Item convert_list(const toml::array& array) {
    Item item;
    item.kind = Item::Kind::kList;
    for (const toml::node& element : array) item.list.push_back(convert(element));
    return item;
}

template <typename T>
Item printed(Item::Kind kind, const T& value) {
    std::ostringstream out;
    out << value;
    Item item;
    item.kind = kind;
    item.text = out.str();
    return item;
}

Item convert(const toml::node& node) {
    Item item;
    if (const auto* table = node.as_table()) {
        item = convert_table(*table);
    } else if (const auto* array = node.as_array()) {
        item = convert_list(*array);
    } else if (const auto* text = node.as_string()) {
        item = printed(Item::Kind::kString, text->get());
    } else if (const auto* integer = node.as_integer()) {
        item = printed(Item::Kind::kInteger, integer->get());
    } else if (const auto* number = node.as_floating_point()) {
        item = printed(Item::Kind::kFloat, number->get());
    } else if (const auto* boolean = node.as_boolean()) {
        item = printed(Item::Kind::kBoolean, boolean->get() ? "true" : "false");
    } else {
        item.kind = Item::Kind::kTime;
    }
    item.at = position(node.source());
    return item;
}

constexpr int kMaxDots = 16;

// The library recurses for each part of a dotted key without a limit (values it limits itself), so a hostile key could
// exhaust the stack. Finds a path of more than kMaxDots dots outside strings and comments; these end at the line's end
// at the latest.
std::optional<Position> endless_key(std::string_view text) {
    Position at;
    int dots = 0;
    char quote = 0;
    bool comment = false;
    for (const char c : text) {
        if (c == '\n') {
            at = {at.line + 1, 1};
            dots = 0;
            quote = 0;
            comment = false;
            continue;
        }
        ++at.column;
        if (comment) continue;
        if (quote != 0) {
            if (c == quote) quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '.') {
            if (++dots > kMaxDots) return at;
        } else if (c == '#') {
            comment = true;
        } else if (c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}') {
            dots = 0;
        }
    }
    return std::nullopt;
}

}  // namespace

const Entry* Item::find(std::string_view key) const {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

tl::expected<Item, SyntaxError> parse_toml(std::string_view text) {
    if (const auto at = endless_key(text)) return tl::unexpected(SyntaxError{*at, "a key of more than 17 parts"});
    try {
        const toml::table table = toml::parse(text);
        Item item = convert_table(table);
        item.at = {1, 1};
        return item;
    } catch (const toml::parse_error& error) {
        return tl::unexpected(SyntaxError{position(error.source()), std::string(error.description())});
    } catch (const std::exception& error) {
        return tl::unexpected(SyntaxError{{1, 1}, error.what()});
    }
}

}  // namespace kagami::config
