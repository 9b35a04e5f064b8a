// ipw: do hosts answer a ping? rule "any": one of the list is enough, so an error means that none answers; asking ends
// at the first answer. rule "all": each of them must answer. Asked one after the other, in their order; each gets
// ping_timeout, or its share of the time that is left, whichever is shorter.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& ip_description();
std::unique_ptr<Monitor> make_ip(host::Host& host);

}  // namespace kagami::monitors
