// The service logs: DIRECTORY/GROUP.RESOURCE.log, where scripts and services append directly (no pipe through the
// helper, so that a service outlives it). Bounded: a log above kMaxLogBytes is copied to NAME.log.1 and cut to nothing
// in place, because services keep it open; what is written between copy and cut is lost. The bound is checked every few
// seconds, so a log may exceed it for that long.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/files.h"
#include "common/result.h"

namespace kagami::script_helper {

constexpr off_t kMaxLogBytes = 10'000'000;

struct OpenLog {
    UniqueFd fd;
    off_t begin = 0;  // where the output of whoever gets it now begins
};

class ServiceLogs {
 public:
    explicit ServiceLogs(std::string directory, off_t limit_bytes = kMaxLogBytes)
        : directory_(std::move(directory)), limit_bytes_(limit_bytes) {}
    // Refuses a log that is a link, not a regular file, not root's, or has a second name.
    Result<OpenLog> open(const std::string& name) const;
    // One line of our own between those of the scripts; a log that cannot be written is not worth a failure.
    void note(const std::string& name, const std::string& text) const;
    // The last line written since `begin` that is not empty, printable UTF-8 characters only, 300 bytes at most.
    std::string last_line(const std::string& name, off_t begin) const;
    void rotate_large() const;

 private:
    std::string path(const std::string& name) const { return directory_ + "/" + name + ".log"; }
    void rotate(const std::string& path) const;

    std::string directory_;
    off_t limit_bytes_;
};

// `[A-Za-z0-9._-]`, not beginning with a dot, 80 characters at most.
bool valid_log_name(const std::string& name);

}  // namespace kagami::script_helper
