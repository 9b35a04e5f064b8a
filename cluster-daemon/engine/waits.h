// For which groups a group waits before it starts or stops. Pure; how long it has waited is the leader's
// (policy_waits.cc).
//
// Start: the groups of start_wait run (active under their present token). same_node: one that runs, or can only start,
// on
//        another node does not count.
// Stop:  the groups of stop_wait have no owner any more. At the stop of a node only what that node owns counts. When
// the
//        cluster stops, a management group waits for all groups but those that wait for it.
#pragma once

#include <string>
#include <vector>

#include "cluster-daemon/engine/policy.h"

namespace kagami::engine {

// `group` is to start on `node`.
std::vector<std::string> start_waits_for(const PolicyInput& input, const Document& document, const config::Group& group,
                                         NodeId node);
// `group` has an owner and shall stop.
std::vector<std::string> stop_waits_for(const Document& document, const config::Config& config,
                                        const config::Group& group);

// "group db", "groups db and web"
std::string groups_named(const std::vector<std::string>& names);
std::string start_wait_sentence(const config::Group& group, const std::vector<std::string>& names);
std::string stop_wait_sentence(const config::Group& group, const std::vector<std::string>& names);

}  // namespace kagami::engine
