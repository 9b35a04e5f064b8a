// All timing derives from two inputs (protocol.md 4): T_hold and T_wd, plus the hardware's T_rst and T_io. The digest
// of the inputs rides in every renewal, so that two nodes with different ideas of time never grant each other a lease.
#pragma once

#include "common/config/config.h"
#include "common/ids.h"
#include "common/time.h"

namespace kagami::engine {

constexpr double kClockDrift = 0.005;  // rho, assumption A1: rates of two clocks differ by at most this

struct Timing {
    config::TimingInputs inputs;
    Duration hold;    // T_hold: a lease counts so long from the moment its renewal was SENT
    Duration renew;   // T_hold / 6
    Duration detect;  // 3 T_renew: a trigger to contend, never a proof
    Duration prefer;  // T_pref = 2 T_renew: non-owners wait so long before they contend
    Duration guard;   // T_guard: suspending must be done within it
    Duration kill;    // T_kill: killing and unmounting must be done within it
    Duration grant;   // T_grant: leadership may change hands
    Duration strict;  // T_strict: added before a strict group starts elsewhere on proof P4
    Hash digest;      // of the inputs

    static Timing derive(const config::TimingInputs& inputs);
};

}  // namespace kagami::engine
