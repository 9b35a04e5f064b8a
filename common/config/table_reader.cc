#include "common/config/table_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/ids.h"

namespace kagami::config {
namespace {

using Texts = std::vector<std::string>;

std::string quoted(std::string_view text) {
    return "\"" + std::string(text) + "\"";
}

std::string joined(const std::vector<std::string_view>& words) {
    std::string text;
    for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
    return text;
}

std::string as_written(const Item& item) {
    switch (item.kind) {
        case Item::Kind::kString: return quoted(item.text);
        case Item::Kind::kInteger:
        case Item::Kind::kFloat:
        case Item::Kind::kBoolean: return item.text;
        case Item::Kind::kTime: return "a date or time";
        case Item::Kind::kList: return "a list";
        case Item::Kind::kTable: return "a table";
    }
    return "";
}

std::string default_words(const Key& key) {
    if (key.default_text.empty()) return "";
    const bool bare = key.kind == KeyKind::kInteger || key.kind == KeyKind::kBoolean;
    return "the default is " + (bare ? std::string(key.default_text) : quoted(key.default_text));
}

bool printable(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool script_file_name(std::string_view text) {
    return !text.empty() && text.front() != '.' && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

// Checks and canonicalises one scalar. Holds what it needs to say what is wrong.
class Scalar {
 public:
    Scalar(const Key& key, const Item& item, std::string_view where, Problems& problems)
        : key_(key), item_(item), where_(where), problems_(problems) {}

    std::optional<std::string> read() {
        auto text = typed();
        if (!text || key_.check == nullptr) return text;
        const Status checked = key_.check(*text);
        if (checked) return text;
        return wrong(checked.error().message, checked.error().remedy);
    }

 private:
    std::optional<std::string> wrong(const std::string& what, std::string suggestion) {
        problems_.add(item_.at,
                      std::string(where_) + ": " + std::string(key_.name) + " = " + as_written(item_) + ": " + what,
                      std::move(suggestion));
        return std::nullopt;
    }
    std::optional<std::string> wrong_type(std::string suggestion = {}) {
        return wrong("must be " + std::string(kind_words(key_.kind)),
                     suggestion.empty() ? default_words(key_) : std::move(suggestion));
    }
    bool within(double value) const {
        return (key_.minimum == 0 && key_.maximum == 0) || (value >= key_.minimum && value <= key_.maximum);
    }
    std::optional<std::string> out_of_range() { return wrong("out of range " + range_text(key_), default_words(key_)); }

    std::optional<std::string> typed() {
        switch (key_.kind) {
            case KeyKind::kInteger: return integer();
            case KeyKind::kBoolean:
                return item_.kind == Item::Kind::kBoolean ? std::optional(item_.text) : wrong_type();
            case KeyKind::kDuration: return duration();
            case KeyKind::kString:
            case KeyKind::kName:
            case KeyKind::kChoice:
            case KeyKind::kChoiceList:
            case KeyKind::kNameList:
            case KeyKind::kStringList:
            case KeyKind::kAddress:
            case KeyKind::kPath:
            case KeyKind::kScript: return string();
            case KeyKind::kAddresses:
            case KeyKind::kTable:
            case KeyKind::kTableList: break;
        }
        return std::nullopt;
    }
    std::optional<std::string> integer() {
        if (item_.kind != Item::Kind::kInteger) return wrong_type();
        int64_t value = 0;
        std::from_chars(item_.text.data(), item_.text.data() + item_.text.size(), value);
        return within(static_cast<double>(value)) ? std::optional(item_.text) : out_of_range();
    }
    std::optional<std::string> duration() {
        if (item_.kind == Item::Kind::kInteger) {
            return wrong("is a duration without a unit",
                         "write \"" + item_.text + "s\", \"" + item_.text + "ms\" or \"" + item_.text + "min\"");
        }
        if (item_.kind != Item::Kind::kString) return wrong_type();
        const auto value = parse_duration(item_.text);
        if (!value) {
            problems_.add(item_.at, std::string(where_) + ": " + std::string(key_.name) + ": " + value.error().message,
                          value.error().remedy);
            return std::nullopt;
        }
        return within(seconds(*value)) ? std::optional(format_duration(*value)) : out_of_range();
    }
    std::optional<std::string> string() {
        if (item_.kind != Item::Kind::kString) return wrong_type();
        const std::string& text = item_.text;
        if (!printable(text)) {
            problems_.add(item_.at, std::string(where_) + ": " + std::string(key_.name) + " holds a control character",
                          "remove it");
            return std::nullopt;
        }
        switch (key_.kind) {
            case KeyKind::kName:
            case KeyKind::kNameList:
                if (valid_name(text)) return text;
                return wrong("is not a name", "use 1 to 31 letters, digits, '-' and '_', the first a letter or digit");
            case KeyKind::kChoice:
            case KeyKind::kChoiceList: return choice();
            case KeyKind::kAddress: {
                auto address = canonical_address(text);
                if (address) return address;
                return wrong("is not an IP address",
                             text.find('/') == std::string::npos ? "" : "write it without a prefix length");
            }
            case KeyKind::kPath:
                return text.starts_with('/') ? std::optional(text) : wrong("is not an absolute path", "");
            case KeyKind::kScript:
                if (text.starts_with('/') || script_file_name(text)) return text;
                return wrong("is neither a stored script nor an absolute path",
                             "write \"start.sh\" or \"/opt/app/start.sh\"");
            case KeyKind::kString:
            case KeyKind::kStringList:
            case KeyKind::kInteger:
            case KeyKind::kBoolean:
            case KeyKind::kDuration:
            case KeyKind::kAddresses:
            case KeyKind::kTable:
            case KeyKind::kTableList: break;
        }
        return text;
    }
    std::optional<std::string> choice() {
        const std::vector<std::string_view> words(key_.choices.begin(), key_.choices.end());
        if (std::find(words.begin(), words.end(), item_.text) != words.end()) return item_.text;
        return wrong("is not one of " + joined(words), nearest(item_.text, words, ""));
    }

    const Key& key_;
    const Item& item_;
    std::string_view where_;
    Problems& problems_;
};

// Read by the caller.
bool nested(KeyKind kind) {
    return kind == KeyKind::kAddresses || kind == KeyKind::kTable || kind == KeyKind::kTableList;
}

bool is_list(KeyKind kind) {
    return kind == KeyKind::kChoiceList || kind == KeyKind::kNameList || kind == KeyKind::kStringList;
}

Texts read_list(const Key& key, const Item& item, std::string_view where, Problems& problems) {
    Texts texts;
    if (item.kind != Item::Kind::kList) {
        problems.add(item.at,
                     std::string(where) + ": " + std::string(key.name) + " = " + as_written(item) + ": must be " +
                         std::string(kind_words(key.kind)),
                     "write " + std::string(key.name) + " = [" +
                         (item.kind == Item::Kind::kString ? as_written(item) : "...") + "]");
        return texts;
    }
    for (const Item& element : item.list) {
        auto text = Scalar(key, element, where, problems).read();
        if (!text) continue;
        if (std::find(texts.begin(), texts.end(), *text) != texts.end()) {
            problems.add(
                element.at,
                std::string(where) + ": " + std::string(key.name) + ": " + quoted(*text) + " stands there twice",
                "remove one");
            continue;
        }
        texts.push_back(std::move(*text));
    }
    return texts;
}

Texts default_texts(const Key& key) {
    if (key.default_text.empty()) return {};
    if (key.kind == KeyKind::kDuration) {
        const auto value = parse_duration(key.default_text);
        return {value ? format_duration(*value) : std::string(key.default_text)};
    }
    if (!is_list(key.kind)) return {std::string(key.default_text)};
    Texts texts;
    std::string_view rest = key.default_text;
    while (!rest.empty()) {
        const size_t comma = rest.find(", ");
        texts.emplace_back(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 2);
    }
    return texts;
}

Texts read_key(const Item& table, const Key& key, std::string_view where, Problems& problems) {
    const Entry* entry = table.find(key.name);
    if (entry == nullptr) {
        if (key.required) {
            problems.add(table.at, std::string(where) + " has no " + quoted(key.name),
                         "add " + std::string(key.name) + " = ...: " + std::string(key.help));
        }
        return default_texts(key);
    }
    if (is_list(key.kind)) return read_list(key, entry->value, where, problems);
    auto text = Scalar(key, entry->value, where, problems).read();
    return text ? Texts{std::move(*text)} : default_texts(key);
}

}  // namespace

void Problems::add(Position at, std::string message, std::string suggestion) {
    problems_.push_back({file_, at.line, at.column, std::move(message), std::move(suggestion)});
}

std::vector<Problem> Problems::take() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    problems_.erase(std::unique(problems_.begin(), problems_.end()), problems_.end());
    return std::move(problems_);
}

void check_unknown(const Item& table, std::span<const Key> keys, std::string_view where, Problems& problems) {
    std::vector<std::string_view> known;
    for (const Key& key : keys) known.push_back(key.name);
    for (const Entry& entry : table.entries) {
        if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
        problems.add(entry.at, "unknown key " + quoted(entry.key) + " in " + std::string(where),
                     nearest(entry.key, known, "known keys"));
    }
}

Values read_values(const Item& table, std::span<const Key> keys, std::string_view where, Problems& problems) {
    std::map<std::string, Texts> texts;
    for (const Key& key : keys) {
        if (nested(key.kind)) continue;
        texts[std::string(key.name)] = read_key(table, key, where, problems);
    }
    return Values(std::move(texts));
}

std::vector<const Item*> read_tables(const Item& table, std::string_view key, std::string_view title,
                                     Problems& problems) {
    std::vector<const Item*> tables;
    const Entry* entry = table.find(key);
    if (entry == nullptr) return tables;
    if (entry->value.kind != Item::Kind::kList) {
        problems.add(entry->at, quoted(key) + " must be a list of tables", "write " + std::string(title));
        return tables;
    }
    for (const Item& element : entry->value.list) {
        if (element.kind == Item::Kind::kTable) {
            tables.push_back(&element);
        } else {
            problems.add(element.at, quoted(key) + " holds " + as_written(element) + " where a table must stand",
                         "write " + std::string(title));
        }
    }
    return tables;
}

const Item* read_table(const Item& table, std::string_view key, std::string_view where, Problems& problems) {
    const Entry* entry = table.find(key);
    if (entry == nullptr) return nullptr;
    if (entry->value.kind == Item::Kind::kTable) return &entry->value;
    problems.add(entry->value.at, std::string(where) + ": " + quoted(key) + " must be a table",
                 "write " + std::string(key) + " = { ... }");
    return nullptr;
}

Position place(const Item& table, std::string_view key) {
    const Entry* entry = table.find(key);
    return entry != nullptr ? entry->value.at : table.at;
}

Position place(const Item& table, std::string_view key, std::string_view element) {
    const Entry* entry = table.find(key);
    if (entry == nullptr) return table.at;
    for (const Item& item : entry->value.list) {
        if (item.text == element) return item.at;
    }
    return entry->value.at;
}

std::optional<std::string> canonical_address(std::string_view text) {
    const std::string copy(text);
    unsigned char bytes[sizeof(in6_addr)];
    char out[INET6_ADDRSTRLEN];
    for (const int family : {AF_INET, AF_INET6}) {
        if (inet_pton(family, copy.c_str(), bytes) == 1 && copy.find('\0') == std::string::npos) {
            return std::string(inet_ntop(family, bytes, out, sizeof(out)));
        }
    }
    return std::nullopt;
}

}  // namespace kagami::config
