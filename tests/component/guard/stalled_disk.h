// A mirror disk as the driver exports it: a file served over /dev/fuse (here from memory), a loop device on it, ext4 on
// that, mounted. At the test's word the server reads every request and answers none, as a driver does that withholds
// acknowledgements: who waits for it sleeps uninterruptibly, and SIGKILL does not end him.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/files.h"

namespace kagami::guard::test {

class StalledDisk {
 public:
    // Mounts at `mount_point` (made here); the disk itself is /run/kagami/mirror/NAME/disk.
    StalledDisk(const std::string& name, const std::string& mount_point);
    ~StalledDisk();
    StalledDisk(const StalledDisk&) = delete;
    StalledDisk& operator=(const StalledDisk&) = delete;
    void withhold();
    void go_on();  // answers what it kept back

 private:
    struct Request {
        std::vector<uint8_t> bytes;
    };
    void serve();
    void answer(const Request& request);
    void reply(uint64_t unique, int error, const void* data, size_t length) const;
    void reply_attributes(uint64_t unique) const;
    UniqueFd attach_loop() const;
    void fail_all();  // as the guard does it
    std::string directory_, disk_, node_, mount_point_;
    UniqueFd fuse_;
    std::mutex mutex_;
    bool withheld_ = false;         // by mutex_
    std::vector<Request> kept_;     // by mutex_
    std::vector<uint8_t> content_;  // by the serving thread, or whoever holds mutex_
    std::thread server_;
};

// A process of a cgroup that writes and syncs one block of a file after the other.
class Writer {
 public:
    Writer(const std::string& cgroup, const std::string& file);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    char state() const;  // as in /proc/PID/stat
    bool makes_progress() const;

 private:
    struct Shared {
        std::atomic<uint64_t> blocks{0};
    };
    std::string cgroup_;
    Shared* shared_;
    pid_t pid_ = -1;
};

}  // namespace kagami::guard::test
