// What this node decided, for people: one line of the log and one row of the history for each decision. Never on the failover path: rows are
// written by the history's own thread, and a history that cannot be opened or written is reported and otherwise ignored.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/runtime/daemon/control_server.h"

namespace kagami::runtime {

class Journal {
 public:
    static std::unique_ptr<Journal> open(const std::string& path);
    ~Journal();
    void record(const engine::Decision& decision);
    void flush();  // waits a moment for what is not written yet
    void record_config(const engine::StoreConfig& config);
    std::vector<LogLine> lines(const LogQuery& query) const;
    Result<std::vector<ConfigRecord>> configurations(size_t limit) const;  // newest first
    Result<Bytes> configuration(uint64_t version) const;                   // packed

 private:
    struct Impl;
    explicit Journal(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
