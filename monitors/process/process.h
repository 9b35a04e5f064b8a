// pidw: is the service of an exec resource alive?
//
// The service is the main process that the script helper knows (Started in host.h): of an asynchronous exec the start
// program itself; of a synchronous one the oldest process that it left behind (of nginx or postgres the master, not a
// worker). Error when it has ended, also if others of the resource live on, and when no process is left. A service that
// replaces its main process by itself (an upgrade of nginx in place) is an error too: restart it through the cluster.
// The subscription belongs to one activation: it calls back, by pidfd, when one of the oldest kWatched processes that
// live when it is made ends; several, because the oldest may turn out to have been a launcher.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

constexpr size_t kWatched = 8;

const config::TypeDescription& process_description();
std::unique_ptr<Monitor> make_process(host::Host& host);

}  // namespace kagami::monitors
