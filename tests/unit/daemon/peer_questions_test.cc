// Two daemons' questions, joined by what would be the peer channel.
#include "cluster-daemon/runtime/daemon/peer_questions.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "cluster-daemon/runtime/daemon/log_gather.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};

LogLine line(int64_t ms, std::string message) {
    LogLine all;
    all.unix_ms = ms;
    all.level = engine::Level::kWarning;
    all.subject = "group web";
    all.code = "group-failover";
    all.message = std::move(message);
    all.epoch = "5@1";
    all.inputs = {"node2: not heard"};
    return all;
}

struct Pair {
    Pair() : one(hands(kOne, two)), two(hands(kTwo, one)) {}

    // Destroyed before the other one is used again: stop both first.
    ~Pair() {
        one.stop();
        two.stop();
    }

    PeerQuestions::Hands hands(NodeId own, PeerQuestions& other) {
        PeerQuestions::Hands all;
        all.send = [this, own, &other](NodeId to, PeerWord word, const Bytes& content) {
            if (to != kOne && to != kTwo) return false;
            last = content;
            if (!deaf) other.receive(own, word, content);
            return true;
        };
        all.log = [this](const LogQuery& query) {
            asked = query;
            return lines;
        };
        all.health = [] {
            PeerHealth health;
            health.unix_ms = 42;
            health.watchdog = "hardware: iTCO_wdt";
            health.guard_alive = true;
            return health;
        };
        all.check_config = [this](const Bytes& packed) {
            return packed == Bytes{1, 2} ? std::vector<std::string>{} : std::vector<std::string>(problems, "bad");
        };
        all.unix_ms = [] { return int64_t{1000}; };
        return all;
    }

    std::vector<LogLine> lines;
    LogQuery asked;
    size_t problems = 1;
    Bytes last;
    std::atomic<bool> deaf = false;
    PeerQuestions one;
    PeerQuestions two;
};

}  // namespace

TEST_CASE("lines of another node's journal arrive as they are") {
    Pair pair;
    pair.lines = {line(10, "a"), line(20, "b")};
    LogQuery query;
    query.since_unix_ms = 7;
    query.subject = "web";
    query.minimum = engine::Level::kWarning;
    const auto answer = pair.one.ask_log({{kTwo, query}}, 5s);
    REQUIRE(answer.count(kTwo) == 1);
    REQUIRE(answer.at(kTwo).size() == 2);
    const LogLine& first = answer.at(kTwo).front();
    CHECK(first.message == "a");
    CHECK(first.level == engine::Level::kWarning);
    CHECK(first.epoch == "5@1");
    CHECK(first.inputs == std::vector<std::string>{"node2: not heard"});
    CHECK(pair.asked.since_unix_ms == 7);
    CHECK(pair.asked.subject == "web");
    CHECK(pair.asked.minimum == engine::Level::kWarning);
}

TEST_CASE("a node that is not connected does not answer, at once; one that says nothing, after a while") {
    Pair pair;
    const auto begun = std::chrono::steady_clock::now();
    CHECK(pair.one.ask_log({{NodeId{3}, {}}}, 60s).empty());
    CHECK(std::chrono::steady_clock::now() - begun < 30s);
    pair.deaf = true;
    CHECK(pair.one.ask_health({kTwo}, 20ms).empty());
}

TEST_CASE("an answer too large loses its oldest lines") {
    Pair pair;
    for (int i = 0; i < 500; ++i) pair.lines.push_back(line(i, std::string(2000, 'x')));
    const auto answer = pair.one.ask_log({{kTwo, {}}}, 5s);
    REQUIRE(answer.count(kTwo) == 1);
    const auto& lines = answer.at(kTwo);
    CHECK(lines.size() < 500);
    CHECK(lines.size() > 100);
    CHECK(lines.back().unix_ms == 499);
    CHECK(lines.front().unix_ms == 500 - static_cast<int64_t>(lines.size()));
    CHECK(pair.last.size() <= kMaxAnswerBytes + 64);
}

TEST_CASE("texts that are not UTF-8 do not cost the answer") {
    Pair pair;
    pair.lines = {line(1, "M\xfcller")};
    const auto answer = pair.one.ask_log({{kTwo, {}}}, 5s);
    REQUIRE(answer.count(kTwo) == 1);
    CHECK(answer.at(kTwo).front().message == "M?ller");
}

TEST_CASE("how another node is comes with the asker's own times around it") {
    Pair pair;
    const auto answer = pair.one.ask_health({kTwo}, 5s);
    REQUIRE(answer.count(kTwo) == 1);
    CHECK(answer.at(kTwo).unix_ms == 42);
    CHECK(answer.at(kTwo).asked_unix_ms == 1000);
    CHECK(answer.at(kTwo).answered_unix_ms == 1000);
    CHECK(answer.at(kTwo).watchdog == "hardware: iTCO_wdt");
}

TEST_CASE("another node's word on a draft: good, or its problems, of many only the first ones") {
    Pair pair;
    CHECK(pair.one.ask_config({kTwo}, {1, 2}, 5s).at(kTwo).empty());
    CHECK(pair.one.ask_config({kTwo}, {3}, 5s).at(kTwo) == std::vector<std::string>{"bad"});
    pair.problems = 1000;
    CHECK(pair.one.ask_config({kTwo}, {3}, 5s).at(kTwo).size() == kMaxProblems);
    CHECK(pair.one.ask_config({NodeId{3}}, {3}, 5s).empty());
}

TEST_CASE("bytes that are no question, answers that nobody asked for, and strangers' answers change nothing") {
    Pair pair;
    const Bytes garbage{0xff, 0xff, 0xff, 0x01};
    pair.two.receive(kOne, PeerWord::kQuestion, garbage);
    pair.one.receive(kTwo, PeerWord::kAnswer, garbage);
    pair.one.receive(kTwo, PeerWord::kAnswer, Bytes{0x08, 0x63});
    pair.lines = {line(1, "a")};
    CHECK(pair.one.ask_log({{kTwo, {}}}, 5s).count(kTwo) == 1);
}

TEST_CASE("a log from everywhere names who did not answer, and asks each from its own moment") {
    Pair pair;
    pair.lines = {line(10, "b")};
    LogSources sources{
        "node1", [](const LogQuery&) { return std::vector{line(5, "a")}; }, {{kTwo, "node2"}, {NodeId{3}, "node3"}}};
    LogQuery query;
    query.since_unix_ms = 1;
    const GatheredLog log = gather_logs(pair.one, sources, query, {{"node2", 9}}, 5s);
    REQUIRE(log.lines.size() == 2);
    CHECK(log.lines[0].node == "node1");
    CHECK(log.lines[1].node == "node2");
    CHECK(log.silent == std::vector<std::string>{"node3"});
    CHECK(pair.asked.since_unix_ms == 9);
}

TEST_CASE("who waits goes on when the daemon ends") {
    Pair pair;
    pair.deaf = true;
    std::atomic<bool> ended = false;
    std::thread waiting([&] {
        pair.one.ask_health({kTwo}, 60s);
        ended = true;
    });
    pair.one.stop();
    waiting.join();
    CHECK(ended);
}
