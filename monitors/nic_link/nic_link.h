// miiw: does a network interface have a link? The kernel's word (carrier) counts, and with `ethtool` also the driver's
// own, asked at each check, for drivers that do not keep the kernel informed. The subscription calls back at every
// change of links (netlink).
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& nic_link_description();
std::unique_ptr<Monitor> make_nic_link(host::Host& host);

}  // namespace kagami::monitors
