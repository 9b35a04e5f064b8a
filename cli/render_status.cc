#include <fmt/format.h>

#include "cli/render.h"
#include "cli/table.h"

namespace kagami::cli {
namespace {

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

std::string rtt_text(double milliseconds) {
    return milliseconds < 0 ? "-" : fmt::format("{:.2f} ms", milliseconds);
}

std::string note_line(size_t indent, const std::string& message, bool colour) {
    return std::string(indent, ' ') + paint(colour, Tone::kDim, "-> " + message);
}

std::string heading(const pb::Status& status, bool colour) {
    std::string text = "Cluster " + paint(colour, Tone::kStrong, status.cluster_name()) + "  ";
    text += paint(colour, tone_of(status.cluster_state()), status.cluster_state());
    const std::string quorum = status.quorum() ? "yes" : "no";
    text += "  quorum " + paint(colour, tone_of(quorum), quorum);
    text += "  leader " + or_dash(status.leader());
    text += fmt::format("  configuration {}", status.configuration_version());
    return text + "  seen from " + or_dash(status.answering_node()) + "\n";
}

// "net1 0.31 ms, net2 Error"
std::string paths_text(const google::protobuf::RepeatedPtrField<pb::Path>& paths) {
    std::string text;
    for (const pb::Path& path : paths) {
        if (!text.empty()) text += ", ";
        text += path.network() + " " + (path.state() == "Normal" ? rtt_text(path.rtt_ms()) : path.state());
        if (path.loss_percent() >= 1) text += fmt::format(" ({:.0f} % lost)", path.loss_percent());
    }
    return text;
}

std::string flags_text(const pb::Status& status, const pb::Node& node) {
    std::string text = node.name() == status.leader() ? "leader" : "";
    for (const std::string& flag : node.flags()) text += (text.empty() ? "" : ", ") + flag;
    return text;
}

void add_node_notes(Table& table, const pb::Node& node, bool colour) {
    const auto note = [&](const std::string& text) { table.note(note_line(4, text, colour)); };
    if (!node.message().empty()) note(node.message());
    if (node.reserved_left_ms() > 0 && node.message().empty()) note("its groups wait for it for another " + left_text(node.reserved_left_ms()));
    if (node.final_actions() > 0) {
        const std::string limit =
            node.final_actions_limit() > 0 ? fmt::format(" of {}", node.final_actions_limit()) : "";
        note(fmt::format("ended {}{} times by a final action: kagami node clear-final-actions {}", node.final_actions(),
                         limit, node.name()));
    }
}

// Where a person has suspended it, or lets it fail: "on node1, node2".
std::string nodes_where(const pb::Monitor& monitor, bool (pb::MonitorOnNode::*is)() const) {
    std::string text;
    for (const pb::MonitorOnNode& on : monitor.nodes()) {
        if ((on.*is)()) text += (text.empty() ? "on " : ", ") + on.node();
    }
    return text;
}

void add_monitor_notes(Table& table, const pb::Monitor& monitor, bool colour) {
    const bool noteworthy = monitor.state() != "Normal" && !monitor.message().empty();
    if (noteworthy) table.note(note_line(4, monitor.message(), colour));
    const std::string suspended = nodes_where(monitor, &pb::MonitorOnNode::suspended);
    if (!suspended.empty())
        table.note(note_line(4, "suspended " + suspended + ": kagami monitor resume " + monitor.name(), colour));
    const std::string failing = nodes_where(monitor, &pb::MonitorOnNode::dummy_failure);
    if (!failing.empty())
        table.note(note_line(4, "made to fail " + failing + ": kagami monitor unfail " + monitor.name(), colour));
    const std::string late = nodes_where(monitor, &pb::MonitorOnNode::late);
    if (!late.empty()) table.note(note_line(4, "its last check took almost as long as it may " + late, colour));
}

std::string nodes_text(const pb::Status& status, bool colour) {
    Table table({"NODE", "STATE", "ROLE", "LEASE", "GUARD", "HEARTBEATS", "COMMENT"});
    for (const pb::Node& node : status.nodes()) {
        const bool local = node.name() == status.answering_node();
        const std::string lease =
            node.lease() ? (node.lease_left_ms() > 0 ? age_text(node.lease_left_ms()) : "yes") : "-";
        table.row({(local ? "* " : "  ") + node.name(), state_cell(node.state()), flags_text(status, node), lease,
                   node.armed() ? "armed" : "-", local ? "" : paths_text(node.paths()), node.comment()});
        add_node_notes(table, node, colour);
    }
    if (status.has_witness()) {
        const pb::Witness& witness = status.witness();
        table.row({"  witness", state_cell(witness.state()), fmt::format("weight {}", witness.weight()), "", "",
                   paths_text(witness.paths()), witness.address()});
        if (!witness.message().empty()) table.note(note_line(4, witness.message(), colour));
    }
    return table.print(colour);
}

std::string groups_text(const pb::Status& status, bool colour) {
    Table table({"GROUP", "TYPE", "STATE", "NODE", "CLASS", "SINCE", "COMMENT"});
    for (const pb::Group& group : status.groups()) {
        table.row({group.name(), "", state_cell(group.state()), or_dash(group.current_node()), group.safety_class(),
                   group.since_ms() < 0 ? "" : age_text(group.since_ms()), group.comment()});
        if (!group.message().empty()) table.note(note_line(4, group.message(), colour));
        if (!group.waiting().empty()) {
            const std::string lines = note_below(4, group.waiting(), colour);
            table.note(lines.substr(0, lines.size() - 1));
        }
        for (const pb::Resource& resource : group.resources()) {
            const std::string& about = resource.comment().empty() ? resource.detail() : resource.comment();
            table.row({"  " + resource.name(), resource.type(), state_cell(resource.state()), "", "", "", about});
            if (!resource.message().empty()) table.note(note_line(6, resource.message(), colour));
            if (resource.held())
                table.note(note_line(6, "stopped by a person: kagami resource start " + resource.name(), colour));
            for (const pb::Mirror& mirror : status.mirrors()) {
                if (mirror.name() == resource.name()) table.note("      " + mirror_line(mirror, colour));
            }
        }
    }
    return table.empty() ? "No groups are configured.\n" : table.print(colour);
}

std::string recovery_text(const pb::Recovery& used) {
    if (used.scripts() == 0 && used.restarts() == 0 && used.failovers() == 0) return "";
    const std::string scripts =
        used.scripts_limit() > 0 ? fmt::format("scripts {}/{}, ", used.scripts(), used.scripts_limit()) : "";
    return scripts + fmt::format("restarts {}/{}, failovers {}/{}", used.restarts(), used.restarts_limit(),
                                 used.failovers(), used.failovers_limit());
}

std::string monitors_text(const pb::Status& status, bool colour) {
    Table table({"MONITOR", "TYPE", "STATE", "TARGET", "RECOVERY"});
    for (const pb::Monitor& monitor : status.monitors()) {
        const std::string target = monitor.target().empty() ? monitor.group() : monitor.target();
        table.row({monitor.name(), monitor.type(), state_cell(monitor.state()), or_dash(target),
                   recovery_text(monitor.recovery())});
        add_monitor_notes(table, monitor, colour);
    }
    return table.empty() ? "" : "\n" + table.print(colour);
}

std::string guard_text(const pb::Status& status, bool colour) {
    const pb::Guard& guard = status.guard();
    if (guard.state().empty()) return "";
    std::string text =
        "Guard of " + status.answering_node() + ": " + paint(colour, tone_of(guard.state()), guard.state());
    if (!guard.watchdog().empty()) text += ", watchdog " + guard.watchdog();
    return text + (guard.message().empty() ? "" : ", " + guard.message()) + "\n";
}

std::string arbitration_text(const pb::Status& status, bool colour) {
    const pb::Arbitration& arbitration = status.arbitration();
    if (arbitration.option().empty()) return "";
    std::string text = "Arbitration: " + arbitration.option() + ", " +
                       paint(colour, tone_of(arbitration.state()), arbitration.state());
    text += fmt::format(", weight {} reachable, {} decide", arbitration.reachable_weight(), arbitration.majority());
    if (!arbitration.tie_holder().empty()) text += ", tie holder " + arbitration.tie_holder();
    text += "\n";
    return arbitration.message().empty() ? text : text + note_line(2, arbitration.message(), colour) + "\n";
}

std::string alerts_text(const pb::Status& status, bool colour) {
    std::string text;
    for (const pb::Alert& alert : status.alerts()) {
        text += paint(colour, tone_of(alert.severity()), alert.severity()) + " " + alert.subject() + ": " +
                alert.message() + "\n";
        if (!alert.remedy().empty()) text += note_line(2, alert.remedy(), colour) + "\n";
    }
    return text.empty() ? "" : "\n" + text;
}

std::string hint_text(const pb::Status& status, bool colour) {
    for (const pb::Group& group : status.groups()) {
        if (group.wanted() && group.state() != "Online") {
            return "\n" +
                   paint(colour, Tone::kDim,
                         "Why is group " + group.name() + " not Online? kagami why " + group.name()) +
                   "\n";
        }
    }
    return "";
}

}  // namespace

std::string render_status(const pb::Status& status, bool colour) {
    return heading(status, colour) + render_switches(status, colour) + "\n" + nodes_text(status, colour) + "\n" +
           groups_text(status, colour) + monitors_text(status, colour) + "\n" + arbitration_text(status, colour) +
           guard_text(status, colour) + alerts_text(status, colour) + hint_text(status, colour);
}

namespace {

// What persons have switched, and have to end.
void add_switched(const pb::Status& status, std::vector<std::string>& lines) {
    const std::string& failover = status.failover().state();
    if (!failover.empty() && failover != "Active") lines.push_back("failover is " + failover);
    if (status.has_maintenance()) lines.push_back("the cluster is in maintenance");
    if (status.has_unconfirmed())
        lines.push_back(fmt::format("configuration {} is not confirmed", status.unconfirmed().version()));
    for (const pb::Node& node : status.nodes()) {
        if (node.has_maintenance()) lines.push_back("node " + node.name() + " is in maintenance");
    }
    for (const pb::Group& group : status.groups()) {
        if (group.has_maintenance()) lines.push_back("group " + group.name() + " is in maintenance");
        for (const pb::Resource& resource : group.resources()) {
            if (resource.held()) lines.push_back("resource " + resource.name() + " is stopped by a person");
        }
    }
    for (const pb::Monitor& monitor : status.monitors()) {
        const std::string suspended = nodes_where(monitor, &pb::MonitorOnNode::suspended);
        if (!suspended.empty()) lines.push_back("monitor " + monitor.name() + " is suspended " + suspended);
        const std::string failing = nodes_where(monitor, &pb::MonitorOnNode::dummy_failure);
        if (!failing.empty()) lines.push_back("monitor " + monitor.name() + " is made to fail " + failing);
    }
}

}  // namespace

std::vector<std::string> shortcomings(const pb::Status& status) {
    std::vector<std::string> lines;
    if (!status.quorum()) lines.push_back("no quorum");
    add_switched(status, lines);
    for (const pb::Node& node : status.nodes()) {
        if (node.state() != "Online") lines.push_back("node " + node.name() + " is " + node.state());
    }
    for (const pb::Mirror& mirror : status.mirrors()) {
        if (mirror.state() != "Normal") lines.push_back("mirror " + mirror.name() + " is " + mirror.state());
    }
    const bool witness_away =
        status.has_witness() && status.witness().state() != "Normal" && status.witness().state() != "Unused";
    if (witness_away) lines.push_back("the witness is " + status.witness().state());
    for (const pb::Group& group : status.groups()) {
        if (group.wanted() && group.state() != "Online")
            lines.push_back("group " + group.name() + " is " + group.state());
    }
    for (const pb::Monitor& monitor : status.monitors()) {
        if (monitor.state() == "Error" || monitor.state() == "Caution")
            lines.push_back("monitor " + monitor.name() + " is " + monitor.state());
    }
    for (const pb::Alert& alert : status.alerts()) {
        if (alert.severity() != "INFO") lines.push_back(alert.subject() + ": " + alert.message());
    }
    return lines;
}

pb::Status offline_status(const config::Config& config) {
    pb::Status status;
    status.set_cluster_name(config.cluster_name);
    status.set_cluster_state("Offline");
    for (const config::Node& node : config.nodes) {
        pb::Node& out = *status.add_nodes();
        out.set_name(node.name);
        out.set_state("Offline");
        out.set_comment(node.comment);
        for (const config::Network& network : config.networks) {
            if (!network.heartbeat) continue;
            pb::Path& path = *out.add_paths();
            path.set_network(network.name);
            path.set_state("Offline");
        }
    }
    for (const config::Group& group : config.groups) {
        pb::Group& out = *status.add_groups();
        out.set_name(group.name);
        out.set_state("Offline");
        out.set_comment(group.comment);
        for (const config::Resource& resource : group.resources) {
            pb::Resource& each = *out.add_resources();
            each.set_name(resource.name);
            each.set_type(resource.type);
            each.set_state("Offline");
            each.set_comment(resource.comment);
        }
    }
    for (const config::Monitor& monitor : config.monitors) {
        pb::Monitor& out = *status.add_monitors();
        out.set_name(monitor.name);
        out.set_type(monitor.type);
        out.set_state("Offline");
        out.set_comment(monitor.comment);
    }
    if (!config.arbitration.witness_address.empty()) status.mutable_witness()->set_state("Offline");
    return status;
}

}  // namespace kagami::cli
