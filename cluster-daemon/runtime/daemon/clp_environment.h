// The environment that scripts see: the CLP_* variables of EXPRESSCLUSTER, so that its users' scripts run unchanged
// (expresscluster.md 2.4). Pure but for this_os().
//
// All        PATH LANG CLP_PATH CLP_SCRIPT_PATH CLP_VERSION_FULL CLP_VERSION_MAJOR CLP_OSNAME CLP_OSVER
// Resources  CLP_EVENT CLP_SERVER CLP_PRIORITY CLP_DISK CLP_GROUPNAME CLP_RESOURCENAME, CLP_SERVER_PREV where it is
//            known; of a stop CLP_FACTOR and CLP_LASTACTION; of a script around a step CLP_TIMING
// Monitors   CLP_MONITORNAME CLP_ACTION CLP_RECOVERYCOUNT CLP_RESTARTCOUNT CLP_FAILOVERCOUNT, and of the target
//            CLP_GROUPNAME CLP_RESOURCENAME
// CLP_EVENT says how what runs was started, to a stop script as well: FAILOVER after a failover, START else, a restart
// on the same node included.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"

namespace kagami::runtime {

using Environment = std::map<std::string, std::string>;

struct OsRelease {
    std::string name = "Linux";
    std::string version;
};
OsRelease parse_os_release(std::string_view text);  // of /etc/os-release
const OsRelease& this_os();

// Where scripts run and what they belong to.
struct ScriptScene {
    const config::Config& config;
    NodeId self;
    std::string script_directory;
    OsRelease os;
};

Environment clp_environment(const ScriptScene& scene, const config::Group& group, const engine::RunResource& command);
Environment clp_environment(const ScriptScene& scene, const config::Group& group,
                            const engine::RunResourceScript& command);
Environment clp_environment(const ScriptScene& scene, const config::Monitor& monitor,
                            const engine::RunRecoveryScript& command);

}  // namespace kagami::runtime
