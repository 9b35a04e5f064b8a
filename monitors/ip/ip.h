// ipw: does any of a list of hosts answer a ping? Asked one after the other, in their order; the first answer is
// enough, so an error means that none answers. Each gets ping_timeout, or its share of the time that is left, whichever
// is shorter.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& ip_description();
std::unique_ptr<Monitor> make_ip(host::Host& host);

}  // namespace kagami::monitors
