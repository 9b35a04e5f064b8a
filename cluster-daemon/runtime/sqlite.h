// SQLite files of our own: made private, checked when they are opened, and set aside when they are damaged. Codes are
// SQLite's. Left to others: threads (a connection belongs to one at a time), and what the tables mean.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/codec.h"
#include "common/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kagami::runtime::sqlite {

struct CloseDatabase {
    void operator()(sqlite3* db) const;
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

// One statement. After a failure every call does nothing; code() has the first error.
class Statement {
 public:
    Statement(sqlite3* db, const char* sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(int64_t value);
    Statement& bind(uint64_t value) { return bind(static_cast<int64_t>(value)); }
    Statement& bind(const std::string& text);
    Statement& bind(std::span<const uint8_t> blob);
    bool row();
    int run();  // to its end
    bool failed() const { return failed_; }
    int code() const { return code_; }

    int64_t integer(int column) const;
    uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
    Bytes blob(int column) const;
    std::string text(int column) const;

 private:
    Statement& check(int code);
    sqlite3_stmt* statement_ = nullptr;
    int code_ = 0;
    int bound_ = 0;
    bool failed_ = false;
};

struct Layout {
    int version = 1;  // user_version
    const char* schema = "";
    int64_t max_bytes = 64 << 20;
};

// Opens for writing what others may read at the same time, making the file (0600) and the tables when they are missing.
// A failure leaves `db` as it was.
int open_private(const std::string& path, const Layout& layout, Database& db);
int open_in_memory(const Layout& layout, Database& db);
Result<Database> open_read_only(const std::string& path);
int execute(sqlite3* db, const char* sql);
const char* words(int code);

bool means_damaged(int code);  // no database, a damaged one, or of another layout
bool means_full(int code);
// Moves the file and what belongs to it to PATH.set-aside, in place of an earlier one; its new name.
std::string set_aside(const std::string& path);

}  // namespace kagami::runtime::sqlite
