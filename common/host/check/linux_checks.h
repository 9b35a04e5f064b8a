// Checks by processes of their own: one kagami-check for each question, started without waiting for its exec (that,
// too, may wait for a disk), killed at the deadline. One that even SIGKILL does not end is left behind and remembered:
// until it has gone the same question is answered kTimedOut at once, so that a dead disk gathers one process and not
// one for each interval. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/host/host.h"

namespace kagami::host {

// kagami-check beside the running program.
std::string check_program();

class LinuxChecks : public Checks {
 public:
    explicit LinuxChecks(std::string program) : program_(std::move(program)) {}
    Result<bool> test_disk(const DiskTest& test, Instant deadline) override;
    Result<uint64_t> free_bytes(const std::string& path, Instant deadline) override;
    Result<int> count_processes(const std::string& pattern, Instant deadline) override;
    Status carry(const Load& load, Instant deadline) override;
    Result<uint64_t> available_memory() override;

 private:
    struct Left {
        UniqueFd pidfd;
        Instant begun;
    };
    // The second line of "ok"; nothing for "full".
    Result<std::optional<std::string>> ask(const std::vector<std::string>& question, const std::string& object,
                                           Instant deadline);
    Status check_left(const std::string& key, const std::string& object);

    std::string program_;
    std::mutex mutex_;
    std::map<std::string, Left> left_;  // guarded by mutex_; by the words of the question
};

}  // namespace kagami::host
