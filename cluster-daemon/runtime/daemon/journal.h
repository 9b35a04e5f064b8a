// What this node decided, for people: one line of the log, one row of the history and, on a node, one alert for each
// decision; and what persons say by hand on the same way. Never on the failover path: rows are written and alerts sent by
// threads of their own, and a history that cannot be opened or written is reported and otherwise ignored.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/runtime/daemon/control_server.h"
#include "common/config/config.h"

namespace kagami::runtime {

// A person's own message (clplogcmd). With no channel named it goes where the configuration sends messages of its level
// or id, and into the history.
struct UserMessage {
    engine::Level level = engine::Level::kInfo;
    std::string id;  // a number of the person's own, 0 to 9999; empty = 1
    std::string text;
    std::string person;
    bool history = false;  // the channels that were named
    bool syslog = false;
    bool mail = false;
    bool webhook = false;
};

class Journal {
 public:
    static std::unique_ptr<Journal> open(const std::string& path);
    ~Journal();
    // From now on each decision is an alert, too. `node`: this one's name.
    void start_alerts(const std::string& path, const std::string& node, const config::Config& config);
    void set_config(const config::Config& config);
    // `epoch` and `version`: of the document it was decided on; none: by something else than the engine.
    void record(const engine::Decision& decision, const Epoch& epoch = {}, const Version& version = {});
    Status note(const UserMessage& message);  // refused: an id that is no number of four digits, a channel that is not there
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
