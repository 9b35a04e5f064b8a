#include "cluster-daemon/engine/document.h"

#include <algorithm>

#include "cluster-daemon/engine/coder.h"
#include "common/config/bundle.h"
#include "common/hash.h"

namespace kagami::config {

template <typename C, Is<TimingInputs> V>
void fields(C& c, V& v) {  // found by its argument's namespace
    c(v.hold, v.watchdog, v.reset, v.io);
}

}  // namespace kagami::config

namespace kagami::engine {
namespace {

constexpr uint16_t kFormat = 1;
constexpr uint16_t kTieWeight = 2;

bool sorted_by_id(const std::vector<Voter>& voters) {
    return std::adjacent_find(voters.begin(), voters.end(),
                              [](const Voter& a, const Voter& b) { return !(a.id.node < b.id.node); }) == voters.end();
}

}  // namespace

template <typename C, Is<Voter> V>
void fields(C& c, V& v) {
    c(v.id, v.weight, v.nonce, v.next_nonce);
}
template <typename C, Is<Maintenance> V>
void fields(C& c, V& v) {
    c.choice(v.kind, MaintenanceKind::kUnmanaged);
    c(v.minutes_left);
}
template <typename C, Is<NodeEntry> V>
void fields(C& c, V& v) {
    c.choice(v.state, NodeState::kFenced);
    c(v.boot, v.armed, v.isolated, v.leave_order);
    c.choice(v.leaving, Leaving::kReboot);
    c(v.maintenance, v.reserved_minutes, v.final_actions_cleared);
}
template <typename C, Is<GroupEntry> V>
void fields(C& c, V& v) {
    c(v.owner, v.token);
    c.choice(v.goal, Goal::kStarted);
    c(v.target, v.last_owner, v.held, v.crashed, v.stop_failed);
    c.set(v.failed_on, kMaxNodes);
    c(v.failovers, v.storm);
    c.set(v.stopped_resources, kMaxResources);
    c(v.maintenance);
}
template <typename C, Is<FailoverSwitch> V>
void fields(C& c, V& v) {
    c(v.on, v.latched);
    c.sentence(v.why);
}
template <typename C, Is<MonitorEntry> V>
void fields(C& c, V& v) {
    c.set(v.suspended, kMaxNodes);
    c.set(v.dummy_failure, kMaxNodes);
    c(v.cleared);
}
template <typename C, Is<TimeoutRatio> V>
void fields(C& c, V& v) {
    c(v.ratio, v.minutes_left);
}
template <typename C, Is<LastStanding> V>
void fields(C& c, V& v) {
    c(v.node, v.epoch);
}
template <typename C, Is<ConfigEntry> V>
void fields(C& c, V& v) {
    c(v.version, v.hash);
    c.blob(v.packed, config::kMaxPackedBytes);
}
template <typename C, Is<Unconfirmed> V>
void fields(C& c, V& v) {
    c(v.previous, v.seconds_left);
}
template <typename C, Is<PendingChange> V>
void fields(C& c, V& v) {
    c(v.wanted);
    c.sentence(v.person);
    c.set(v.stops, kMaxGroups);
    c.set(v.ran, kMaxGroups);
    c(v.confirm_within, v.goes_back, v.installed);
}
template <typename C, Is<Document> V>
void fields(C& c, V& v) {
    c(v.cluster, v.version, v.previous, v.feature_level, v.leader);
    c.list(v.voters, kMaxNodes);
    c.list(v.previous_voters, kMaxNodes);
    c(v.timing, v.config);
    c.map(v.nodes, kMaxNodes);
    c.map(v.groups, kMaxGroups);
    c.map(v.mirrors, kMaxMirrors);
    c(v.last_standing, v.failover, v.maintenance, v.timeout_ratio);
    c.map(v.monitors, kMaxMonitors);
    c(v.unconfirmed, v.pending, v.leader_wish, v.cluster_stopped);
}

const NodeEntry& Document::node(NodeId id) const {
    static const NodeEntry absent;
    const auto at = nodes.find(id);
    return at == nodes.end() ? absent : at->second;
}

const Voter* Document::voter(NodeId node) const {
    const auto at = std::find_if(voters.begin(), voters.end(), [&](const Voter& v) { return v.id.node == node; });
    return at == voters.end() ? nullptr : &*at;
}

bool Document::names(const Incarnation& who) const {
    const NodeEntry& entry = node(who.node);
    return entry.state == NodeState::kMember && entry.boot == who.boot;
}

Bytes encode(const Document& document) {
    Encoder out;
    out(kFormat, document);
    return out.take();
}

Result<Document> decode_document(std::span<const uint8_t> bytes) {
    if (bytes.size() > kMaxDocumentBytes)
        return fail(ErrorCode::kUsage, "document: " + std::to_string(bytes.size()) + " bytes are more than allowed");
    Decoder in(bytes);
    uint16_t format = 0;
    Document document;
    in(format, document);
    if (!in.finished() || format != kFormat)
        return fail(ErrorCode::kUsage, "document: the bytes are damaged or of another format");
    if (!sorted_by_id(document.voters) || !sorted_by_id(document.previous_voters))
        return fail(ErrorCode::kUsage, "document: the voters are not in order");
    return document;
}

Hash hash_of(const Document& document) {
    return sha256(encode(document));
}

bool is_quorum(const std::vector<Voter>& voters, const std::set<VoterId>& who) {
    uint32_t total = 0;
    uint32_t present = 0;
    for (const Voter& voter : voters) {
        total += voter.weight;
        if (who.contains(voter.id)) present += voter.weight;
    }
    return 2 * present > total;
}

bool is_quorum(const Document& document, const std::set<VoterId>& who) {
    return is_quorum(document.voters, who) &&
           (document.previous_voters.empty() || is_quorum(document.previous_voters, who));
}

std::set<VoterId> ids_of(const std::vector<Voter>& voters, const std::set<NodeId>& nodes) {
    std::set<VoterId> ids;
    for (const Voter& voter : voters)
        if (nodes.contains(voter.id.node)) ids.insert(voter.id);
    return ids;
}

std::set<VoterId> ids_of(const Document& document, const std::set<NodeId>& nodes) {
    std::set<VoterId> ids = ids_of(document.voters, nodes);
    ids.merge(ids_of(document.previous_voters, nodes));
    return ids;
}

std::vector<Voter> initial_voters(const config::Config& config) {
    std::vector<Voter> voters;
    for (const config::Node& node : config.nodes) {
        Voter& voter = voters.emplace_back();
        voter.id.node = node.id;
    }
    std::sort(voters.begin(), voters.end(), [](const Voter& a, const Voter& b) { return a.id < b.id; });
    const bool even = voters.size() % 2 == 0;
    if (!config.arbitration.witness_address.empty()) {
        Voter& witness = voters.emplace_back();
        witness.id.node = kWitnessId;
        witness.weight = even ? 1 : 0;
    } else if (even && !voters.empty()) {
        voters.front().weight = kTieWeight;
    }
    return voters;
}

Document genesis(const Uuid& cluster, const config::Config& config, Bytes packed_bundle) {
    Document document;
    document.cluster = cluster;
    document.voters = initial_voters(config);
    document.timing = config.timing;
    document.config.version = 1;
    document.config.hash = sha256(packed_bundle);
    document.config.packed = std::move(packed_bundle);
    for (const config::Node& node : config.nodes) document.nodes[node.id] = {};
    for (const config::Group& group : config.groups) document.groups[group.name] = {};
    return document;
}

}  // namespace kagami::engine
