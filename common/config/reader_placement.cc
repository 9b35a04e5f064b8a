// Where and when groups run: server groups, exclusive rules, and the keys of a group that speak of them.
#include <algorithm>
#include <set>

#include "common/config/nearest.h"
#include "common/config/reader_parts.h"

namespace kagami::config {
namespace {

constexpr size_t kMaxServerGroups = 16;
constexpr size_t kMaxExclusiveRules = 64;

FailoverAttribute failover_of(const std::string& text) {
    for (const auto attribute : {FailoverAttribute::kDynamic, FailoverAttribute::kManual})
        if (word(attribute) == text) return attribute;
    return FailoverAttribute::kAuto;
}

ServerGroupPolicy policy_of(const std::string& text) {
    for (const auto policy : {ServerGroupPolicy::kPrefer, ServerGroupPolicy::kManualBetween})
        if (word(policy) == text) return policy;
    return ServerGroupPolicy::kNone;
}

WaitOutcome outcome_of(const Values& values) {
    return values.text("on_timeout") == word(WaitOutcome::kGoOn) ? WaitOutcome::kGoOn : WaitOutcome::kCancel;
}

std::vector<NodeId> every_node(const Config& config) {
    std::vector<NodeId> ids;
    ids.reserve(config.nodes.size());
    for (const Node& node : config.nodes) ids.push_back(node.id);
    return ids;
}

void read_server_group(const Item& table, NameBook& names, ReadContext& context) {
    const Section& section = server_group_section();
    const std::string where = label(section.title, table);
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, where, context.problems);
    names.claim(values.text("name"), place(table, "name"), context.problems);
    ServerGroup group{values.text("name"), nodes_named(table, values, "nodes", where, context)};
    for (const ServerGroup& other : context.config.server_groups) {
        for (const NodeId node : group.nodes) {
            if (std::find(other.nodes.begin(), other.nodes.end(), node) == other.nodes.end()) continue;
            context.problems.add(place(table, "nodes"),
                                 where + ": node " + context.config.node_name(node) + " is in server group " +
                                     other.name + " already",
                                 "a node belongs to one server group");
        }
    }
    context.config.server_groups.push_back(std::move(group));
}

// The nodes of the named server groups, one after another.
std::vector<NodeId> nodes_of_server_groups(const Item& table, const std::string& where, Group& group,
                                           ReadContext& context) {
    std::vector<NodeId> nodes;
    if (table.find("nodes") != nullptr)
        context.problems.add(place(table, "nodes"), where + ": nodes and server_groups are both given",
                             "remove one of them: the nodes follow from the server groups");
    for (const std::string& name : group.server_groups) {
        const ServerGroup* found = context.config.server_group(name);
        if (found != nullptr) {
            nodes.insert(nodes.end(), found->nodes.begin(), found->nodes.end());
            continue;
        }
        context.problems.add(place(table, "server_groups", name), where + ": unknown server group \"" + name + "\"",
                             nearest(name, names_of(context.config.server_groups), "server groups"));
    }
    return nodes;
}

void check_dynamic(const Item& table, const std::string& where, const Group& group, ReadContext& context) {
    if (group.failover == FailoverAttribute::kDynamic) return;
    for (const char* key : {"forced_failover", "smart_failover"}) {
        const Entry* entry = table.find(key);
        if (entry == nullptr) continue;
        context.problems.add(entry->at, where + ": " + key + " works only with failover = \"dynamic\"",
                             "set failover = \"dynamic\" or remove the key");
    }
}

void read_waits(const Item& table, const std::string& where, Group& group, ReadContext& context) {
    if (table.find("start_wait") != nullptr) {
        const Values values = read_nested(table, start_wait_section(), where, context.problems);
        group.start_wait = {values.list("groups"), values.boolean("same_node"), values.duration("timeout"),
                            outcome_of(values)};
    }
    if (table.find("stop_wait") != nullptr) {
        const Values values = read_nested(table, stop_wait_section(), where, context.problems);
        const auto& at = values.list("at");
        const auto names = [&](std::string_view word) { return std::find(at.begin(), at.end(), word) != at.end(); };
        group.stop_wait = {values.list("groups"),     names("cluster-stop"),      names("node-stop"),
                           names("group-stop"),       values.duration("timeout"), outcome_of(values)};
    }
}

void check_named_groups(const Item& table, const char* key, const std::vector<std::string>& names,
                        const std::string& where, ReadContext& context) {
    for (const std::string& name : names) {
        if (context.config.group(name) != nullptr) continue;
        context.problems.add(place(table, key), where + ": unknown group \"" + name + "\"",
                             nearest(name, names_of(context.config.groups), "groups"));
    }
}

using Waits = const std::vector<std::string>& (*)(const Group& group);

// Does waiting, followed from group to group, come back to where it began?
bool waits_for_itself(const Config& config, const Group& start, Waits waits) {
    std::set<std::string> seen;
    std::vector<std::string> open = waits(start);
    while (!open.empty()) {
        const std::string name = open.back();
        open.pop_back();
        if (name == start.name) return true;
        const Group* group = config.group(name);
        if (group == nullptr || !seen.insert(name).second) continue;
        open.insert(open.end(), waits(*group).begin(), waits(*group).end());
    }
    return false;
}

void check_cycle(const Item& table, const char* key, const Group& group, Waits waits, ReadContext& context) {
    if (!waits_for_itself(context.config, group, waits)) return;
    context.problems.add(place(table, key), "group " + group.name + " waits for itself, through the " + key + " of others",
                         "break the circle");
}

}  // namespace

Values read_nested(const Item& table, const Section& section, const std::string& where, Problems& problems) {
    const Item* nested = read_table(table, section.title, where, problems);
    Item absent;
    absent.at = table.at;
    if (nested == nullptr) nested = &absent;
    const std::string label = where + ": " + std::string(section.title);
    check_unknown(*nested, section.keys, label, problems);
    return read_values(*nested, section.keys, label, problems);
}

std::vector<NodeId> nodes_named(const Item& table, const Values& values, std::string_view key, const std::string& where,
                                ReadContext& context) {
    const auto names = names_of(context.config.nodes);
    std::vector<NodeId> nodes;
    for (const std::string& name : values.list(key)) {
        const Node* node = context.config.node(name);
        if (node != nullptr) {
            nodes.push_back(node->id);
        } else {
            context.problems.add(place(table, key, name),
                                 std::string(where).append(": unknown node \"").append(name) + "\"",
                                 nearest(name, names, "nodes"));
        }
    }
    const Entry* list = table.find(key);
    if (list != nullptr && list->value.kind == Item::Kind::kList && list->value.list.empty())
        context.problems.add(list->value.at, where + ": nodes names nothing", "remove the key to allow every node");
    return nodes;
}

void read_server_groups(const Item& root, ReadContext& context) {
    const auto tables = read_tables(root, "server_group", server_group_section().title, context.problems);
    check_count(tables, kMaxServerGroups, "server groups", context.problems);
    NameBook names("server group");
    for (const Item* table : tables) read_server_group(*table, names, context);
}

void read_exclusive_rules(const Item& root, ReadContext& context) {
    const Section& section = exclusive_rule_section();
    const auto tables = read_tables(root, "exclusive_rule", section.title, context.problems);
    check_count(tables, kMaxExclusiveRules, "exclusive rules", context.problems);
    NameBook names("exclusive rule");
    for (const Item* table : tables) {
        const std::string where = label(section.title, *table);
        check_unknown(*table, section.keys, section.title, context.problems);
        const Values values = read_values(*table, section.keys, where, context.problems);
        names.claim(values.text("name"), place(*table, "name"), context.problems);
        check_named_groups(*table, "groups", values.list("groups"), where, context);
        context.config.exclusive_rules.push_back(
            {values.text("name"), values.text("kind") == "absolute", values.list("groups")});
    }
}

void read_placement(const Item& table, const Values& values, const std::string& where, Group& group,
                    ReadContext& context) {
    group.kind = values.text("kind") == "management" ? GroupKind::kManagement : GroupKind::kFailover;
    group.start = values.text("start") == "auto" ? StartAttribute::kAuto : StartAttribute::kManual;
    group.failover = failover_of(values.text("failover"));
    group.failback = values.text("failback") == "auto";
    group.forced_failover = values.boolean("forced_failover");
    group.smart_failover = values.boolean("smart_failover");
    group.server_groups = values.list("server_groups");
    group.server_group_policy = policy_of(values.text("server_group_policy"));
    group.check_both_active = values.boolean("check_both_active");
    group.exclusion = values.text("exclusion") == "data" ? ExclusionKind::kData : ExclusionKind::kStrict;
    group.nodes = !group.server_groups.empty()       ? nodes_of_server_groups(table, where, group, context)
                  : table.find("nodes") == nullptr ? every_node(context.config)
                                                   : nodes_named(table, values, "nodes", where, context);
    check_dynamic(table, where, group, context);
    read_waits(table, where, group, context);
}

void check_waits(const std::vector<const Item*>& tables, ReadContext& context) {
    for (size_t i = 0; i < tables.size(); ++i) {
        const Group& group = context.config.groups[i];
        const std::string where = label(group_section().title, *tables[i]);
        check_named_groups(*tables[i], "start_wait", group.start_wait.groups, where, context);
        check_named_groups(*tables[i], "stop_wait", group.stop_wait.groups, where, context);
        check_cycle(*tables[i], "start_wait", group,
                    [](const Group& g) -> const std::vector<std::string>& { return g.start_wait.groups; }, context);
        check_cycle(*tables[i], "stop_wait", group,
                    [](const Group& g) -> const std::vector<std::string>& { return g.stop_wait.groups; }, context);
    }
}

}  // namespace kagami::config
