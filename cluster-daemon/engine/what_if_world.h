// The idealised cluster of what_if(): nodes that obey at once, networks that are whole or cut, one leader with the real
// policy. Time jumps from one thing that can happen to the next.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/engine/policy.h"
#include "cluster-daemon/engine/timing.h"
#include "cluster-daemon/engine/voters_policy.h"

namespace kagami::engine {

class WhatIfWorld {
 public:
    WhatIfWorld(const Snapshot& snapshot, Instant now);

    void power_off(NodeId node);
    void cut(NodeId a, NodeId b);
    void isolate(NodeId node);
    // The service of the group failed on its node for good: it wants to go elsewhere.
    void fail_group(const std::string& group, const std::string& cause);
    void restart_group(const std::string& group);
    Status ask(OperatorRequest request);  // the policy's refusal, if it refuses
    void run();                           // until nothing more happens

    PolicyInput input();
    const Document& document() const { return document_; }
    NodeId serving(const std::string& group) const;  // where it serves now; kNobody = nowhere
    bool is_up(NodeId node) const;
    std::optional<NodeId> leader() const { return leader_; }
    Instant now() const { return now_; }
    const std::vector<Decision>& decisions() const { return decisions_; }
    Duration gap(const std::string& group) const;

 private:
    struct Running {
        GroupReport report;
        Instant ends = kNever;  // of starting or stopping
    };
    struct Machine {
        bool up = true;
        BootId boot{};
        Instant lost_at = kNever;  // since when the leader does not hear it
        Instant back_at = kNever;  // of a reboot
        NodeReport base;           // monitors, mirrors, memory
        std::map<std::string, Running> groups;
    };
    bool connected(NodeId a, NodeId b) const;
    std::set<NodeId> reach(NodeId from) const;  // itself included
    bool has_quorum(NodeId from, const Document& document) const;
    bool has_lease(NodeId node) const;
    void note_contact();
    void follow_leader();
    void settle_machines();
    void settle_left(NodeId node, Machine& machine);
    void obey(const Envelope& order);
    bool plan();
    VoterFacts voter_facts() const;
    NodeFacts facts_of(NodeId node);
    NodeReport report_of(NodeId node) const;
    void choose(Document next);
    void note_service();
    Instant next_moment() const;

    std::shared_ptr<const config::Config> config_;
    Document document_;
    Timing timing_;
    Policy policy_;
    std::map<NodeId, Machine> machines_;  // and the witness
    std::set<std::pair<NodeId, NodeId>> cuts_;
    std::optional<NodeId> leader_;
    Instant now_;
    Instant leading_since_;
    Instant leader_lost_at_ = kNever;
    Instant plan_at_ = kNever;
    std::vector<PendingRequest> requests_;
    std::vector<std::pair<NodeId, OperatorReply>> replies_;
    std::vector<Decision> decisions_;
    uint64_t draws_ = 0;
    uint8_t boots_ = 0;
    struct Service {
        Instant down_since = kNever;
        Duration gap{};
    };
    std::map<std::string, Service> service_;
};

}  // namespace kagami::engine
