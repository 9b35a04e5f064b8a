#include "cluster-daemon/runtime/alerts/retry_store.h"

#include <algorithm>
#include <array>
#include <random>

#include "common/ids.h"

namespace kagami::runtime::alerts {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS waiting(
  row INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, id TEXT NOT NULL, refusals INTEGER NOT NULL,
  unix_ms INTEGER NOT NULL, level INTEGER NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL,
  sentence TEXT NOT NULL, remedy TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS waiting_for_a_destination ON waiting(destination, refusals, row);
)sql";

std::string fresh_id() {
    std::random_device device;
    std::array<uint8_t, 16> bytes{};
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(device());
    return to_hex(bytes.data(), bytes.size());
}

int insert(sqlite3* db, const std::string& destination, const std::string& id, const Alert& alert) {
    sqlite::Statement statement(db, "INSERT INTO waiting VALUES(NULL,?,?,0,?,?,?,?,?,?,?)");
    statement.bind(destination).bind(id).bind(alert.unix_ms).bind(static_cast<int64_t>(alert.level));
    statement.bind(alert.code).bind(alert.name).bind(alert.subject).bind(alert.sentence).bind(alert.remedy);
    return statement.run();
}

Waiting read(const sqlite::Statement& row) {
    Waiting waiting;
    waiting.row = row.integer(0);
    waiting.id = row.text(1);
    waiting.alert.unix_ms = row.integer(2);
    waiting.alert.level = static_cast<config::AlertLevel>(std::clamp<int64_t>(row.integer(3), 0, 2));
    waiting.alert.code = row.text(4);
    waiting.alert.name = row.text(5);
    waiting.alert.subject = row.text(6);
    waiting.alert.sentence = row.text(7);
    waiting.alert.remedy = row.text(8);
    return waiting;
}

// Bound once for each of the values; the number of rows that went is added to `removed`.
template <typename... Values>
int remove(sqlite3* db, int64_t& removed, const char* condition, const Values&... values) {
    const std::string sql = std::string("DELETE FROM waiting WHERE ") + condition + " RETURNING row";
    sqlite::Statement statement(db, sql.c_str());
    (statement.bind(values), ...);
    int64_t rows = 0;
    while (statement.row()) ++rows;
    if (statement.failed()) return statement.code();
    removed += rows;
    return 0;
}

}  // namespace

RetryStore::RetryStore(std::string path, RetryLimits limits, OnProblem on_problem)
    : path_(std::move(path)), limits_(limits), on_problem_(std::move(on_problem)) {
    with_database([](sqlite3*) { return 0; });
}

int RetryStore::attempt(const Work& work) {
    const sqlite::Layout layout{kSchemaVersion, kSchema, limits_.max_bytes};
    if (!db_) {
        const int code = in_memory_ ? sqlite::open_in_memory(layout, db_) : sqlite::open_private(path_, layout, db_);
        if (code != 0) return code;
    }
    return work(db_.get());
}

void RetryStore::with_database(const Work& work) {
    int code = attempt(work);
    if (code == 0 || in_memory_) return;
    db_.reset();
    if (sqlite::means_damaged(code)) {
        on_problem_(path_ + ": the queue of alerts is damaged (" + sqlite::words(code) + "); it was moved to " +
                    sqlite::set_aside(path_) + " and a new one begun");
        code = attempt(work);
        if (code == 0) return;
        db_.reset();
    }
    on_problem_(
        path_ + ": the queue of alerts cannot be written: " + sqlite::words(code) +
        "; until kagamid is started again, alerts that wait are kept in memory only: free space, or look at the disk");
    in_memory_ = true;
    attempt(work);
}

int64_t RetryStore::add(const std::string& destination, const Alert& alert) {
    int64_t removed = 0;
    with_database([&](sqlite3* db) {
        const int code = insert(db, destination, fresh_id(), alert);
        if (code != 0) return code;
        return remove(db, removed,
                      "destination = ?1 AND row <= (SELECT row FROM waiting WHERE destination = ?1 "
                      "ORDER BY row DESC LIMIT 1 OFFSET ?2)",
                      destination, limits_.keep);
    });
    return removed;
}

std::optional<Waiting> RetryStore::next(const std::string& destination) {
    std::optional<Waiting> found;
    with_database([&](sqlite3* db) {
        sqlite::Statement statement(
            db,
            "SELECT row, id, unix_ms, level, code, name, subject, sentence, remedy FROM waiting "
            "WHERE destination = ? ORDER BY refusals, row LIMIT 1");
        statement.bind(destination);
        if (statement.row()) found = read(statement);
        return statement.failed() ? statement.code() : 0;
    });
    return found;
}

int64_t RetryStore::waiting(const std::string& destination) {
    int64_t count = 0;
    with_database([&](sqlite3* db) {
        sqlite::Statement statement(db, "SELECT COUNT(*) FROM waiting WHERE destination = ?");
        statement.bind(destination);
        if (statement.row()) count = statement.integer(0);
        return statement.failed() ? statement.code() : 0;
    });
    return count;
}

void RetryStore::delivered(int64_t row) {
    int64_t removed = 0;
    with_database([&](sqlite3* db) { return remove(db, removed, "row = ?", row); });
}

bool RetryStore::refused(int64_t row) {
    int64_t removed = 0;
    with_database([&](sqlite3* db) {
        sqlite::Statement statement(db, "UPDATE waiting SET refusals = refusals + 1 WHERE row = ?");
        const int code = statement.bind(row).run();
        if (code != 0) return code;
        return remove(db, removed, "row = ? AND refusals >= ?", row, limits_.refusals);
    });
    return removed != 0;
}

int64_t RetryStore::tidy(const std::vector<std::string>& destinations, int64_t now_unix_ms) {
    int64_t removed = 0;
    with_database([&](sqlite3* db) {
        const int64_t age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(limits_.max_age).count();
        if (const int code = remove(db, removed, "unix_ms < ?", now_unix_ms - age_ms); code != 0) return code;
        std::vector<std::string> gone;
        sqlite::Statement known(db, "SELECT DISTINCT destination FROM waiting");
        while (known.row()) {
            const std::string name = known.text(0);
            if (std::find(destinations.begin(), destinations.end(), name) == destinations.end()) gone.push_back(name);
        }
        for (const std::string& name : gone) {
            if (const int code = remove(db, removed, "destination = ?", name); code != 0) return code;
        }
        return known.failed() ? known.code() : 0;
    });
    return removed;
}

}  // namespace kagami::runtime::alerts
