#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "cli/render_clpstat.h"

namespace kagami::cli {
namespace {

constexpr size_t kWidth = 69;

std::string rule() {
    return std::string(kWidth, '-') + "\n";
}

// o = online, x = offline, p = between the two, - = unknown
char mark_of(const std::string& state) {
    if (state == "Online" || state == "Caution" || state == "Normal") return 'o';
    if (state == "Offline" || state == "Error") return 'x';
    if (state == "Online Pending" || state == "Offline Pending") return 'p';
    return '-';
}

std::string server(int index) {
    return fmt::format("server{}", index);
}

// "*server0 : node1", the answering one marked.
std::string legend(const pb::Status& status) {
    std::string text = " Cluster : " + status.cluster_name() + "\n";
    for (int i = 0; i < status.nodes_size(); ++i) {
        const std::string& name = status.nodes(i).name();
        text += fmt::format("  {}{} : {}\n", name == status.answering_node() ? '*' : ' ', server(i), name);
    }
    return text;
}

const pb::MonitorOnNode* on_node(const pb::Monitor& monitor, const std::string& node) {
    for (const pb::MonitorOnNode& each : monitor.nodes())
        if (each.node() == node) return &each;
    return nullptr;
}

// A square for each server that observes: a line for each server, a column for each heartbeat or NP resource.
using CellOf = std::function<char(const pb::Node& observer, const pb::Node& target, size_t column)>;
std::string squares(const pb::Status& status, const std::string& heading, size_t columns, const CellOf& cell) {
    std::string text;
    for (int i = 0; i < status.nodes_size(); ++i) {
        text += fmt::format("\n [on {} : {}]\n  {:<12}", server(i), status.nodes(i).state(), heading);
        for (size_t column = 0; column < columns; ++column) text += fmt::format(" {}", column % 10);
        text += "\n" + rule();
        for (int j = 0; j < status.nodes_size(); ++j) {
            text += fmt::format("  {:<10} :", server(j));
            for (size_t column = 0; column < columns; ++column)
                text += fmt::format(" {}", cell(status.nodes(i), status.nodes(j), column));
            text += "\n";
        }
    }
    return text;
}

char path_mark(const pb::Paths& paths, const std::string& network, const std::string& from, const std::string& to) {
    for (const pb::Path& path : paths.paths()) {
        if (path.network() == network && path.from() == from && path.to() == to)
            return path.state() == "Caution" ? 'o' : mark_of(path.state());
    }
    return '-';
}

// A server knows its own way to the witness only.
char witness_mark(const pb::Status& status, const pb::Node& observer, const pb::Node& target) {
    if (observer.name() != target.name()) return '-';
    return mark_of(observer.name() == status.answering_node() ? status.witness().state() : observer.witness_state());
}

// Of the server that answers; what the arbitration of another one looks like from there, it alone knows.
char arbitration_mark(const pb::Status& status, const pb::Node& observer, const pb::Node& target) {
    if (observer.name() != target.name()) return '-';
    if (observer.name() == status.answering_node()) return mark_of(status.arbitration().state());
    return status.has_witness() ? mark_of(observer.witness_state()) : '-';
}

std::string partition_body(const pb::Status& status) {
    const std::string& option = status.arbitration().option();
    std::string text = fmt::format("   NP0 : {}\n", option.empty() ? "unknown" : option);
    return text + squares(status, "NP", 1, [&](const pb::Node& observer, const pb::Node& target, size_t) {
               return arbitration_mark(status, observer, target);
           });
}

}  // namespace

// The captures have the title three columns to the left of the middle.
std::string clpstat_frame(const std::string& title) {
    const size_t width = title.size() + 4;
    const size_t left = (kWidth - 3 - width) / 2;
    return std::string(left, '=') + "  " + title + "  " + std::string(kWidth - left - width, '=') + "\n";
}

std::string clpstat_end() {
    return std::string(kWidth, '=') + "\n";
}

std::string render_clpstat_groups(const pb::Status& status) {
    std::string text = clpstat_frame("GROUPMAP INFORMATION") + legend(status) + rule();
    for (int i = 0; i < status.nodes_size(); ++i) {
        text += fmt::format("   {} [{}] :", server(i), mark_of(status.nodes(i).state()));
        for (const pb::Group& group : status.groups()) {
            if (group.current_node() == status.nodes(i).name())
                text += fmt::format(" {}[{}]", group.name(), mark_of(group.state()));
        }
        text += "\n";
    }
    return text + clpstat_end();
}

std::string render_clpstat_monitors(const pb::Status& status) {
    std::string text = clpstat_frame("MONITOR RESOURCE STATUS") + legend(status);
    for (int i = 0; i < status.monitors_size(); ++i) {
        const pb::Monitor& monitor = status.monitors(i);
        text += fmt::format("\n Monitor{} [{} : {}]\n", i, monitor.name(), monitor.state()) + rule();
        for (int j = 0; j < status.nodes_size(); ++j) {
            const pb::MonitorOnNode* found = on_node(monitor, status.nodes(j).name());
            text += fmt::format("   {} [{}] : {}\n", server(j), mark_of(status.nodes(j).state()),
                                found != nullptr ? found->state() : "Unknown");
        }
    }
    return text + clpstat_end();
}

std::string render_clpstat_heartbeats(const pb::Status& status, const pb::Paths& paths) {
    const auto networks = heartbeat_networks(status);
    std::string text = clpstat_frame("HEARTBEAT RESOURCE STATUS") + legend(status);
    for (size_t i = 0; i < networks.size(); ++i) text += fmt::format("   HB{} : lanhb{}\n", i, i + 1);
    if (status.has_witness()) text += fmt::format("   HB{} : witnesshb1\n", networks.size());
    const CellOf cell = [&](const pb::Node& observer, const pb::Node& target, size_t column) {
        if (column == networks.size()) return witness_mark(status, observer, target);
        if (observer.name() == target.name()) return mark_of(observer.state());
        return path_mark(paths, networks[column], observer.name(), target.name());
    };
    return text + squares(status, "HB", networks.size() + (status.has_witness() ? 1 : 0), cell) + clpstat_end();
}

std::string render_clpstat_partition(const pb::Status& status) {
    return clpstat_frame("NETWORK PARTITION RESOLUTION STATUS") + legend(status) + partition_body(status) +
           clpstat_end();
}

std::string render_clpstat_fencing(const pb::Status& status) {
    std::string text = clpstat_frame("FENCING STATUS") + legend(status) + partition_body(status);
    text +=
        fmt::format("\n Forced stop [guard of {} : {}]\n", status.answering_node(), status.guard().state()) + rule();
    text += fmt::format("   Watchdog           : {}\n", status.guard().watchdog());
    const std::string& outlook = status.arbitration().message();
    if (!outlook.empty()) text += fmt::format("   If a server fails  : {}\n", outlook);
    return text + clpstat_end();
}

pb::Status only_local(const pb::Status& status) {
    pb::Status own = status;
    const std::string& name = status.answering_node();
    auto& nodes = *own.mutable_nodes();
    nodes.erase(std::remove_if(nodes.begin(), nodes.end(), [&](const pb::Node& each) { return each.name() != name; }),
                nodes.end());
    for (const std::string& network : heartbeat_networks(status)) {
        if (nodes.empty()) break;
        pb::Path& path = *nodes[0].add_paths();
        path.set_network(network);
        path.set_state(own_heartbeat_state(status, network));
    }
    auto& groups = *own.mutable_groups();
    groups.erase(std::remove_if(groups.begin(), groups.end(),
                                [&](const pb::Group& each) { return each.current_node() != name; }),
                 groups.end());
    auto& monitors = *own.mutable_monitors();
    monitors.erase(std::remove_if(monitors.begin(), monitors.end(),
                                  [&](const pb::Monitor& each) { return on_node(each, name) == nullptr; }),
                   monitors.end());
    return own;
}

}  // namespace kagami::cli
