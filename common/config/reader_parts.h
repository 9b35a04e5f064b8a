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

// The value of the nested table with a section of its own; all defaults when it is absent.
Values read_nested(const Item& table, const Section& section, const std::string& where, Problems& problems);
template <typename Things>
std::vector<std::string_view> names_of(const Things& things) {  // as candidates for a suggestion
    std::vector<std::string_view> names;
    names.reserve(things.size());
    for (const auto& thing : things) names.push_back(thing.name);
    return names;
}

void read_server_groups(const Item& root, ReadContext& context);
void read_exclusive_rules(const Item& root, ReadContext& context);  // after the groups
// The keys of a group that say where and when it runs (reader_placement.cc).
void read_placement(const Item& table, const Values& values, const std::string& where, Group& group,
                    ReadContext& context);
void check_waits(const std::vector<const Item*>& tables, ReadContext& context);  // once all groups are read
// The nodes that the list `key` names, in its order; reports unknown ones and an empty list.
std::vector<NodeId> nodes_named(const Item& table, const Values& values, std::string_view key, const std::string& where,
                                ReadContext& context);
void read_groups(const Item& root, ReadContext& context);
void read_monitors(const Item& root, ReadContext& context);
void read_alerts(const Item& root, ReadContext& context);

}  // namespace kagami::config
