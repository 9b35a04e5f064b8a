// Time for engines: plain values on CLOCK_BOOTTIME (counts suspended time, never jumps with the wall clock). No clock is read here.
#pragma once

#include <chrono>
#include <cstdint>

namespace kagami {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// The tag of CLOCK_BOOTTIME. Stamps of different machines must never be compared.
struct BootClock {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<BootClock, Duration>;
    static constexpr bool is_steady = true;
};
using Instant = BootClock::time_point;

constexpr Instant kNever = Instant::max();
constexpr double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr int64_t milliseconds(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

}  // namespace kagami
