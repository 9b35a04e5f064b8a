#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "common/files.h"
#include "tests/component/alerts/fixture.h"

using namespace kagami;
using namespace kagami::testing;
using config::AlertLevel;
using runtime::alerts::AlertStatus;

namespace {

std::vector<std::string> texts(const Receiver& server) {
    std::vector<std::string> all;
    for (const auto& taken : server.taken())
        all.push_back(nlohmann::json::parse(taken.at("body").get<std::string>()).at("text").get<std::string>());
    return all;
}

std::string to_port(uint16_t port) {
    return "http://127.0.0.1:" + std::to_string(port) + "/";
}

}  // namespace

TEST_CASE("what a dead receiver did not take arrives in order once it lives, also after a restart of the daemon") {
    AlertFixture fixture;
    const uint16_t port = free_port();
    fixture.webhook_to(to_port(port));
    fixture.mail_to(free_port());
    fixture.start();
    std::vector<std::string> expected;
    for (int i = 0; i < 20; ++i) {
        expected.push_back("Number " + std::to_string(i) + ".");
        fixture.post(expected.back());
    }
    REQUIRE(fixture.has_said("to http://127.0.0.1:" + std::to_string(port) + " are not delivered"));
    REQUIRE(fixture.has_said("by mail through"));
    REQUIRE(fixture.queue->flush(10s));
    fixture.restart();
    const Receiver server(fixture.dir.path(), "http", {"--port", std::to_string(port)});
    REQUIRE(server.took(20));
    CHECK(texts(server) == expected);
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 20; }));
    fixture.restart();
    fixture.post("The last.");
    REQUIRE(server.took(21));
    CHECK(texts(server).back() == "The last.");
}

TEST_CASE("a receiver that dies in the middle gets the rest later, and each alert keeps its id") {
    AlertFixture fixture;
    const uint16_t port = free_port();
    auto server = std::make_unique<Receiver>(
        fixture.dir.path(), "http", std::vector<std::string>{"--port", std::to_string(port), "--answers", "0,0"});
    fixture.webhook_to(to_port(port));
    fixture.start();
    for (int i = 0; i < 50; ++i) fixture.post(std::to_string(i));
    REQUIRE(server->took(1));
    server->stop();
    const auto before = texts(*server);
    const Receiver again(fixture.dir.path(), "http", {"--port", std::to_string(port)});
    // Only the one that was under way may have come twice.
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 50; }));
    const auto after = texts(again);
    CHECK(before.size() + after.size() <= 51);
    std::set<std::string> all(before.begin(), before.end());
    all.insert(after.begin(), after.end());
    CHECK(all.size() == 50);
}

TEST_CASE("a receiver that is silent delays neither another one nor the end of the daemon") {
    AlertFixture fixture;
    const Receiver silent(fixture.dir.path(), "smtp", {"--silent"});
    const Receiver server(fixture.dir.path(), "http");
    fixture.mail_to(silent.port());
    fixture.webhook_to(server.url("/"));
    fixture.start();
    for (int i = 0; i < 10; ++i) fixture.post("One.");
    REQUIRE(server.took(10));
    const Instant before = host::boot_now();
    REQUIRE(fixture.queue->flush(10s));
    fixture.queue.reset();
    CHECK(host::boot_now() - before < 3s);
}

TEST_CASE("a silent receiver is given up for the moment, and its alert kept") {
    AlertFixture fixture;
    const Receiver silent(fixture.dir.path(), "http", {"--silent"});
    fixture.webhook_to(silent.url("/"));
    fixture.options.transfer.whole = 200ms;
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.has_said("are not delivered"));
    const Receiver server(fixture.dir.path(), "http");
    CHECK(fixture.queue->status().given_up == 0);
}

TEST_CASE("posting costs the caller microseconds, whatever the receivers do") {
    AlertFixture fixture;
    const Receiver silent(fixture.dir.path(), "smtp", {"--silent"});
    fixture.mail_to(silent.port());
    fixture.webhook_to(to_port(free_port()));
    fixture.start();
    std::vector<Duration> costs;
    for (int i = 0; i < 2000; ++i) {
        auto one = alert("Group web fails over from node1 to node2.");
        const Instant before = host::boot_now();
        fixture.queue->post(std::move(one));
        costs.push_back(host::boot_now() - before);
    }
    std::sort(costs.begin(), costs.end());
    std::cout << "post: median " << costs[1000].count() << " ns, 99 % " << costs[1980].count() << " ns, most "
              << costs.back().count() << " ns\n";
    CHECK(costs[1000] < 50us);
    CHECK(costs[1980] < 1ms);
    CHECK(fixture.queue->flush(60s));
}

TEST_CASE("a full queue drops the newest, counts them and says so once") {
    AlertFixture fixture;
    fixture.options.queue_limit = 10;
    const Receiver server(fixture.dir.path(), "http");
    fixture.webhook_to(server.url("/"));
    fixture.start();
    for (int i = 0; i < 5000; ++i) fixture.post("One.");
    REQUIRE(fixture.queue->flush(60s));
    const AlertStatus status = fixture.queue->status();
    CHECK(status.taken + status.dropped == 5000);
    CHECK(status.dropped > 0);
    fixture.post("Wakes it.");
    CHECK(fixture.has_said("messages were not sent as alerts"));
}

TEST_CASE("of a dead receiver's alerts the newest are kept, and none too long") {
    AlertFixture fixture;
    fixture.options.retry.keep = 5;
    const uint16_t port = free_port();
    fixture.webhook_to(to_port(port));
    fixture.start();
    for (int i = 0; i < 12; ++i) fixture.post(std::to_string(i));
    REQUIRE(fixture.queue->flush(10s));
    CHECK(fixture.queue->status().given_up == 7);
    CHECK(fixture.count_said("the oldest give way") == 1);
    fixture.options.retry.max_age = 24h;
    fixture.start();
    auto young = alert("Young.");
    young.unix_ms = 32'503'680'000'000;  // the year 3000
    fixture.queue->post(young);
    REQUIRE(fixture.queue->flush(10s));
    CHECK(fixture.has_said("5 alerts are given up"));
    const Receiver server(fixture.dir.path(), "http", {"--port", std::to_string(port)});
    REQUIRE(server.took(1));
    CHECK(texts(server) == std::vector<std::string>{"Young."});
}

TEST_CASE("what waits for a receiver that is removed is given up, and what waits for another is kept") {
    AlertFixture fixture;
    const uint16_t port = free_port();
    fixture.webhook_to(to_port(free_port()));
    fixture.webhook_to(to_port(port));
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.queue->flush(10s));
    fixture.config.webhooks.erase(fixture.config.webhooks.begin());
    fixture.change_config();
    REQUIRE(fixture.queue->flush(10s));
    CHECK(fixture.queue->status().given_up == 1);
    const Receiver server(fixture.dir.path(), "http", {"--port", std::to_string(port)});
    REQUIRE(server.took(1));
}

TEST_CASE("what a person sends by hand goes where it was told, whatever the configuration says") {
    AlertFixture fixture;
    const Receiver hook(fixture.dir.path(), "http");
    const Receiver mail(fixture.dir.path(), "smtp");
    fixture.webhook_to(hook.url("/"));
    fixture.mail_to(mail.port());
    fixture.start();
    auto own = alert("The backup is done.", AlertLevel::kInfo);
    own.only = {false, true, false};
    fixture.queue->post(own);
    REQUIRE(mail.took(1));
    fixture.post("For both.");
    REQUIRE(hook.took(1));
    CHECK(texts(hook) == std::vector<std::string>{"For both."});
}

TEST_CASE("a damaged alerts.db is set aside, and alerts go on") {
    AlertFixture fixture;
    REQUIRE(write_file_atomically(fixture.options.path, std::string(8192, 'x')));
    const Receiver server(fixture.dir.path(), "http");
    fixture.webhook_to(server.url("/"));
    fixture.start();
    fixture.post("One.");
    REQUIRE(server.took(1));
    CHECK(fixture.has_said("the queue of alerts is damaged"));
    CHECK(read_file(fixture.options.path + ".set-aside", 1U << 20U).value_or("").starts_with("xxxx"));
}

TEST_CASE("without a place for alerts.db alerts are sent from memory, and it is said once") {
    AlertFixture fixture;
    fixture.options.path = fixture.dir / "absent/alerts.db";
    const Receiver server(fixture.dir.path(), "http", {"--answers", "500"});
    fixture.webhook_to(server.url("/"));
    fixture.start();
    for (int i = 0; i < 3; ++i) fixture.post("One.");
    REQUIRE(server.took(3));
    CHECK(fixture.count_said("kept in memory only") == 1);
}

TEST_CASE("alerts.db is for root only, and is not made through a link") {
    AlertFixture fixture;
    fixture.webhook_to(to_port(free_port()));
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.queue->flush(10s));
    struct stat info{};
    REQUIRE(::stat(fixture.options.path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600);
    fixture.queue.reset();
    const std::string target = fixture.dir / "target";
    REQUIRE(::rename(fixture.options.path.c_str(), target.c_str()) == 0);
    REQUIRE(::symlink(target.c_str(), fixture.options.path.c_str()) == 0);
    fixture.start();
    CHECK(fixture.has_said("kept in memory only"));
}
