// What the parts of the reader share while one file is read. Internal to the reader.
#pragma once

#include <set>

#include "common/config/checks.h"
#include "common/config/config.h"
#include "common/config/table_reader.h"

namespace kagami::config {

struct ReadContext {
    const TypeCatalogue& types;
    const std::set<std::string>* stored_scripts;
    Problems& problems;
    Config& config;
    AddressBook addresses;
    MirrorBook mirrors;
};

// "[[node]] node1", or the title alone where the name is missing.
std::string label(std::string_view title, const Item& table);
// Reports every table beyond the limit.
void check_count(const std::vector<const Item*>& tables, size_t limit, std::string_view plural, Problems& problems);

void read_groups(const Item& root, ReadContext& context);
void read_monitors(const Item& root, ReadContext& context);

}  // namespace kagami::config
