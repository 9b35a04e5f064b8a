#include "cluster-daemon/runtime/daemon/clp_environment.h"

#include <algorithm>

namespace kagami::runtime {
namespace {

const char* factor_of(engine::StopReason reason) {
    switch (reason) {
        case engine::StopReason::kGroupStop: return "GROUPSTOP";
        case engine::StopReason::kGroupMove: return "GROUPMOVE";
        case engine::StopReason::kGroupFailover: return "GROUPFAILOVER";
        case engine::StopReason::kServerShutdown: return "SERVERSHUTDOWN";
        case engine::StopReason::kClusterShutdown: return "CLUSTERSHUTDOWN";
        case engine::StopReason::kResourceRestart: return "RESOURCERESTART";
        case engine::StopReason::kGroupRestart: return "GROUPRESTART";
    }
    return "";
}

const char* last_action_of(uint8_t action) {
    if (action == 1) return "HALT";
    if (action == 2) return "REBOOT";
    return "NONE";
}

size_t priority_of(const config::Group& group, NodeId self) {
    const auto at = std::find(group.nodes.begin(), group.nodes.end(), self);
    return static_cast<size_t>(at - group.nodes.begin()) + 1;
}

}  // namespace

std::map<std::string, std::string> clp_environment(const config::Config& config, const config::Group& group, NodeId self,
                                                   const engine::RunResource& command, const std::string& script_directory) {
    const size_t priority = priority_of(group, self);
    std::map<std::string, std::string> environment = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"LANG", "C.UTF-8"},
        {"CLP_SERVER", priority == 1 ? "HOME" : "OTHER"},
        {"CLP_PRIORITY", std::to_string(priority)},
        {"CLP_DISK", "SUCCESS"},  // an exec resource starts only when what it stands on is active
        {"CLP_GROUPNAME", group.name},
        {"CLP_RESOURCENAME", command.resource},
        {"CLP_SCRIPT_PATH", script_directory + "/" + group.name + "/" + command.resource},
        {"CLP_VERSION_FULL", KAGAMI_VERSION},
        {"CLP_OSNAME", "Linux"},
    };
    if (command.previous != kNobody) environment["CLP_SERVER_PREV"] = config.node_name(command.previous);
    if (command.action == engine::ResourceAction::kActivate) {
        environment["CLP_EVENT"] = command.failover ? "FAILOVER" : "START";
    } else {
        environment["CLP_EVENT"] = "START";
        environment["CLP_FACTOR"] = factor_of(command.stop_reason);
        environment["CLP_LASTACTION"] = last_action_of(command.last_action);
    }
    return environment;
}

}  // namespace kagami::runtime
