// userw: does user space of this node still run on time? The worst of these measures counts:
// - how much later than asked this check itself runs again after a pause of kPause: what an ordinary thread of the
// daemon
//   suffers now;
// - the largest lateness of the guard's loop since the last check, when the guard tells it (guard_lateness in host.h):
//   continuous, but of a real-time process, which suffers later than others;
// - when asked for, how long a process takes from its start to its end that does some work: opens and closes a file,
//   writes and syncs it, makes a thread. It may hang: then the check times out.
// A stall between two checks that the guard did not feel goes unnoticed; one that outlasts the lease is the guard's own
// business, not a monitor's: watchdogs and resets belong to it. Caution from kCautionPercent of the limit on.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

constexpr Duration kPause = 20ms;
constexpr int kCautionPercent = 80;

const config::TypeDescription& user_space_description();
std::unique_ptr<Monitor> make_user_space(host::Host& host);

}  // namespace kagami::monitors
