// clpstat -i and the blocks of its single parts: configuration with the state of each object.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "cli/console.h"
#include "cli/render_clpstat.h"

namespace kagami::cli {
namespace {

using config::Config;

class Block {
 public:
    Block(const std::string& kind, size_t index, const std::string& name)
        : text_(fmt::format(" [{}{} : {}]\n", kind, index, name)) {}
    explicit Block(const std::string& title) : text_(" [" + title + "]\n") {}
    Block& row(const std::string& label, const std::string& value) {
        std::string line = fmt::format("  {:<34} : {}", label, value);
        line.erase(line.find_last_not_of(' ') + 1);
        text_ += line + "\n";
        return *this;
    }
    Block& row(const std::string& label, Duration value) { return row(label, config::format_duration(value)); }
    Block& number(const std::string& label, uint64_t value) { return row(label, std::to_string(value)); }
    Block& flag(const std::string& label, bool value) { return row(label, value ? "On" : "Off"); }
    Block& unless_empty(const std::string& label, const std::string& value) {
        return value.empty() ? *this : row(label, value);
    }
    const std::string& text() const { return text_; }

 private:
    std::string text_;
};

struct Scene {
    const pb::Status& status;
    const Config& config;
    bool detail;
    std::string wanted;  // the name asked for; empty = all
    bool wants(const std::string& name) const { return wanted.empty() || wanted == name; }
};

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}
std::string names_of(const Config& config, const std::vector<NodeId>& nodes) {
    std::vector<std::string> names;
    names.reserve(nodes.size());
    for (const NodeId node : nodes) names.push_back(config.node_name(node));
    return joined(names);
}
std::string word_of(bool yes, const char* then, const char* otherwise) {
    return yes ? then : otherwise;
}

template <typename Message>
const Message* find(const google::protobuf::RepeatedPtrField<Message>& all, const std::string& name) {
    const auto at = std::find_if(all.begin(), all.end(), [&](const Message& each) { return each.name() == name; });
    return at == all.end() ? nullptr : &*at;
}
template <typename Message>
std::string state_of(const google::protobuf::RepeatedPtrField<Message>& all, const std::string& name) {
    const Message* found = find(all, name);
    return found == nullptr ? "Unknown" : found->state();
}

// A value that is the same on every server has one line.
void add_values(Block& block, const Config& config, const std::map<NodeId, config::Values>& values) {
    if (values.empty()) return;
    const auto same = [&](const std::string& name) {
        const auto& first = values.begin()->second.all();
        return std::all_of(values.begin(), values.end(), [&](const auto& each) {
            const auto at = each.second.all().find(name);
            return at != each.second.all().end() && first.contains(name) && at->second == first.at(name);
        });
    };
    std::map<std::string, bool> names;
    for (const auto& [node, each] : values)
        for (const auto& [name, texts] : each.all()) names[name] = same(name);
    for (const auto& [name, alike] : names) {
        for (const auto& [node, each] : values) {
            const auto at = each.all().find(name);
            if (at == each.all().end()) continue;
            block.row(alike ? name : name + " (" + config.node_name(node) + ")", joined(at->second));
            if (alike) break;
        }
    }
}

std::string cluster_blocks(const Scene& scene) {
    const Config& config = scene.config;
    Block block("Cluster : " + config.cluster_name);
    block.row("Comment", config.comment).row("Status", scene.status.cluster_state());
    block.row("Profile", config.profile);
    block.number("Configuration Version", scene.status.configuration_version());
    if (!scene.detail) return block.text();
    block.row("Time without Contact until Loss", config.timing.hold).row("Watchdog Time-out", config.timing.watchdog);
    block.row("Server Sync Wait Time", config.startup_wait).flag("Automatic Return", config.auto_return);
    block.number("Failovers of a Group in an Hour", static_cast<uint64_t>(config.failovers_per_hour));
    block.flag("Failover Off after a Failover", config.failover_latch);
    block.flag("No Final Action on the Last Server", config.last_node_survives);
    block.number("Maximum Reboot Count", static_cast<uint64_t>(config.final_action_limit));
    block.row("Time until the Count is Reset", config.final_action_reset);
    block.row("Shutdown Monitoring Method", "guard, watchdog " + scene.status.guard().watchdog());
    return block.text();
}

std::string server_blocks(const Scene& scene) {
    std::string text;
    for (size_t i = 0; i < scene.config.nodes.size(); ++i) {
        const config::Node& node = scene.config.nodes[i];
        if (!scene.wants(node.name)) continue;
        Block block("Server", i, node.name);
        block.row("Comment", node.comment).row("Status", state_of(scene.status.nodes(), node.name));
        for (const auto& [network, address] : node.address) block.row("IP Address (" + network + ")", address);
        const pb::Node* live = find(scene.status.nodes(), node.name);
        if (scene.detail && live != nullptr) {
            block.number("Server Number", node.id.value);
            block.row("Member State", live->member_state()).row("Role", live->role());
            block.row("Server Group", live->server_group());
            block.row("Version", live->binary_version());
            block.row("Reboots by Final Actions",
                      fmt::format("{} (limit {})", live->final_actions(), live->final_actions_limit()));
        }
        text += block.text();
    }
    return text;
}

std::string heartbeat_blocks(const Scene& scene) {
    std::string text;
    size_t index = 0;
    for (const config::Network& network : scene.config.networks) {
        if (!network.heartbeat) continue;
        const std::string name = fmt::format("lanhb{}", index + 1);
        Block block("HB", index++, name);
        block.row("Type", "lanhb").row("Network", network.name);
        if (scene.detail) {
            for (const config::Node& node : scene.config.nodes) {
                const auto at = node.address.find(network.name);
                if (at != node.address.end()) block.row("IP Address (" + node.name + ")", at->second);
            }
            block.flag("Control Messages", network.control).flag("Mirror Disk Connect", network.mirror);
        }
        if (scene.wants(name) || scene.wants(network.name)) text += block.text();
    }
    const auto& witness = scene.config.arbitration.witness_address;
    if (witness.empty() || !scene.wants("witnesshb1")) return text;
    Block block("HB", index, "witnesshb1");
    block.row("Type", "witnesshb");
    for (const auto& [network, address] : witness)
        block.row(network.empty() ? "Target Host" : "Target Host (" + network + ")", address);
    return text + block.row("Status", scene.status.witness().state()).text();
}

std::string fencing_blocks(const Scene& scene) {
    const std::string option(config::word(scene.config.arbitration.option));
    std::string text;
    if (scene.wants(option)) {
        Block block("NP", 0, option);
        block.row("Type", option).row("Status", scene.status.arbitration().state());
        if (scene.detail) {
            block.number("Weight that decides", scene.status.arbitration().majority());
            for (const pb::Voter& voter : scene.status.arbitration().voters())
                block.row("Voter " + voter.name(), fmt::format("weight {}, {}", voter.weight(),
                                                               voter.reachable() ? "reachable" : "not reachable"));
            block.row("When a Server is lost", scene.status.arbitration().message());
        }
        text += block.text();
    }
    if (!scene.wants("guard")) return text;
    Block block("Forced Stop : guard");
    block.row("Type", "guard").row("Status", scene.status.guard().state());
    if (scene.detail) block.row("Watchdog", scene.status.guard().watchdog());
    return text + block.text();
}

std::string server_group_blocks(const Scene& scene) {
    std::string text;
    for (size_t i = 0; i < scene.config.server_groups.size(); ++i) {
        const config::ServerGroup& group = scene.config.server_groups[i];
        if (scene.wants(group.name))
            text += Block("Server Group", i, group.name).row("Servers", names_of(scene.config, group.nodes)).text();
    }
    return text;
}

void add_wait(Block& block, const std::string& kind, const std::vector<std::string>& groups, Duration timeout,
              config::WaitOutcome outcome) {
    if (groups.empty()) return;
    block.row(kind + " Wait", joined(groups)).row(kind + " Wait Time-out", timeout);
    block.row("After that Time-out", std::string(config::word(outcome)));
}

void add_group_detail(Block& block, const config::Group& group) {
    block.flag("Forced Failover", group.forced_failover).flag("Smart Failover", group.smart_failover);
    block.row("Server Groups", joined(group.server_groups));
    block.row("Server Group Policy", std::string(config::word(group.server_group_policy)));
    add_wait(block, "Start", group.start_wait.groups, group.start_wait.timeout, group.start_wait.on_timeout);
    add_wait(block, "Stop", group.stop_wait.groups, group.stop_wait.timeout, group.stop_wait.on_timeout);
    block.flag("Both-system Activation Check", group.check_both_active);
}

std::string group_blocks(const Scene& scene) {
    std::string text;
    for (size_t i = 0; i < scene.config.groups.size(); ++i) {
        const config::Group& group = scene.config.groups[i];
        if (!scene.wants(group.name)) continue;
        const pb::Group* live = find(scene.status.groups(), group.name);
        Block block("Group", i, group.name);
        block.row("Type", word_of(group.kind == config::GroupKind::kManagement, "management", "failover"));
        block.row("Comment", group.comment).row("Status", state_of(scene.status.groups(), group.name));
        block.row("Current", live == nullptr || live->current_node().empty() ? "None" : live->current_node());
        block.row("Startup Attribute", word_of(group.start == config::StartAttribute::kAuto, "Auto", "Manual"));
        block.row("Failover Attribute", std::string(config::word(group.failover)));
        block.row("Failback Attribute", word_of(group.failback, "Auto", "Manual"));
        block.row("Servers that can run the Group", names_of(scene.config, group.nodes));
        if (scene.detail) add_group_detail(block, group);
        text += block.text();
    }
    return text;
}

void add_resource_detail(Block& block, const Config& config, const config::Resource& resource) {
    block.row("Starts after", joined(resource.after));
    block.row("Activation Time-out", resource.activate_timeout);
    block.row("Deactivation Time-out", resource.deactivate_timeout);
    const auto& up = resource.on_activation_failure;
    block.number("Activation Retry Threshold", static_cast<uint64_t>(up.retry));
    block.number("Failover Threshold", static_cast<uint64_t>(up.failover));
    block.row("Activation Final Action", std::string(config::word(up.final)));
    const auto& down = resource.on_deactivation_failure;
    block.number("Deactivation Retry Threshold", static_cast<uint64_t>(down.retry));
    block.row("Deactivation Final Action", std::string(config::word(down.final)));
    add_values(block, config, resource.values);
}

std::string resource_blocks(const Scene& scene) {
    std::string text;
    size_t index = 0;
    for (const config::Group& group : scene.config.groups) {
        const pb::Group* live = find(scene.status.groups(), group.name);
        for (const config::Resource& resource : group.resources) {
            Block block("Resource", index++, resource.name);
            block.row("Type", resource.type).row("Comment", resource.comment).row("Group", group.name);
            block.row("Status", live == nullptr ? "Unknown" : state_of(live->resources(), resource.name));
            if (scene.detail) add_resource_detail(block, scene.config, resource);
            if (scene.wants(resource.name)) text += block.text();
        }
    }
    return text;
}

void add_monitor_detail(Block& block, const Config& config, const config::Monitor& monitor) {
    block.row("Monitor Timing", word_of(monitor.only_while_active, "Active", "Always"));
    block.row("Interval", monitor.interval).row("Time-out", monitor.timeout);
    block.row("Wait before the first Check", monitor.start_wait);
    block.number("Retry Count", static_cast<uint64_t>(monitor.retry));
    block.row("Recovery Target", std::string(config::word(monitor.recovery_target)));
    block.number("Recovery Script Threshold", static_cast<uint64_t>(monitor.on_error.script));
    block.number("Reactivation Threshold", static_cast<uint64_t>(monitor.on_error.restart));
    block.number("Failover Threshold", static_cast<uint64_t>(monitor.on_error.failover));
    block.row("Final Action", std::string(config::word(monitor.on_error.final)));
    add_values(block, config, monitor.values);
}

std::string monitor_blocks(const Scene& scene) {
    std::string text;
    for (size_t i = 0; i < scene.config.monitors.size(); ++i) {
        const config::Monitor& monitor = scene.config.monitors[i];
        if (!scene.wants(monitor.name)) continue;
        Block block("Monitor", i, monitor.name);
        block.row("Type", monitor.type).row("Comment", monitor.comment);
        block.unless_empty("Target", monitor.target).unless_empty("Group of the Target", monitor.target_group);
        block.row("Status", state_of(scene.status.monitors(), monitor.name));
        if (scene.detail) add_monitor_detail(block, scene.config, monitor);
        text += block.text();
    }
    return text;
}

std::string rule_blocks(const Scene& scene) {
    std::string text;
    for (size_t i = 0; i < scene.config.exclusive_rules.size(); ++i) {
        const config::ExclusiveRule& rule = scene.config.exclusive_rules[i];
        if (!scene.wants(rule.name)) continue;
        text += Block("Exclusive Rule", i, rule.name)
                    .row("Exclusive Attribute", word_of(rule.absolute, "Absolute", "Normal"))
                    .row("Groups", joined(rule.groups))
                    .text();
    }
    return text;
}

std::string blocks_of(ClpPart part, const Scene& scene) {
    switch (part) {
        case ClpPart::kCluster: return cluster_blocks(scene);
        case ClpPart::kServers: return server_blocks(scene);
        case ClpPart::kHeartbeats: return heartbeat_blocks(scene);
        case ClpPart::kFencing: return fencing_blocks(scene);
        case ClpPart::kServerGroups: return server_group_blocks(scene);
        case ClpPart::kGroups: return group_blocks(scene);
        case ClpPart::kResources: return resource_blocks(scene);
        case ClpPart::kMonitors: return monitor_blocks(scene);
        case ClpPart::kExclusiveRules: return rule_blocks(scene);
    }
    return "";
}

}  // namespace

Result<std::string> render_clpstat_information(const ClpQuestion& question, const pb::Status& status,
                                               const Config& config) {
    std::string text = clpstat_frame("CLUSTER INFORMATION");
    for (const auto& [part, name] : question.parts) {
        const std::string blocks = blocks_of(part, {status, config, question.detail, name});
        if (blocks.empty() && !name.empty())
            return fail(ErrorCode::kNotFound, "clpstat: there is no \"" + name + "\"", "see clpstat -i");
        text += blocks;
    }
    return text + clpstat_end();
}

}  // namespace kagami::cli
