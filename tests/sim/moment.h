// True time of the simulated world, and how each machine's BOOTTIME clock shows it. The two never mix: engines see only
// Instants.
#pragma once

#include "common/time.h"

namespace kagami::sim {

struct TrueClock {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<TrueClock, Duration>;
    static constexpr bool is_steady = true;
};
using Moment = TrueClock::time_point;

constexpr Duration kHorizon = 24h * 365 * 50;  // later is never

// A clock that runs at 1 + skew and showed `shown` at `start`.
class NodeClock {
 public:
    NodeClock() = default;
    NodeClock(double skew, Instant shown, Moment start) : skew_(skew), shown_(shown), start_(start) {}

    Instant local(Moment at) const { return shown_ + scaled(at - start_); }
    // The first moment at which the clock shows at least `local_time`.
    Moment when(Instant local_time) const {
        if (local_time - shown_ > kHorizon) return Moment::max();
        const Duration shown = local_time - shown_;
        auto true_time = Duration(static_cast<Duration::rep>(static_cast<double>(shown.count()) / (1.0 + skew_)));
        while (scaled(true_time) < shown) ++true_time;
        return start_ + true_time;
    }
    double skew() const { return skew_; }

 private:
    Duration scaled(Duration d) const {
        return d + Duration(static_cast<Duration::rep>(static_cast<double>(d.count()) * skew_));
    }

    double skew_ = 0;
    Instant shown_{};
    Moment start_{};
};

}  // namespace kagami::sim
