// Is the operating system going down, and how does it end? So that a bare `shutdown`, `reboot` or power button ends the
// groups as `kagami node shutdown` does: their stop scripts see CLP_FACTOR SERVERSHUTDOWN and CLP_LASTACTION as the
// system's own target says, and nobody asks systemd for a second, other end.
#pragma once

#include <string_view>

namespace kagami::runtime {

enum class OsEnd { kNone, kHalt, kReboot };

// From `systemctl list-jobs`: the targets that systemd is on its way to. Pure.
OsEnd end_in_jobs(std::string_view jobs);

// Asks systemd; kNone where there is none, or when it does not answer.
OsEnd os_end_under_way();

}  // namespace kagami::runtime
