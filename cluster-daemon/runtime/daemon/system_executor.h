// The one place that stops, halts or reboots this machine on the cluster's behalf.
#pragma once

#include <functional>
#include <string>

#include "cluster-daemon/engine/io.h"

namespace kagami::runtime {

// Halts or reboots the operating system: through systemd where it runs, else by reboot(2), which inside a pid namespace (a node container)
// ends only that namespace. Returns only when it failed.
void halt_or_reboot(engine::SystemAction action, const std::string& why);

}  // namespace kagami::runtime
