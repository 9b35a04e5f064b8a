// A cluster as its leader sees it, for tests of the policy: a document, what was heard and reported, and a register
// that always agrees.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>

#include "cluster-daemon/engine/policy.h"

namespace kagami::engine::test {

constexpr Instant kStart{100s};
inline const NodeId n1{1};
inline const NodeId n2{2};
inline const NodeId n3{3};

inline BootId boot_of(NodeId node, uint8_t number = 1) {
    BootId boot{};
    boot[0] = static_cast<uint8_t>(node.value);
    boot[1] = number;
    return boot;
}

class Scene {
 public:
    explicit Scene(int nodes = 2, std::vector<std::string> groups = {"web"}, bool witness = true) {
        for (int i = 1; i <= nodes; ++i) {
            config::Node node;
            node.id = NodeId{static_cast<uint16_t>(i)};
            node.name = "node" + std::to_string(i);
            config.nodes.push_back(node);
        }
        for (const std::string& name : groups) {
            config::Group group;
            group.name = name;
            for (const config::Node& node : config.nodes) group.nodes.push_back(node.id);
            config.groups.push_back(group);
        }
        config.arbitration.option = witness ? config::ArbitrationOption::kWitness : config::ArbitrationOption::kTie;
        if (witness) config.arbitration.witness_address[""] = "10.0.0.9";
        timing = Timing::derive(config.timing);
        document = genesis(Uuid{7}, config, Bytes{1, 2, 3});
        document.version = {Epoch::make(1, n1), 1};
        document.leader = {n1, boot_of(n1)};
        for (const config::Node& node : config.nodes) {
            boots[node.id] = boot_of(node.id);
            document.nodes[node.id].state = NodeState::kMember;
            document.nodes[node.id].boot = boots[node.id];
            document.nodes[node.id].armed = true;
            alive.insert(node.id);
        }
        if (witness) alive.insert(kWitnessId);
    }

    // ---- mirrors ----
    void add_mirror(const std::string& name = "md1", const std::string& group_name = "web") {
        config::Resource resource;
        resource.type = "md";
        resource.name = name;
        group(group_name).resources.push_back(resource);
    }
    mirror::Record& record(const std::string& name = "md1") { return document.mirrors.at(name); }
    mirror::Standing standing(NodeId id, const std::string& name = "md1") { return record(name).standing(id); }
    mirror::Report& replica(NodeId id, const std::string& name = "md1") {
        for (mirror::Report& item : replicas[id])
            if (item.mirror == name) return item;
        mirror::Report& item = replicas[id].emplace_back();
        item.mirror = name;
        return item;
    }
    // A new disk that asks to be admitted, and later has settled.
    mirror::Report& new_disk(NodeId id, const std::string& name = "md1") {
        mirror::Report& item = replica(id, name);
        item = {};
        item.mirror = name;
        item.role = mirror::Role::kSecondary;
        item.disk = mirror::DiskState::kNew;
        item.size_bytes = 1U << 30U;
        item.next_nonce = Nonce{++last_nonce};
        item.wish.kind = mirror::WishKind::kAttach;
        return item;
    }
    void settle_disk(NodeId id, const std::string& name = "md1") {
        mirror::Report& item = replica(id, name);
        item.nonce = std::exchange(item.next_nonce, {});
        item.wish = {};
        document.mirrors[name].replicas[id].nonce = item.nonce;
        document.mirrors[name].replicas[id].next_nonce = {};
    }
    // Constructed, both copies current, their disks admitted and consistent.
    void constructed(const std::string& name = "md1") {
        mirror::Record& made = document.mirrors[name];
        made.uuid = Uuid{1};
        made.generation = {1, Uuid{0x11}};
        for (const config::Node& node : config.nodes) {
            mirror::Report& item = new_disk(node.id, name);
            made.replicas[node.id].standing = mirror::Standing::kCurrent;
            settle_disk(node.id, name);
            item.disk = mirror::DiskState::kConsistent;
            item.generation = made.generation;
        }
    }
    // The group runs on `id`; its replica is the primary under the group's token.
    mirror::Report& primary_on(NodeId id, const std::string& name = "md1", const std::string& group_name = "web") {
        run_on(id, group_name);
        mirror::Report& item = replica(id, name);
        item.role = mirror::Role::kPrimary;
        item.mode = mirror::Mode::kConnected;
        item.token = entry(group_name).token;
        item.connected = true;
        return item;
    }
    mirror::Wish& wish(NodeId id, mirror::WishKind kind, const std::string& name = "md1") {
        mirror::Report& item = replica(id, name);
        item.wish = {};
        item.wish.kind = kind;
        item.wish.token = item.token;
        item.wish.base = item.generation;
        item.wish.next = {item.generation.counter + 1, Uuid{0x22}};
        return item.wish;
    }

    config::Group& group(const std::string& name = "web") {
        return *std::find_if(config.groups.begin(), config.groups.end(),
                             [&](const config::Group& g) { return g.name == name; });
    }
    GroupEntry& entry(const std::string& name = "web") { return document.groups[name]; }
    NodeEntry& node(NodeId id) { return document.nodes[id]; }

    // What is heard now: heartbeats of all that live, with the bits that say whom they hear.
    PolicyInput input() {
        for (const NodeId id : alive) {
            NodeFacts& known = facts[id];
            Heartbeat heartbeat = known.heartbeat.value_or(Heartbeat{});
            heartbeat.incarnation = {id, id == kWitnessId ? BootId{9} : boots[id]};
            heartbeat.joining = id != kWitnessId && !document.names(heartbeat.incarnation);
            heartbeat.guard_alive = !guardless.contains(id);
            heartbeat.leaving = leaving.contains(id);
            heartbeat.timing_digest = timing.digest;
            heartbeat.heard = deaf.contains(id) ? 0 : 0xffffffffU;
            heartbeat.voter = document.voter(id) != nullptr ? document.voter(id)->id : VoterId{id, 0};
            known.heartbeat = heartbeat;
            known.heard_at = now;
            known.votes_now = true;
            known.may_run_until = now + timing.hold;
            if (id != kWitnessId) known.report = report(id);
        }
        for (auto& [id, known] : facts)
            if (!alive.contains(id)) known.votes_now = false;
        PolicyInput in;
        in.document = &document;
        in.config = &config;
        in.timing = &timing;
        in.self = self;
        in.now = now;
        in.leading_since = leading_since;
        in.startup_complete = startup_complete;
        in.facts = facts;
        in.requests = std::exchange(requests, {});
        in.parse_config = &parse_config;
        in.random = ++draws;
        return in;
    }

    PolicyOutput plan() { return policy.plan(input()); }

    // The register chooses what is proposed, fills version and tokens.
    void choose(const Document& next) {
        document = next;
        ++document.version.seq;
        for (auto& [name, group] : document.groups)
            if (group.owner && group.token == Token{}) group.token = document.version;
    }

    // Plans until nothing more is proposed; the last output. Fails when it never ends.
    PolicyOutput settle() {
        decisions.clear();
        replies.clear();
        for (int i = 0; i < 20; ++i) {
            PolicyOutput out = plan();
            decisions.insert(decisions.end(), out.decisions.begin(), out.decisions.end());
            replies.insert(replies.end(), out.replies.begin(), out.replies.end());
            if (!out.next) return out;
            choose(*out.next);
            ++commits;
        }
        FAIL("the policy never comes to rest");
        return {};
    }

    GroupReport& reported(NodeId id, const std::string& name = "web") {
        for (GroupReport& item : reports[id])
            if (item.group == name) return item;
        GroupReport& item = reports[id].emplace_back();
        item.group = name;
        return item;
    }
    void report_state(NodeId id, GroupState state, const std::string& name = "web") {
        reported(id, name).state = state;
        reported(id, name).token = entry(name).token;
    }
    // The group runs on `id` and everybody knows.
    void run_on(NodeId id, const std::string& name = "web") {
        entry(name).owner = Incarnation{id, boots[id]};
        entry(name).token = document.version;
        entry(name).goal = Goal::kStarted;
        report_state(id, GroupState::kActive, name);
    }
    // A monitor that checks wherever its node runs, unless it is bound to an active target.
    void add_monitor(const std::string& name, bool only_while_active = false) {
        config::Monitor monitor;
        monitor.name = name;
        monitor.only_while_active = only_while_active;
        config.monitors.push_back(monitor);
    }
    void monitor_state(NodeId id, const std::string& name, MonitorState state) {
        MonitorReport report;
        report.name = name;
        report.state = state;
        std::erase_if(monitors[id], [&](const MonitorReport& r) { return r.name == name; });
        monitors[id].push_back(report);
    }
    std::vector<std::string> rejected(Reason reason) const {
        for (const Decision& d : decisions)
            if (d.reason == reason) return d.rejected;
        return {};
    }
    NodeReport report(NodeId id) {
        NodeReport report;
        report.incarnation = {id, boots[id]};
        report.version = document.version;
        report.guard_armed = true;
        report.guarded = !unguarded.contains(id);
        report.leaving = leaving.contains(id);
        report.groups = reports[id];
        report.monitors = monitors[id];
        report.mirrors = replicas[id];
        report.memory_free_mib = memory[id];
        report.disk_free_mib = disk[id];
        report.bad_paths = bad_paths[id];
        return report;
    }

    void silence(NodeId id) { alive.erase(id); }
    // Nothing is heard of `id` any more and its lease has run out.
    void lose(NodeId id) {
        silence(id);
        now += timing.hold;
    }
    void reboot(NodeId id, uint8_t number) {
        boots[id] = boot_of(id, number);
        reports[id].clear();
        replicas[id].clear();
        alive.insert(id);
    }
    void ask(OperatorVerb verb, const std::string& subject = "", NodeId node = kNobody) {
        OperatorRequest request;
        request.id = ++request_id;
        request.verb = verb;
        request.subject = subject;
        request.node = node;
        request.person = "alice";
        requests.push_back({request, n2});
    }
    const OperatorReply& last_reply() {
        REQUIRE_FALSE(replies.empty());
        return replies.back().second;
    }
    bool said(Reason reason) const {
        return std::any_of(decisions.begin(), decisions.end(), [&](const Decision& d) { return d.reason == reason; });
    }
    std::string sentence(Reason reason) const {
        for (const Decision& d : decisions)
            if (d.reason == reason) return d.sentence;
        return "";
    }
    NodeId owner(const std::string& name = "web") { return entry(name).owner ? entry(name).owner->node : kNobody; }

    config::Config config;
    Timing timing;
    Document document;
    Policy policy;
    NodeId self = n1;
    Instant now = kStart;
    Instant leading_since = kStart - 60s;
    bool startup_complete = true;
    std::set<NodeId> alive, guardless, unguarded, leaving, deaf;
    std::map<NodeId, BootId> boots;
    std::map<NodeId, NodeFacts> facts;
    std::map<NodeId, std::vector<GroupReport>> reports;
    std::map<NodeId, std::vector<MonitorReport>> monitors;
    std::map<NodeId, std::vector<mirror::Report>> replicas;
    std::map<NodeId, uint64_t> memory, disk;  // MiB free
    std::map<NodeId, std::vector<PathReport>> bad_paths;
    std::vector<PendingRequest> requests;
    std::vector<Decision> decisions;
    std::vector<std::pair<NodeId, OperatorReply>> replies;
    std::function<std::shared_ptr<const config::Config>(const Bytes&)> parse_config = [](const Bytes&) {
        return nullptr;
    };
    uint64_t request_id = 0;
    uint64_t last_nonce = 100;
    uint64_t draws = 0;
    int commits = 0;
};

template <typename Order>
std::vector<Order> orders_of(const PolicyOutput& out) {
    std::vector<Order> found;
    for (const Envelope& envelope : out.orders)
        if (const Order* order = std::get_if<Order>(&envelope.message)) found.push_back(*order);
    return found;
}

}  // namespace kagami::engine::test
