// The input of a status read once, for the questions that every part of it asks; and the words of docs/glossary.md.
// Internal to the status: status_builder.h is its face.
//   status_nodes.cc   nodes, paths, witness, votes    status_groups.cc    groups and resources
//   status_alerts.cc  what a person should know       status_monitors.cc  monitors
//   status_why.cc     `kagami why`
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cluster-daemon/engine/pending.h"
#include "cluster-daemon/engine/placement.h"
#include "cluster-daemon/runtime/daemon/status_builder.h"

namespace kagami::control::v1 {
class Group;
class Maintenance;
class Monitor;
class Node;
class Path;
}  // namespace kagami::control::v1

namespace kagami::runtime {

class View {
 public:
    explicit View(const StatusInput& input);
    // The rules refer to the view itself.
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    std::string name(NodeId id) const { return id == kNobody ? std::string() : config.node_name(id); }
    bool is_self(NodeId id) const { return id == in.snapshot.self.node; }
    const engine::Document& document() const { return in.snapshot.document; }
    bool heard(NodeId id) const;
    const engine::NodeReport* report(NodeId id) const;    // null: not heard, or none yet
    const engine::Heartbeat* heartbeat(NodeId id) const;  // of another node; null: not heard
    const engine::GroupEntry* entry(const std::string& group) const;
    const engine::MonitorEntry* monitor_entry(const std::string& monitor) const;
    const engine::GroupReport* group_report(const std::string& group, NodeId node) const;
    // The report that says most about the group now: of its owner, else of where it failed or last ran.
    const engine::GroupReport* telling_report(const std::string& group) const;
    // Whether the group may run on the node, by the leader's own rules and as far as this node knows.
    engine::Candidate judge(const config::Group& group, NodeId node) const;
    // What the group waits for, by the same rules.
    std::optional<engine::Pending> pending(const config::Group& group) const;

    const StatusInput& in;
    const config::Config& config;

 private:
    const engine::PolicyInput& rules() const;
    engine::PolicyInput make_rules() const;
    engine::Heartbeat own_heartbeat() const;

    mutable std::optional<engine::PolicyInput> rules_;  // made when they are first asked: they hold every report
};

const char* word(engine::ResourceState state);
const char* word(engine::GroupState state);
const char* word(engine::MonitorState state);
const char* word_on_node(engine::MonitorState state);  // expresscluster.md 4.4
const char* word(engine::NodeState state);
const char* word(engine::MaintenanceKind kind);

std::string node_state(const View& view, NodeId id);
std::string node_message(const View& view, NodeId id);
std::string group_state(const View& view, const config::Group& group);
std::string group_message(const View& view, const config::Group& group);
std::string group_situation(const View& view, const config::Group& group);  // "Online on node2"
// "waits for group ups to start"; empty when it does not wait.
std::string group_waiting(const View& view, const config::Group& group);
std::string cluster_state(const View& view);
std::string failover_state(const View& view);  // "Active", "Disabled", "Latched", "Pending"
std::string failover_why(const View& view);
void fill_maintenance(const engine::Maintenance& from, control::v1::Maintenance& out);

void fill_path(const View& view, const PathView& path, control::v1::Path& out);
void fill_nodes(const View& view, control::v1::Status& status);
void fill_groups(const View& view, control::v1::Status& status);
void fill_mirrors(const View& view, control::v1::Status& status);
void fill_monitor(const View& view, const config::Monitor& monitor, control::v1::Monitor& out);
// Last: from the finished status.
void fill_alerts(const View& view, control::v1::Status& status);

}  // namespace kagami::runtime
