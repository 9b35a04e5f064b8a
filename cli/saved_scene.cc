#include "cli/saved_scene.h"

#include <algorithm>
#include <charconv>

#include "cluster-daemon/engine/timing.h"

namespace kagami::cli {
namespace {

namespace pb = control::v1;
using namespace engine;

// "5@1.12"; zero when it is something else.
Version parse_version(std::string_view text) {
    uint64_t numbers[3] = {0, 0, 0};
    const char* at = text.data();
    const char* end = at + text.size();
    for (size_t i = 0; i < 3; ++i) {
        const auto parsed = std::from_chars(at, end, numbers[i]);
        const char expected = i == 0 ? '@' : '.';
        if (parsed.ec != std::errc{} || (i < 2 && (parsed.ptr == end || *parsed.ptr != expected))) return {};
        at = parsed.ptr + 1;
    }
    return {Epoch::make(numbers[0], NodeId{static_cast<uint16_t>(numbers[1])}), numbers[2]};
}

// The digits that are known, in the front of the boot id: enough to tell two boots of a node apart.
BootId boot_of(NodeId node, std::string_view digits) {
    BootId boot{};
    for (size_t i = 0; i + 1 < digits.size() && i / 2 < boot.size(); i += 2)
        std::from_chars(digits.data() + i, digits.data() + i + 2, boot[i / 2], 16);
    boot.back() = static_cast<uint8_t>(node.value);
    return boot;
}

NodeState state_of(const std::string& word) {
    if (word == "MEMBER" || word == "LEAVING") return NodeState::kMember;
    if (word == "LEFT") return NodeState::kLeft;
    if (word == "LOST") return NodeState::kLost;
    if (word == "FENCED") return NodeState::kFenced;
    return NodeState::kAbsent;
}

bool has_flag(const pb::Node& node, std::string_view flag) {
    return std::find(node.flags().begin(), node.flags().end(), flag) != node.flags().end();
}

uint32_t minutes_of(int64_t milliseconds) {
    return milliseconds <= 0 ? 0 : static_cast<uint32_t>((milliseconds + 59999) / 60000);
}

Maintenance maintenance_of(const pb::Maintenance& saved) {
    return {saved.kind() == "unmanaged" ? MaintenanceKind::kUnmanaged : MaintenanceKind::kObserve,
            minutes_of(saved.left_ms())};
}

class Builder {
 public:
    Builder(const pb::Status& status, std::shared_ptr<const config::Config> config)
        : status_(status), config_(*config), timing_(Timing::derive(config->timing)) {
        scene_.config = std::move(config);
    }

    Result<Snapshot> build() {
        const config::Node* leader = config_.node(status_.leader());
        if (leader == nullptr)
            return fail(ErrorCode::kNoQuorum, "nobody led the cluster when the status was saved",
                        "save one while `kagami leader` names a node");
        if (const Status known = check_names(); !known) return tl::unexpected(known.error());
        scene_.leader = leader->id;
        scene_.self.node = id_of(status_.answering_node());
        scene_.quorum = status_.quorum();
        scene_.startup_complete = true;
        scene_.run_until = kSavedAt + timing_.hold;
        scene_.document = genesis(Uuid{}, config_, {});
        scene_.document.version = parse_version(status_.document_version());
        scene_.document.config.version = status_.configuration_version();
        for (const pb::Node& node : status_.nodes()) add_node(node);
        scene_.document.leader = incarnation_of(scene_.leader);
        for (const pb::Group& group : status_.groups()) add_group(group);
        for (const pb::Mirror& mirror : status_.mirrors()) add_mirror(mirror);
        add_monitors();
        add_switches();
        scene_.self.boot = scene_.document.node(scene_.self.node).boot;
        scene_.leading = scene_.self.node == scene_.leader;
        scene_.epoch = scene_.document.version.epoch;
        if (status_.has_witness() && status_.witness().state() == "Normal") hear(kWitnessId, BootId{1});
        return std::move(scene_);
    }

 private:
    Status check_names() const {
        const auto stranger = [](const std::string& what) {
            return fail(ErrorCode::kUsage, "the saved status is of another configuration: it names " + what,
                        "give the configuration that was in force: --config FILE");
        };
        for (const pb::Node& node : status_.nodes()) {
            if (config_.node(node.name()) == nullptr) return stranger("node " + node.name());
        }
        for (const pb::Group& group : status_.groups()) {
            if (config_.group(group.name()) == nullptr) return stranger("group " + group.name());
        }
        return {};
    }

    NodeId id_of(const std::string& name) const {
        const config::Node* node = config_.node(name);
        return node == nullptr ? kNobody : node->id;
    }
    Incarnation incarnation_of(NodeId id) const { return {id, scene_.document.node(id).boot}; }

    // Null for a node that is not heard.
    NodeReport* report_of(NodeId id) {
        if (id == scene_.self.node) return &scene_.own_report;
        const auto peer = scene_.peers.find(id);
        return peer == scene_.peers.end() || !peer->second.report ? nullptr : &*peer->second.report;
    }

    void hear(NodeId id, const BootId& boot) {
        if (id == scene_.self.node) return;
        Heartbeat heartbeat;
        heartbeat.incarnation = {id, boot};
        heartbeat.joining = id != kWitnessId && !scene_.document.names(heartbeat.incarnation);
        heartbeat.guard_alive = true;
        heartbeat.timing_digest = timing_.digest;
        heartbeat.heard = ~0U;
        heartbeat.hears_witness = status_.witness().state() == "Normal";
        const Voter* voter = scene_.document.voter(id);
        heartbeat.voter = voter != nullptr ? voter->id : VoterId{id, 0};
        PeerView& peer = scene_.peers[id];
        peer.id = id;
        peer.heard_at = kSavedAt;
        peer.heartbeat = heartbeat;
        if (id != kWitnessId) peer.report = NodeReport{};
    }

    void add_node(const pb::Node& saved) {
        const NodeId id = id_of(saved.name());
        NodeEntry& entry = scene_.document.nodes[id];
        entry.state = state_of(saved.member_state());
        entry.boot = boot_of(id, saved.incarnation());
        entry.armed = saved.armed() && !has_flag(saved, "UNARMED");
        entry.isolated = saved.state() == "Suspend";
        if (saved.has_maintenance()) entry.maintenance = maintenance_of(saved.maintenance());
        entry.reserved_minutes = minutes_of(saved.reserved_left_ms());
        const bool heard = saved.state() == "Online" || saved.state() == "Caution" || saved.state() == "Suspend" ||
                           saved.state() == "Online Pending";
        if (!heard) return;
        hear(id, entry.boot);
        NodeReport& report = *report_of(id);
        report.incarnation = {id, entry.boot};
        report.version = scene_.document.version;
        report.guard_armed = report.guarded = entry.armed;
        report.memory_free_mib = saved.memory_free_mib();
        report.disk_free_mib = saved.disk_free_mib();
        report.final_actions = saved.final_actions();
    }

    void add_group(const pb::Group& saved) {
        GroupEntry& entry = scene_.document.groups[saved.name()];
        entry.goal = saved.wanted() ? Goal::kStarted : Goal::kStopped;
        entry.held = !saved.wanted();
        entry.token = parse_version(saved.token());
        entry.storm = saved.failovers();
        entry.last_owner = id_of(saved.current_node().empty() ? saved.previous_node() : saved.current_node());
        if (saved.has_maintenance()) entry.maintenance = maintenance_of(saved.maintenance());
        for (const pb::Resource& resource : saved.resources()) {
            if (resource.held()) entry.stopped_resources.insert(resource.name());
        }
        const NodeId node = id_of(saved.current_node());
        if (node == kNobody) return;
        entry.owner = incarnation_of(node);
        NodeReport* node_report = report_of(node);
        if (node_report == nullptr) return;
        GroupReport& report = node_report->groups.emplace_back();
        report.group = saved.name();
        report.token = entry.token;
        report.state = saved.state() == "Online"            ? GroupState::kActive
                       : saved.state() == "Online Pending"  ? GroupState::kStarting
                       : saved.state() == "Offline Pending" ? GroupState::kStopping
                                                            : GroupState::kStartFailed;
    }

    // The nonce stands for "the disk that was attached": the status names none, and only equality counts.
    void add_mirror(const pb::Mirror& saved) {
        mirror::Record& record = scene_.document.mirrors[saved.name()];
        record.uuid = Uuid{1};
        std::from_chars(saved.generation().data(), saved.generation().data() + saved.generation().size(),
                        record.generation.counter);
        record.hold = saved.hold() == "cancelled" ? mirror::Hold::kCancelled
                      : saved.hold() == "broken"  ? mirror::Hold::kBroken
                                                  : mirror::Hold::kNone;
        for (const pb::MirrorCopy& copy : saved.copies()) add_copy(saved, copy, record);
    }

    void add_copy(const pb::Mirror& saved, const pb::MirrorCopy& copy, mirror::Record& record) {
        const NodeId id = id_of(copy.node());
        mirror::RecordReplica& replica = record.replicas[id];
        replica.nonce = Nonce{id.value};
        replica.standing = copy.standing() == "current"   ? mirror::Standing::kCurrent
                           : copy.standing() == "stale"   ? mirror::Standing::kStale
                           : copy.standing() == "suspect" ? mirror::Standing::kSuspect
                                                          : mirror::Standing::kUnbuilt;
        NodeReport* node_report = report_of(id);
        if (node_report == nullptr || copy.disk().empty() || copy.disk() == "none") return;
        mirror::Report& report = node_report->mirrors.emplace_back();
        report.mirror = saved.name();
        report.nonce = replica.nonce;
        report.generation = record.generation;
        report.size_bytes = saved.size_bytes();
        report.connected = saved.connected();
        report.disk = copy.disk() == "consistent"     ? mirror::DiskState::kConsistent
                      : copy.disk() == "inconsistent" ? mirror::DiskState::kInconsistent
                      : copy.disk() == "failed"       ? mirror::DiskState::kFailed
                                                      : mirror::DiskState::kNew;
        const bool primary = copy.role() == "primary";
        report.role = primary ? mirror::Role::kPrimary : mirror::Role::kSecondary;
        if (!primary) return;
        report.token = scene_.document.groups[saved.group()].token;
        report.mode = saved.connected() ? mirror::Mode::kConnected : mirror::Mode::kSolo;
    }

    void add_monitors() {
        for (const pb::Monitor& saved : status_.monitors()) {
            MonitorEntry entry;
            for (const pb::MonitorOnNode& on : saved.nodes()) {
                const NodeId id = id_of(on.node());
                if (on.suspended()) entry.suspended.insert(id);
                if (on.dummy_failure()) entry.dummy_failure.insert(id);
                if (NodeReport* report = report_of(id); report != nullptr) report_monitor(saved.name(), on, *report);
            }
            if (entry != MonitorEntry{}) scene_.document.monitors[saved.name()] = entry;
        }
    }

    static void report_monitor(const std::string& name, const pb::MonitorOnNode& on, NodeReport& node_report) {
        MonitorReport& report = node_report.monitors.emplace_back();
        report.name = name;
        report.message = on.message();
        report.state = on.state() == "Online Failure" ? MonitorState::kError
                       : on.state() == "Caution"      ? MonitorState::kCaution
                       : on.state() == "Online"       ? MonitorState::kNormal
                                                      : MonitorState::kUnused;
    }

    void add_switches() {
        const std::string& state = status_.failover().state();
        scene_.document.failover.on = state != "Disabled" && state != "Latched";
        scene_.document.failover.latched = state == "Latched";
        scene_.document.failover.why = status_.failover().why();
        if (status_.has_maintenance()) scene_.document.maintenance = maintenance_of(status_.maintenance());
        scene_.document.cluster_stopped = status_.cluster_state() == "Offline" || status_.cluster_state() == "Stopping";
    }

    const pb::Status& status_;
    const config::Config& config_;  // scene_.config
    Timing timing_;
    Snapshot scene_;
};

}  // namespace

Result<Snapshot> scene_of(const pb::Status& status, std::shared_ptr<const config::Config> config) {
    return Builder(status, std::move(config)).build();
}

}  // namespace kagami::cli
