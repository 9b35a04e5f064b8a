// A handle on a process that no reused pid can confuse; readable when the process has ended. Debian 12's <sys/pidfd.h>
// cannot be used from C++ (it lacks extern "C").
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include "common/files.h"

namespace kagami::host {

// Invalid with errno ESRCH when the process has gone. Close-on-exec.
inline UniqueFd open_pidfd(int pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace kagami::host
