// Which node a group should start on: the fit node of the greatest worth, and among equals the first in the server
// order of the group. A node is fit when nothing stands against it: its own state, the rules of placement
// (placement_rules.h), its copies of the group's mirrors (replicas.h). Every candidate that was looked at and passed
// over keeps its reason. Pure. Leaves to others: proofs about the former owner and whether the group is wanted at all
// (policy_groups.cc).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/engine/placement_rules.h"
#include "cluster-daemon/engine/policy.h"
#include "common/config/config.h"

namespace kagami::engine {

// A node is heard: a heartbeat of it came within T_detect on some path. A trigger and a condition for a start, never a
// proof.
bool is_heard(const PolicyInput& input, NodeId node);

// The heartbeat's bit n stands for node n + 1.
bool hears(const Heartbeat& heartbeat, NodeId other);

struct Candidate {
    NodeId node;
    Fitness fitness = Fitness::kUnfit;
    std::string obstacle;  // "not returned to the cluster yet"; empty when fit
    Worth worth = {};
    std::string drawback = {};  // of a fit one that is a last resort
};
// `document` may be ahead of input.document: nodes admitted by the very commit that places the group count.
Candidate judge(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node,
                Asker asker = Asker::kPolicy);

struct Placement {
    NodeId node;                        // kNobody = no place
    bool better_soon = false;           // a node that is worth more will be fit in moments
    bool soon = false;                  // some node will be
    std::vector<std::string> rejected;  // "node2: isolated until it is returned"
};
// `except` is not looked at: the node that the group has to leave. kNobody = all are.
Placement place(const PolicyInput& input, const Document& document, const config::Group& group, NodeId except,
                Asker asker = Asker::kPolicy);

// "node1: not heard; node2: isolated until it is returned"
std::string joined(const std::vector<std::string>& items, const char* between = "; ");

}  // namespace kagami::engine
