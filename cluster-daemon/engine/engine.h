// The cluster engine of one node, or of the witness: register, policy (when leading), local manager, joined by plain
// values. Pure and deterministic: the same events at the same instants give the same output. Owned by one thread.
//
// step() is total: it cannot fail, block, log or read a clock. take_output() hands over what arose since the last call.
// The caller keeps one timer: Output::wake_at (replaces the earlier one).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/register.h"
#include "common/config/config.h"

namespace kagami::engine {

struct Settings {
    Incarnation self;
    bool witness = false;
    uint64_t seed = 0;  // randomness of this boot
    Instant booted;
    DurableState durable;  // as loaded; a fresh node or witness: made by initial_state()
    // Unpacks and parses a configuration. Pure; null when the bytes are not a valid configuration.
    std::function<std::shared_ptr<const config::Config>(const Bytes& packed)> parse_config;
};

// The durable state of a node that has just been initialised or joined: the genesis (or present) document, nonce 0.
DurableState initial_state(NodeId self, const Document& document);

// A snapshot for status displays; answers "what does this node believe".
struct PeerView {
    NodeId id;
    Instant heard_at;
    std::optional<Heartbeat> heartbeat;
    std::optional<NodeReport> report;
};
struct Snapshot {
    Incarnation self;
    Document document;  // chosen
    std::shared_ptr<const config::Config> config;
    NodeId leader;
    bool leading = false;
    bool quorum = false;
    Epoch epoch;
    Instant run_until;
    bool guard_alive = false;
    bool guard_armed = false;
    bool startup_complete = false;
    std::string waiting_for;  // sentence while starting up: "waits for node2 until ..."
    NodeReport own_report;
    std::map<NodeId, PeerView> peers;  // nodes and witness, self left out
};

class Engine {
 public:
    explicit Engine(Settings settings);
    ~Engine();
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;

    void step(const Event& event, Instant now);
    Output take_output();

    Snapshot snapshot(Instant now) const;
    const Document& document() const;  // newest accepted
    const Document& chosen() const;
    Instant run_until() const;  // for invariant checks
    bool leading(Instant now) const;
    Epoch epoch() const;  // promised, durably

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::engine
