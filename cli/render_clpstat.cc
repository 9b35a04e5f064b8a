#include <fmt/format.h>

#include "cli/render.h"
#include "cli/render_clpstat.h"

namespace kagami::cli {
namespace {

// The colon stands in this column; a status is padded to this width before a comment.
constexpr size_t kColon = 20;
constexpr size_t kStatusWidth = 17;

std::string without_trailing_spaces(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string row(const std::string& before_colon, const std::string& state, const std::string& comment) {
    return without_trailing_spaces(before_colon + ": " + fmt::format("{:<{}}{}", state, kStatusWidth, comment));
}

std::string cut(const std::string& name, size_t limit, bool long_names) {
    return long_names ? name : name.substr(0, limit);
}

// "  *node1 ...........": server and group names, padded with dots.
std::string dotted(char mark, const std::string& name, bool long_names) {
    std::string text = std::string("  ") + mark + cut(name, 16, long_names) + " ";
    return text.append(text.size() < kColon ? kColon - text.size() : 0, '.');
}

std::string spaced(size_t indent, const std::string& name, bool long_names) {
    std::string text = std::string(indent, ' ') + cut(name, kColon - indent - 1, long_names);
    return text.append(text.size() < kColon ? kColon - text.size() : 1, ' ');
}

std::string path_state(const pb::Status& status, const pb::Node& node, const std::string& network) {
    if (node.name() == status.answering_node() && node.paths().empty()) return own_heartbeat_state(status, network);
    for (const pb::Path& path : node.paths()) {
        if (path.network() == network) return path.state();
    }
    return "Unknown";
}

std::string witness_state(const pb::Status& status, const pb::Node& node) {
    if (node.name() == status.answering_node() || status.witness().state() == "Offline")
        return status.witness().state();
    return node.witness_state().empty() ? "Unknown" : node.witness_state();
}

std::string servers(const pb::Status& status, bool long_names) {
    const auto networks = heartbeat_networks(status);
    std::string text = " <server>\n";
    for (const pb::Node& node : status.nodes()) {
        const char mark = node.name() == status.answering_node() ? '*' : ' ';
        text += row(dotted(mark, node.name(), long_names), node.state(), node.comment());
        for (size_t i = 0; i < networks.size(); ++i) {
            text += row(spaced(5, fmt::format("lanhb{}", i + 1), long_names), path_state(status, node, networks[i]),
                        "LAN Heartbeat");
        }
        if (status.has_witness())
            text += row(spaced(5, "witnesshb1", long_names), witness_state(status, node), "Witness Heartbeat");
    }
    return text;
}

std::string groups(const pb::Status& status, bool long_names) {
    std::string text = " <group>\n";
    for (const pb::Group& group : status.groups()) {
        text += row(dotted(' ', group.name(), long_names), group.state(), group.comment());
        text += row(spaced(5, "current", long_names), group.current_node().empty() ? "None" : group.current_node(), "");
        for (const pb::Resource& resource : group.resources()) {
            text += row(spaced(5, resource.name(), long_names), resource.state(),
                        resource.comment().empty() ? resource.detail() : resource.comment());
        }
    }
    return text;
}

std::string monitors(const pb::Status& status, bool long_names) {
    std::string text = " <monitor>\n";
    for (const pb::Monitor& monitor : status.monitors())
        text += row(spaced(3, monitor.name(), long_names), monitor.state(), monitor.comment());
    return text;
}

}  // namespace

std::vector<std::string> heartbeat_networks(const pb::Status& status) {
    for (const pb::Node& node : status.nodes()) {
        std::vector<std::string> networks;
        for (const pb::Path& path : node.paths()) networks.push_back(path.network());
        if (!networks.empty()) return networks;
    }
    return {};
}

std::string own_heartbeat_state(const pb::Status& status, const std::string& network) {
    size_t good = 0;
    size_t all = 0;
    for (const pb::Node& node : status.nodes()) {
        for (const pb::Path& path : node.paths()) {
            if (path.network() != network) continue;
            ++all;
            if (path.state() == "Normal") ++good;
        }
    }
    if (good == all) return "Normal";
    return good > 0 ? "Caution" : "Error";
}

std::string render_clpstat(const pb::Status& status, bool long_names) {
    return clpstat_frame("CLUSTER STATUS") + " Cluster : " + status.cluster_name() + "\n" +
           servers(status, long_names) + groups(status, long_names) + monitors(status, long_names) + clpstat_end();
}

}  // namespace kagami::cli
