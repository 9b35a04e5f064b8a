// arpw: tells the network again, at each check, where the floating address of its target is (gratuitous ARP,
// unsolicited neighbour advertisement), for switches and hosts that forget or were away. It announces nothing that is
// not on this node at that moment. It never finds an error: a missing address is fipw's business and a caution here.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& address_announcement_description();
std::unique_ptr<Monitor> make_address_announcement(host::Host& host);

}  // namespace kagami::monitors
