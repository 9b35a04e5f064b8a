// Runs a person's scripts around the steps of resources, and the recovery scripts of monitors: in the cgroup of what
// they belong to, so that the guard covers whatever they start, with the environment of clp_environment.h. Blocks its
// worker until the script has ended or its time-out has passed. What a script leaves behind ends with it, but for those
// of a resource whose service lives in that same cgroup.
#pragma once

#include "cluster-daemon/runtime/daemon/clp_environment.h"
#include "common/host/host.h"

namespace kagami::runtime {

struct FoundResource {
    const config::Group* group = nullptr;
    const config::Resource* resource = nullptr;
};
FoundResource find_resource(const config::Config& config, const std::string& group, const std::string& resource);
config::Values values_on(const std::map<NodeId, config::Values>& values, NodeId node);
std::string sentence(const Error& error);  // with its remedy

engine::ScriptDone run_script(host::Host& host, const ScriptScene& scene, const engine::RunResourceScript& command);
engine::ScriptDone run_script(host::Host& host, const ScriptScene& scene, const engine::RunRecoveryScript& command);

}  // namespace kagami::runtime
