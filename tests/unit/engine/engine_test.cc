// The engine as a whole, where its parts meet: what waits for the disk, what the guard is told, words for one node
// alone.
#include "cluster-daemon/engine/engine.h"

#include <catch2/catch.hpp>

#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

const Instant kStart{500s};

std::shared_ptr<const config::Config> parsed(const Bytes& packed) {
    if (packed != Bytes{1, 2, 3}) return nullptr;
    auto config = std::make_shared<config::Config>();
    for (uint16_t n = 1; n <= 2; ++n) config->nodes.push_back({NodeId{n}, "node" + std::to_string(n), "", {}});
    config->arbitration.witness_address[""] = "10.0.0.9";
    config->startup_wait = 300s;
    return config;
}

Engine engine_of(NodeId self, DurableState durable, int boot = 1) {
    Settings settings;
    settings.self = {self, boot_of(self, boot)};
    settings.witness = self == kWitnessId;
    settings.seed = 42;
    settings.booted = kStart;
    settings.durable = std::move(durable);
    settings.parse_config = parsed;
    return Engine(std::move(settings));
}

template <typename T>
std::vector<HeldCommand> commands_of(const Output& output) {
    std::vector<HeldCommand> found;
    for (const HeldCommand& held : output.commands)
        if (std::holds_alternative<T>(held.command)) found.push_back(held);
    return found;
}

OperatorRequest request_of(OperatorVerb verb, std::string subject = {}, bool force = false, bool alone = false) {
    OperatorRequest request;
    request.id = 9;
    request.verb = verb;
    request.subject = std::move(subject);
    request.force = force;
    request.alone = alone;
    request.person = "root";
    return request;
}

OperatorReply answer_of(Output output) {
    const auto answers = commands_of<Answer>(output);
    REQUIRE(answers.size() == 1);
    return std::get<Answer>(answers[0].command).reply;
}

// Steps until the condition holds; everything becomes durable at once.
template <typename Condition>
bool steps_until(Engine& engine, Instant& now, Condition&& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) {
        now += 10ms;
        engine.step(Woken{}, now);
        const Output output = engine.take_output();
        if (output.persist) engine.step(Persisted{output.persist->serial}, now);
    }
    return condition();
}

// node1, started by a person without node2 and the witness.
Engine leading_alone(Instant& now) {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, now);
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, false, true)}, now);
    REQUIRE(steps_until(engine, now, [&] { return engine.leading(now); }));
    return engine;
}

}  // namespace

TEST_CASE("a booting node makes its new nonce durable before it announces it, and asks for its configuration") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Woken{}, kStart);
    const Output output = engine.take_output();
    REQUIRE(output.persist.has_value());
    CHECK(output.persist->state.next_nonce != Nonce{});
    CHECK(output.persist->state.boot == boot_of(kOne, 1));
    int heartbeats = 0;
    for (const Envelope& e : output.messages) {
        const auto* beat = std::get_if<Heartbeat>(&e.message);
        if (beat == nullptr) continue;
        ++heartbeats;
        CHECK(e.after_persist == output.persist->serial);
        CHECK(beat->joining);
        CHECK(beat->next_nonce == output.persist->state.next_nonce);
    }
    CHECK(heartbeats == 2);
    const auto stored = commands_of<StoreConfig>(output);
    REQUIRE(stored.size() == 1);
    CHECK(std::get<StoreConfig>(stored[0].command).version == document_of(2, true).config.version);
    REQUIRE(output.wake_at.has_value());
    CHECK(*output.wake_at > kStart);
}

TEST_CASE("a daemon that restarts in the same boot keeps its nonce") {
    DurableState state = initial_state(kOne, document_of(2, true));
    state.boot = boot_of(kOne, 1);
    state.nonce = Nonce{5};
    Engine engine = engine_of(kOne, state);
    engine.step(Woken{}, kStart);
    CHECK_FALSE(engine.take_output().persist.has_value());
}

TEST_CASE("without a guard no lease is published") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Woken{}, kStart);
    const auto pages = commands_of<SetGuard>(engine.take_output());
    REQUIRE(pages.size() == 1);
    const SetGuard& page = std::get<SetGuard>(pages[0].command);
    CHECK(page.deadline == Instant{});
    CHECK(page.armed);
    CHECK(pages[0].after_persist == 0);
}

TEST_CASE("the witness votes and beats, and does nothing else") {
    Engine engine = engine_of(kWitnessId, initial_state(kWitnessId, document_of(2, true)));
    for (int i = 0; i < 2000; ++i) {
        engine.step(Woken{}, kStart + i * 10ms);
        const Output output = engine.take_output();
        CHECK(output.commands.empty());
        for (const Envelope& e : output.messages) CHECK(std::holds_alternative<Heartbeat>(e.message));
    }
}

TEST_CASE("a start without waiting is refused while no majority is heard, and says who is missing") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, true)}, kStart + 5s);
    const OperatorReply reply = answer_of(engine.take_output());
    CHECK(reply.outcome == OperatorOutcome::kRefused);
    CHECK(reply.code == static_cast<uint8_t>(ErrorCode::kNoQuorum));
    CHECK(reply.message.find("node2") != std::string::npos);
    CHECK_FALSE(engine.snapshot(kStart + 5s).waiting_for.empty());
}

TEST_CASE("a start through the witness goes on at a person's word") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    Heartbeat beat;
    beat.incarnation = {kWitnessId, boot_of(kWitnessId, 1)};
    engine.step(Received{kWitnessId, beat}, kStart + 5s);
    engine.take_output();
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, true)}, kStart + 5s);
    CHECK(answer_of(engine.take_output()).outcome == OperatorOutcome::kDone);
}

TEST_CASE("a start alone needs the name of every node that is not heard") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Asked{request_of(OperatorVerb::kConfirmDown, "node7")}, kStart);
    CHECK(answer_of(engine.take_output()).code == static_cast<uint8_t>(ErrorCode::kNotFound));
    engine.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, kStart);
    CHECK(answer_of(engine.take_output()).outcome == OperatorOutcome::kDone);
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, false, true)}, kStart);
    CHECK(answer_of(engine.take_output()).outcome == OperatorOutcome::kDone);
    Instant now = kStart;
    CHECK(steps_until(engine, now, [&] { return engine.leading(now); }));
    CHECK(engine.chosen().node(kTwo).state == NodeState::kFenced);
}

TEST_CASE("a start without waiting never uses a word about nodes that are down") {
    Engine engine = engine_of(kOne, initial_state(kOne, document_of(2, true)));
    engine.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, kStart);
    engine.take_output();
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, true)}, kStart);
    CHECK(answer_of(engine.take_output()).code == static_cast<uint8_t>(ErrorCode::kNoQuorum));
}

TEST_CASE("a word about a node that is down is forgotten after T_grant, and as soon as somebody leads") {
    const Document document = document_of(2, true);
    const Timing timing = Timing::derive(document.timing);
    const auto start_alone = [&](Engine& engine, Instant now) {
        engine.take_output();
        engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, false, true)}, now);
        return answer_of(engine.take_output()).outcome;
    };
    Engine in_time = engine_of(kOne, initial_state(kOne, document));
    in_time.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, kStart);
    CHECK(start_alone(in_time, kStart + timing.grant) == OperatorOutcome::kDone);

    Engine late = engine_of(kOne, initial_state(kOne, document));
    late.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, kStart);
    late.step(Woken{}, kStart + timing.grant + 1ms);
    CHECK(start_alone(late, kStart + timing.grant + 2ms) == OperatorOutcome::kRefused);

    Engine led = engine_of(kOne, initial_state(kOne, document));
    led.step(Asked{request_of(OperatorVerb::kConfirmDown, "node2")}, kStart);
    led.step(Received{kTwo, Renew{Epoch::make(5, kTwo), 1, timing.digest, {}}}, kStart + 1ms);
    led.step(Woken{}, kStart + 1ms + timing.detect + 1ms);  // it is silent again
    CHECK(start_alone(led, kStart + 1ms + timing.detect + 2ms) == OperatorOutcome::kRefused);
}

TEST_CASE("a second pause voids the lease again, also when the guard reports nothing in between") {
    Instant now = kStart;
    Engine engine = leading_alone(now);
    for (int i = 0; i < 2; ++i) {
        CHECK(engine.leading(now));
        GuardObserved seen;
        seen.alive = seen.armed = seen.pause_suspected = true;
        engine.step(GuardObserved{seen}, now);
        CHECK_FALSE(engine.leading(now));
        const Output output = engine.take_output();
        if (output.persist) engine.step(Persisted{output.persist->serial}, now);
        bool said = false;
        for (const Decision& d : output.decisions) said = said || d.reason == Reason::kPauseSuspected;
        CHECK(said);
        REQUIRE(steps_until(engine, now, [&] { return engine.leading(now); }));
    }
}

TEST_CASE("only nodes of the cluster pass on what persons ask for") {
    Instant now = kStart;
    Engine engine = leading_alone(now);
    const auto answers_to = [&](NodeId from) {
        OperatorRequest request = request_of(OperatorVerb::kGroupStart, "nonsense");
        int answers = 0;
        engine.step(Received{from, request}, now);
        for (int i = 0; i < 10; ++i) {
            const Output output = engine.take_output();
            if (output.persist) engine.step(Persisted{output.persist->serial}, now);
            for (const Envelope& e : output.messages)
                if (e.to == from && std::holds_alternative<OperatorReply>(e.message)) ++answers;
            engine.step(Woken{}, now += 10ms);
        }
        return answers;
    };
    CHECK(answers_to(kWitnessId) == 0);
    CHECK(answers_to(NodeId{7}) == 0);
    CHECK(answers_to(kTwo) == 1);
}

TEST_CASE("a configuration that cannot be read starts nothing and is said once") {
    Document document = document_of(2, true);
    document.config.packed = {9};
    document.config.hash = Hash{9};
    Engine engine = engine_of(kOne, initial_state(kOne, document));
    int said = 0;
    for (int i = 0; i < 20; ++i) {
        engine.step(Woken{}, kStart + i * 100ms);
        for (const Decision& d : engine.take_output().decisions) said += d.reason == Reason::kConfigRefused ? 1 : 0;
    }
    CHECK(said == 1);
}

TEST_CASE("every reason has a name and a level") {
    CHECK(std::string(name_of(Reason::kGroupFailover)) == "group-failover");
    CHECK(level_of(Reason::kElected) == Level::kInfo);
    CHECK(level_of(Reason::kNodeLost) == Level::kWarning);
    CHECK(level_of(Reason::kQuorumLost) == Level::kError);
}
