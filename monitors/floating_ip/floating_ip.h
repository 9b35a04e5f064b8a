// fipw: is the address of a fip resource still on this node? The subscription calls back at every change of addresses
// or links (netlink).
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& floating_ip_description();
std::unique_ptr<Monitor> make_floating_ip(host::Host& host);

}  // namespace kagami::monitors
