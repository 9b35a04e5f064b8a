#include "tests/support/prober/observer.h"

#include <catch2/catch.hpp>

using namespace kagami::prober;
using namespace std::chrono_literals;

namespace {
struct Client {
    Observer observer{50ms, 1000ms};

    bool hears(const std::string& server, Time at, const std::string& target = "service", Time took = 1ms) {
        return observer.on_answer({target, server, at - took, at});
    }
    const TargetRecord& service() const { return observer.targets().at("service"); }
};
}  // namespace

TEST_CASE("a steady service has no gap") {
    Client client;
    for (Time at = 0ms; at < 1s; at += 10ms) client.hears("a", at);
    CHECK(client.service().gaps.empty());
    CHECK(client.service().good == 100);
    CHECK(client.service().servers == std::set<std::string>{"a"});
}

TEST_CASE("a gap runs from the last good answer to the first one after, and names both servers") {
    Client client;
    client.hears("a", 100ms);
    client.observer.on_failure("service");
    client.hears("b", 2600ms);
    REQUIRE(client.service().gaps.size() == 1);
    const Gap& gap = client.service().gaps.front();
    CHECK(gap.from == 100ms);
    CHECK(gap.to == 2600ms);
    CHECK(gap.before == "a");
    CHECK(gap.after == "b");
    CHECK(client.service().attempts == 3);
}

TEST_CASE("silence as long as the threshold is no gap") {
    Client client;
    client.hears("a", 100ms);
    client.hears("a", 150ms);
    CHECK(client.service().gaps.empty());
}

TEST_CASE("gaps are counted for each target alone") {
    Client client;
    client.hears("a", 0ms, "service");
    client.hears("a", 500ms, "node1");
    client.hears("a", 510ms, "node1");
    CHECK(client.observer.targets().at("node1").gaps.empty());
}

TEST_CASE("a service that moves does not serve on both sides") {
    Client client;
    for (Time at = 0ms; at < 500ms; at += 10ms) CHECK_FALSE(client.hears("a", at));
    for (Time at = 500ms; at < 900ms; at += 10ms) CHECK_FALSE(client.hears("b", at));
    CHECK(client.observer.both_sides().empty());
}

TEST_CASE("interleaved answers are two sides serving at once") {
    Client client;
    CHECK_FALSE(client.hears("a", 10ms));
    CHECK_FALSE(client.hears("b", 20ms));
    CHECK(client.hears("a", 30ms));
    CHECK_FALSE(client.hears("b", 40ms));  // the same episode
    REQUIRE(client.observer.both_sides().size() == 1);
    const Episode& episode = client.observer.both_sides().front();
    CHECK(episode.servers == std::set<std::string>{"a", "b"});
    CHECK(episode.first == 30ms);
    CHECK(episode.last == 40ms);
    CHECK(episode.sightings == 2);
}

TEST_CASE("the two sides may answer on different targets") {
    Client client;
    client.hears("a", 10ms, "node1");
    client.hears("b", 20ms, "node2");
    CHECK(client.hears("a", 30ms, "node1"));
}

TEST_CASE("answers that were under way at the same time prove nothing") {
    Client client;
    client.hears("a", 10ms);
    CHECK_FALSE(client.hears("b", 20ms, "service", 15ms));  // asked before a's answer came
    CHECK_FALSE(client.hears("a", 30ms, "service", 15ms));  // asked before b's answer came
    CHECK(client.observer.both_sides().empty());
}

TEST_CASE("a service that moved away and back is not two sides") {
    Client client;
    client.hears("a", 10ms);
    client.hears("b", 600ms);
    CHECK_FALSE(client.hears("a", 1200ms));
}

TEST_CASE("sightings further apart than the window are two episodes") {
    Client client;
    client.hears("a", 10ms);
    client.hears("b", 20ms);
    CHECK(client.hears("a", 30ms));
    client.hears("a", 5000ms);
    client.hears("b", 5010ms);
    CHECK(client.hears("a", 5020ms));
    CHECK(client.observer.both_sides().size() == 2);
}

TEST_CASE("one late answer of the old side between two of the new one is seen") {
    Client client;
    for (Time at = 0ms; at < 300ms; at += 10ms) client.hears("a", at);
    for (Time at = 300ms; at < 500ms; at += 10ms) CHECK_FALSE(client.hears("b", at));
    CHECK(client.hears("a", 505ms, "node1"));
}
