#include "cluster-daemon/runtime/history.h"

#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <variant>

#include "cluster-daemon/runtime/sqlite.h"
#include "common/assert.h"

namespace kagami::runtime {
namespace {

constexpr int kSchemaVersion = 1;
constexpr size_t kBatch = 256;
constexpr size_t kSentenceLimitBytes = 4096;
constexpr size_t kInputsLimitBytes = 65536;
constexpr size_t kBundleLimitBytes = 1U << 20U;

constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS records(
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, wall_ns INTEGER NOT NULL, boot_ns INTEGER NOT NULL,
  epoch INTEGER NOT NULL, version_epoch INTEGER NOT NULL, version_seq INTEGER NOT NULL, level INTEGER NOT NULL,
  reason TEXT NOT NULL, subject TEXT NOT NULL, sentence TEXT NOT NULL, inputs TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS records_of_a_kind ON records(kind, id);
CREATE TABLE IF NOT EXISTS configurations(
  id INTEGER PRIMARY KEY AUTOINCREMENT, version_epoch INTEGER NOT NULL, version_seq INTEGER NOT NULL, hash BLOB NOT NULL,
  wall_ns INTEGER NOT NULL, who TEXT NOT NULL, bundle BLOB NOT NULL, UNIQUE(version_epoch, version_seq));
)sql";

using sqlite::Database;
using sqlite::execute;
using sqlite::Statement;

using Row = std::variant<HistoryRecord, ConfigurationRecord>;

size_t size_of(const Row& row) {
    if (const auto* record = std::get_if<HistoryRecord>(&row))
        return 128 + record->sentence.size() + record->inputs_json.size();
    return 128 + std::get<ConfigurationRecord>(row).bundle.size();
}

HistoryRecord read_record(const Statement& row) {
    HistoryRecord record;
    record.id = row.integer(0);
    record.kind = row.integer(1) == 0 ? HistoryKind::kEvent : HistoryKind::kDecision;
    record.wall_ns = row.integer(2);
    record.at = Instant(Duration(row.integer(3)));
    record.epoch.value = row.number(4);
    record.version = {Epoch{row.number(5)}, row.number(6)};
    record.level = static_cast<HistoryLevel>(std::clamp<int64_t>(row.integer(7), 0, 2));
    record.reason = row.text(8);
    record.subject = row.text(9);
    record.sentence = row.text(10);
    record.inputs_json = row.text(11);
    return record;
}

// Columns 0 to 4, and the bundle as 5.
ConfigurationRecord read_configuration(const Statement& row) {
    ConfigurationRecord record;
    record.version = {Epoch{row.number(0)}, row.number(1)};
    const Bytes hash = row.blob(2);
    if (hash.size() == record.hash.size()) std::copy(hash.begin(), hash.end(), record.hash.begin());
    record.wall_ns = row.integer(3);
    record.who = row.text(4);
    record.bundle = row.blob(5);
    return record;
}

int insert(sqlite3* db, const HistoryRecord& record) {
    Statement statement(db, "INSERT INTO records VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?)");
    statement.bind(static_cast<int64_t>(record.kind))
        .bind(record.wall_ns)
        .bind(static_cast<int64_t>(record.at.time_since_epoch().count()))
        .bind(record.epoch.value);
    statement.bind(record.version.epoch.value).bind(record.version.seq).bind(static_cast<int64_t>(record.level));
    return statement.bind(record.reason).bind(record.subject).bind(record.sentence).bind(record.inputs_json).run();
}

int insert(sqlite3* db, const ConfigurationRecord& record) {
    // The same version may be recorded again after a daemon restart.
    Statement statement(db, "INSERT OR REPLACE INTO configurations VALUES(NULL,?,?,?,?,?,?)");
    statement.bind(record.version.epoch.value).bind(record.version.seq).bind(std::span<const uint8_t>(record.hash));
    return statement.bind(record.wall_ns).bind(record.who).bind(std::span<const uint8_t>(record.bundle)).run();
}

}  // namespace

class History::Impl {
 public:
    Impl(HistoryOptions options, OnProblem on_problem)
        : options_(std::move(options)), on_problem_(std::move(on_problem)) {
        worker_ = std::thread([this] { run(); });
    }
    ~Impl() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        worker_.join();
    }

    void push(Row row);
    bool flush(Duration at_most);
    HistoryStatus status() const {
        const std::lock_guard lock(mutex_);
        return status_;
    }
    const std::string& path() const { return options_.path; }

 private:
    void run();
    bool write(const std::vector<Row>& rows);
    int try_write(const std::vector<Row>& rows);
    int open();
    int trim();
    int drop_older_half();
    void set_aside(const std::string& why);
    void problem(const std::string& sentence);

    const HistoryOptions options_;
    const OnProblem on_problem_;
    Database db_;  // the worker's own

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Row> queue_;
    size_t queued_bytes_ = 0;
    bool busy_ = true;  // until the database was opened once
    bool stopping_ = false;
    HistoryStatus status_;
    std::thread worker_;
};

void History::Impl::push(Row row) {
    {
        const std::lock_guard lock(mutex_);
        const size_t length = size_of(row);
        if (queue_.size() >= options_.queue_limit || queued_bytes_ + length > options_.queue_limit_bytes) {
            ++status_.dropped;
            return;
        }
        queued_bytes_ += length;
        queue_.push_back(std::move(row));
    }
    changed_.notify_all();
}

bool History::Impl::flush(Duration at_most) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, at_most, [&] { return queue_.empty() && !busy_; });
}

void History::Impl::run() {
    bool well = write({});  // opens, and finds damage now rather than at the first row
    std::unique_lock lock(mutex_);
    for (;;) {
        busy_ = false;
        if (stopping_ && !well) {  // a disk that does not take rows must not hold up the end
            status_.dropped += queue_.size();
            queue_.clear();
        }
        changed_.notify_all();
        changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        std::vector<Row> rows;
        while (!queue_.empty() && rows.size() < kBatch) {
            queued_bytes_ -= size_of(queue_.front());
            rows.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        busy_ = true;
        lock.unlock();
        well = write(rows);
        lock.lock();
    }
}

bool History::Impl::write(const std::vector<Row>& rows) {
    int code = try_write(rows);
    if (sqlite::means_damaged(code)) {
        set_aside(sqlite::words(code));
        code = try_write(rows);
    } else if (sqlite::means_full(code) && db_ && drop_older_half() == SQLITE_OK) {
        code = try_write(rows);
    }
    if (code != SQLITE_OK) {
        {
            const std::lock_guard lock(mutex_);
            status_.failed += rows.size();
        }
        db_.reset();  // opened again with the next rows
        problem(
            options_.path + ": cannot write the history: " + sqlite::words(code) +
            "; services go on, but `kagami log` and `kagami why` will miss this time: free space, or look at the disk");
        return false;
    }
    const std::lock_guard lock(mutex_);
    status_.written += rows.size();
    status_.problem.clear();
    return true;
}

// All rows or none.
int History::Impl::try_write(const std::vector<Row>& rows) {
    if (!db_)
        if (const int code = open(); code != SQLITE_OK) return code;
    int code = execute(db_.get(), "BEGIN IMMEDIATE");
    for (size_t i = 0; i < rows.size() && code == SQLITE_OK; ++i)
        code = std::visit([&](const auto& row) { return insert(db_.get(), row); }, rows[i]);
    if (code == SQLITE_OK) code = trim();
    if (code == SQLITE_OK) code = execute(db_.get(), "COMMIT");
    if (code != SQLITE_OK) execute(db_.get(), "ROLLBACK");
    return code;
}

// Keeps the configured number of the newest rows of each kind.
int History::Impl::trim() {
    for (const auto& [kind, keep] : {std::pair(HistoryKind::kEvent, options_.keep_events),
                                     std::pair(HistoryKind::kDecision, options_.keep_decisions)}) {
        Statement statement(db_.get(),
                            "DELETE FROM records WHERE kind = ?1 AND id <= "
                            "(SELECT id FROM records WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)");
        if (const int code = statement.bind(static_cast<int64_t>(kind)).bind(keep).run(); code != SQLITE_OK)
            return code;
    }
    Statement statement(db_.get(),
                        "DELETE FROM configurations WHERE id <= "
                        "(SELECT id FROM configurations ORDER BY id DESC LIMIT 1 OFFSET ?)");
    return statement.bind(options_.keep_configurations).run();
}

// The file has reached max_bytes before the rows their number.
int History::Impl::drop_older_half() {
    return execute(db_.get(),
                   "DELETE FROM records WHERE id <= (SELECT (MIN(id) + MAX(id)) / 2 FROM records);"
                   "DELETE FROM configurations WHERE id <= (SELECT (MIN(id) + MAX(id)) / 2 FROM configurations)");
}

int History::Impl::open() {
    return sqlite::open_private(options_.path, {kSchemaVersion, kSchema, options_.max_bytes}, db_);
}

void History::Impl::set_aside(const std::string& why) {
    db_.reset();
    const std::string aside = sqlite::set_aside(options_.path);
    {
        const std::lock_guard lock(mutex_);
        ++status_.set_aside;
    }
    problem(options_.path + ": the history is damaged (" + why + "); it was moved to " + aside +
            " and a new one begun");
}

void History::Impl::problem(const std::string& sentence) {
    {
        const std::lock_guard lock(mutex_);
        if (status_.problem == sentence) return;  // told already, and not over yet
        status_.problem = sentence;
    }
    if (on_problem_) on_problem_(sentence);
}

// ---- History ----

History::History(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
History::~History() = default;

std::unique_ptr<History> History::start(HistoryOptions options, OnProblem on_problem) {
    return std::unique_ptr<History>(new History(std::make_unique<Impl>(std::move(options), std::move(on_problem))));
}

void History::record(HistoryRecord record) {
    if (record.sentence.size() > kSentenceLimitBytes) record.sentence.resize(kSentenceLimitBytes);
    if (record.inputs_json.size() > kInputsLimitBytes) record.inputs_json = "{}";  // half of a JSON text is none
    impl_->push(std::move(record));
}

void History::record(ConfigurationRecord record) {
    KAGAMI_ASSERT(record.bundle.size() <= kBundleLimitBytes,
                  "a packed configuration is smaller than the register's document");
    impl_->push(std::move(record));
}

bool History::flush(Duration at_most) {
    return impl_->flush(at_most);
}
HistoryStatus History::status() const {
    return impl_->status();
}

Result<std::vector<HistoryRecord>> History::log(const HistoryQuery& query) const {
    const auto db = sqlite::open_read_only(impl_->path());
    if (!db) return tl::unexpected(db.error());
    // The subject is "NAME" or "<word> NAME".
    Statement statement(db->get(), R"sql(
        SELECT * FROM records
        WHERE (?1 < 0 OR kind = ?1) AND level >= ?2 AND wall_ns >= ?3
          AND (?4 = '' OR subject = ?4 OR substr(subject, instr(subject, ' ') + 1) = ?4)
        ORDER BY id DESC LIMIT ?5)sql");
    statement.bind(query.kind ? static_cast<int64_t>(*query.kind) : int64_t{-1});
    statement.bind(static_cast<int64_t>(query.at_least)).bind(query.since_wall_ns.value_or(INT64_MIN));
    statement.bind(query.name).bind(std::max<int64_t>(query.limit, 0));
    std::vector<HistoryRecord> records;
    while (statement.row()) records.push_back(read_record(statement));
    if (statement.failed())
        return fail(impl_->path() + ": cannot read the history: " + sqlite::words(statement.code()));
    std::reverse(records.begin(), records.end());
    return records;
}

Result<std::vector<ConfigurationRecord>> History::configurations(int64_t limit) const {
    const auto db = sqlite::open_read_only(impl_->path());
    if (!db) return tl::unexpected(db.error());
    Statement statement(
        db->get(),
        "SELECT version_epoch, version_seq, hash, wall_ns, who, NULL FROM configurations ORDER BY id DESC LIMIT ?");
    statement.bind(std::max<int64_t>(limit, 0));
    std::vector<ConfigurationRecord> records;
    while (statement.row()) records.push_back(read_configuration(statement));
    if (statement.failed())
        return fail(impl_->path() + ": cannot read the history: " + sqlite::words(statement.code()));
    return records;
}

Result<ConfigurationRecord> History::configuration(const Version& version) const {
    const auto db = sqlite::open_read_only(impl_->path());
    if (!db) return tl::unexpected(db.error());
    Statement statement(db->get(),
                        "SELECT version_epoch, version_seq, hash, wall_ns, who, bundle FROM configurations "
                        "WHERE version_epoch = ? AND version_seq = ?");
    statement.bind(version.epoch.value).bind(version.seq);
    if (statement.row()) return read_configuration(statement);
    if (statement.failed())
        return fail(impl_->path() + ": cannot read the history: " + sqlite::words(statement.code()));
    return fail(ErrorCode::kNotFound, "configuration " + to_string(version) + " is not in this node's history",
                "see `kagami config history` for those that are");
}

}  // namespace kagami::runtime
