// Mirrors where the engine's parts meet: how soon a driver's wish is answered, what goes out for it, what the driver is
// told.
#include <catch2/catch.hpp>

#include "cluster-daemon/engine/engine.h"
#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;
using mirror::DiskState;
using mirror::Standing;
using mirror::WishKind;

namespace {

std::shared_ptr<const config::Config> parsed(const Bytes& /*packed*/) {
    auto config = std::make_shared<config::Config>();
    for (uint16_t n = 1; n <= 2; ++n) config->nodes.push_back({NodeId{n}, "node" + std::to_string(n), "", {}});
    config->arbitration.witness_address[""] = "10.0.0.9";
    config->startup_wait = 300s;
    config::Group& group = config->groups.emplace_back();
    group.name = "web";
    group.nodes = {kOne, kTwo};
    config::Resource& resource = group.resources.emplace_back();
    resource.type = "md";
    resource.name = "md1";
    return config;
}

// node1, started by a person without node2 and the witness; writes are durable when a step asks for it.
class Leader {
 public:
    Leader() : engine_(make()) {
        step(GuardObserved{true, true, false, {}});
        OperatorRequest down = request(OperatorVerb::kConfirmDown, "node2");
        step(Asked{down});
        OperatorRequest start = request(OperatorVerb::kClusterStart);
        start.alone = true;
        step(Asked{start});
        REQUIRE(until([&] { return engine_.leading(now_) && engine_.chosen().mirrors.contains("md1"); }));
        rest();
    }

    static OperatorRequest request(OperatorVerb verb, const std::string& subject = {}, NodeId node = kNobody) {
        static uint64_t id = 0;
        OperatorRequest made;
        made.id = ++id;
        made.verb = verb;
        made.subject = subject;
        made.node = node;
        made.person = "root";
        return made;
    }
    // One step; what it wrote is durable at the next one.
    Output step(const Event& event) {
        engine_.step(event, now_);
        Output output = engine_.take_output();
        if (output.persist) unconfirmed_ = output.persist->serial;
        return output;
    }
    std::optional<uint64_t> unconfirmed() { return std::exchange(unconfirmed_, {}); }
    template <typename Condition>
    bool until(Condition&& condition) {
        for (int i = 0; i < 1000 && !condition(); ++i) pass();
        return condition();
    }
    void rest() {
        for (int i = 0; i < 100; ++i) pass();
    }
    void pass() {
        now_ += 10ms;
        if (const auto serial = unconfirmed()) step(Persisted{*serial});
        step(Woken{});
    }
    const mirror::Record& record() const { return engine_.chosen().mirrors.at("md1"); }
    Engine& engine() { return engine_; }
    Instant now() const { return now_; }
    void wait(Duration time) { now_ += time; }

    // Its own disk: admitted, named by a person as the copy to begin with; the group is then assigned here.
    mirror::Report own_disk() {
        mirror::Report report;
        report.mirror = "md1";
        report.role = mirror::Role::kSecondary;
        report.disk = DiskState::kNew;
        report.size_bytes = 1U << 20U;
        report.next_nonce = Nonce{5};
        report.wish.kind = WishKind::kAttach;
        step(MirrorReported{report});
        REQUIRE(until([&] { return record().replicas.at(kOne).next_nonce == Nonce{5}; }));
        report.nonce = std::exchange(report.next_nonce, {});
        report.wish.kind = WishKind::kSettle;
        step(MirrorReported{report});
        REQUIRE(until([&] { return record().replicas.at(kOne).nonce == Nonce{5}; }));
        step(Asked{request(OperatorVerb::kMirrorForce, "md1", kOne)});
        REQUIRE(until([&] { return record().standing(kOne) == Standing::kCurrent; }));
        report.disk = DiskState::kConsistent;
        report.generation = record().generation;
        report.wish = {};
        step(MirrorReported{report});
        REQUIRE(until([&] { return engine_.chosen().groups.at("web").owner.has_value(); }));
        rest();
        report.role = mirror::Role::kPrimary;
        report.token = engine_.chosen().groups.at("web").token;
        return report;
    }

 private:
    static Engine make() {
        Settings settings;
        settings.self = {kOne, boot_of(kOne, 1)};
        settings.seed = 42;
        settings.booted = Instant{500s};
        Document document = document_of(2, true);
        document.groups["web"] = {};
        settings.durable = initial_state(kOne, document);
        settings.parse_config = parsed;
        return Engine(std::move(settings));
    }
    Instant now_{500s};
    std::optional<uint64_t> unconfirmed_;
    Engine engine_;
};

std::vector<mirror::Authority> told(const Output& output) {
    std::vector<mirror::Authority> found;
    for (const HeldCommand& held : output.commands)
        if (const auto* command = std::get_if<SetMirror>(&held.command)) found.push_back(command->authority);
    return found;
}

size_t reports_in(const Output& output) {
    return static_cast<size_t>(std::count_if(output.messages.begin(), output.messages.end(), [](const Envelope& e) {
        return std::holds_alternative<NodeReport>(e.message);
    }));
}

mirror::Record proposed(const Output& output) {
    REQUIRE(output.persist.has_value());
    const auto document = decode_document(output.persist->state.document);
    REQUIRE(document);
    return document->mirrors.at("md1");
}

}  // namespace

TEST_CASE("a solo wish of the leader's own primary is proposed in its step and granted when that is durable") {
    Leader leader;
    mirror::Report report = leader.own_disk();
    report.wish = {WishKind::kSolo, report.token, report.generation, {report.generation.counter + 1, Uuid{0x22}}, {}};
    const Output asked = leader.step(MirrorReported{report});
    CHECK(proposed(asked).generation == report.wish.next);
    CHECK(leader.record().generation != report.wish.next);
    const Output granted = leader.step(Persisted{*leader.unconfirmed()});
    CHECK(leader.record().generation == report.wish.next);
    REQUIRE(told(granted).size() == 1);
    CHECK(told(granted)[0].record.generation == report.wish.next);
    CHECK(told(granted)[0].token == report.token);
}

TEST_CASE("a wish of another node is proposed in the step in which its report arrives") {
    Leader leader;
    Heartbeat beat;
    beat.incarnation = {kTwo, boot_of(kTwo, 3)};
    beat.guard_alive = true;
    beat.timing_digest = Timing::derive(leader.engine().chosen().timing).digest;
    beat.voter.node = kTwo;
    REQUIRE(leader.until([&] {
        leader.step(Received{kTwo, beat});
        return leader.engine().chosen().names(beat.incarnation);
    }));
    leader.rest();
    NodeReport report;
    report.incarnation = beat.incarnation;
    report.serial = 1;
    mirror::Report& replica = report.mirrors.emplace_back();
    replica.mirror = "md1";
    replica.disk = DiskState::kNew;
    replica.next_nonce = Nonce{9};
    replica.wish.kind = WishKind::kAttach;
    leader.step(Received{kTwo, beat});
    const Output asked = leader.step(Received{kTwo, report});
    CHECK(proposed(asked).replicas.at(kTwo).next_nonce == Nonce{9});
}

TEST_CASE("an older report of a node does not bring its wish back") {
    Leader leader;
    mirror::Report report = leader.own_disk();
    const mirror::Record before = leader.record();
    NodeReport late;
    late.incarnation = {kTwo, boot_of(kTwo, 3)};
    late.serial = 5;
    leader.step(Received{kTwo, late});
    late.serial = 4;
    late.mirrors.push_back(report);
    late.mirrors[0].wish.kind = WishKind::kGiveUp;
    leader.step(Received{kTwo, late});
    leader.rest();
    CHECK(leader.record() == before);
}

TEST_CASE("a driver is told of its record on every change, and only then") {
    Leader leader;
    mirror::Report report = leader.own_disk();
    leader.wait(10ms);
    CHECK(told(leader.step(Woken{})).empty());
    CHECK(told(leader.step(MirrorReported{report})).empty());
    report.wish = {WishKind::kSolo, report.token, report.generation, {9, Uuid{0x22}}, {}};
    leader.step(MirrorReported{report});
    const auto now = told(leader.step(Persisted{*leader.unconfirmed()}));
    REQUIRE(now.size() == 1);
    CHECK(now[0].mirror == "md1");
    CHECK(now[0].member);
    CHECK(now[0].fresh);
    CHECK(now[0].version == leader.engine().chosen().version);
    CHECK(now[0].detect == Timing::derive(leader.engine().chosen().timing).detect);
}

TEST_CASE("a daemon that has started again tells the driver nothing before it knows what was chosen") {
    const Instant booted{500s};
    Document accepted = document_of(2, true);  // proposed by node2; whether a majority has it is not known here
    accepted.version = {Epoch::make(3, kTwo), 7};
    accepted.leader = {kTwo, boot_of(kTwo, 1)};
    accepted.groups["web"] = {};
    accepted.mirrors["md1"].uuid = Uuid{9};
    accepted.mirrors["md1"].generation = {2, Uuid{0x22}};
    Settings settings;
    settings.self = {kOne, boot_of(kOne, 1)};
    settings.seed = 42;
    settings.booted = booted;
    settings.durable = initial_state(kOne, accepted);
    settings.parse_config = parsed;
    Engine engine(std::move(settings));
    Renew renewal{accepted.version.epoch, {}, Timing::derive(accepted.timing).digest, {}};
    Instant now = booted;
    for (; now < booted + 10s; now += 10ms) {
        engine.step(Woken{}, now);
        if (now > booted + 5s) engine.step(Received{kTwo, renewal}, now);  // its leader is there, and says no more
        const Output output = engine.take_output();
        REQUIRE(told(output).empty());
        if (output.persist) engine.step(Persisted{output.persist->serial}, now);
    }
    renewal.chosen = accepted.version;
    engine.step(Received{kTwo, renewal}, now);
    const auto first = told(engine.take_output());
    REQUIRE(first.size() == 1);
    CHECK(first[0].version == accepted.version);
    CHECK(first[0].record.generation.counter == 2);
}

TEST_CASE("the progress of a resync is reported once a second, a wish at once") {
    Leader leader;
    mirror::Report report = leader.own_disk();
    leader.wait(2s);
    leader.step(MirrorReported{report});
    size_t sent = 0;
    for (uint8_t percent = 0; percent < 100; ++percent) {  // in one second
        leader.wait(10ms);
        report.percent = percent;
        report.dirty_bytes = 1000U - percent;
        sent += reports_in(leader.step(MirrorReported{report}));
    }
    CHECK(sent <= 2);
    report.wish.kind = WishKind::kGiveUp;
    CHECK(reports_in(leader.step(MirrorReported{report})) == 1);
}

TEST_CASE("a driver's report of a mirror that is not configured is ignored") {
    Leader leader;
    mirror::Report report = leader.own_disk();
    report.mirror = "other";
    CHECK(reports_in(leader.step(MirrorReported{report})) == 0);
    const auto& reported = leader.engine().snapshot(leader.now()).own_report.mirrors;
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].mirror == "md1");
}
