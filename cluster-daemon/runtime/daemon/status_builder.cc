#include "cluster-daemon/runtime/daemon/status_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster-daemon/runtime/daemon/mirror_view.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;
using engine::GroupState;
using engine::NodeState;

const char* word(engine::ResourceState state) {
    switch (state) {
        case engine::ResourceState::kUnknown: return "Unknown";
        case engine::ResourceState::kOffline: return "Offline";
        case engine::ResourceState::kOnlinePending: return "Online Pending";
        case engine::ResourceState::kOnline: return "Online";
        case engine::ResourceState::kOfflinePending: return "Offline Pending";
        case engine::ResourceState::kOnlineFailure: return "Online Failure";
        case engine::ResourceState::kOfflineFailure: return "Offline Failure";
    }
    return "Unknown";
}

const char* word(GroupState state) {
    switch (state) {
        case GroupState::kStopped: return "Offline";
        case GroupState::kStarting: return "Online Pending";
        case GroupState::kActive: return "Online";
        case GroupState::kStopping: return "Offline Pending";
        case GroupState::kStopFailed:
        case GroupState::kStartFailed: return "Error";
        case GroupState::kSuspended: return "Suspended";
    }
    return "Unknown";
}

const char* word(engine::MonitorState state) {
    switch (state) {
        case engine::MonitorState::kUnused: return "Unused";
        case engine::MonitorState::kOffline: return "Offline";
        case engine::MonitorState::kNormal: return "Normal";
        case engine::MonitorState::kCaution: return "Caution";
        case engine::MonitorState::kError: return "Error";
        case engine::MonitorState::kSuspended: return "Suspend";
        case engine::MonitorState::kUnknown: return "Unknown";
    }
    return "Unknown";
}

// A monitor on one node, in the words of expresscluster.md 4.4.
const char* word_on_node(engine::MonitorState state) {
    switch (state) {
        case engine::MonitorState::kNormal: return "Online";
        case engine::MonitorState::kError: return "Online Failure";
        case engine::MonitorState::kUnused:
        case engine::MonitorState::kOffline:
        case engine::MonitorState::kCaution:
        case engine::MonitorState::kSuspended:
        case engine::MonitorState::kUnknown: return word(state);
    }
    return "Unknown";
}

const char* word(NodeState state) {
    switch (state) {
        case NodeState::kAbsent: return "ABSENT";
        case NodeState::kMember: return "MEMBER";
        case NodeState::kLeft: return "LEFT";
        case NodeState::kLost: return "LOST";
        case NodeState::kFenced: return "FENCED";
    }
    return "UNKNOWN";
}

// Reads the input once and answers the questions that every part of the status asks.
class View {
 public:
    explicit View(const StatusInput& given) : in(given), config(given.snapshot.config ? *given.snapshot.config : kNone) {}

    std::string name(NodeId id) const { return id == kNobody ? std::string() : config.node_name(id); }
    bool is_self(NodeId id) const { return id == in.snapshot.self.node; }

    bool heard(NodeId id) const {
        if (is_self(id)) return true;
        const auto at = in.snapshot.peers.find(id);
        return at != in.snapshot.peers.end() && at->second.heartbeat && in.now - at->second.heard_at <= 2 * in.timing.detect;
    }

    const engine::NodeReport* report(NodeId id) const {
        if (is_self(id)) return &in.snapshot.own_report;
        const auto at = in.snapshot.peers.find(id);
        if (at == in.snapshot.peers.end() || !at->second.report || !heard(id)) return nullptr;
        return &*at->second.report;
    }

    const engine::Heartbeat* heartbeat(NodeId id) const {
        const auto at = in.snapshot.peers.find(id);
        return at == in.snapshot.peers.end() || !at->second.heartbeat || !heard(id) ? nullptr : &*at->second.heartbeat;
    }

    const engine::GroupEntry* entry(const std::string& group) const {
        const auto at = in.snapshot.document.groups.find(group);
        return at == in.snapshot.document.groups.end() ? nullptr : &at->second;
    }

    const engine::GroupReport* group_report(const std::string& group, NodeId node) const {
        const engine::NodeReport* all = report(node);
        if (all == nullptr) return nullptr;
        const auto at = std::find_if(all->groups.begin(), all->groups.end(), [&](const auto& g) { return g.group == group; });
        return at == all->groups.end() ? nullptr : &*at;
    }

    // The report that says most about the group now: of its owner, else of where it failed or last ran.
    const engine::GroupReport* telling_report(const std::string& group) const {
        const engine::GroupEntry* now = entry(group);
        if (now == nullptr) return nullptr;
        return group_report(group, now->owner ? now->owner->node : now->last_owner);
    }

    const StatusInput& in;
    const config::Config& config;

 private:
    inline static const config::Config kNone;
};

// ---- nodes ----

std::string node_state(const View& view, NodeId id) {
    const engine::NodeEntry& entry = view.in.snapshot.document.node(id);
    const engine::Heartbeat* beat = view.heartbeat(id);
    const engine::NodeReport* report = view.report(id);
    if (entry.state == NodeState::kMember) {
        if (!view.heard(id)) return "Unknown";
        if (beat != nullptr && beat->joining) return "Online Pending";
        if ((report != nullptr && report->leaving) || entry.leaving != engine::Leaving::kNo) return "Offline Pending";
        return entry.isolated ? "Suspend" : "Online";
    }
    const bool up = view.is_self(id) || beat != nullptr;
    return up && entry.state != NodeState::kLeft ? "Online Pending" : "Offline";
}

std::string node_message(const View& view, NodeId id) {
    const engine::NodeEntry& entry = view.in.snapshot.document.node(id);
    if (view.is_self(id) && !view.in.snapshot.waiting_for.empty()) return view.in.snapshot.waiting_for;
    if (entry.isolated) return fmt::format("isolated: runs no groups until `kagami node return {}`", view.name(id));
    if (view.heard(id)) return {};
    switch (entry.state) {
        case NodeState::kAbsent: return "never joined";
        case NodeState::kMember: return "not heard; its promises have not run out yet";
        case NodeState::kLeft: return "left the cluster cleanly";
        case NodeState::kLost: return "lost: not heard until its promises had run out";
        case NodeState::kFenced: return "off, verified or by a person's word";
    }
    return {};
}

void fill_path(const View& view, const PathView& path, proto::Path& out) {
    out.set_network(path.network);
    out.set_from(view.name(view.in.snapshot.self.node));
    out.set_to(view.name(path.peer));
    out.set_from_address(path.own_address);
    out.set_to_address(path.peer_address);
    out.set_state(path.alive ? (path.loss_percent >= 10 ? "Caution" : "Normal") : "Error");
    out.set_rtt_ms(path.rtt_ms);
    out.set_loss_percent(path.loss_percent);
    out.set_last_seen_ms(path.last_seen < Duration::zero() ? -1 : milliseconds(path.last_seen));
    out.set_control(path.control);
    out.set_control_state(path.control ? (path.alive ? "Normal" : "Error") : "Unused");
}

void fill_node(const View& view, const config::Node& node, proto::Node& out) {
    const engine::NodeEntry& entry = view.in.snapshot.document.node(node.id);
    out.set_id(node.id.value);
    out.set_name(node.name);
    out.set_comment(node.comment);
    out.set_state(node_state(view, node.id));
    out.set_member_state(word(entry.state));
    out.set_incarnation(to_string(entry.boot).substr(0, 8));
    out.set_armed(entry.armed && entry.state == NodeState::kMember);
    out.set_message(node_message(view, node.id));
    if (view.is_self(node.id)) {
        const Duration left = view.in.snapshot.run_until - view.in.now;
        out.set_lease(view.in.snapshot.run_until != Instant{} && left > Duration::zero());
        out.set_lease_left_ms(out.lease() ? milliseconds(left) : 0);
        out.set_binary_version(KAGAMI_VERSION);
    } else {
        out.set_lease(view.heard(node.id) && entry.state == NodeState::kMember && view.in.snapshot.quorum);
    }
    for (const PathView& path : view.in.paths) {
        if (path.peer == node.id) fill_path(view, path, *out.add_paths());
    }
    const engine::Heartbeat* beat = view.heartbeat(node.id);
    if (beat != nullptr) out.set_witness_state(beat->hears_witness ? "Normal" : "Error");
}

void fill_witness(const View& view, proto::Status& status) {
    const engine::Voter* voter = view.in.snapshot.document.voter(kWitnessId);
    if (voter == nullptr) return;
    proto::Witness& out = *status.mutable_witness();
    out.set_kind("server");
    out.set_weight(voter->weight);
    const bool heard = view.heard(kWitnessId);
    out.set_state(heard ? "Normal" : "Error");
    if (!heard) out.set_message("does not answer");
    if (heard && voter->weight == 0) {
        out.set_message(view.config.nodes.size() % 2 == 1 ? "stands by: an odd number of nodes decides without it" : "answers, but has no vote now");
    }
    for (const PathView& path : view.in.paths) {
        if (path.peer != kWitnessId) continue;
        fill_path(view, path, *out.add_paths());
        if (out.address().empty()) out.set_address(path.peer_address);
    }
}

void fill_arbitration(const View& view, proto::Status& status) {
    proto::Arbitration& out = *status.mutable_arbitration();
    out.set_option(std::string(config::word(view.config.arbitration.option)));
    uint32_t total = 0;
    uint32_t reachable = 0;
    for (const engine::Voter& voter : view.in.snapshot.document.voters) {
        proto::Voter& line = *out.add_voters();
        line.set_name(view.name(voter.id.node));
        line.set_weight(voter.weight);
        line.set_reachable(view.heard(voter.id.node));
        total += voter.weight;
        if (line.reachable()) reachable += voter.weight;
        if (voter.weight > 1) out.set_tie_holder(line.name());
    }
    out.set_majority(total / 2 + 1);
    out.set_reachable_weight(reachable);
    const bool all = reachable == total;
    out.set_state(!view.in.snapshot.quorum ? "Error" : (all ? "Normal" : "Caution"));
    if (!view.in.snapshot.quorum) out.set_message("no majority: groups are suspended here until one is reached");
    else if (reachable < out.majority() + 1 && total > 1) out.set_message("one more loss and nobody has a majority");
}

// ---- groups ----

std::string group_state(const View& view, const config::Group& group) {
    const engine::GroupEntry* entry = view.entry(group.name);
    if (entry == nullptr) return "Unknown";
    const engine::GroupReport* report = view.telling_report(group.name);
    if (entry->owner) {
        if (report == nullptr) return "Unknown";
        if (report->state == GroupState::kStopped) return entry->goal == engine::Goal::kStarted ? "Online Pending" : "Offline Pending";
        return word(report->state);
    }
    if (entry->stop_failed || (report != nullptr && report->state == GroupState::kStartFailed)) return "Error";
    return "Offline";
}

std::string group_message(const View& view, const config::Group& group) {
    const engine::GroupEntry* entry = view.entry(group.name);
    const engine::GroupReport* report = view.telling_report(group.name);
    if (report != nullptr && !report->cause.empty()) return valid_utf8(report->cause);
    if (entry == nullptr) return {};
    if (entry->owner && !view.heard(entry->owner->node)) {
        return fmt::format("{} is not heard; the group starts elsewhere only after a proof that it has ended there", view.name(entry->owner->node));
    }
    if (entry->held) return "stopped by a person; `kagami group start` starts it";
    if (!entry->owner && view.in.snapshot.document.cluster_stopped) return "the cluster is stopped; `kagami cluster start` starts it";
    return {};
}

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

void fill_resource(const View& view, const config::Resource& resource, const engine::GroupReport* report, proto::Resource& out) {
    out.set_name(resource.name);
    out.set_type(resource.type);
    out.set_comment(resource.comment);
    out.set_state("Offline");
    const char* detail = detail_parameter(resource.type);
    const auto values = resource.values.find(view.in.snapshot.self.node);
    if (detail != nullptr && values != resource.values.end() && values->second.has(detail)) out.set_detail(values->second.text(detail));
    if (report == nullptr) return;
    for (const auto& known : report->resources) {
        if (known.name != resource.name) continue;
        out.set_state(word(known.state));
        out.set_message(valid_utf8(known.message));
    }
}

void fill_group(const View& view, const config::Group& group, proto::Group& out) {
    const engine::GroupEntry* entry = view.entry(group.name);
    out.set_name(group.name);
    out.set_comment(group.comment);
    out.set_state(group_state(view, group));
    out.set_message(group_message(view, group));
    out.set_safety_class(safety_class(view, group));
    out.set_exclusion(group.exclusion == config::ExclusionKind::kStrict ? "strict" : "data");
    out.set_start(group.start == config::StartAttribute::kAuto ? "auto" : "manual");
    out.set_failover(group.failover == config::FailoverAttribute::kAuto ? "auto" : "manual");
    const auto since = view.in.group_since.find(group.name);
    out.set_since_ms(since == view.in.group_since.end() ? -1 : milliseconds(view.in.now - since->second));
    for (const NodeId node : group.nodes) out.add_nodes(view.name(node));
    if (entry != nullptr) {
        out.set_token(to_string(entry->token));
        out.set_wanted(entry->goal == engine::Goal::kStarted);
        if (entry->owner) {
            out.set_current_node(view.name(entry->owner->node));
            out.set_owner_incarnation(to_string(entry->owner->boot).substr(0, 8));
        }
    }
    const engine::GroupReport* report = view.telling_report(group.name);
    for (const auto& resource : group.resources) fill_resource(view, resource, report, *out.add_resources());
    if (entry != nullptr && entry->owner && report == nullptr) {
        for (auto& resource : *out.mutable_resources()) resource.set_state("Unknown");
    }
}

// ---- monitors ----

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

void fill_monitor(const View& view, const config::Monitor& monitor, proto::Monitor& out) {
    out.set_name(monitor.name);
    out.set_type(monitor.type);
    out.set_target(monitor.target);
    out.set_group(monitor.target_group);
    out.set_comment(monitor.comment);
    out.mutable_recovery()->set_restarts_limit(static_cast<uint32_t>(monitor.on_error.restart));
    out.mutable_recovery()->set_failovers_limit(static_cast<uint32_t>(monitor.on_error.failover));
    auto worst = engine::MonitorState::kUnused;
    for (const config::Node& node : view.config.nodes) {
        const engine::NodeReport* report = view.report(node.id);
        if (report == nullptr) continue;
        const auto at = std::find_if(report->monitors.begin(), report->monitors.end(), [&](const auto& m) { return m.name == monitor.name; });
        if (at == report->monitors.end()) continue;
        proto::MonitorOnNode& line = *out.add_nodes();
        line.set_node(node.name);
        line.set_state(word_on_node(at->state));
        line.set_message(valid_utf8(at->message));
        if (badness(at->state) > badness(worst)) {
            worst = at->state;
            out.set_message(line.message());
        }
        out.mutable_recovery()->set_restarts(std::max(out.recovery().restarts(), at->restarts));
        out.mutable_recovery()->set_failovers(std::max(out.recovery().failovers(), at->failovers));
    }
    out.set_state(word(worst));
}

// ---- mirrors ----

void fill_mirrors(const View& view, proto::Status& status) {
    for (const config::Group& group : view.config.groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.type != "md") continue;
            fill_mirror(view.in, group, resource, [&](NodeId node) { return view.report(node); }, *status.add_mirrors());
        }
    }
}

// ---- alerts ----

void alert(proto::Status& status, const char* severity, std::string subject, std::string message, std::string remedy = {}) {
    proto::Alert& out = *status.add_alerts();
    out.set_severity(severity);
    out.set_subject(std::move(subject));
    out.set_message(std::move(message));
    out.set_remedy(std::move(remedy));
}

void fill_alerts(const View& view, proto::Status& status) {
    if (!view.in.snapshot.quorum && view.in.snapshot.startup_complete) {
        alert(status, "ERROR", "cluster", "this node has no majority: its groups are suspended",
              "look at `kagami paths`; mend the network or start the missing nodes");
    }
    if (!view.in.guard.alive) {
        alert(status, "ERROR", "guard", "the guard does not run: no group can run here", "start kagami-guard and read its log");
    } else if (view.in.guard.watchdog == "none") {
        alert(status, "WARN", "guard", "no watchdog stands behind the guard (safety class B)", "load a watchdog driver, for example softdog or iTCO_wdt");
    }
    for (const auto& group : status.groups()) {
        if (group.state() == "Error") alert(status, "ERROR", "group " + group.name(), group.message(), "mend the cause, then `kagami group start " + group.name() + "`");
    }
    for (const auto& mirror : status.mirrors()) {
        if (mirror.state() == "Normal" || mirror.message().empty()) continue;
        const bool usable = std::any_of(mirror.copies().begin(), mirror.copies().end(), [](const auto& copy) { return copy.colour() == "GREEN"; });
        alert(status, usable || mirror.state() == "Recovering" ? "WARN" : "ERROR", "mirror " + mirror.name(), mirror.message(), mirror.remedy());
    }
    for (const auto& node : status.nodes()) {
        const bool expected = node.member_state() != "LEFT" && node.member_state() != "ABSENT";
        if (expected && (node.state() == "Offline" || node.state() == "Unknown")) {
            alert(status, "WARN", "node " + node.name(), node.message(), "start it; it comes back by itself");
        }
        for (const auto& path : node.paths()) {
            if (node.state() == "Online" && path.state() != "Normal") {
                alert(status, "WARN", "network " + path.network(), fmt::format("the path to {} is in {}", node.name(), path.state()));
            }
        }
    }
    if (status.has_witness() && status.witness().state() != "Normal") {
        alert(status, "WARN", "witness", "the witness " + status.witness().message(), "mend it: without it the loss of a node may need a person");
    }
}

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

std::string cluster_state(const View& view) {
    if (view.in.snapshot.document.cluster_stopped) return "Offline";
    return view.in.snapshot.startup_complete ? "Online" : "Starting";
}

}  // namespace

void build_status(const StatusInput& input, proto::Status& status) {
    const View view(input);
    const engine::Snapshot& snapshot = input.snapshot;
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
    status.set_time_unix_ms(input.unix_ms);
    status.set_sequence(input.sequence);
    for (const config::Node& node : view.config.nodes) fill_node(view, node, *status.add_nodes());
    fill_witness(view, status);
    fill_arbitration(view, status);
    for (const config::Group& group : view.config.groups) fill_group(view, group, *status.add_groups());
    fill_mirrors(view, status);
    for (const config::Monitor& monitor : view.config.monitors) fill_monitor(view, monitor, *status.add_monitors());
    fill_guard(view, status);
    fill_alerts(view, status);
}

std::map<std::string, std::string> group_situations(const StatusInput& input) {
    const View view(input);
    std::map<std::string, std::string> all;
    for (const config::Group& group : view.config.groups) {
        const engine::GroupEntry* entry = view.entry(group.name);
        const bool owned = entry != nullptr && entry->owner;
        all[group.name] = group_state(view, group) + (owned ? " on " + view.name(entry->owner->node) : std::string());
    }
    return all;
}

void build_paths(const StatusInput& input, proto::Paths& paths) {
    const View view(input);
    paths.set_answering_node(view.name(input.snapshot.self.node));
    for (const config::Node& node : view.config.nodes) paths.add_nodes(node.name);
    if (input.snapshot.document.voter(kWitnessId) != nullptr) paths.add_nodes(view.name(kWitnessId));
    for (const PathView& path : input.paths) fill_path(view, path, *paths.add_paths());
}

bool build_why(const StatusInput& input, const std::string& subject, proto::WhyAnswer& answer) {
    const View view(input);
    if (const config::Group* group = view.config.group(subject)) {
        const engine::GroupEntry* entry = view.entry(subject);
        const bool owned = entry != nullptr && entry->owner;
        answer.set_subject("group " + subject);
        answer.set_state(group_state(view, *group) + (owned ? " on " + view.name(entry->owner->node) : std::string()));
        answer.set_sentence(group_message(view, *group));
        for (const NodeId node : group->nodes) {
            proto::Candidate& candidate = *answer.add_candidates();
            candidate.set_node(view.name(node));
            const std::string state = node_state(view, node);
            const bool failed = entry != nullptr && entry->failed_on.count(node) > 0;
            candidate.set_eligible(state == "Online" && !failed);
            if (failed) candidate.set_reason("the group failed there; it is tried again after a person acts");
            else if (state != "Online") candidate.set_reason("is " + state + (node_message(view, node).empty() ? "" : ": " + node_message(view, node)));
            else candidate.set_reason(owned && entry->owner->node == node ? "runs it" : "could run it");
        }
        return true;
    }
    if (const config::Node* node = view.config.node(subject)) {
        answer.set_subject("node " + subject);
        answer.set_state(node_state(view, node->id));
        answer.set_sentence(node_message(view, node->id));
        return true;
    }
    if (subject == "cluster") {
        answer.set_subject("cluster");
        answer.set_state(cluster_state(view));
        answer.set_sentence(input.snapshot.waiting_for);
        return true;
    }
    proto::Status mirrors;
    fill_mirrors(view, mirrors);
    for (const proto::Mirror& mirror : mirrors.mirrors()) {
        if (mirror.name() == subject) return explain_mirror(mirror, answer), true;
    }
    const auto at = std::find_if(view.config.monitors.begin(), view.config.monitors.end(), [&](const auto& m) { return m.name == subject; });
    if (at == view.config.monitors.end()) return false;
    proto::Monitor monitor;
    fill_monitor(view, *at, monitor);
    answer.set_subject("monitor " + subject);
    answer.set_state(monitor.state());
    answer.set_sentence(monitor.message());
    return true;
}

}  // namespace kagami::runtime
