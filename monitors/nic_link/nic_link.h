// miiw: does a network interface have a link? The subscription calls back at every change of links (netlink).
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& nic_link_description();
std::unique_ptr<Monitor> make_nic_link(host::Host& host);

}  // namespace kagami::monitors
