// What waits to be delivered, on disk (alerts.db, docs/formats/alerts.md): one row a message and destination, removed
// once it is delivered. Bounded: of a destination the newest `keep` rows, none older than `max_age`. A file that is
// damaged is set aside and a new one begun; one that cannot be written is told once, and what waits is kept in memory
// until the daemon ends. Used by one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/alerts/alert.h"
#include "cluster-daemon/runtime/sqlite.h"
#include "common/time.h"

namespace kagami::runtime::alerts {

struct RetryLimits {
    int64_t keep = 1000;  // of each destination
    Duration max_age = 24h;
    int64_t refusals = 3;          // then the receiver will not take it
    int64_t max_bytes = 64 << 20;  // of the file
};

struct Waiting {
    int64_t row = 0;
    std::string id;  // the same for every attempt and after a restart
    Alert alert;
};

class RetryStore {
 public:
    using OnProblem = std::function<void(const std::string& sentence)>;
    RetryStore(std::string path, RetryLimits limits, OnProblem on_problem);

    // The number of older rows that gave way.
    int64_t add(const std::string& destination, const Alert& alert);
    // The oldest of those that were refused least.
    std::optional<Waiting> next(const std::string& destination);
    int64_t waiting(const std::string& destination);
    void delivered(int64_t row);
    bool refused(int64_t row);  // true when it was given up
    // Removes what is too old and what is for nobody any more; how many.
    int64_t tidy(const std::vector<std::string>& destinations, int64_t now_unix_ms);

 private:
    using Work = std::function<int(sqlite3*)>;  // a code of SQLite
    void with_database(const Work& work);
    int attempt(const Work& work);

    const std::string path_;
    const RetryLimits limits_;
    const OnProblem on_problem_;
    sqlite::Database db_;
    bool in_memory_ = false;
};

}  // namespace kagami::runtime::alerts
