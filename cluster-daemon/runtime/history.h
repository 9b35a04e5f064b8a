// What happened and why, for people: events, decisions and configurations in SQLite (history.db).
// docs/formats/history.md
//
// Never on the way of a failover: record() only puts a row into a bounded queue (full: the new row is dropped and
// counted); a thread of its own writes. Nothing here can stop the daemon: a damaged database is set aside
// (history.db.set-aside) and a new one begun; a full or failing disk costs the rows of that moment, and writing goes on
// when it is possible again. Both are told to on_problem() once. Invariants: of each kind only the newest rows are
// kept; the file stays below max_bytes, older rows giving way. Left to others: what is worth recording, and the audit
// of who may read it. Thread-safe. Queries read on the caller's thread through a connection of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/time.h"

namespace kagami::runtime {

enum class HistoryKind { kEvent, kDecision };
enum class HistoryLevel { kInfo = 0, kWarning = 1, kError = 2 };

struct HistoryRecord {
    int64_t id = 0;  // set by the store, rising
    HistoryKind kind = HistoryKind::kEvent;
    int64_t wall_ns = 0;  // for people; may jump
    Instant at{};         // CLOCK_BOOTTIME
    Epoch epoch;
    Version version;
    HistoryLevel level = HistoryLevel::kInfo;
    std::string reason;   // a code: "owner-lost"
    std::string subject;  // "group web"
    std::string sentence;
    std::string inputs_json;
    bool operator==(const HistoryRecord&) const = default;
};

struct ConfigurationRecord {
    Version version;
    Hash hash{};
    int64_t wall_ns = 0;
    std::string who;
    Bytes bundle;  // packed; empty in lists
    bool operator==(const ConfigurationRecord&) const = default;
};

struct HistoryOptions {
    std::string path;
    int64_t keep_events = 10'000;
    int64_t keep_decisions = 10'000;
    int64_t keep_configurations = 100;
    int64_t max_bytes = 64 << 20;
    size_t queue_limit = 4096;
    size_t queue_limit_bytes = 16U << 20U;
};

struct HistoryQuery {
    std::optional<HistoryKind> kind;
    HistoryLevel at_least = HistoryLevel::kInfo;
    std::string name;  // of a group, node, resource ...: rows whose subject is "NAME" or "<word> NAME"; empty: all
    std::optional<int64_t> since_wall_ns;
    int64_t limit = 100;  // the newest ones; returned oldest first
};

struct HistoryStatus {
    uint64_t written = 0;
    uint64_t dropped = 0;    // the queue was full
    uint64_t failed = 0;     // the database did not take them
    uint64_t set_aside = 0;  // damaged databases since the start
    std::string problem;     // of now; empty: all is well
};

class History {
 public:
    using OnProblem = std::function<void(const std::string& sentence)>;  // called on the worker's thread
    static std::unique_ptr<History> start(HistoryOptions options, OnProblem on_problem);
    ~History();  // writes what waits
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    void record(HistoryRecord record);
    void record(ConfigurationRecord record);
    // Waits until all that was recorded is written or given up.
    bool flush(Duration at_most);

    Result<std::vector<HistoryRecord>> log(const HistoryQuery& query) const;
    // Newest first, without bundles.
    Result<std::vector<ConfigurationRecord>> configurations(int64_t limit) const;
    Result<ConfigurationRecord> configuration(const Version& version) const;
    HistoryStatus status() const;

 private:
    class Impl;
    explicit History(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
