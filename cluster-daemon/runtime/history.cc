#include "cluster-daemon/runtime/history.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>
#include <variant>

#include "common/assert.h"
#include "common/files.h"

namespace kagami::runtime {
namespace {

constexpr int kSchemaVersion = 1;
constexpr int kBusyMilliseconds = 2000;
constexpr int kPageBytes = 4096;
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

using Row = std::variant<HistoryRecord, ConfigurationRecord>;

size_t size_of(const Row& row) {
    if (const auto* record = std::get_if<HistoryRecord>(&row))
        return 128 + record->sentence.size() + record->inputs_json.size();
    return 128 + std::get<ConfigurationRecord>(row).bundle.size();
}

struct CloseDatabase {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

bool means_damaged(int code) {
    const int primary = code & 0xff;
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_SCHEMA || primary == SQLITE_ERROR;
}

// One statement. After a failure every call does nothing; code() has the first error.
class Statement {
 public:
    Statement(sqlite3* db, const char* sql) {
        code_ = sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr);
        failed_ = code_ != SQLITE_OK;
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(int64_t value) { return check(failed_ ? code_ : sqlite3_bind_int64(statement_, ++bound_, value)); }
    Statement& bind(uint64_t value) { return bind(static_cast<int64_t>(value)); }
    Statement& bind(const std::string& text) {
        return check(failed_ ? code_
                             : sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                                                 SQLITE_STATIC));
    }
    Statement& bind(std::span<const uint8_t> blob) {
        // An empty blob needs an address too, or SQLite takes it for NULL.
        const void* const data = blob.empty() ? static_cast<const void*>("") : blob.data();
        return check(failed_
                         ? code_
                         : sqlite3_bind_blob(statement_, ++bound_, data, static_cast<int>(blob.size()), SQLITE_STATIC));
    }
    bool row() {
        if (failed_) return false;
        code_ = sqlite3_step(statement_);
        failed_ = code_ != SQLITE_ROW && code_ != SQLITE_DONE;
        return code_ == SQLITE_ROW;
    }
    int run() {
        while (row()) {
        }
        return failed_ ? code_ : SQLITE_OK;
    }
    bool failed() const { return failed_; }
    int code() const { return code_; }

    int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
    Bytes blob(int column) const {
        const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
        return data == nullptr ? Bytes{} : Bytes(data, data + sqlite3_column_bytes(statement_, column));
    }
    std::string text(int column) const {
        const Bytes raw = blob(column);
        return {raw.begin(), raw.end()};
    }

 private:
    Statement& check(int code) {
        if (!failed_ && code != SQLITE_OK) {
            code_ = code;
            failed_ = true;
        }
        return *this;
    }
    sqlite3_stmt* statement_ = nullptr;
    int code_ = SQLITE_OK;
    int bound_ = 0;
    bool failed_ = false;
};

int execute(sqlite3* db, const char* sql) {
    return sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
}

Result<Database> connect(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    Database db(raw);
    if (code != SQLITE_OK)
        return fail(path + ": cannot open: " + sqlite3_errstr(code), "check the file's owner and the disk");
    sqlite3_busy_timeout(db.get(), kBusyMilliseconds);
    return db;
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
    int prepare(sqlite3* db) const;
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
    if (means_damaged(code)) {
        set_aside(sqlite3_errstr(code));
        code = try_write(rows);
    } else if ((code & 0xff) == SQLITE_FULL && db_ && drop_older_half() == SQLITE_OK) {
        code = try_write(rows);
    }
    if (code != SQLITE_OK) {
        {
            const std::lock_guard lock(mutex_);
            status_.failed += rows.size();
        }
        db_.reset();  // opened again with the next rows
        problem(
            options_.path + ": cannot write the history: " + sqlite3_errstr(code) +
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
    // Made by us first: SQLite would follow a link, and give it a wider mode.
    const UniqueFd file(::open(options_.path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return SQLITE_CANTOPEN;
    auto db = connect(options_.path, SQLITE_OPEN_READWRITE);
    if (!db) return SQLITE_CANTOPEN;
    const int code = prepare(db->get());
    if (code == SQLITE_OK) db_ = std::move(*db);
    return code;
}

int History::Impl::prepare(sqlite3* db) const {
    int code = execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=1048576");
    if (code != SQLITE_OK) return code;
    {
        Statement check(db, "PRAGMA quick_check(1)");
        if (check.row() && check.text(0) != "ok") return SQLITE_CORRUPT;
        if (check.failed()) return check.code();
        Statement version(db, "PRAGMA user_version");
        if (version.row() && version.integer(0) != 0 && version.integer(0) != kSchemaVersion) return SQLITE_NOTADB;
    }
    const std::string settings = "PRAGMA max_page_count=" + std::to_string(options_.max_bytes / kPageBytes) +
                                 "; PRAGMA user_version=" + std::to_string(kSchemaVersion);
    code = execute(db, kSchema);
    return code == SQLITE_OK ? execute(db, settings.c_str()) : code;
}

void History::Impl::set_aside(const std::string& why) {
    db_.reset();
    const std::string aside = options_.path + ".set-aside";
    for (const char* part : {"", "-wal", "-shm"}) {
        std::remove((aside + part).c_str());
        std::rename((options_.path + part).c_str(), (aside + part).c_str());
    }
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
    const auto db = connect(impl_->path(), SQLITE_OPEN_READONLY);
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
        return fail(impl_->path() + ": cannot read the history: " + sqlite3_errstr(statement.code()));
    std::reverse(records.begin(), records.end());
    return records;
}

Result<std::vector<ConfigurationRecord>> History::configurations(int64_t limit) const {
    const auto db = connect(impl_->path(), SQLITE_OPEN_READONLY);
    if (!db) return tl::unexpected(db.error());
    Statement statement(
        db->get(),
        "SELECT version_epoch, version_seq, hash, wall_ns, who, NULL FROM configurations ORDER BY id DESC LIMIT ?");
    statement.bind(std::max<int64_t>(limit, 0));
    std::vector<ConfigurationRecord> records;
    while (statement.row()) records.push_back(read_configuration(statement));
    if (statement.failed())
        return fail(impl_->path() + ": cannot read the history: " + sqlite3_errstr(statement.code()));
    return records;
}

Result<ConfigurationRecord> History::configuration(const Version& version) const {
    const auto db = connect(impl_->path(), SQLITE_OPEN_READONLY);
    if (!db) return tl::unexpected(db.error());
    Statement statement(db->get(),
                        "SELECT version_epoch, version_seq, hash, wall_ns, who, bundle FROM configurations "
                        "WHERE version_epoch = ? AND version_seq = ?");
    statement.bind(version.epoch.value).bind(version.seq);
    if (statement.row()) return read_configuration(statement);
    if (statement.failed())
        return fail(impl_->path() + ": cannot read the history: " + sqlite3_errstr(statement.code()));
    return fail(ErrorCode::kNotFound, "configuration " + to_string(version) + " is not in this node's history",
                "see `kagami config history` for those that are");
}

}  // namespace kagami::runtime
