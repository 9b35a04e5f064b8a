// mdw: does the mirror disk of an active group serve, and is there a second copy? Error: not promoted here, its disk
// failed, or the register refused it (nothing is acknowledged any more). Caution: it serves without an up-to-date peer
// (peer away, resync, cancelled or broken), or waits for the cluster's word. A mirror driver that is being restarted is
// given a few seconds first. The subscription calls back at every change of the mirror's report.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& mirror_disk_description();
std::unique_ptr<Monitor> make_mirror_disk(host::Host& host);

}  // namespace kagami::monitors
