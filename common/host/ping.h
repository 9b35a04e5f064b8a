// One host, asked by ICMP or ICMPv6 echo.
#pragma once

#include <string>

#include "common/result.h"
#include "common/time.h"

namespace kagami::host {

// Asks three times within the wait; true at the first answer. An error when it cannot ask at all: not an address, no
// route, not root.
Result<bool> ping_address(const std::string& address, Duration wait);

}  // namespace kagami::host
