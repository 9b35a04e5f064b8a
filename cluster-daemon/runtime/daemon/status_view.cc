#include "cluster-daemon/runtime/daemon/status_view.h"

#include <algorithm>

namespace kagami::runtime {
namespace {

const config::Config kNoConfig;

}  // namespace

View::View(const StatusInput& input) : in(input), config(input.snapshot.config ? *input.snapshot.config : kNoConfig) {}

bool View::heard(NodeId id) const {
    if (is_self(id)) return true;
    const auto at = in.snapshot.peers.find(id);
    return at != in.snapshot.peers.end() && at->second.heartbeat &&
           in.now - at->second.heard_at <= 2 * in.timing.detect;
}

const engine::NodeReport* View::report(NodeId id) const {
    if (is_self(id)) return &in.snapshot.own_report;
    const auto at = in.snapshot.peers.find(id);
    if (at == in.snapshot.peers.end() || !at->second.report || !heard(id)) return nullptr;
    return &*at->second.report;
}

const engine::Heartbeat* View::heartbeat(NodeId id) const {
    const auto at = in.snapshot.peers.find(id);
    return at == in.snapshot.peers.end() || !at->second.heartbeat || !heard(id) ? nullptr : &*at->second.heartbeat;
}

const engine::GroupEntry* View::entry(const std::string& group) const {
    const auto at = document().groups.find(group);
    return at == document().groups.end() ? nullptr : &at->second;
}

const engine::MonitorEntry* View::monitor_entry(const std::string& monitor) const {
    const auto at = document().monitors.find(monitor);
    return at == document().monitors.end() ? nullptr : &at->second;
}

const engine::GroupReport* View::group_report(const std::string& group, NodeId node) const {
    const engine::NodeReport* all = report(node);
    if (all == nullptr) return nullptr;
    const auto at =
        std::find_if(all->groups.begin(), all->groups.end(), [&](const auto& g) { return g.group == group; });
    return at == all->groups.end() ? nullptr : &*at;
}

const engine::GroupReport* View::telling_report(const std::string& group) const {
    const engine::GroupEntry* now = entry(group);
    if (now == nullptr) return nullptr;
    return group_report(group, now->owner ? now->owner->node : now->last_owner);
}

// What this node would say of itself: the snapshot holds the heartbeats of the others only.
engine::Heartbeat View::own_heartbeat() const {
    engine::Heartbeat own;
    own.incarnation = in.snapshot.self;
    own.joining = !document().names(in.snapshot.self);
    own.guard_alive = in.snapshot.guard_alive;
    own.leaving = in.snapshot.own_report.leaving;
    own.leader = in.snapshot.leader;
    for (const config::Node& node : config.nodes) {
        if (node.id.value >= 1 && node.id.value <= 32 && heard(node.id)) own.heard |= 1U << (node.id.value - 1U);
    }
    return own;
}

const engine::PolicyInput& View::rules() const {
    if (!rules_) rules_ = make_rules();
    return *rules_;
}

engine::PolicyInput View::make_rules() const {
    engine::PolicyInput rules;
    rules.document = &in.snapshot.document;
    rules.config = &config;
    rules.timing = &in.timing;
    rules.self = in.snapshot.leader == kNobody ? in.snapshot.self.node : in.snapshot.leader;
    rules.now = in.now;
    rules.startup_complete = in.snapshot.startup_complete;
    for (const auto& [id, peer] : in.snapshot.peers) {
        if (!heard(id)) continue;  // a status is as patient as View::heard(), not as the leader
        engine::NodeFacts& facts = rules.facts[id];
        facts.heartbeat = peer.heartbeat;
        facts.heard_at = in.now;
        facts.report = peer.report;
    }
    engine::NodeFacts& own = rules.facts[in.snapshot.self.node];
    own.heartbeat = own_heartbeat();
    own.heard_at = in.now;
    own.report = in.snapshot.own_report;
    return rules;
}

engine::Candidate View::judge(const config::Group& group, NodeId node) const {
    return engine::judge(rules(), document(), group, node);
}

std::optional<engine::Pending> View::pending(const config::Group& group) const {
    const engine::GroupEntry* now = entry(group.name);
    const bool settled = now != nullptr && now->owner && now->goal == engine::Goal::kStarted &&
                         document().node(now->owner->node).state == engine::NodeState::kMember;
    if (settled) return std::nullopt;
    return engine::pending_of(rules(), group);
}

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

const char* word(engine::GroupState state) {
    switch (state) {
        case engine::GroupState::kStopped: return "Offline";
        case engine::GroupState::kStarting: return "Online Pending";
        case engine::GroupState::kActive: return "Online";
        case engine::GroupState::kStopping: return "Offline Pending";
        case engine::GroupState::kStopFailed:
        case engine::GroupState::kStartFailed: return "Error";
        case engine::GroupState::kSuspended: return "Suspended";
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

const char* word(engine::NodeState state) {
    switch (state) {
        case engine::NodeState::kAbsent: return "ABSENT";
        case engine::NodeState::kMember: return "MEMBER";
        case engine::NodeState::kLeft: return "LEFT";
        case engine::NodeState::kLost: return "LOST";
        case engine::NodeState::kFenced: return "FENCED";
    }
    return "UNKNOWN";
}

const char* word(engine::MaintenanceKind kind) {
    switch (kind) {
        case engine::MaintenanceKind::kNone: return "none";
        case engine::MaintenanceKind::kObserve: return "observe";
        case engine::MaintenanceKind::kUnmanaged: return "unmanaged";
    }
    return "none";
}

}  // namespace kagami::runtime
