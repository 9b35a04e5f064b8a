#include "cluster-daemon/runtime/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cstdio>

#include "common/files.h"

namespace kagami::runtime::sqlite {
namespace {

constexpr int kBusyMilliseconds = 2000;
constexpr int kPageBytes = 4096;

int connect(const std::string& path, int flags, Database& db) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    Database opened(raw);
    if (code != SQLITE_OK) return code;
    sqlite3_busy_timeout(opened.get(), kBusyMilliseconds);
    db = std::move(opened);
    return SQLITE_OK;
}

int prepare(sqlite3* db, const Layout& layout) {
    int code = execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=1048576");
    if (code != SQLITE_OK) return code;
    {
        Statement check(db, "PRAGMA quick_check(1)");
        if (check.row() && check.text(0) != "ok") return SQLITE_CORRUPT;
        if (check.failed()) return check.code();
        Statement version(db, "PRAGMA user_version");
        if (version.row() && version.integer(0) != 0 && version.integer(0) != layout.version) return SQLITE_NOTADB;
    }
    const std::string settings = "PRAGMA max_page_count=" + std::to_string(layout.max_bytes / kPageBytes) +
                                 "; PRAGMA user_version=" + std::to_string(layout.version);
    code = execute(db, layout.schema);
    return code == SQLITE_OK ? execute(db, settings.c_str()) : code;
}

}  // namespace

void CloseDatabase::operator()(sqlite3* db) const {
    sqlite3_close(db);
}

Statement::Statement(sqlite3* db, const char* sql) {
    code_ = sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr);
    failed_ = code_ != SQLITE_OK;
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Statement& Statement::bind(int64_t value) {
    return check(failed_ ? code_ : sqlite3_bind_int64(statement_, ++bound_, value));
}

Statement& Statement::bind(const std::string& text) {
    const int length = static_cast<int>(text.size());
    return check(failed_ ? code_ : sqlite3_bind_text(statement_, ++bound_, text.data(), length, SQLITE_STATIC));
}

Statement& Statement::bind(std::span<const uint8_t> blob) {
    // An empty blob needs an address too, or SQLite takes it for NULL.
    const void* const data = blob.empty() ? static_cast<const void*>("") : blob.data();
    const int length = static_cast<int>(blob.size());
    return check(failed_ ? code_ : sqlite3_bind_blob(statement_, ++bound_, data, length, SQLITE_STATIC));
}

bool Statement::row() {
    if (failed_) return false;
    code_ = sqlite3_step(statement_);
    failed_ = code_ != SQLITE_ROW && code_ != SQLITE_DONE;
    return code_ == SQLITE_ROW;
}

int Statement::run() {
    while (row()) {
    }
    return failed_ ? code_ : SQLITE_OK;
}

int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

Bytes Statement::blob(int column) const {
    const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
    return data == nullptr ? Bytes{} : Bytes(data, data + sqlite3_column_bytes(statement_, column));
}

std::string Statement::text(int column) const {
    const Bytes raw = blob(column);
    return {raw.begin(), raw.end()};
}

Statement& Statement::check(int code) {
    if (!failed_ && code != SQLITE_OK) {
        code_ = code;
        failed_ = true;
    }
    return *this;
}

int open_in_memory(const Layout& layout, Database& db) {
    Database opened;
    const int code = connect(":memory:", SQLITE_OPEN_READWRITE, opened);
    if (code != SQLITE_OK) return code;
    const int prepared = prepare(opened.get(), layout);
    if (prepared == SQLITE_OK) db = std::move(opened);
    return prepared;
}

int open_private(const std::string& path, const Layout& layout, Database& db) {
    // Made by us first: SQLite would follow a link, and give it a wider mode.
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return SQLITE_CANTOPEN;
    Database opened;
    if (connect(path, SQLITE_OPEN_READWRITE, opened) != SQLITE_OK) return SQLITE_CANTOPEN;
    const int code = prepare(opened.get(), layout);
    if (code == SQLITE_OK) db = std::move(opened);
    return code;
}

Result<Database> open_read_only(const std::string& path) {
    Database db;
    const int code = connect(path, SQLITE_OPEN_READONLY, db);
    if (code != SQLITE_OK) return fail(path + ": cannot open: " + words(code), "check the file's owner and the disk");
    return db;
}

int execute(sqlite3* db, const char* sql) {
    return sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
}

const char* words(int code) {
    return sqlite3_errstr(code);
}

bool means_damaged(int code) {
    const int primary = code & 0xff;
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_SCHEMA || primary == SQLITE_ERROR;
}

bool means_full(int code) {
    return (code & 0xff) == SQLITE_FULL;
}

std::string set_aside(const std::string& path) {
    const std::string aside = path + ".set-aside";
    for (const char* part : {"", "-wal", "-shm"}) {
        std::remove((aside + part).c_str());
        std::rename((path + part).c_str(), (aside + part).c_str());
    }
    return aside;
}

}  // namespace kagami::runtime::sqlite
