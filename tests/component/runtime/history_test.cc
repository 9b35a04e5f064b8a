#include "cluster-daemon/runtime/history.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <mutex>

#include "common/files.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::TemporaryDirectory;

namespace {

struct Fixture {
    TemporaryDirectory dir;
    HistoryOptions options;
    std::mutex mutex;
    std::vector<std::string> problems;
    std::unique_ptr<History> history;

    Fixture() { options.path = dir / "history.db"; }
    ~Fixture() { history.reset(); }
    History& start() {
        history.reset();
        history = History::start(options, [this](const std::string& sentence) {
            const std::lock_guard lock(mutex);
            problems.push_back(sentence);
        });
        return *history;
    }
    History& started() {
        start();
        REQUIRE(history->flush(10s));
        return *history;
    }
    size_t problem_count() {
        const std::lock_guard lock(mutex);
        return problems.size();
    }
    void damage(size_t offset, size_t length) const {
        std::string image = read_file(options.path, 1U << 26U).value();
        REQUIRE(image.size() > offset);
        for (size_t i = offset; i < std::min(image.size(), offset + length); ++i)
            image[i] = static_cast<char>(image[i] ^ 0x5a);
        REQUIRE(write_file_atomically(options.path, image));
    }
};

HistoryRecord decision(const std::string& subject, const std::string& sentence,
                       HistoryLevel level = HistoryLevel::kInfo) {
    HistoryRecord record;
    record.kind = HistoryKind::kDecision;
    record.wall_ns = 1'700'000'000'000'000'000;
    record.at = Instant(5s);
    record.epoch = Epoch::make(7, NodeId{2});
    record.version = {Epoch::make(7, NodeId{2}), 12};
    record.level = level;
    record.reason = "owner-lost";
    record.subject = subject;
    record.sentence = sentence;
    record.inputs_json = R"({"lease":"over"})";
    return record;
}

HistoryRecord event(const std::string& sentence) {
    HistoryRecord record = decision("node node1", sentence);
    record.kind = HistoryKind::kEvent;
    return record;
}

ConfigurationRecord configuration(uint64_t seq) {
    return {{Epoch::make(1, NodeId{1}), seq}, Hash{1, 2, 3}, 99, "root", Bytes{0, 1, 2, static_cast<uint8_t>(seq)}};
}

std::vector<std::string> sentences(const Result<std::vector<HistoryRecord>>& records) {
    std::vector<std::string> result;
    if (!records) FAIL(records.error().message);
    for (const HistoryRecord& record : *records) result.push_back(record.sentence);
    return result;
}

}  // namespace

TEST_CASE("what was recorded reads back whole, oldest first, across a restart") {
    Fixture fixture;
    History& history = fixture.start();
    const HistoryRecord first = decision("group web", "node2 takes web over: node1's lease is over");
    history.record(first);
    history.record(event("it's a \"quote\"; DROP TABLE records; \xe9\x8f\xa1"));
    REQUIRE(history.flush(10s));
    History& again = fixture.started();
    const auto records = again.log({});
    REQUIRE(records);
    REQUIRE(records->size() == 2);
    HistoryRecord read = records->front();
    CHECK(read.id == 1);
    read.id = 0;
    CHECK((read == first));
    CHECK(records->back().sentence == "it's a \"quote\"; DROP TABLE records; \xe9\x8f\xa1");
    CHECK(fixture.problem_count() == 0);
}

TEST_CASE("the log is filtered by kind, level, name, time and number") {
    Fixture fixture;
    History& history = fixture.start();
    history.record(decision("group web", "a"));
    history.record(decision("group web2", "b", HistoryLevel::kError));
    history.record(decision("cluster", "c", HistoryLevel::kWarning));
    HistoryRecord late = event("d");
    late.wall_ns += 1000;
    history.record(late);
    REQUIRE(history.flush(10s));
    const auto find = [&](auto change) {
        HistoryQuery query;
        change(query);
        return sentences(history.log(query));
    };
    using Sentences = std::vector<std::string>;
    CHECK(find([](HistoryQuery&) {}) == Sentences{"a", "b", "c", "d"});
    CHECK(find([](HistoryQuery& q) { q.kind = HistoryKind::kEvent; }) == Sentences{"d"});
    CHECK(find([](HistoryQuery& q) { q.kind = HistoryKind::kDecision; }) == Sentences{"a", "b", "c"});
    CHECK(find([](HistoryQuery& q) { q.at_least = HistoryLevel::kWarning; }) == Sentences{"b", "c"});
    CHECK(find([](HistoryQuery& q) { q.name = "web"; }) == Sentences{"a"});
    CHECK(find([](HistoryQuery& q) { q.name = "cluster"; }) == Sentences{"c"});
    CHECK(find([](HistoryQuery& q) { q.name = "%"; }).empty());
    CHECK(find([](HistoryQuery& q) { q.name = "x' OR 1=1 --"; }).empty());
    CHECK(find([&](HistoryQuery& q) { q.since_wall_ns = late.wall_ns; }) == Sentences{"d"});
    CHECK(find([](HistoryQuery& q) { q.limit = 2; }) == Sentences{"c", "d"});
    CHECK(find([](HistoryQuery& q) { q.limit = -5; }).empty());
}

TEST_CASE("only the newest rows of each kind are kept") {
    Fixture fixture;
    fixture.options.keep_decisions = 10;
    fixture.options.keep_events = 3;
    fixture.options.keep_configurations = 2;
    History& history = fixture.start();
    for (int i = 0; i < 50; ++i) history.record(decision("group web", std::to_string(i)));
    for (int i = 0; i < 5; ++i) history.record(event(std::to_string(i)));
    for (uint64_t i = 0; i < 6; ++i) history.record(configuration(i));
    REQUIRE(history.flush(10s));
    HistoryQuery query;
    query.kind = HistoryKind::kDecision;
    CHECK(sentences(history.log(query)).size() == 10);
    CHECK(sentences(history.log(query)).back() == "49");
    query.kind = HistoryKind::kEvent;
    CHECK(sentences(history.log(query)) == std::vector<std::string>{"2", "3", "4"});
    CHECK(history.configurations(100)->size() == 2);
}

TEST_CASE("configurations are listed newest first, and one is fetched with its bundle") {
    Fixture fixture;
    History& history = fixture.start();
    for (uint64_t i = 1; i <= 3; ++i) history.record(configuration(i));
    history.record(configuration(2));  // once more, after a restart
    REQUIRE(history.flush(10s));
    const auto list = history.configurations(10);
    REQUIRE(list);
    REQUIRE(list->size() == 3);
    CHECK(list->at(0).bundle.empty());
    CHECK((*history.configuration(configuration(3).version) == configuration(3)));
    const auto missing = history.configuration(configuration(9).version);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::kNotFound);
}

TEST_CASE("a database that is no database, or damaged in its middle, is set aside and a new one begun") {
    Fixture fixture;
    const std::string kind = GENERATE("noise", "header", "middle", "cut", "other version");
    CAPTURE(kind);
    if (kind == "noise") {
        REQUIRE(write_file_atomically(fixture.options.path,
                                      std::string_view("this is no database at all, and long enough to be read")));
    } else {
        History& history = fixture.start();
        for (int i = 0; i < 3000; ++i) history.record(decision("group web", std::string(100, 'x')));
        REQUIRE(history.flush(20s));
        fixture.history.reset();
        if (kind == "header") fixture.damage(0, 100);
        if (kind == "middle") fixture.damage(3 * 4096, 4096 * 20);
        if (kind == "cut") REQUIRE(::truncate(fixture.options.path.c_str(), 4096 * 10) == 0);
        if (kind == "other version") {
            sqlite3* db = nullptr;
            REQUIRE(sqlite3_open(fixture.options.path.c_str(), &db) == SQLITE_OK);
            sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
            sqlite3_close(db);
        }
    }
    History& history = fixture.started();
    CHECK(history.status().set_aside == 1);
    CHECK(fixture.problem_count() == 1);
    history.record(decision("group web", "after"));
    REQUIRE(history.flush(10s));
    CHECK(sentences(history.log({})) == std::vector<std::string>{"after"});
    CHECK(history.status().problem.empty());
    CHECK(::access((fixture.options.path + ".set-aside").c_str(), F_OK) == 0);
}

TEST_CASE("a table that somebody changed is set aside as well") {
    Fixture fixture;
    fixture.started();
    fixture.history.reset();
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(fixture.options.path.c_str(), &db) == SQLITE_OK);
    sqlite3_exec(db, "DROP TABLE records; CREATE TABLE records(id INTEGER PRIMARY KEY, kind INTEGER)", nullptr, nullptr,
                 nullptr);
    sqlite3_close(db);
    History& history = fixture.start();
    history.record(decision("group web", "after"));
    REQUIRE(history.flush(10s));
    CHECK(history.status().set_aside == 1);
    CHECK(sentences(history.log({})).size() == 1);
}

TEST_CASE("a file that reached its limit gives older rows away, not the newest") {
    Fixture fixture;
    fixture.options.max_bytes = 400'000;
    History& history = fixture.start();
    for (int i = 0; i < 2000; ++i) {
        history.record(decision("group web", std::to_string(i) + std::string(1000, 'x')));
        if (i % 100 == 0) REQUIRE(history.flush(10s));
    }
    REQUIRE(history.flush(10s));
    CHECK(history.status().failed == 0);
    HistoryQuery query;
    query.limit = 1;
    CHECK(sentences(history.log(query)).front().starts_with("1999"));
    struct stat info{};
    REQUIRE(::stat(fixture.options.path.c_str(), &info) == 0);
    CHECK(info.st_size <= 400'000);
}

TEST_CASE("a disk that takes nothing more costs rows and one message, and writing goes on afterwards") {
    Fixture fixture;
    History& history = fixture.started();
    history.record(decision("group web", "before"));
    REQUIRE(history.flush(10s));
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    const rlimit none{4096, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    for (int i = 0; i < 3; ++i) {
        history.record(decision("group web", std::string(3000, 'x')));
        history.flush(10s);
    }
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(history.status().failed == 3);
    CHECK(fixture.problem_count() == 1);
    CHECK_FALSE(history.status().problem.empty());
    history.record(decision("group web", "after"));
    REQUIRE(history.flush(10s));
    CHECK(history.status().problem.empty());
    CHECK(sentences(history.log({})) == std::vector<std::string>{"before", "after"});
}

TEST_CASE("a state directory that is missing, or a link in the file's place, is reported and stops nothing") {
    Fixture fixture;
    fixture.options.path = fixture.dir / "no/such/history.db";
    {
        History& history = fixture.start();
        history.record(decision("group web", "x"));
        REQUIRE(history.flush(10s));
        CHECK(history.status().failed == 1);
        CHECK_FALSE(history.log({}));
    }
    fixture.options.path = fixture.dir / "link";
    REQUIRE(::symlink("elsewhere", fixture.options.path.c_str()) == 0);
    History& history = fixture.started();
    CHECK_FALSE(history.status().problem.empty());
    CHECK(::access((fixture.dir / "elsewhere").c_str(), F_OK) != 0);
}

TEST_CASE("a full queue drops rows and counts them, and record() does not wait for a locked database") {
    Fixture fixture;
    fixture.options.queue_limit = 10;
    History& history = fixture.started();
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(fixture.options.path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) history.record(decision("group web", std::to_string(i)));
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(db);
    REQUIRE(history.flush(10s));
    const HistoryStatus status = history.status();
    CHECK(status.dropped > 0);
    CHECK(status.written + status.dropped + status.failed == 1000);
}

TEST_CASE("the database belongs to its owner alone, and oversized texts are cut") {
    Fixture fixture;
    History& history = fixture.start();
    HistoryRecord huge = decision("group web", std::string(100'000, 'x'));
    huge.inputs_json = std::string(1'000'000, 'y');
    history.record(huge);
    REQUIRE(history.flush(10s));
    for (const char* part : {"", "-wal", "-shm"}) {
        struct stat info{};
        REQUIRE(::stat((fixture.options.path + part).c_str(), &info) == 0);
        CHECK((info.st_mode & 0777U) == 0600);
    }
    const auto records = history.log({});
    REQUIRE(records);
    CHECK(records->front().sentence.size() == 4096);
    CHECK(records->front().inputs_json == "{}");
}
