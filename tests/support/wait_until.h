// Tests wait for conditions, never for time to pass.
#pragma once

#include <poll.h>

#include "common/host/boot_clock.h"

namespace kagami::testing {

// Asks `condition` every few milliseconds until it holds; false when it does not within the limit.
template <typename Condition>
bool wait_until(const Condition& condition, Duration limit = 10s) {
    const Instant end = host::boot_now() + limit;
    while (!condition()) {
        if (host::boot_now() > end) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

}  // namespace kagami::testing
