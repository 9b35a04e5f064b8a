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

OperatorRequest request_of(OperatorVerb verb, std::string subject = {}, bool force = false) {
    OperatorRequest request;
    request.id = 9;
    request.verb = verb;
    request.subject = std::move(subject);
    request.force = force;
    request.person = "root";
    return request;
}

OperatorReply answer_of(Output output) {
    const auto answers = commands_of<Answer>(output);
    REQUIRE(answers.size() == 1);
    return std::get<Answer>(answers[0].command).reply;
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
    CHECK(commands_of<StoreConfig>(output).size() == 1);
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
    engine.step(Asked{request_of(OperatorVerb::kClusterStart, {}, true)}, kStart);
    CHECK(answer_of(engine.take_output()).outcome == OperatorOutcome::kDone);
    bool leads = false;
    for (int i = 1; i < 1000 && !leads; ++i) {
        engine.step(Woken{}, kStart + i * 10ms);
        const Output output = engine.take_output();
        if (output.persist) engine.step(Persisted{output.persist->serial}, kStart + i * 10ms);
        leads = engine.leading(kStart + i * 10ms);
    }
    CHECK(leads);
    CHECK(engine.chosen().node(kTwo).state == NodeState::kFenced);
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
