// What the leader knows of the copies of a group's mirrors: the document's record beside what each node's driver says.
// Shared by placement (may the group start there?) and by the policy of mirrors (whose wish is granted?). Pure.
// Rules: protocol.md 9. A report counts only from the incarnation that the document names.
#pragma once

#include <string>
#include <vector>

#include "cluster-daemon/engine/placement.h"

namespace kagami::engine {

constexpr std::string_view kMirrorType = "md";

std::vector<std::string> mirrors_of(const config::Group& group);  // names of its mirror disks
bool has_mirror(const config::Config& config, const std::string& mirror);
const mirror::Report* replica_report(const PolicyInput& input, const Document& document, NodeId node,
                                     const std::string& mirror);

// The disk that reports is the one that the register knows: one of its nonces is one of the record's.
bool admitted(const mirror::Record& record, NodeId node, const mirror::Report& report);

// A mirror that has never held data is constructed once the disks of all its nodes are there, new and equally large.
struct Construction {
    bool ready = false;
    bool passing = true;   // what it waits for may come by itself
    std::string obstacle;  // "waits for node2's disk"
};
Construction judge_construction(const PolicyInput& input, const Document& document, const config::Group& group,
                                const std::string& mirror);

// Fit only when every mirror of the group has a current copy on the node, on the disk and of the generation that the
// register names.
Candidate judge_replicas(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node);

}  // namespace kagami::engine
