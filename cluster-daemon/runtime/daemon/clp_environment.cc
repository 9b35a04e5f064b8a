#include "cluster-daemon/runtime/daemon/clp_environment.h"

#include <algorithm>
#include <sstream>

#include "common/files.h"

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

const char* timing_of(const engine::RunResourceScript& script) {
    switch (script.moment) {
        case engine::ScriptMoment::kBeforeActivation: return "PRESTART";
        case engine::ScriptMoment::kAfterActivation: return "POSTSTART";
        case engine::ScriptMoment::kBeforeDeactivation: return "PRESTOP";
        case engine::ScriptMoment::kAfterDeactivation: return "POSTSTOP";
        case engine::ScriptMoment::kBeforeFinal: return script.deactivating ? "STOP" : "START";
    }
    return "";
}

const char* action_of(engine::RecoveryMoment moment) {
    switch (moment) {
        case engine::RecoveryMoment::kRecovery: return "RECOVERY";
        case engine::RecoveryMoment::kRestart: return "RESTART";
        case engine::RecoveryMoment::kFailover: return "FAILOVER";
        case engine::RecoveryMoment::kFinalAction: return "FINALACTION";
    }
    return "";
}

Environment common_part(const ScriptScene& scene, const std::string& scripts) {
    const std::string version = KAGAMI_VERSION;
    return {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"LANG", "C.UTF-8"},
        {"CLP_PATH", "/usr"},  // its tools are called as $CLP_PATH/bin/clplogcmd
        {"CLP_SCRIPT_PATH", scene.script_directory + "/" + scripts},
        {"CLP_VERSION_FULL", version},
        {"CLP_VERSION_MAJOR", version.substr(0, version.find('.'))},
        {"CLP_OSNAME", scene.os.name},
        {"CLP_OSVER", scene.os.version},
    };
}

std::string unquoted(std::string text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        return text.substr(1, text.size() - 2);
    return text;
}

// The step that the script belongs to.
engine::RunResource step_of(const engine::RunResourceScript& script) {
    engine::RunResource step;
    step.group = script.group;
    step.resource = script.resource;
    step.action = script.deactivating ? engine::ResourceAction::kDeactivate : engine::ResourceAction::kActivate;
    step.failover = script.failover;
    step.stop_reason = script.stop_reason;
    step.last_action = script.last_action;
    step.previous = script.previous;
    step.disk_failed = script.disk_failed;
    return step;
}

}  // namespace

OsRelease parse_os_release(std::string_view text) {
    OsRelease os;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("NAME=")) os.name = unquoted(line.substr(5));
        if (line.starts_with("VERSION_ID=")) os.version = unquoted(line.substr(11));
    }
    return os;
}

const OsRelease& this_os() {
    static const OsRelease os = [] {
        const auto text = read_file("/etc/os-release", 4096);
        return text ? parse_os_release(*text) : OsRelease{};
    }();
    return os;
}

Environment clp_environment(const ScriptScene& scene, const config::Group& group, const engine::RunResource& command) {
    const size_t priority = priority_of(group, scene.self);
    Environment environment = common_part(scene, group.name + "/" + command.resource);
    environment["CLP_EVENT"] = command.failover ? "FAILOVER" : "START";
    environment["CLP_SERVER"] = priority == 1 ? "HOME" : "OTHER";
    environment["CLP_PRIORITY"] = std::to_string(priority);
    environment["CLP_DISK"] = command.disk_failed ? "FAILURE" : "SUCCESS";
    environment["CLP_GROUPNAME"] = group.name;
    environment["CLP_RESOURCENAME"] = command.resource;
    if (command.previous != kNobody) environment["CLP_SERVER_PREV"] = scene.config.node_name(command.previous);
    if (command.action == engine::ResourceAction::kDeactivate) {
        environment["CLP_FACTOR"] = factor_of(command.stop_reason);
        environment["CLP_LASTACTION"] = last_action_of(command.last_action);
    }
    return environment;
}

Environment clp_environment(const ScriptScene& scene, const config::Group& group,
                            const engine::RunResourceScript& command) {
    Environment environment = clp_environment(scene, group, step_of(command));
    environment["CLP_TIMING"] = timing_of(command);
    return environment;
}

Environment clp_environment(const ScriptScene& scene, const config::Monitor& monitor,
                            const engine::RunRecoveryScript& command) {
    Environment environment = common_part(scene, "monitors/" + monitor.name);
    environment["CLP_MONITORNAME"] = monitor.name;
    environment["CLP_ACTION"] = action_of(command.moment);
    environment["CLP_RECOVERYCOUNT"] = std::to_string(command.count);
    environment["CLP_RESTARTCOUNT"] = std::to_string(command.restarts);
    environment["CLP_FAILOVERCOUNT"] = std::to_string(command.failovers);
    if (!monitor.target_group.empty()) environment["CLP_GROUPNAME"] = monitor.target_group;
    if (!monitor.target.empty()) environment["CLP_RESOURCENAME"] = monitor.target;
    return environment;
}

}  // namespace kagami::runtime
