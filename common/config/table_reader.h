// Reads one table against its declared keys: unknown keys, wrong types, ranges and missing values become problems; what
// is left are canonical texts with defaults applied. Internal to the reader.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/keys.h"
#include "common/config/nearest.h"
#include "common/config/reader.h"
#include "common/config/toml_document.h"

namespace kagami::config {

class Problems {
 public:
    explicit Problems(std::string file) : file_(std::move(file)) {}
    void add(Position at, std::string message, std::string suggestion = {});
    std::vector<Problem> take();  // in the order of the file, without repetitions

 private:
    std::string file_;
    std::vector<Problem> problems_;
};

void check_unknown(const Item& table, std::span<const Key> keys, std::string_view where, Problems& problems);
// Values of all non-table keys. A wrong value is reported and replaced by the default, so that reading goes on.
Values read_values(const Item& table, std::span<const Key> keys, std::string_view where, Problems& problems);
// The tables of a [[...]] key; reports anything else in their place.
std::vector<const Item*> read_tables(const Item& table, std::string_view key, std::string_view title,
                                     Problems& problems);
// The nested table of a key; null when absent or reported.
const Item* read_table(const Item& table, std::string_view key, std::string_view where, Problems& problems);

// The key's place, or the table's when it is absent.
Position place(const Item& table, std::string_view key);
// The place of an element of a list, or the key's.
Position place(const Item& table, std::string_view key, std::string_view element);

// Canonical text of an IPv4 or IPv6 address; nothing when it is none.
std::optional<std::string> canonical_address(std::string_view text);

}  // namespace kagami::config
