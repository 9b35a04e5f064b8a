// The one place that reads the clock behind Instant.
#pragma once

#include <ctime>

#include "common/time.h"

namespace kagami::host {

inline Instant boot_now() {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return Instant(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

}  // namespace kagami::host
