#include "cluster-daemon/runtime/daemon/status_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster-daemon/runtime/daemon/status_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

void fill_guard(const View& view, proto::Status& status) {
    proto::Guard& out = *status.mutable_guard();
    const Duration left = view.in.snapshot.run_until - view.in.now;
    const bool lease = view.in.snapshot.run_until != Instant{} && left > Duration::zero();
    out.set_armed(view.in.guard.armed);
    out.set_watchdog(view.in.guard.watchdog);
    out.set_deadline_left_ms(lease ? milliseconds(left) : -1);
    out.set_state(!view.in.guard.alive ? "Off" : (lease ? "Normal" : "Suspended"));
    if (!view.in.guard.realtime) out.set_message("SCHED_FIFO is refused here");
}

// A path to a living node that nothing has come over yet, or that is not good.
const PathView* path_in_doubt(const View& view) {
    const auto at = std::find_if(view.in.paths.begin(), view.in.paths.end(), [&](const PathView& path) {
        return path.peer != kWitnessId && view.heard(path.peer) && !path.alive && path.last_seen < Duration::zero();
    });
    return at == view.in.paths.end() ? nullptr : &*at;
}

void fill_rules(const View& view, proto::Status& status) {
    for (const config::ServerGroup& group : view.config.server_groups) {
        proto::ServerGroup& out = *status.add_server_groups();
        out.set_name(group.name);
        for (const NodeId node : group.nodes) out.add_nodes(view.name(node));
    }
    for (const config::ExclusiveRule& rule : view.config.exclusive_rules) {
        proto::ExclusiveRule& out = *status.add_exclusive_rules();
        out.set_name(rule.name);
        out.set_kind(rule.absolute ? "absolute" : "normal");
        for (const std::string& group : rule.groups) out.add_groups(group);
    }
}

// What persons have set for a while.
void fill_operations(const View& view, proto::Status& status) {
    const engine::Document& document = view.document();
    status.mutable_failover()->set_state(failover_state(view));
    status.mutable_failover()->set_why(failover_why(view));
    if (document.maintenance.kind != engine::MaintenanceKind::kNone)
        fill_maintenance(document.maintenance, *status.mutable_maintenance());
    if (document.timeout_ratio.ratio != 1) {
        status.mutable_timeout_ratio()->set_ratio(document.timeout_ratio.ratio);
        status.mutable_timeout_ratio()->set_left_ms(int64_t{60'000} * document.timeout_ratio.minutes_left);
    }
    if (!document.unconfirmed) return;
    proto::Unconfirmed& out = *status.mutable_unconfirmed();
    out.set_version(document.config.version);
    out.set_previous_version(document.unconfirmed->previous.version);
    out.set_left_ms(int64_t{1000} * document.unconfirmed->seconds_left);
}

void fill_identity(const View& view, proto::Status& status) {
    const engine::Snapshot& snapshot = view.in.snapshot;
    status.set_cluster_name(view.config.cluster_name);
    status.set_cluster_uuid(to_string(snapshot.document.cluster));
    status.set_answering_node(view.name(snapshot.self.node));
    status.set_leader(view.name(snapshot.leader));
    status.set_epoch(to_string(snapshot.epoch));
    status.set_quorum(snapshot.quorum);
    status.set_document_version(to_string(snapshot.document.version));
    status.set_configuration_version(snapshot.document.config.version);
    status.set_configuration_hash(to_hex(snapshot.document.config.hash.data(), snapshot.document.config.hash.size()));
    status.set_profile(view.config.profile);
    status.set_cluster_state(cluster_state(view));
    status.set_binary_version(KAGAMI_VERSION);
    status.set_time_unix_ms(view.in.unix_ms);
    status.set_sequence(view.in.sequence);
}

}  // namespace

std::string cluster_state(const View& view) {
    if (view.document().cluster_stopped) return "Offline";
    return view.in.snapshot.startup_complete ? "Online" : "Starting";
}

std::string failover_state(const View& view) {
    const engine::FailoverSwitch& now = view.document().failover;
    if (!now.on) return now.latched ? "Latched" : "Disabled";
    return path_in_doubt(view) != nullptr ? "Pending" : "Active";
}

std::string failover_why(const View& view) {
    const engine::FailoverSwitch& now = view.document().failover;
    if (!now.on) return valid_utf8(now.why);
    const PathView* path = path_in_doubt(view);
    return path == nullptr ? std::string()
                           : fmt::format("the path to {} on network {} is still being checked", view.name(path->peer),
                                         path->network);
}

void fill_maintenance(const engine::Maintenance& from, proto::Maintenance& out) {
    out.set_kind(word(from.kind));
    out.set_left_ms(int64_t{60'000} * from.minutes_left);
}

void build_status(const StatusInput& input, proto::Status& status) {
    const View view(input);
    fill_identity(view, status);
    fill_nodes(view, status);
    fill_groups(view, status);
    fill_mirrors(view, status);
    for (const config::Monitor& monitor : view.config.monitors) fill_monitor(view, monitor, *status.add_monitors());
    fill_guard(view, status);
    fill_rules(view, status);
    fill_operations(view, status);
    fill_alerts(view, status);
}

std::map<std::string, std::string> group_situations(const StatusInput& input) {
    const View view(input);
    std::map<std::string, std::string> all;
    for (const config::Group& group : view.config.groups) all[group.name] = group_situation(view, group);
    return all;
}

void build_paths(const StatusInput& input, proto::Paths& paths) {
    const View view(input);
    paths.set_answering_node(view.name(input.snapshot.self.node));
    for (const config::Node& node : view.config.nodes) paths.add_nodes(node.name);
    if (view.document().voter(kWitnessId) != nullptr) paths.add_nodes(view.name(kWitnessId));
    for (const PathView& path : input.paths) fill_path(view, path, *paths.add_paths());
}

}  // namespace kagami::runtime
