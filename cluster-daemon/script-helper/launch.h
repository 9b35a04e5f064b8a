// Starts one program inside its cgroup: the child moves itself there before exec, so that nothing of the program runs
// outside. Not by clone3(CLONE_INTO_CGROUP): on kernel 6.18 such a child is killed at birth for ever once cgroup.kill was
// used on that cgroup (seen with strace; a test covers it). What the program gets: its own session; stdin /dev/null; stdout and
// stderr the service log; no other descriptor; default signals, none blocked; SCHED_OTHER and no protection from the
// OOM killer, whatever the helper itself has; working directory "/"; umask 022 as under systemd, because services make
// files for other users (the helper itself keeps 077); exactly the environment that was asked for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/result.h"

namespace kagami::script_helper {

struct Program {
    std::vector<std::string> argv;  // argv[0] absolute and checked by the caller
    std::map<std::string, std::string> environment;
    int cgroup_fd = -1;  // its cgroup.procs, open for writing
    int log_fd = -1;
};

struct Child {
    int pid = 0;
    UniqueFd pidfd;
    // Ends (readable, no byte) once the program runs; yields an errno (int) when exec failed. It waits as long as the
    // cgroup is frozen.
    UniqueFd exec_status;
};

Result<Child> launch(const Program& program);

}  // namespace kagami::script_helper
