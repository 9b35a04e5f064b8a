// genw: a script of the user decides.
//
// The script is stored with the configuration (monitors/NAME/SCRIPT) or named by an absolute path. It runs through the
// script helper in a cgroup of its own (kScriptGroup/NAME), whatever the target; its output goes to the service log
// monitors.NAME, and its last line is the message.
// mode "sync": it runs at each check. Its exit status decides: one of `normal`, one of `caution`, else an error; ended
// by a signal is an error. At the time-out it gets SIGTERM, then SIGKILL, and the check has timed out. What it leaves
// behind is killed.
// mode "async": it is started once and stays; while it lives all is well. Its end, with whatever status, is an error,
// told by one check, which starts it again; stop() ends it.
// CLP_* of the environment as of other scripts: CLP_MONITORNAME, and of the target CLP_GROUPNAME and CLP_RESOURCENAME.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

// No group may have this name (the reader of the configuration sees to it).
constexpr const char* kScriptGroup = "checks";

const config::TypeDescription& script_description();
std::unique_ptr<Monitor> make_script(host::Host& host);

}  // namespace kagami::monitors
