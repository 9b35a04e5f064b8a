// fip: an address that moves with its group.
//
// Activation: the interface must be up and have a link; unless the former owner's stop is proven, another host is asked
// for the address (probe_wait, 50 ms: an answer comes within a fraction of a millisecond) and an answer refuses the
// activation; then the address is added and announced (gratuitous ARP or unsolicited neighbour advertisement now, after
// 100 ms and after 1 s; the later ones in the background). Deactivation removes it from wherever on this node it is.
// Both succeed when there is nothing to do.
#pragma once

#include <memory>

#include "resources/resource.h"

namespace kagami::resources {

const config::TypeDescription& floating_ip_description();
std::unique_ptr<Resource> make_floating_ip(host::Host& host);

}  // namespace kagami::resources
