// exec: a service that is started and stopped by scripts, or by any programs.
//
// Activation runs `start`; asynchronous ("async") means that the program itself is the service. Deactivation runs
// `stop` and then empties the resource's cgroup: SIGTERM, then SIGKILL when the deadline nears. So nothing of the
// resource is left after a deactivation, whatever the stop script did; a stop script that fails is a failure all the
// same, because of what it may have left elsewhere. Two rules follow from that: a stop script must succeed when the
// service has ended by itself -- except that its failure is ignored when the start left processes here and all of them
// had gone before; and probe() of a start that left no process believes the last start until a stop script has
// succeeded. Active = the main process is alive (Started in host.h); partial = others of it are; a started resource
// without processes of its own is active.
#pragma once

#include <memory>

#include "resources/resource.h"

namespace kagami::resources {

const config::TypeDescription& exec_description();
std::unique_ptr<Resource> make_exec(host::Host& host);

}  // namespace kagami::resources
