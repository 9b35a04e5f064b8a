#include "common/config/reader.h"

#include <algorithm>
#include <array>

#include "common/config/bundle.h"
#include "common/config/reader_parts.h"

namespace kagami::config {
namespace {

constexpr size_t kMaxNodes = 32;
constexpr size_t kMaxNetworks = 16;

struct Profile {
    std::string_view name;
    TimingInputs timing;
};
// The table of protocol.md 4.
constexpr std::array<Profile, 5> kProfiles = {{{"test", {300ms, 200ms, 100ms, 0s}},
                                               {"fast", {500ms, 2s, 1s, 0s}},
                                               {"lan", {2s, 5s, 1s, 0s}},
                                               {"vm", {8s, 10s, 1s, 0s}},
                                               {"san", {80s, 60s, 1s, 5s}}}};

TimingInputs timing_of(const Values& values) {
    TimingInputs timing;
    for (const Profile& profile : kProfiles) {
        if (profile.name == values.text("profile")) timing = profile.timing;
    }
    if (values.has("lease")) timing.hold = values.duration("lease");
    if (values.has("watchdog")) timing.watchdog = values.duration("watchdog");
    if (values.has("reset")) timing.reset = values.duration("reset");
    if (values.has("io")) timing.io = values.duration("io");
    return timing;
}

void read_cluster(const Item& root, ReadContext& context) {
    const Section& section = cluster_section();
    if (root.find("cluster") == nullptr) {
        context.problems.add(root.at, "there is no [cluster]", "begin with [cluster] and name = \"...\"");
        return;
    }
    const Item* table = read_table(root, "cluster", "cluster.toml", context.problems);
    if (table == nullptr) return;
    check_unknown(*table, section.keys, section.title, context.problems);
    const Values values = read_values(*table, section.keys, section.title, context.problems);
    Config& config = context.config;
    config.cluster_name = values.text("name");
    config.comment = values.text("comment");
    config.profile = values.text("profile");
    config.timing = timing_of(values);
    config.startup_wait = values.duration("startup_wait");
    config.auto_return = values.boolean("auto_return");
    config.failovers_per_hour = static_cast<int>(values.integer("failovers_per_hour"));
    config.failover_latch = values.boolean("failover_latch");
    config.last_node_survives = values.boolean("last_node_survives");
    config.final_action_limit = static_cast<int>(values.integer("final_action_limit"));
    config.final_action_reset = values.duration("final_action_reset");
    config.minimum_memory_mib = static_cast<uint64_t>(values.integer("minimum_memory"));
    config.minimum_disk_mib = static_cast<uint64_t>(values.integer("minimum_disk"));
}

void read_networks(const Item& root, ReadContext& context) {
    const Section& section = network_section();
    const auto tables = read_tables(root, "network", section.title, context.problems);
    check_count(tables, kMaxNetworks, "networks", context.problems);
    NameBook names("network");
    for (const Item* table : tables) {
        const std::string where = label(section.title, *table);
        check_unknown(*table, section.keys, section.title, context.problems);
        const Values values = read_values(*table, section.keys, where, context.problems);
        names.claim(values.text("name"), place(*table, "name"), context.problems);
        const auto& use = values.list("use");
        const auto uses = [&](std::string_view word) { return std::find(use.begin(), use.end(), word) != use.end(); };
        if (use.empty())
            context.problems.add(place(*table, "use"), where + ": use names nothing", "remove the key or the network");
        context.config.networks.push_back({values.text("name"), uses("control"), uses("heartbeat"), uses("mirror")});
    }
    const auto& networks = context.config.networks;
    if (std::none_of(networks.begin(), networks.end(), [](const Network& n) { return n.control; })) {
        context.problems.add(root.at, "no network carries control",
                             "add [[network]] with a name; its default use is control and heartbeat");
    }
    if (std::none_of(networks.begin(), networks.end(), [](const Network& n) { return n.heartbeat; })) {
        context.problems.add(root.at, "no network carries heartbeats",
                             "add [[network]] with a name; its default use is control and heartbeat");
    }
}

// The addresses of a node or of the witness by network, each claimed for `owner`. A plain string stands under "".
std::map<std::string, std::string> read_addresses(const Item& item, const std::string& owner, ReadContext& context) {
    std::map<std::string, std::string> addresses;
    const auto read_one = [&](const std::string& network, const Item& value) {
        const auto address = value.kind == Item::Kind::kString ? canonical_address(value.text) : std::nullopt;
        if (address) {
            context.addresses.claim(*address, network.empty() ? owner : owner + " on " + network, value.at,
                                    context.problems);
            addresses[network] = *address;
        } else {
            context.problems.add(
                value.at, owner + ": the address" + (network.empty() ? "" : " on " + network) + " is not an IP address",
                "write it as \"10.77.1.1\" or \"fd00::1\", without a prefix length");
        }
    };
    if (item.kind != Item::Kind::kTable) {
        read_one("", item);
        return addresses;
    }
    std::vector<std::string_view> known;
    known.reserve(context.config.networks.size());
    for (const Network& network : context.config.networks) known.push_back(network.name);
    for (const Entry& entry : item.entries) {
        if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
            context.problems.add(entry.at, owner + ": unknown network \"" + entry.key + "\"",
                                 nearest(entry.key, known, "networks"));
        } else {
            read_one(entry.key, entry.value);
        }
    }
    return addresses;
}

void check_node_addresses(const Item& table, const Node& node, ReadContext& context) {
    for (const Network& network : context.config.networks) {
        const bool needed = network.control || network.heartbeat;
        if (!needed || node.address.contains(network.name) || network.name.empty()) continue;
        const Entry* given = table.find("address");
        if (given != nullptr && given->value.find(network.name) != nullptr) continue;  // reported as malformed
        context.problems.add(place(table, "address"),
                             "node " + node.name + " has no address on network " + network.name,
                             "add " + network.name + " = \"...\" to its address");
    }
}

void read_node(const Item& table, ReadContext& context, NameBook& names) {
    const Section& section = node_section();
    const std::string where = label(section.title, table);
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, where, context.problems);
    Node node;
    const auto position = static_cast<int64_t>(context.config.nodes.size() + 1);
    node.id = NodeId{static_cast<uint16_t>(values.has("id") ? values.integer("id") : position)};
    if (const Node* other = context.config.node(node.id); other != nullptr)
        context.problems.add(place(table, values.has("id") ? "id" : "name"),
                             where + " has the number " + std::to_string(node.id.value) + ", which " + other->name +
                                 " has already",
                             "give each node an id of its own; without one its position counts");
    node.name = values.text("name");
    node.comment = values.text("comment");
    names.claim(node.name, place(table, "name"), context.problems);
    if (node.name == "witness") {
        context.problems.add(place(table, "name"), "a node must not be called \"witness\"",
                             "that name means the witness server; choose another");
    }
    const Entry* address = table.find("address");
    if (address == nullptr) {
        context.problems.add(table.at, where + " has no \"address\"",
                             "add address = { " +
                                 (context.config.networks.empty() ? "net1" : context.config.networks.front().name) +
                                 " = \"...\" }");
    } else if (address->value.kind != Item::Kind::kTable) {
        context.problems.add(address->value.at, where + ": address must be a table",
                             "write address = { NETWORK = \"...\" }");
    } else {
        node.address = read_addresses(address->value, "node " + node.name, context);
        check_node_addresses(table, node, context);
    }
    context.config.nodes.push_back(std::move(node));
}

// Heartbeats do not cross address families.
void check_families(const std::vector<const Item*>& tables, ReadContext& context) {
    const auto is_v6 = [](const std::string& address) { return address.find(':') != std::string::npos; };
    for (const Network& network : context.config.networks) {
        const Node* first = nullptr;
        for (size_t i = 0; i < tables.size(); ++i) {
            const Node& node = context.config.nodes[i];
            const auto own = node.address.find(network.name);
            if (own == node.address.end()) continue;
            if (first == nullptr) first = &node;
            if (is_v6(own->second) == is_v6(first->address.at(network.name))) continue;
            context.problems.add(place(*tables[i], "address"),
                                 "network " + network.name + ": " + first->name + " and " + node.name +
                                     " have addresses of different families",
                                 "use IPv4 for all nodes of a network, or IPv6 for all");
        }
    }
}

void read_nodes(const Item& root, ReadContext& context) {
    const auto tables = read_tables(root, "node", node_section().title, context.problems);
    check_count(tables, kMaxNodes, "nodes", context.problems);
    NameBook names("node");
    for (const Item* table : tables) read_node(*table, context, names);
    check_families(tables, context);
    if (tables.size() < 2) {
        context.problems.add(
            root.at,
            "a cluster needs 2 to 32 nodes, here " + (tables.empty() ? std::string("is none") : std::string("is one")),
            "add [[node]] with name and address");
    }
}

void read_witness(const Item& table, ReadContext& context) {
    const Section& section = witness_section();
    check_unknown(table, section.keys, section.title, context.problems);
    const Values values = read_values(table, section.keys, section.title, context.problems);
    if (values.text("kind") != "server") {
        context.problems.add(place(table, "kind"),
                             "a witness of kind \"" + values.text("kind") + "\" is not supported by this version",
                             "use kind = \"server\": kagami-witness on a third machine");
    }
    const Entry* address = table.find("address");
    if (address == nullptr) {
        context.problems.add(table.at, "the witness has no \"address\"", "add address = \"...\"");
    } else {
        context.config.arbitration.witness_address = read_addresses(address->value, "the witness", context);
    }
}

void check_option(const Item& table, bool listed, ReadContext& context) {
    const ArbitrationOption option = context.config.arbitration.option;
    const Position at = place(table, "option");
    switch (option) {
        case ArbitrationOption::kWitness:
            if (!listed)
                context.problems.add(at, "[arbitration]: option = \"witness\" without a witness",
                                     "add witness = [{ kind = \"server\", address = \"...\" }]");
            break;
        case ArbitrationOption::kTie:
        case ArbitrationOption::kManual:
            if (listed) {
                context.problems.add(at,
                                     "[arbitration]: a witness is listed, but option = \"" + std::string(word(option)) +
                                         "\" does not use it",
                                     "write option = \"witness\" or remove the witness");
            }
            break;
        case ArbitrationOption::kFencing:
        case ArbitrationOption::kPing:
            context.problems.add(
                at, "[arbitration]: option \"" + std::string(word(option)) + "\" is not supported by this version",
                "use \"witness\", \"tie\" or \"manual\"");
            break;
    }
}

ArbitrationOption option_of(const std::string& text) {
    for (const auto option : {ArbitrationOption::kWitness, ArbitrationOption::kFencing, ArbitrationOption::kTie,
                              ArbitrationOption::kManual, ArbitrationOption::kPing}) {
        if (word(option) == text) return option;
    }
    return ArbitrationOption::kTie;
}

void read_arbitration(const Item& root, ReadContext& context) {
    const Section& section = arbitration_section();
    const Item* table = read_table(root, "arbitration", "cluster.toml", context.problems);
    if (table == nullptr) return;
    check_unknown(*table, section.keys, section.title, context.problems);
    const Values values = read_values(*table, section.keys, section.title, context.problems);
    const auto witnesses =
        read_tables(*table, "witness", "witness = [{ kind = \"server\", address = \"...\" }]", context.problems);
    check_count(witnesses, 1, "witness", context.problems);
    for (const Item* witness : witnesses) read_witness(*witness, context);
    const bool listed = table->find("witness") != nullptr;
    context.config.arbitration.option = values.has("option")
                                            ? option_of(values.text("option"))
                                            : (listed ? ArbitrationOption::kWitness : ArbitrationOption::kTie);
    check_option(*table, listed && !(witnesses.empty() && table->find("witness")->value.kind == Item::Kind::kList),
                 context);
}

void read_root(const Item& root, ReadContext& context) {
    check_unknown(root, root_keys(), "cluster.toml", context.problems);
    read_cluster(root, context);
    read_networks(root, context);
    read_nodes(root, context);
    read_arbitration(root, context);
    read_server_groups(root, context);
    read_groups(root, context);
    read_exclusive_rules(root, context);
    read_monitors(root, context);
    read_alerts(root, context);
}

}  // namespace

std::string to_string(const Problem& problem) {
    std::string text = problem.file + ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
                       problem.message;
    if (!problem.suggestion.empty()) text += "; " + problem.suggestion;
    return text;
}

std::string label(std::string_view title, const Item& table) {
    const Entry* name = table.find("name");
    const bool usable = name != nullptr && name->value.kind == Item::Kind::kString && valid_name(name->value.text);
    return std::string(title) + (usable ? " " + name->value.text : "");
}

void check_count(const std::vector<const Item*>& tables, size_t limit, std::string_view plural, Problems& problems) {
    if (tables.size() <= limit) return;
    problems.add(tables[limit]->at,
                 std::to_string(tables.size()) + " " + std::string(plural) + " are more than the limit of " +
                     std::to_string(limit),
                 "remove some");
}

Parsed parse(std::string_view text, const std::string& file_name, const TypeCatalogue& types,
             const std::set<std::string>* stored_scripts) {
    Problems problems(file_name);
    if (text.size() > kMaxBundleBytes) {
        problems.add({1, 1}, "the file is larger than 1 MiB", "");
        return {std::nullopt, problems.take()};
    }
    const auto root = parse_toml(text);
    if (!root) {
        problems.add(root.error().at, "not valid TOML: " + root.error().message, "");
        return {std::nullopt, problems.take()};
    }
    Config config;
    ReadContext context{types, stored_scripts, problems, config, {}, {}};
    read_root(*root, context);
    Parsed parsed{std::nullopt, problems.take()};
    if (parsed.problems.empty()) parsed.config = std::move(config);
    return parsed;
}

}  // namespace kagami::config
