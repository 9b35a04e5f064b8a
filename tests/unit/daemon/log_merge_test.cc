#include "cluster-daemon/runtime/daemon/log_merge.h"

#include <catch2/catch.hpp>

using namespace kagami::runtime;

namespace {

LogLine line(const std::string& node, int64_t ms, const std::string& message) {
    LogLine all;
    all.node = node;
    all.unix_ms = ms;
    all.subject = "group web";
    all.code = "group-placed";
    all.message = message;
    return all;
}

std::vector<std::string> texts(const std::vector<LogLine>& lines) {
    std::vector<std::string> all;
    for (const LogLine& each : lines) all.push_back(each.node + " " + each.message);
    return all;
}

}  // namespace

TEST_CASE("journals of several nodes are one by time") {
    const auto merged = merge_logs({line("node1", 10, "a"), line("node1", 30, "c"), line("node2", 20, "b")}, 10);
    CHECK(texts(merged) == std::vector<std::string>{"node1 a", "node2 b", "node1 c"});
}

TEST_CASE("what two nodes tell alike at about the same time is told once, by who said it first") {
    const auto merged = merge_logs(
        {line("node2", 1500, "lost"), line("node1", 1000, "lost"), line("node1", 1000 + kSameEventMs + 1, "lost")}, 10);
    CHECK(texts(merged) == std::vector<std::string>{"node1 lost", "node1 lost"});
}

TEST_CASE("what one node says twice stays twice") {
    CHECK(merge_logs({line("node1", 1, "retry"), line("node1", 2, "retry")}, 10).size() == 2);
}

TEST_CASE("the newest lines are kept") {
    const auto merged = merge_logs({line("node1", 1, "a"), line("node2", 2, "b"), line("node1", 3, "c")}, 2);
    CHECK(texts(merged) == std::vector<std::string>{"node2 b", "node1 c"});
    CHECK(merge_logs({}, 2).empty());
}

TEST_CASE("a follower sees each line once, also those of one moment that come apart") {
    LogCursor cursor;
    CHECK(cursor.since("node1", 5) == 5);
    CHECK(cursor.take_new({line("node1", 10, "a")}).size() == 1);
    CHECK(cursor.since("node1", 5) == 10);
    // Asked again from 10 on: the same line comes back, with another one of the same moment.
    CHECK(texts(cursor.take_new({line("node1", 10, "a"), line("node1", 10, "b")})) ==
          std::vector<std::string>{"node1 b"});
    CHECK(cursor.take_new({line("node1", 10, "a"), line("node1", 10, "b")}).empty());
    CHECK(texts(cursor.take_new({line("node1", 10, "b"), line("node1", 12, "c")})) ==
          std::vector<std::string>{"node1 c"});
}

TEST_CASE("a node whose clock is behind is followed by its own clock") {
    LogCursor cursor;
    CHECK(cursor.take_new({line("node1", 100'000, "a")}).size() == 1);
    CHECK(texts(cursor.take_new({line("node2", 10, "b")})) == std::vector<std::string>{"node2 b"});
    CHECK(cursor.since("node2", 0) == 10);
}
