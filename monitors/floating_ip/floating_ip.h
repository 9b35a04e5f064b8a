// fipw: is the address of a fip resource still on this node? The subscription calls back at every change of addresses
// or links (netlink).
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

// The address of the context's target with the interface that it is on, which is empty when it is not on this node.
// kUsage when the target has none.
Result<host::Address> find_target_address(host::Network& network, const Context& context);

const config::TypeDescription& floating_ip_description();
std::unique_ptr<Monitor> make_floating_ip(host::Host& host);

}  // namespace kagami::monitors
