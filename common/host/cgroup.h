// The cgroup of a resource: ROOT/GROUP/RESOURCE in cgroup2 (protocol.md 4, containment). Every process that a script of
// the resource starts lives in it, however far it daemonises; the guard freezes and kills by it. A cgroup once made is
// never removed before the node's end: the guard holds its files open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/result.h"

namespace kagami::host {

// $KAGAMI_CGROUP_ROOT, else `kagami` in the first cgroup2 mount; the error says what to mount.
Result<std::string> cgroup_root();

struct CgroupProcess {
    int pid = 0;
    uint64_t start_ticks = 0;  // since boot; with the pid it names one process for ever
    bool operator==(const CgroupProcess&) const = default;
};

// 0 when there is no such process.
uint64_t process_start_ticks(int pid);
// The program's short name for messages; empty when the process has gone.
std::string process_name(int pid);

class Cgroup {
 public:
    // Does not touch the file system.
    Cgroup(const std::string& root, const std::string& group, const std::string& resource);
    const std::string& path() const { return path_; }
    Status make() const;
    // cgroup.procs for writing: who writes "0" moves itself in.
    Result<UniqueFd> open_entry() const;
    // cgroup.events: readable with EPOLLPRI when the last process went or the first came. Read it (populated()) to arm
    // it.
    Result<UniqueFd> open_events() const;
    static bool populated(int events_fd);
    // Oldest first, cgroups below included; none when the cgroup was never made.
    std::vector<CgroupProcess> processes() const;
    // SIGKILL to everything in it at once, forks in progress and frozen processes included.
    Status kill() const;

 private:
    std::string root_;
    std::string path_;
};

}  // namespace kagami::host
