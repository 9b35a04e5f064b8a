// An unmanaged node that missed documents: it lets go of its groups only by a document that is known to be chosen and
// is newer than the end of an earlier such time. Else its guard could be gone while everybody counts it as armed (P4).
#include <catch2/catch.hpp>

#include "cluster-daemon/engine/engine.h"
#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

// node2, a follower of node1, which is played by the test.
struct Follower {
    Follower() : document(document_of(2, true)) {
        Settings settings;
        settings.self = {kTwo, boot_of(kTwo, 1)};
        settings.seed = 42;
        settings.booted = now;
        settings.durable = initial_state(kTwo, document);
        settings.parse_config = [](const Bytes&) {
            auto config = std::make_shared<config::Config>();
            for (uint16_t n = 1; n <= 2; ++n) config->nodes.push_back({NodeId{n}, "node" + std::to_string(n), "", {}});
            return config;
        };
        engine = std::make_unique<Engine>(std::move(settings));
        for (auto& [node, entry] : document.nodes) {
            entry.state = NodeState::kMember;
            entry.boot = boot_of(node, 1);
            entry.armed = true;
        }
        document.leader = {kOne, boot_of(kOne, 1)};
        GuardObserved guard;
        guard.alive = guard.armed = true;
        step(guard);
    }
    Hash digest() const { return Timing::derive(document.timing).digest; }
    void step(const Event& event) {
        engine->step(event, now);
        for (std::optional<LeaseRequest> asked = take(); asked; asked = take())
            engine->step(Received{kOne, LeaseGrant{asked->stamp, epoch(), 2s, document.version}}, now);
    }
    std::optional<LeaseRequest> take() {
        Output output = engine->take_output();
        if (output.persist) engine->step(Persisted{output.persist->serial}, now);
        for (const HeldCommand& held : output.commands)
            if (const auto* page = std::get_if<SetGuard>(&held.command)) unmanaged = page->unmanaged;
        for (const Envelope& envelope : output.messages)
            if (const auto* request = std::get_if<LeaseRequest>(&envelope.message)) return *request;
        return std::nullopt;
    }
    Epoch epoch() const { return Epoch::make(counter, kOne); }
    // node1 proposes a document in which node2 is unmanaged, or not.
    void propose(uint64_t seq, MaintenanceKind kind) {
        document.version = {epoch(), seq};
        document.nodes[kTwo].maintenance = {kind, kind == MaintenanceKind::kNone ? 0U : 60U};
        document.nodes[kTwo].armed = kind != MaintenanceKind::kUnmanaged;
        step(Received{kOne, Accept{document.version, encode(document), digest()}});
    }
    void chosen() { renew(document.version); }
    void renew(Version known = {}) {
        now += 100ms;
        step(Received{kOne, Renew{epoch(), 1, digest(), known}});
    }

    Document document;
    Instant now{500s};
    uint64_t counter = 5;
    bool unmanaged = false;
    std::unique_ptr<Engine> engine;
};

}  // namespace

TEST_CASE("a document that is not known to be chosen disarms no guard, although an older one once did") {
    Follower f;
    f.propose(1, MaintenanceKind::kNone);
    f.chosen();
    f.propose(2, MaintenanceKind::kUnmanaged);
    CHECK_FALSE(f.unmanaged);
    f.chosen();
    REQUIRE(f.unmanaged);
    f.propose(4, MaintenanceKind::kNone);  // the third got lost; that the fourth is chosen is not heard of
    for (int i = 0; i < 20; ++i) f.renew();
    REQUIRE_FALSE(f.unmanaged);
    ++f.counter;
    f.propose(0, MaintenanceKind::kUnmanaged);
    f.renew();
    CHECK_FALSE(f.unmanaged);
    f.chosen();
    CHECK(f.unmanaged);
}
