// Programs, loop devices and mounts for these tests: everything is found again by what the test itself made, and
// cleared away with it. Needs root.
#pragma once

#include <string>
#include <vector>

#include "common/files.h"
#include "common/time.h"

namespace kagami::testing {

// The exit status; -1 when it was killed at the limit. Its output goes to the test's.
int run_program(const std::vector<std::string>& argv, Duration limit = 60s);
int start_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment = {});
// -1 = still running at the limit; 128 + n = ended by signal n.
int wait_for_program(int pid, Duration limit);

UniqueFd make_sized_file(const std::string& path, uint64_t size_bytes);

// A loop device of our own on a file; detached at the end.
class OwnLoop {
 public:
    explicit OwnLoop(const std::string& file, bool read_only = false);
    ~OwnLoop();
    OwnLoop(const OwnLoop&) = delete;
    OwnLoop& operator=(const OwnLoop&) = delete;
    const std::string& device() const { return device_; }

 private:
    std::string device_;
    UniqueFd fd_;
};

// A mount of our own; lazily unmounted at the end if it is still there.
class OwnMount {
 public:
    OwnMount(const std::string& device, std::string point, const char* type, const char* options = "");
    ~OwnMount();
    OwnMount(const OwnMount&) = delete;
    OwnMount& operator=(const OwnMount&) = delete;
    bool ok() const { return ok_; }
    int unmount();  // errno

 private:
    std::string point_;
    bool ok_;
};

// Prints why, and ends nothing: the test returns.
void skipped(const std::string& reason);

}  // namespace kagami::testing
