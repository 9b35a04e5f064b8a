// The environment that start and stop scripts see: the CLP_* variables of EXPRESSCLUSTER, so that its users' scripts run unchanged
// (expresscluster.md 2.4). Pure.
#pragma once

#include <map>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"

namespace kagami::runtime {

std::map<std::string, std::string> clp_environment(const config::Config& config, const config::Group& group, NodeId self,
                                                   const engine::RunResource& command, const std::string& script_directory);

}  // namespace kagami::runtime
