// The observer who sees every machine at once and checks the invariants of protocol.md 11 after every step: I1, I2, I3,
// I12 to I21 as far as the cluster engine can break them (I4 to I10 are the mirror's: mirror_checker.h). It never
// speaks to an engine. Chosen = a quorum of voters has the version durable, counted over all time. The first violation
// ends the run.
//
// What it allows: for T_guard after a frozen machine goes on, that machine's effects do not count (assumption A4).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster-daemon/engine/engine.h"
#include "tests/sim/moment.h"

namespace kagami::sim {

class Node;
class World;

class Checker {
 public:
    explicit Checker(World& world);
    void begin(const engine::Document& genesis);

    void violation(const std::string& invariant, const std::string& text);
    const std::string& violated() const { return violated_; }  // empty: all is well
    const std::string& invariant() const { return invariant_; }

    void on_boot(const Node& node);
    void on_power_off(const Node& node);
    void on_daemon_start(const Node& node);  // what was not durable is forgotten
    void on_stepped(const Node& node);
    void on_durable(const Node& node, const engine::DurableState& state);
    void on_effects_changed(const Node& node, const std::string& group);
    void on_run(const Node& node, const engine::RunResource& command);
    void on_publish(const Node& node, const engine::SetGuard& plan);
    void on_system_action(const Node& node, const engine::ActOnSystem& action);
    void on_sent(const Node& from, NodeId to, const engine::Message& message);
    void on_delivered(NodeId from, const Node& to, const engine::Message& message);
    void on_store_tampered(const Node& node);   // an older image or a fresh store was put in its place
    void on_start_now() { start_now_ = true; }  // a person cancelled the wait, or started a node alone
    void on_confirmed_down(NodeId node) { confirmed_down_.insert(node); }
    void tick();  // now and then, for what only time can break

    const engine::Document& chosen() const { return chosen_; }
    uint64_t elections() const { return leaders_.size(); }
    uint64_t moves(const std::string& group) const;
    uint64_t suspensions() const { return suspensions_; }
    bool unmanaged(const Node& node) const;
    bool store_sound(const Node& node) const;  // its voter is the one the newest document names

 private:
    struct View {        // of one node
        Epoch promised;  // durable
        Epoch promised_in_memory;
        BootId boot{};
        std::map<std::string, Token> max_tokens;
        Version accepted;
        Bytes accepted_bytes;
        std::set<std::string> suspended;
        std::optional<engine::VoterId> tampered;  // the voter whose store was put back or lost
        Instant leads_until{};
        std::map<uint64_t, engine::LeaseGrant> grants;                             // by stamp
        std::map<uint64_t, std::pair<Epoch, std::set<engine::VoterId>>> renewals;  // by stamp: who acknowledged
    };
    struct Known {
        Version version;
        Hash previous{};
    };
    void accept(const Node& node, const engine::DurableState& state);
    void count_acceptance(const engine::DurableState& state);
    void choose(const engine::Document& document, const Hash& hash);
    void know(const Bytes& document);
    bool descends(Hash from, const Hash& ancestor) const;
    void check_next(const engine::Document& before, const engine::Document& next);
    void check_owner(const engine::Document& before, const engine::Document& next, const std::string& group);
    void check_apart(const engine::Document& next, const std::string& group);
    void check_voters(const engine::Document& next);
    void check_single_effects(const std::string& group);
    void check_leader(const Node& node);
    void check_lease(const Node& node, const engine::SetGuard& plan);
    bool majority_acknowledged(const Node& node, std::set<engine::VoterId> who) const;
    Instant leader_lease(const Node& node);
    void check_durable_first(const Node& from, const engine::Message& message);
    void check_startup(const Node& node);
    bool excused(const Node& node) const;
    bool cluster_lives() const;
    void note_cold();
    View& view(const Node& node);

    World& world_;
    std::string violated_;
    std::string invariant_;
    std::map<NodeId, View> views_;
    std::map<Epoch, Incarnation> leaders_;
    std::map<Version, Hash> by_version_;
    std::map<Hash, Known> known_;
    std::map<Version, std::set<engine::VoterId>> acceptances_;
    std::map<Version, engine::Document> open_;  // accepted by somebody, not chosen yet
    engine::Document chosen_;
    Hash chosen_hash_{};
    std::map<std::string, uint64_t> moves_;
    uint64_t suspensions_ = 0;
    bool cold_ = true;  // nobody of the present document lives: a start-up condition is needed
    bool start_now_ = false;
    NodeId left_last_;  // the document certifies it
    std::set<NodeId> seen_since_cold_;
    std::set<NodeId> confirmed_down_;
};

}  // namespace kagami::sim
