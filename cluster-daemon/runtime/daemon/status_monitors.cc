// Monitors: what each node says of them, what persons set, and what their recovery has used up.
#include <algorithm>

#include "cluster-daemon/runtime/daemon/status_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

int badness(engine::MonitorState state) {
    switch (state) {
        case engine::MonitorState::kUnused: return 0;
        case engine::MonitorState::kOffline: return 1;
        case engine::MonitorState::kNormal: return 2;
        case engine::MonitorState::kUnknown: return 3;
        case engine::MonitorState::kSuspended: return 4;
        case engine::MonitorState::kCaution: return 5;
        case engine::MonitorState::kError: return 6;
    }
    return 0;
}

void set_limits(const config::MonitorRecovery& configured, proto::Recovery& out) {
    out.set_scripts_limit(static_cast<uint32_t>(configured.script));
    out.set_restarts_limit(static_cast<uint32_t>(configured.restart));
    out.set_failovers_limit(static_cast<uint32_t>(configured.failover));
}

void fill_on_node(const View& view, const config::Monitor& monitor, const config::Node& node,
                  const engine::MonitorReport& report, proto::MonitorOnNode& out) {
    out.set_node(node.name);
    out.set_state(word_on_node(report.state));
    out.set_message(valid_utf8(report.message));
    out.set_late(report.late);
    if (const engine::MonitorEntry* set = view.monitor_entry(monitor.name)) {
        out.set_suspended(set->suspended.contains(node.id));
        out.set_dummy_failure(set->dummy_failure.contains(node.id));
    }
    set_limits(monitor.on_error, *out.mutable_recovery());
    out.mutable_recovery()->set_restarts(report.restarts);
    out.mutable_recovery()->set_failovers(report.failovers);
    out.mutable_recovery()->set_scripts(report.scripts);
}

// The most that any node has used.
void take_worst(const proto::Recovery& one, proto::Recovery& all) {
    all.set_restarts(std::max(all.restarts(), one.restarts()));
    all.set_failovers(std::max(all.failovers(), one.failovers()));
    all.set_scripts(std::max(all.scripts(), one.scripts()));
}

}  // namespace

void fill_monitor(const View& view, const config::Monitor& monitor, proto::Monitor& out) {
    out.set_name(monitor.name);
    out.set_type(monitor.type);
    out.set_target(monitor.target);
    out.set_group(monitor.target_group);
    out.set_comment(monitor.comment);
    set_limits(monitor.on_error, *out.mutable_recovery());
    auto worst = engine::MonitorState::kUnused;
    for (const config::Node& node : view.config.nodes) {
        const engine::NodeReport* report = view.report(node.id);
        if (report == nullptr) continue;
        const auto at = std::find_if(report->monitors.begin(), report->monitors.end(),
                                     [&](const auto& m) { return m.name == monitor.name; });
        if (at == report->monitors.end()) continue;
        proto::MonitorOnNode& line = *out.add_nodes();
        fill_on_node(view, monitor, node, *at, line);
        take_worst(line.recovery(), *out.mutable_recovery());
        if (badness(at->state) <= badness(worst)) continue;
        worst = at->state;
        out.set_message(line.message());
    }
    out.set_state(word(worst));
}

}  // namespace kagami::runtime
