// Every rule of placement at once, in random clusters to which random things happen.
#include <random>

#include "cluster-daemon/engine/restraint.h"
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

constexpr int kNodes = 4;

class Rules {
 public:
    explicit Rules(uint32_t seed) : random_(seed), scene_(kNodes, {"a", "b", "c", "d", "e"}, false) {
        config::Config& config = scene_.config;
        config.exclusive_rules = {{"absolute", true, {"a", "b"}}, {"normal", false, {"b", "c", "d"}}};
        config.server_groups = {{"east", {n1, n2}}, {"west", {n3, NodeId{4}}}};
        config.failover_latch = pick(4) == 0;
        config.failovers_per_hour = 4;
        config.minimum_memory_mib = 400;
        scene_.add_monitor("net");
        scene_.group("e").kind = config::GroupKind::kManagement;
        scene_.group("c").start_wait.groups = {"a"};
        scene_.group("c").start_wait.timeout = 20s;
        scene_.group("d").start_wait.groups = {"a", "c"};
        scene_.group("d").start_wait.on_timeout = config::WaitOutcome::kGoOn;
        scene_.group("d").start_wait.timeout = 20s;
        scene_.group("a").stop_wait = {{"c", "d"}, true, true, pick(2) == 0, 20s, config::WaitOutcome::kCancel};
        for (config::Group& group : config.groups) {
            group.failover = static_cast<config::FailoverAttribute>(pick(3));
            group.forced_failover = pick(2) == 0;
            group.smart_failover = pick(2) == 0;
            group.failback = pick(3) == 0;
            group.server_group_policy = static_cast<config::ServerGroupPolicy>(pick(3));
            group.start_wait.same_node = pick(2) == 0;
        }
    }

    void step() {
        happen();
        for (int i = 0; i < 30; ++i) {
            const PolicyInput in = scene_.input();
            const bool asked = !in.requests.empty();
            const PolicyOutput out = scene_.policy.plan(in);
            if (!out.next) return;
            check(*out.next, asked);
            scene_.choose(*out.next);
        }
        FAIL("the policy never comes to rest");
    }

 private:
    uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    NodeId any_node() { return NodeId{static_cast<uint16_t>(1 + pick(kNodes))}; }
    std::string any_group() { return std::string(1, static_cast<char>('a' + pick(5))); }

    void happen() {
        Scene& s = scene_;
        const NodeId id = any_node();
        const std::string group = any_group();
        switch (pick(16)) {
            case 0:
                if (id != s.self) s.silence(id);
                break;
            case 1: s.alive.insert(id); break;
            case 2:
                if (id != s.self) s.reboot(id, static_cast<uint8_t>(++boots_));
                break;
            case 3: s.now += s.timing.hold; break;
            case 4: s.now += 10s; break;
            case 5: s.monitor_state(id, "net", static_cast<MonitorState>(2 + pick(3))); break;
            case 6: s.memory[id] = 300 + 100 * pick(4); break;
            case 7: s.ask(static_cast<OperatorVerb>(pick(3)), group, pick(2) == 0 ? kNobody : id); break;
            case 8: s.document.failover.on = pick(2) == 0; break;
            case 9: set(pick(2) == 0 ? s.document.maintenance : s.node(id).maintenance); break;
            case 10: set(s.entry(group).maintenance); break;
            case 11: s.policy.reset(); break;
            case 12: s.ask(pick(2) == 0 ? OperatorVerb::kClusterStop : OperatorVerb::kClusterStart); break;
            case 13: s.ask(OperatorVerb::kNodeShutdown, "node" + std::to_string(id.value)); break;
            default: obey(group); break;
        }
        if (pick(2) == 0)
            for (const char* name : {"a", "b", "c", "d", "e"}) obey(name);
    }

    void set(Maintenance& maintenance) {
        const bool on = pick(3) == 0;
        maintenance = on ? Maintenance{MaintenanceKind::kObserve, 10} : Maintenance{};
    }

    void obey(const std::string& name) {
        Scene& s = scene_;
        const GroupEntry& entry = s.entry(name);
        if (!entry.owner || entry.owner->boot != s.boots[entry.owner->node]) return;
        const bool start = entry.goal == Goal::kStarted;
        const bool fails = pick(8) == 0;
        s.reported(entry.owner->node, name).wants_failover = start && fails;
        s.report_state(entry.owner->node,
                       start ? (fails ? GroupState::kStartFailed : GroupState::kActive) : GroupState::kStopped, name);
    }

    static NodeId owner_in(const Document& document, const std::string& name) {
        const GroupEntry& entry = document.groups.at(name);
        return entry.owner ? entry.owner->node : kNobody;
    }

    bool observed(const std::string& name) const {
        const GroupEntry& entry = scene_.document.groups.at(name);
        const NodeId home = home_of(entry);  // where it stands is what counts, not what was asked for
        return scene_.document.maintenance.kind != MaintenanceKind::kNone ||
               entry.maintenance.kind != MaintenanceKind::kNone ||
               (home != kNobody && scene_.document.node(home).maintenance.kind != MaintenanceKind::kNone);
    }

    void check(const Document& next, bool asked) {
        for (const auto& [name, entry] : next.groups) {
            INFO("group " << name);
            const GroupEntry& before = scene_.document.groups.at(name);
            const bool assigned = entry.owner && entry.token == Token{};
            if (!assigned) continue;
            if (name == "a" || name == "b") {  // never together
                const std::string other = name == "a" ? "b" : "a";
                const bool there = owner_in(next, other) == entry.owner->node &&
                                   next.groups.at(other).owner->boot == next.node(entry.owner->node).boot;
                CHECK_FALSE(there);
            }
            if (asked || before.target != kNobody) continue;  // a person, or a move that was decided before
            const NodeId home = home_of(before);
            if (observed(name)) FAIL("a group under maintenance was given to a node by itself");
            const bool cluster_starts = scene_.document.cluster_stopped != next.cluster_stopped;  // switches it on
            if (home != kNobody && home != entry.owner->node && !cluster_starts) CHECK(scene_.document.failover.on);
        }
        for (const auto& [name, entry] : next.groups) {  // moves that begin by themselves
            const GroupEntry& before = scene_.document.groups.at(name);
            if (asked || entry.target == kNobody || entry.target == before.target) continue;
            INFO("group " << name);
            CHECK_FALSE(observed(name));
            CHECK(scene_.document.failover.on);
        }
    }

    std::mt19937 random_;
    Scene scene_;
    int boots_ = 1;
};

}  // namespace

TEST_CASE("whatever happens: absolute rules hold, nothing goes elsewhere against a maintenance or the switch") {
    for (uint32_t seed = 1; seed <= 400; ++seed) {
        INFO("seed " << seed);
        Rules rules(seed);
        for (int i = 0; i < 80; ++i) rules.step();
    }
}
