// The engine's inside: which part sees which event, in which order, and what of it goes out. Split over engine.cc
// (events), engine_lead.cc (the leader's planning) and engine_publish.cc (heartbeats, reports, guard, output).
#pragma once

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/engine/local_manager.h"
#include "cluster-daemon/engine/policy.h"
#include "cluster-daemon/engine/randomness.h"
#include "cluster-daemon/engine/requests.h"
#include "cluster-daemon/engine/voters_policy.h"

namespace kagami::engine {

struct Engine::Impl {
    explicit Impl(Settings given);

    void step(const Event& event, Instant now);
    Output take_output();
    Snapshot snapshot(Instant now) const;

    // ---- events (engine.cc) ----
    void on(const Received& e, Instant now);
    void on(const Woken&, Instant) {}
    void on(const Persisted& e, Instant now);
    void on(const PeerConnected& e, Instant now);
    void on(const ResourceDone& e, Instant now);
    void on(const MonitorDone& e, Instant now);
    void on(const MonitorStirred& e, Instant now);
    void on(const ScriptDone& e, Instant now);
    void on(const GuardObserved& e, Instant now);
    void on(const Asked& e, Instant now);
    void on(const MirrorReported& e, Instant now);
    void on(const MachineMeasured& e, Instant now);
    void on(const PathsSeen& e, Instant now);
    void on(const ConfigStored& e, Instant now);

    void on_message(NodeId from, const Heartbeat& m, Instant now);
    void on_message(NodeId from, const NodeReport& m, Instant now);
    void on_message(NodeId from, const StartGroup& m, Instant now);
    void on_message(NodeId from, const StopGroup& m, Instant now);
    void on_message(NodeId from, const OperatorRequest& m, Instant now);
    void on_message(NodeId from, const OperatorReply& m, Instant now);
    template <typename Other>
    void on_message(NodeId /*from*/, const Other& /*the register's*/, Instant /*now*/) {}

    void settle(Instant now);  // after every event: everything that follows from it
    void follow_config();
    void tell_wait(Instant now);
    bool ask_here(const OperatorRequest& request, Instant now);
    LocalInput local_input(Instant now) const;
    void take_local();
    void begin_activations(Instant now);
    GuardGroupState guard_state_of(const std::string& group) const;
    void never_begun(const Command& command, Instant now);
    void follow_unmanaged(Instant now);

    // ---- leading (engine_lead.cc) ----
    void lead(Instant now);
    void plan(Instant now);
    PolicyInput policy_input(Instant now);
    VoterFacts voter_facts(Instant now) const;
    void carry_out(PolicyOutput planned, Instant now);
    void propose(Document next, Instant now);

    // ---- publishing (engine_publish.cc) ----
    void beat(Instant now);
    Heartbeat heartbeat(Instant now) const;
    void report(Instant now);
    bool news(const NodeReport& fresh, Instant now) const;
    void send_report(NodeId to);
    void publish_guard();
    void publish_mirrors(Instant now);
    Token mirror_token(const config::Group& group) const;
    Instant wake_at(Instant now) const;

    Settings settings;
    Ledger ledger;
    Outbox out;
    Register reg;
    Policy policy;
    LocalManager local;
    Requests requests;

    std::optional<Hash> tried_hash;        // configuration that was last given to parse_config
    Hash config_hash{};                    // of out.config
    Hash stored_hash{};                    // unpacked by the runtime
    std::map<NodeId, NodeReport> reports;  // of the others
    std::map<NodeId, bool> connected;
    std::set<NodeId> confirmed_down;  // a person's words while there is no leader; true for T_grant
    Instant confirmed_down_at;
    GuardObserved guard;
    std::optional<SetGuard> published;
    std::map<std::string, mirror::Report> mirrors;         // of this node's driver
    Randomness draws;                                      // for the policy
    std::map<std::string, mirror::Authority> authorities;  // as last told to it
    struct MirrorBasis {                                   // what they rest on
        Version chosen;
        Hash config{};
        bool fresh = false;
        bool operator==(const MirrorBasis&) const = default;
    };
    std::optional<MirrorBasis> mirror_basis;
    std::vector<HeldCommand> commands;
    std::vector<HeldCommand> activations;  // wait for their mark to be durable and for a lease
    uint64_t local_serial = 0;             // change of the group marks that commands and reports wait for
    std::optional<Instant> local_wake;

    Instant stepped_at;
    NodeReport own_report;
    MachineMeasured measured;
    bool unmanaged = false;  // a person runs this node by hand
    Version managed_at;      // of the newest document accepted here that does not say so
    std::vector<PathReport> bad_paths;
    std::string waits_for;  // whom the start-up waits for, and since when
    Instant waits_since;
    bool wait_told = false;
    Instant progress_at;  // before it, a report does not go out for the progress of a resync alone
    Instant report_at;
    Instant beat_at;

    bool was_leading = false;
    bool look_again = false;  // something the policy looks at has changed
    Instant plan_at = kNever;
    Instant witness_voted_at;
    Version planned_for;
    std::set<NodeId> twice;  // alive in two incarnations, said
};

}  // namespace kagami::engine
