// What a killed script helper leaves to its successor, in a directory that the node's next boot empties
// (/run/kagami/helper): one small file per running script, and one mark per resource. The processes themselves are
// found again by pid and start time. A record is written right after its process was born; a helper killed in between
// leaves only the processes in the cgroup.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/host/cgroup.h"
#include "common/host/host.h"
#include "common/result.h"

namespace kagami::script_helper {

struct Record {
    host::ScriptRequest script;  // without its environment
    Instant deadline;
    int pid = 0;
    uint64_t start_ticks = 0;
    int64_t log_begin = 0;
};

// The resource is active, and this process is its service (Started in host.h).
struct ActiveMark {
    host::CgroupProcess main;  // pid 0: none
    bool background = false;
    Instant set_at;
};

class Journal {
 public:
    explicit Journal(std::string directory) : directory_(std::move(directory)) {}
    void save(uint64_t id, const Record& record) const;
    void remove(uint64_t id) const;
    // Files that cannot be read are removed.
    std::map<uint64_t, Record> load() const;
    // No mark: not active.
    void set_mark(const std::string& group, const std::string& resource, const std::optional<ActiveMark>& mark) const;
    std::optional<ActiveMark> mark(const std::string& group, const std::string& resource) const;

 private:
    std::string mark_path(const std::string& group, const std::string& resource) const;
    std::string directory_;
};

}  // namespace kagami::script_helper
