// Groups and their resources: where they are, why, and what they wait for.
#include <fmt/format.h>

#include <algorithm>

#include "cluster-daemon/engine/restraint.h"
#include "cluster-daemon/runtime/daemon/mirror_view.h"
#include "cluster-daemon/runtime/daemon/status_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::GroupState;

// protocol.md 2. A needs a proof better than the guard alone; C only exists with heuristics.
std::string safety_class(const View& view, const config::Group& group) {
    if (view.config.arbitration.option == config::ArbitrationOption::kPing) return "C";
    return group.exclusion == config::ExclusionKind::kStrict && view.in.guard.watchdog_tested ? "A" : "B";
}

const char* detail_parameter(const std::string& type) {
    if (type == "fip") return "address";
    if (type == "exec") return "start";
    if (type == "md") return "mount";
    return nullptr;
}

void fill_resource(const View& view, const config::Resource& resource, const engine::GroupReport* report,
                   proto::Resource& out) {
    out.set_name(resource.name);
    out.set_type(resource.type);
    out.set_comment(resource.comment);
    out.set_state("Offline");
    for (const std::string& earlier : resource.after) out.add_after(earlier);
    const char* detail = detail_parameter(resource.type);
    const auto values = resource.values.find(view.in.snapshot.self.node);
    if (detail != nullptr && values != resource.values.end() && values->second.has(detail))
        out.set_detail(values->second.text(detail));
    if (report == nullptr) return;
    for (const auto& known : report->resources) {
        if (known.name != resource.name) continue;
        out.set_state(word(known.state));
        out.set_message(valid_utf8(known.message));
    }
}

void fill_resources(const View& view, const config::Group& group, const engine::GroupEntry* entry, proto::Group& out) {
    const engine::GroupReport* report = view.telling_report(group.name);
    for (const auto& resource : group.resources) {
        proto::Resource& line = *out.add_resources();
        fill_resource(view, resource, report, line);
        if (entry == nullptr) continue;
        line.set_held(entry->stopped_resources.contains(resource.name));
        if (entry->owner && report == nullptr) line.set_state("Unknown");
    }
}

void fill_settings(const View& view, const config::Group& group, proto::Group& out) {
    out.set_name(group.name);
    out.set_comment(group.comment);
    out.set_safety_class(safety_class(view, group));
    out.set_exclusion(group.exclusion == config::ExclusionKind::kStrict ? "strict" : "data");
    out.set_start(group.start == config::StartAttribute::kAuto ? "auto" : "manual");
    out.set_failover(std::string(config::word(group.failover)));
    out.set_kind(group.kind == config::GroupKind::kManagement ? "management" : "failover");
    out.set_failback(group.failback);
    for (const std::string& name : group.server_groups) out.add_server_groups(name);
    for (const NodeId node : group.nodes) out.add_nodes(view.name(node));
}

void fill_entry(const View& view, const engine::GroupEntry& entry, proto::Group& out) {
    out.set_token(to_string(entry.token));
    out.set_wanted(entry.goal == engine::Goal::kStarted);
    out.set_failovers(entry.storm);
    out.set_previous_node(view.name(entry.last_owner));
    if (entry.maintenance.kind != engine::MaintenanceKind::kNone)
        fill_maintenance(entry.maintenance, *out.mutable_maintenance());
    if (!entry.owner) return;
    out.set_current_node(view.name(entry.owner->node));
    out.set_owner_incarnation(to_string(entry.owner->boot).substr(0, 8));
}

void fill_group(const View& view, const config::Group& group, proto::Group& out) {
    const engine::GroupEntry* entry = view.entry(group.name);
    fill_settings(view, group, out);
    out.set_state(group_state(view, group));
    out.set_message(group_message(view, group));
    out.set_waiting(group_waiting(view, group));
    const auto since = view.in.group_since.find(group.name);
    out.set_since_ms(since == view.in.group_since.end() ? -1 : milliseconds(view.in.now - since->second));
    if (entry != nullptr) fill_entry(view, *entry, out);
    fill_resources(view, group, entry, out);
}

bool waits(const View& view, const config::Group& group, engine::Pending::Kind kind) {
    const auto pending = view.pending(group);
    return pending && pending->kind == kind;
}

}  // namespace

std::string group_state(const View& view, const config::Group& group) {
    const engine::GroupEntry* entry = view.entry(group.name);
    if (entry == nullptr) return "Unknown";
    const engine::GroupReport* report = view.telling_report(group.name);
    if (entry->owner) {
        if (report == nullptr) return "Unknown";
        if (report->state == GroupState::kStopped)
            return entry->goal == engine::Goal::kStarted ? "Online Pending" : "Offline Pending";
        return waits(view, group, engine::Pending::Kind::kStop) ? "Offline Pending" : word(report->state);
    }
    if (entry->stop_failed || (report != nullptr && report->state == GroupState::kStartFailed)) return "Error";
    return waits(view, group, engine::Pending::Kind::kStart) ? "Online Pending" : "Offline";
}

std::string group_waiting(const View& view, const config::Group& group) {
    const auto pending = view.pending(group);
    return pending ? valid_utf8(pending->words) : std::string();
}

std::string group_message(const View& view, const config::Group& group) {
    const engine::GroupEntry* entry = view.entry(group.name);
    const engine::GroupReport* report = view.telling_report(group.name);
    if (report != nullptr && !report->cause.empty()) return valid_utf8(report->cause);
    if (entry == nullptr) return {};
    if (entry->owner && !view.heard(entry->owner->node)) {
        return fmt::format("{} is not heard; the group starts elsewhere only after a proof that it has ended there",
                           view.name(entry->owner->node));
    }
    if (entry->held) return "stopped by a person; `kagami group start` starts it";
    if (!entry->owner && view.document().cluster_stopped)
        return "the cluster is stopped; `kagami cluster start` starts it";
    return group_waiting(view, group);
}

std::string group_situation(const View& view, const config::Group& group) {
    const engine::GroupEntry* entry = view.entry(group.name);
    const bool owned = entry != nullptr && entry->owner;
    return group_state(view, group) + (owned ? " on " + view.name(entry->owner->node) : std::string());
}

void fill_groups(const View& view, proto::Status& status) {
    for (const config::Group& group : view.config.groups) fill_group(view, group, *status.add_groups());
}

void fill_mirrors(const View& view, proto::Status& status) {
    for (const config::Group& group : view.config.groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.type != "md") continue;
            fill_mirror(
                view.in, group, resource, [&](NodeId node) { return view.report(node); }, *status.add_mirrors());
        }
    }
}

}  // namespace kagami::runtime
