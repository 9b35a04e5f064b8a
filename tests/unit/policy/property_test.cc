#include <random>

#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// A cluster in a random situation, and random things happening to it.
class Story {
 public:
    explicit Story(uint32_t seed, bool mirrored = false)
        : random_(seed), mirrored_(mirrored), scene_(2 + static_cast<int>(seed % 2), {"a", "b", "c"}, seed % 3 != 0) {
        scene_.group("b").exclusion = config::ExclusionKind::kStrict;
        scene_.group("c").failback = pick(2) == 0;
        scene_.config.auto_return = pick(2) == 0;
        scene_.config.failovers_per_hour = 3;
        for (config::Group& group : scene_.config.groups)
            group.failover = pick(4) == 0 ? config::FailoverAttribute::kManual : config::FailoverAttribute::kAuto;
        if (mirrored_) scene_.add_mirror("md1", "a");
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

    // What a sensible driver does next, and now and then it has a wish.
    void drive(NodeId id, const mirror::Record& record) {
        Scene& s = scene_;
        const mirror::RecordReplica& entry = record.replicas.at(id);
        mirror::Report& report = s.replica(id);
        if (report.next_nonce.value == 0 && report.nonce.value == 0) {  // it has just started
            s.new_disk(id).nonce = entry.nonce.value != 0 ? entry.nonce : entry.next_nonce;
            if (!record.generation.none()) report.disk = mirror::DiskState::kConsistent;
        } else if (report.next_nonce.value != 0 && report.next_nonce == entry.next_nonce) {
            report.nonce = std::exchange(report.next_nonce, {});
            report.wish.kind = mirror::WishKind::kSettle;
        } else if (entry.standing == mirror::Standing::kCurrent || pick(3) == 0) {  // promoted, or its resync has ended
            report.disk = mirror::DiskState::kConsistent;
            report.generation = record.generation;
            report.token = s.owner("a") == id ? s.entry("a").token : Token{};
        }
        if (report.token == Token{}) return;
        const mirror::WishKind wanted = pick(2) == 0 ? mirror::WishKind::kSolo : mirror::WishKind::kAdd;
        s.wish(id, pick(3) == 0 ? wanted : mirror::WishKind::kNone).peer = any_node();
    }

    // A driver does something odd, or a person orders something.
    void mirror_happens() {
        Scene& s = scene_;
        const auto at = s.document.mirrors.find("md1");
        if (at == s.document.mirrors.end()) return;
        for (const config::Node& node : s.config.nodes)
            if (pick(3) != 0) drive(node.id, at->second);
        const NodeId id = any_node();
        mirror::Report& report = s.replica(id);
        switch (pick(24)) {
            case 0: s.new_disk(id); break;
            case 1:
                s.new_disk(id).nonce = Nonce{77};
                report.disk = mirror::DiskState::kConsistent;
                break;
            case 2: report.disk = static_cast<mirror::DiskState>(pick(5)); break;
            case 3:
                s.wish(id, static_cast<mirror::WishKind>(pick(6))).peer = any_node();
                if (pick(2) == 0) report.wish.base.random[0] ^= 1;
                break;
            case 4:
                s.ask(static_cast<OperatorVerb>(static_cast<uint32_t>(OperatorVerb::kMirrorForce) + pick(5)), "md1",
                      id);
                s.requests.back().request.force = pick(2) == 0;
                break;
            default: break;
        }
        if (const NodeId owner = s.owner("a"); owner != kNobody) obey(owner, "a");
    }

    // The record's own laws, and those of a group that gets an owner.
    void check_mirror(const PolicyInput& in, const Document& next) {
        if (!scene_.document.mirrors.contains("md1") || !next.mirrors.contains("md1")) return;
        const mirror::Record& before = scene_.document.mirrors.at("md1");
        const mirror::Record& after = next.mirrors.at("md1");
        CHECK(after.generation.none() == (after.current_count() == 0));
        const bool same = after.generation == before.generation;
        if (!same) CHECK(after.generation.counter > before.generation.counter);
        for (const auto& [node, replica] : after.replicas) {
            const bool was = before.standing(node) == mirror::Standing::kCurrent;
            if (was && replica.standing == mirror::Standing::kStale) CHECK_FALSE(same);
            if (!was && replica.standing == mirror::Standing::kCurrent && same) {  // added: by its own word as well
                CHECK(in.facts.at(node).report->mirrors.at(0).generation == after.generation);
            }
        }
        const GroupEntry& group = next.groups.at("a");
        if (!group.owner || !(group.token == Token{})) return;
        CHECK(after.standing(group.owner->node) == mirror::Standing::kCurrent);
        const std::optional<Incarnation>& former = scene_.document.groups["a"].owner;
        if (!former || stopped(in, *former)) return;
        CHECK_FALSE(same);
        CHECK(after.current_count() == 1);
    }

    bool stopped(const PolicyInput& in, const Incarnation& owner) {
        const auto& report = in.facts.at(owner.node).report;
        if (!report || report->incarnation != owner) return false;
        return std::any_of(report->groups.begin(), report->groups.end(), [&](const GroupReport& r) {
            return r.group == "a" && r.state == GroupState::kStopped && r.token >= scene_.document.groups["a"].token;
        });
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
        if (mirrored_) check_mirror(in, *out.next);
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
        if (mirrored_) mirror_happens();
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
    bool mirrored_;
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

TEST_CASE(
    "whatever drivers report and persons order: a group goes where its mirror is current, and a current copy remains") {
    for (uint32_t seed = 1; seed <= 2000; ++seed) {
        INFO("seed " << seed);
        Story story(seed, true);
        for (int i = 0; i < 100; ++i) story.step();
    }
}
