#include <random>

#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// A cluster in a random situation, and random things happening to it.
class Story {
 public:
    explicit Story(uint32_t seed)
        : random_(seed), scene_(2 + static_cast<int>(seed % 2), {"a", "b", "c"}, seed % 3 != 0) {
        scene_.group("b").exclusion = config::ExclusionKind::kStrict;
        scene_.group("c").failback = pick(2) == 0;
        scene_.config.auto_return = pick(2) == 0;
        scene_.config.failovers_per_hour = 3;
        for (config::Group& group : scene_.config.groups)
            group.failover = pick(4) == 0 ? config::FailoverAttribute::kManual : config::FailoverAttribute::kAuto;
    }

    uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    NodeId any_node() {
        return NodeId{static_cast<uint16_t>(1 + pick(static_cast<uint32_t>(scene_.config.nodes.size())))};
    }
    std::string any_group() { return std::string(1, static_cast<char>('a' + pick(3))); }

    void happen() {
        Scene& s = scene_;
        const NodeId id = any_node();
        const std::string group = any_group();
        switch (pick(12)) {
            case 0:
                if (id != s.self) s.silence(id);
                break;
            case 1: s.alive.insert(id); break;
            case 2:
                if (id != s.self) s.reboot(id, static_cast<uint8_t>(++boots_));
                break;
            case 3: s.now += s.timing.hold; break;
            case 4: s.now += s.timing.strict; break;
            case 5: obey(id, group); break;
            case 6:
                if (s.owner(group) == id) s.reported(id, group).wants_failover = pick(2) == 0;
                break;
            case 7:
                if (s.guardless.erase(id) == 0) s.guardless.insert(id);
                break;
            case 8: s.ask(static_cast<OperatorVerb>(pick(3)), group, pick(2) == 0 ? kNobody : id); break;
            case 9: s.ask(static_cast<OperatorVerb>(3 + pick(4)), "node" + std::to_string(id.value)); break;
            case 10: s.now += s.timing.renew; break;
            case 11: s.silence(kWitnessId); break;
        }
    }

    // The node does what it was told, or fails at it.
    void obey(NodeId id, const std::string& group) {
        Scene& s = scene_;
        if (s.owner(group) != id || s.entry(group).owner->boot != s.boots[id]) return;
        const bool start = s.entry(group).goal == Goal::kStarted;
        const bool fails = pick(8) == 0;
        s.reported(id, group).wants_failover = start && fails;
        s.report_state(id,
                       start ? (fails ? GroupState::kStartFailed : GroupState::kActive)
                             : (fails ? GroupState::kStopFailed : GroupState::kStopped),
                       group);
    }

    // What the former owner's state says at the moment of the plan.
    bool proven(const PolicyInput& in, const Document& next, const std::string& group) {
        const GroupEntry& entry = scene_.document.groups[group];
        if (!entry.owner) return true;
        const Incarnation owner = *entry.owner;
        const NodeFacts& facts = in.facts.at(owner.node);
        if (facts.report && facts.report->incarnation == owner)
            for (const GroupReport& report : facts.report->groups)
                if (report.group == group && report.state == GroupState::kStopped && report.token >= entry.token)
                    return true;
        if (facts.heartbeat && facts.heartbeat->incarnation.boot != owner.boot) return true;
        const NodeEntry& node = next.node(owner.node);
        if (node.boot != owner.boot || node.state == NodeState::kFenced) return true;
        const Duration strict = group == "b" ? scene_.timing.strict : Duration{};
        return node.state == NodeState::kLost && node.armed && in.now >= facts.may_run_until + strict;
    }

    void check(const PolicyInput& in, const PolicyOutput& out) {
        if (!out.next) return;
        for (const auto& [name, entry] : out.next->groups) {
            const std::optional<Incarnation>& before = scene_.document.groups[name].owner;
            if (entry.owner == before && !(entry.token == Token{})) continue;
            INFO("group " << name);
            if (entry.owner) {
                CHECK(entry.token == Token{});
                CHECK(out.next->names(*entry.owner));
                CHECK(entry.goal == Goal::kStarted);
            }
            CHECK(proven(in, *out.next, name));
        }
        // One loss, one document: no group that could go and may go stays behind.
        for (const auto& [name, entry] : out.next->groups) {
            if (!entry.owner || name == "b") continue;
            const NodeEntry& node = out.next->node(entry.owner->node);
            const bool just_lost =
                node.state == NodeState::kLost && scene_.document.node(entry.owner->node).state == NodeState::kMember;
            if (just_lost) CHECK(entry.owner == scene_.document.groups[name].owner);
        }
    }

    void step() {
        happen();
        for (int i = 0; i < 12; ++i) {
            const PolicyInput in = scene_.input();
            const PolicyOutput out = scene_.policy.plan(in);
            check(in, out);
            PolicyInput again = in;
            again.requests.clear();
            if (in.requests.empty()) {
                const PolicyOutput repeated = scene_.policy.plan(again);
                CHECK(repeated.next == out.next);
                CHECK(repeated.orders.empty());
            }
            if (!out.next) return;
            scene_.choose(*out.next);
        }
        FAIL("the policy never comes to rest");
    }

 private:
    std::mt19937 random_;
    Scene scene_;
    int boots_ = 1;
};

}  // namespace

TEST_CASE("whatever happens: no owner without a proof for the former one, and a plan comes to rest") {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        Story story(seed);
        for (int i = 0; i < 60; ++i) story.step();
    }
}
