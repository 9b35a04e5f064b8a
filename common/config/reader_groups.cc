#include <algorithm>

#include "common/config/reader_parts.h"

namespace kagami::config {
namespace {

constexpr size_t kMaxGroups = 128;     // what the guard's page holds (guard_page.h)
constexpr size_t kMaxAddresses = 16;   // of a group, likewise
constexpr size_t kMaxUnits = 4;        // likewise
constexpr size_t kMaxResources = 128;  // of a group
constexpr size_t kMaxMonitors = 1024;
// What a driver needs around its scripts before the engine may give up on it.
constexpr Duration kScriptMargin = 10s;

FinalAction final_of(const Values& values) {
    for (const auto action : {FinalAction::kNone, FinalAction::kStay, FinalAction::kStopGroup,
                              FinalAction::kStopCluster, FinalAction::kStopAndShutdown, FinalAction::kStopAndReboot,
                              FinalAction::kSysrqPanic, FinalAction::kReset, FinalAction::kBmcReset,
                              FinalAction::kBmcPowerOff, FinalAction::kBmcPowerCycle, FinalAction::kBmcNmi,
                              FinalAction::kStopResource}) {
        if (word(action) == values.text("final")) return action;
    }
    return FinalAction::kNone;
}

std::vector<NodeId> ids_of(const std::vector<Node>& nodes) {
    std::vector<NodeId> ids;
    ids.reserve(nodes.size());
    for (const Node& node : nodes) ids.push_back(node.id);
    return ids;
}

int count_of(const Values& values, std::string_view key) {
    return static_cast<int>(values.integer(key));
}

const TypeDescription* find_type(const std::vector<TypeDescription>& types, const Item& table, const std::string& type,
                                 std::string_view kind, Problems& problems) {
    if (type.empty()) return nullptr;  // reported as missing
    std::vector<std::string_view> words;
    for (const TypeDescription& candidate : types) {
        if (candidate.word == type) return &candidate;
        words.push_back(candidate.word);
    }
    problems.add(place(table, "type"), "unknown " + std::string(kind) + " type \"" + type + "\"",
                 nearest(type, words, "known types"));
    return nullptr;
}

std::vector<Key> all_keys(const Section& section, std::span<const Key> own) {
    std::vector<Key> keys(section.keys.begin(), section.keys.end());
    keys.insert(keys.end(), own.begin(), own.end());
    return keys;
}

// The table as it holds on one node: the override's entries, then the others.
Item merged(const Item& table, const Item& override) {
    Item item = override;
    item.at = table.at;
    for (const Entry& entry : table.entries) {
        if (override.find(entry.key) == nullptr) item.entries.push_back(entry);
    }
    return item;
}

// The table of overrides of each node; reports unknown nodes and keys.
std::map<NodeId, const Item*> read_overrides(const Item& table, const std::vector<NodeId>& nodes,
                                             std::span<const Key> keys, const std::string& where,
                                             ReadContext& context) {
    std::map<NodeId, const Item*> overrides;
    const Item* all = read_table(table, "node", where, context.problems);
    if (all == nullptr) return overrides;
    std::vector<std::string_view> names;
    names.reserve(nodes.size());
    for (const NodeId node : nodes) names.push_back(context.config.node(node)->name);
    for (const Entry& entry : all->entries) {
        const auto known = std::find(names.begin(), names.end(), entry.key);
        if (known == names.end()) {
            context.problems.add(entry.at, where + ": node." + entry.key + " names no node of the group",
                                 nearest(entry.key, names, "nodes"));
        } else if (entry.value.kind != Item::Kind::kTable) {
            context.problems.add(entry.value.at, where + ": node." + entry.key + " must be a table",
                                 "write node." + entry.key + " = { ... }");
        } else {
            check_unknown(entry.value, keys, where + ": node." + entry.key, context.problems);
            overrides[nodes[static_cast<size_t>(known - names.begin())]] = &entry.value;
        }
    }
    return overrides;
}

// Reads the type's own keys for each node. With no node to read for, the table is still checked once.
std::map<NodeId, Values> read_own(const Item& table, const TypeDescription& type, const std::vector<NodeId>& nodes,
                                  const std::string& where, ReadContext& context) {
    const std::vector<Key> keys = keys_of(type.parameters);
    const auto overrides = read_overrides(table, nodes, keys, where, context);
    std::map<NodeId, Values> values;
    Values common;  // of the nodes without an override; read only if there are any, because it may lack what each
                    // override gives
    if (overrides.size() < nodes.size() || nodes.empty()) common = read_values(table, keys, where, context.problems);
    for (const NodeId node : nodes) {
        const auto own = overrides.find(node);
        values[node] =
            own == overrides.end() ? common : read_values(merged(table, *own->second), keys, where, context.problems);
    }
    return values;
}

Duration timeout_of(const Values& common, std::string_view key, const Resource& resource, std::string_view script_key) {
    if (common.has(key)) return common.duration(key);
    Duration longest = 0s;
    for (const auto& [node, values] : resource.values) {
        if (values.has(script_key)) longest = std::max(longest, values.duration(script_key) + kScriptMargin);
    }
    return longest > 0s ? longest : Duration(60s);
}

void check_lists(const Item& table, const TypeDescription& type, const Monitor& monitor, ReadContext& context) {
    for (const Parameter& parameter : type.parameters) {
        const Entry* given = table.find(parameter.name);
        const bool list = parameter.required && parameter.kind == ParameterKind::kStringList;
        if (!list || given == nullptr || given->value.kind != Item::Kind::kList || !given->value.list.empty()) continue;
        context.problems.add(given->value.at, "monitor " + monitor.name + ": " + std::string(parameter.name) + " is empty",
                             std::string(parameter.help));
    }
}

void check_recovery_script(const Item& table, const Monitor& monitor, ReadContext& context) {
    const MonitorRecovery& recovery = monitor.on_error;
    const bool needed = recovery.script > 0 || recovery.script_before_restart || recovery.script_before_failover ||
                        recovery.script_before_final;
    const std::string stored = "monitors/" + monitor.name + "/recovery.sh";
    if (!needed || context.stored_scripts == nullptr || context.stored_scripts->contains(stored)) return;
    context.problems.add(place(table, "on_error"),
                         "monitor " + monitor.name + ": the script " + stored + " is not stored with the configuration",
                         "put it at scripts/" + stored + " beside cluster.toml");
}

void claim_addresses(const Item& table, const Resource& resource, ReadContext& context) {
    for (const auto& [node, values] : resource.values) {
        if (!values.has("address")) continue;
        const std::string& text = values.text("address");
        const auto address = canonical_address(text.substr(0, text.find('/')));
        if (address)
            context.addresses.claim(*address, "resource " + resource.name, place(table, "address"), context.problems);
    }
}

void check_addresses(const Item& table, const Group& group, ReadContext& context) {
    const auto has_address = [](const Resource& resource) {
        return std::any_of(resource.values.begin(), resource.values.end(), [](const auto& each) { return each.second.has("address"); });
    };
    const auto count = static_cast<size_t>(std::count_if(group.resources.begin(), group.resources.end(), has_address));
    if (count <= kMaxAddresses) return;
    context.problems.add(table.at, "group " + group.name + " has " + std::to_string(count) + " floating addresses, more than the limit of " +
                                       std::to_string(kMaxAddresses) + " that the guard covers", "divide the group");
}

void check_units(const Item& table, const Group& group, ReadContext& context) {
    size_t count = 0;
    for (const Resource& resource : group.resources) {
        size_t most = 0;
        for (const auto& [node, values] : resource.values)
            if (values.has("units")) most = std::max(most, values.list("units").size());
        count += most;
    }
    if (count <= kMaxUnits) return;
    context.problems.add(table.at,
                         "group " + group.name + " has " + std::to_string(count) + " units, more than the limit of " +
                             std::to_string(kMaxUnits) + " that the guard covers",
                         "divide the group, or put the units under one slice and name that");
}

// Scripts around the steps of a resource.
void check_step_scripts(const Item& table, const Resource& resource, const std::string& who, const std::string& folder,
                        ReadContext& context) {
    if (context.stored_scripts == nullptr) return;
    const ResourceScripts& all = resource.scripts;
    for (const std::string* script : {&all.before_activation, &all.after_activation, &all.before_deactivation,
                                      &all.after_deactivation, &all.before_final}) {
        const std::string stored = folder + "/" + *script;
        if (script->empty() || script->starts_with('/') || context.stored_scripts->contains(stored)) continue;
        context.problems.add(place(table, "scripts"),
                             who + ": the script " + stored + " is not stored with the configuration",
                             "put it at scripts/" + stored + " beside cluster.toml, or name it by an absolute path");
    }
}

// `folder`: where the scripts of the object lie in the bundle, "web/nginx" or "monitors/check1".
void check_scripts(const Item& table, const TypeDescription& type, const std::map<NodeId, Values>& of_nodes,
                   const std::string& who, const std::string& folder, ReadContext& context) {
    if (context.stored_scripts == nullptr) return;
    for (const Parameter& parameter : type.parameters) {
        if (parameter.kind != ParameterKind::kScript) continue;
        for (const auto& [node, values] : of_nodes) {
            const std::string& script = values.text(parameter.name);
            const std::string stored = folder + "/" + script;
            if (script.empty() || script.starts_with('/') || context.stored_scripts->contains(stored)) continue;
            context.problems.add(place(table, parameter.name),
                                 who + ": the script " + stored + " is not stored with the configuration",
                                 "put it at scripts/" + stored + " beside cluster.toml, or name it by an absolute path");
        }
    }
}

Resource read_resource(const Item& table, const Group& group, ReadContext& context) {
    const Section& section = resource_section();
    const std::string where = label(section.title, table);
    const Values common = read_values(table, section.keys, where, context.problems);
    Resource resource;
    resource.type = common.text("type");
    resource.name = common.text("name");
    resource.comment = common.text("comment");
    resource.after = common.list("after");
    const Values start = read_nested(table, activation_failure_section(), where, context.problems);
    resource.on_activation_failure = {count_of(start, "retry"), count_of(start, "failover"), final_of(start)};
    const Values stop = read_nested(table, deactivation_failure_section(), where, context.problems);
    resource.on_deactivation_failure = {count_of(stop, "retry"), final_of(stop)};
    const Values scripts = read_nested(table, resource_scripts_section(), where, context.problems);
    resource.scripts = {scripts.text("before_activation"),   scripts.text("after_activation"),
                        scripts.text("before_deactivation"), scripts.text("after_deactivation"),
                        scripts.text("before_final"),        scripts.duration("timeout")};
    const TypeDescription* type =
        find_type(context.types.resources, table, resource.type, "resource", context.problems);
    if (type != nullptr) {
        check_unknown(table, all_keys(section, keys_of(type->parameters)),
                      std::string(section.title) + " of type " + resource.type, context.problems);
        resource.values = read_own(table, *type, group.nodes, where, context);
        claim_addresses(table, resource, context);
        context.mirrors.claim(table, group, resource, context.problems);
        check_scripts(table, *type, resource.values, "resource " + resource.name, group.name + "/" + resource.name, context);
        check_step_scripts(table, resource, "resource " + resource.name, group.name + "/" + resource.name, context);
    }
    resource.activate_timeout = timeout_of(common, "activate_timeout", resource, "start_timeout");
    resource.deactivate_timeout = timeout_of(common, "deactivate_timeout", resource, "stop_timeout");
    return resource;
}

// Replaces a missing `after` by the type's default, and checks a given one.
void resolve_after(const Item& table, Resource& resource, const Group& group, ReadContext& context) {
    const auto names = names_of(group.resources);
    if (table.find("after") == nullptr) {
        const auto& types = context.types.resources;
        const auto type =
            std::find_if(types.begin(), types.end(), [&](const TypeDescription& t) { return t.word == resource.type; });
        if (type == types.end()) return;
        for (const Resource& other : group.resources) {
            const bool earlier = std::find(type->after.begin(), type->after.end(), other.type) != type->after.end();
            if (earlier && other.name != resource.name) resource.after.push_back(other.name);
        }
        return;
    }
    for (const std::string& name : resource.after) {
        if (name == resource.name) {
            context.problems.add(place(table, "after", name), "resource " + resource.name + " cannot come after itself",
                                 "");
        } else if (std::find(names.begin(), names.end(), name) == names.end()) {
            context.problems.add(place(table, "after", name),
                                 "resource " + resource.name + ": after names \"" + name +
                                     "\", which is no resource of group " + group.name,
                                 nearest(name, names, "resources"));
        }
    }
    std::erase(resource.after, resource.name);
}

void read_group(const Item& table, NameBook& names, NameBook& resource_names, ReadContext& context) {
    const Section& section = group_section();
    const std::string where = label(section.title, table);
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, where, context.problems);
    Group group;
    group.name = values.text("name");
    group.comment = values.text("comment");
    names.claim(group.name, place(table, "name"), context.problems);
    if (group.name == "monitors" || group.name == "checks")
        context.problems.add(place(table, "name"), "a group must not be called \"" + group.name + "\"",
                             "scripts of monitors use that name; choose another");
    read_placement(table, values, where, group, context);
    const auto tables = read_tables(table, "resource", resource_section().title, context.problems);
    check_count(tables, kMaxResources, "resources of a group", context.problems);
    std::vector<Position> places;
    for (const Item* each : tables) {
        group.resources.push_back(read_resource(*each, group, context));
        resource_names.claim(group.resources.back().name, place(*each, "name"), context.problems);
        places.push_back(place(*each, "after"));
    }
    for (size_t i = 0; i < tables.size(); ++i) resolve_after(*tables[i], group.resources[i], group, context);
    check_order(group, places, context.problems);
    check_addresses(table, group, context);
    check_units(table, group, context);
    check_mirror_count(table, group, context.problems);
    context.config.groups.push_back(std::move(group));
}

struct Target {
    const Group* group = nullptr;
    const Resource* resource = nullptr;
};

Target find_target(const Config& config, const std::string& name) {
    for (const Group& group : config.groups) {
        for (const Resource& resource : group.resources) {
            if (resource.name == name) return {&group, &resource};
        }
    }
    return {};
}

void check_target_type(const Item& table, const TypeDescription& type, const std::string& where, const Target& target,
                       ReadContext& context) {
    const auto& allowed = type.target_types;
    if (allowed.empty() || std::find(allowed.begin(), allowed.end(), target.resource->type) != allowed.end()) return;
    std::string words;
    for (const std::string_view each : allowed) words += (words.empty() ? "" : ", ") + std::string(each);
    context.problems.add(place(table, "target"),
                         where + ": target \"" + target.resource->name + "\" is of type " + target.resource->type,
                         std::string(type.word) + " watches a resource of type " + words);
}

// Sets target and target_group, and reports what does not fit together.
void resolve_target(const Item& table, const TypeDescription* type, const std::string& where, Monitor& monitor,
                    ReadContext& context) {
    const auto groups = names_of(context.config.groups);
    std::vector<std::string_view> resources;
    for (const Group& group : context.config.groups) {
        for (const Resource& resource : group.resources) resources.push_back(resource.name);
    }
    if (!monitor.target_group.empty() && context.config.group(monitor.target_group) == nullptr) {
        context.problems.add(place(table, "group"), where + ": unknown group \"" + monitor.target_group + "\"",
                             nearest(monitor.target_group, groups, "groups"));
    }
    if (monitor.target.empty()) {
        const bool missing = type != nullptr && type->needs_target && table.find("target") == nullptr;
        if (missing)
            context.problems.add(table.at, where + " of type " + monitor.type + " needs a target",
                                 "add target = \"RESOURCE\"");
        return;
    }
    const Target target = find_target(context.config, monitor.target);
    if (target.resource == nullptr) {
        context.problems.add(place(table, "target"), where + ": unknown resource \"" + monitor.target + "\"",
                             nearest(monitor.target, resources, "resources"));
        return;
    }
    if (type != nullptr) check_target_type(table, *type, where, target, context);
    if (monitor.target_group.empty()) monitor.target_group = target.group->name;
    if (monitor.target_group != target.group->name) {
        context.problems.add(place(table, "group"),
                             where + ": target \"" + monitor.target + "\" is in group " + target.group->name +
                                 ", not in " + monitor.target_group,
                             "remove the key group");
    }
}

RecoveryTarget recovery_target(const Item& table, const Values& common, const std::string& where,
                               const Monitor& monitor, ReadContext& context) {
    const RecoveryTarget usual = !monitor.target.empty()         ? RecoveryTarget::kResource
                                 : !monitor.target_group.empty() ? RecoveryTarget::kGroup
                                                                 : RecoveryTarget::kAllGroups;
    if (!common.has("recover")) return usual;
    for (const auto target : {RecoveryTarget::kResource, RecoveryTarget::kGroup, RecoveryTarget::kAllGroups}) {
        if (word(target) != common.text("recover")) continue;
        if (target >= usual) return target;
        context.problems.add(place(table, "recover"), where + ": recover = \"" + std::string(word(target)) + "\" needs one",
                             target == RecoveryTarget::kResource ? "add target = \"RESOURCE\"" : "add group = \"GROUP\"");
    }
    return usual;
}

void read_monitor(const Item& table, NameBook& names, ReadContext& context) {
    const Section& section = monitor_section();
    const std::string where = label(section.title, table);
    const Values common = read_values(table, section.keys, where, context.problems);
    Monitor monitor;
    monitor.type = common.text("type");
    monitor.name = common.text("name");
    monitor.comment = common.text("comment");
    names.claim(monitor.name, place(table, "name"), context.problems);
    monitor.target = common.text("target");
    monitor.target_group = common.text("group");
    monitor.only_while_active = !monitor.target.empty();
    monitor.interval = common.duration("interval");
    monitor.timeout = common.duration("timeout");
    monitor.start_wait = common.duration("start_wait");
    monitor.retry = count_of(common, "retry");
    const Values error = read_nested(table, on_error_section(), where, context.problems);
    monitor.on_error = {count_of(error, "script"),
                        count_of(error, "restart"),
                        count_of(error, "failover"),
                        final_of(error),
                        error.boolean("script_before_restart"),
                        error.boolean("script_before_failover"),
                        error.boolean("script_before_final"),
                        error.duration("script_timeout")};
    check_recovery_script(table, monitor, context);
    monitor.retry_on_timeout = common.boolean("retry_on_timeout");
    monitor.recover_on_timeout = common.boolean("recover_on_timeout");
    monitor.delay_warning = count_of(common, "delay_warning");
    monitor.nice = count_of(common, "nice");
    const std::vector<NodeId> nodes = table.find("nodes") == nullptr
                                          ? ids_of(context.config.nodes)
                                          : nodes_named(table, common, "nodes", where, context);
    const TypeDescription* type = find_type(context.types.monitors, table, monitor.type, "monitor", context.problems);
    if (type != nullptr) {
        check_unknown(table, all_keys(section, keys_of(type->parameters)),
                      std::string(section.title) + " of type " + monitor.type, context.problems);
        monitor.values = read_own(table, *type, nodes, where, context);
        check_lists(table, *type, monitor, context);
        check_scripts(table, *type, monitor.values, "monitor " + monitor.name, "monitors/" + monitor.name, context);
    }
    resolve_target(table, type, where, monitor, context);
    monitor.recovery_target = recovery_target(table, common, where, monitor, context);
    context.config.monitors.push_back(std::move(monitor));
}

}  // namespace

void read_groups(const Item& root, ReadContext& context) {
    const auto tables = read_tables(root, "group", group_section().title, context.problems);
    check_count(tables, kMaxGroups, "groups", context.problems);
    NameBook names("group");
    NameBook resource_names("resource");
    for (const Item* table : tables) read_group(*table, names, resource_names, context);
    check_waits(tables, context);
}

void read_monitors(const Item& root, ReadContext& context) {
    const auto tables = read_tables(root, "monitor", monitor_section().title, context.problems);
    check_count(tables, kMaxMonitors, "monitors", context.problems);
    NameBook names("monitor");
    for (const Item* table : tables) read_monitor(*table, names, context);
    check_combined(tables, context.config.monitors, context.problems);
}

}  // namespace kagami::config
