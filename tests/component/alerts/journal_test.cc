// What the daemon hands to its alerts.
#include "cluster-daemon/runtime/daemon/journal.h"

#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cluster-daemon/engine/message_catalogue.h"
#include "common/host/boot_clock.h"
#include "tests/component/alerts/receiver.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::testing;
using namespace kagami::runtime;
using engine::Level;
using engine::Reason;

namespace {

struct Told {
    TemporaryDirectory dir;
    Receiver server{dir.path(), "http"};
    config::Config config;
    std::unique_ptr<Journal> journal = Journal::open(dir / "history.db");

    Told() {
        spdlog::set_level(spdlog::level::off);
        config.cluster_name = "demo";
        config.alerts.syslog = false;
        config.alerts.webhooks = {{server.url("/"), "", "", config::AlertLevel::kWarning}};
        journal->start_alerts(dir / "alerts.db", "node1", config);
    }
    nlohmann::json body(size_t index) const {
        return nlohmann::json::parse(server.taken().at(index).at("body").get<std::string>());
    }
    size_t rows() const {
        journal->flush();
        return journal->lines({}).size();
    }
};

}  // namespace

TEST_CASE("a decision is an alert with the id, level and remedy of its reason, and a row of the history") {
    Told told;
    told.journal->record({Reason::kGroupPlaced, "group web", "Below the level.", {}});
    told.journal->record({Reason::kGroupFailover, "group web", "Group web fails over to node2.", {"node3: away"}});
    REQUIRE(told.server.took(1));
    const auto body = told.body(0);
    CHECK(body["message"] == "KG-0302");
    CHECK(body["name"] == "group-failover");
    CHECK(body["level"] == "warning");
    CHECK(body["object"] == "group web");
    CHECK(body["text"] == "Group web fails over to node2.");
    CHECK(body["remedy"] == engine::find_message("KG-0302")->remedy);
    CHECK(body["node"] == "node1");
    CHECK(body["cluster"] == "demo");
    CHECK(told.rows() == 2);
}

TEST_CASE("every reason makes an alert") {
    Told told;
    told.config.alerts.webhooks[0].minimum = config::AlertLevel::kInfo;
    told.journal->set_config(told.config);
    for (const auto& entry : engine::messages()) told.journal->record({entry.reason, "cluster", "A sentence.", {}});
    REQUIRE(told.server.took(engine::messages().size()));
    CHECK(told.body(0)["message"] == "KR-0100");
}

TEST_CASE("a change of configuration is followed without a restart") {
    Told told;
    const Receiver other(told.dir.path(), "http");
    told.config.alerts.webhooks[0].url = other.url("/");
    told.config.cluster_name = "renamed";
    told.journal->set_config(told.config);
    told.journal->record({Reason::kNodeLost, "node node2", "node2 is lost.", {}});
    REQUIRE(other.took(1));
    CHECK(nlohmann::json::parse(other.taken().at(0).at("body").get<std::string>())["cluster"] == "renamed");
    CHECK(told.server.taken().empty());
}

TEST_CASE("a person's message goes where its level says, and into the history under its own id") {
    Told told;
    REQUIRE(told.journal->note({Level::kWarning, "7", "The backup failed.\nTwice.", "root"}));
    REQUIRE(told.journal->note({Level::kInfo, "", "The backup is done.", "root"}));
    REQUIRE(told.server.took(1));
    CHECK(told.body(0)["message"] == "KU-0007");
    CHECK(told.body(0)["name"] == "user-message");
    CHECK(told.body(0)["object"] == "node node1");
    CHECK(told.body(0)["text"] == "The backup failed.\\x0aTwice.");
    REQUIRE(told.rows() == 2);
    const auto lines = told.journal->lines({});
    CHECK(lines[0].code == "KU-0007");
    CHECK(lines[0].level == Level::kWarning);
    CHECK(lines[0].inputs == std::vector<std::string>{"said by root"});
    CHECK(lines[1].code == "KU-0001");
    told.config.alerts.routes = {{"KU-0007", false, false, false}};
    told.journal->set_config(told.config);
    REQUIRE(told.journal->note({Level::kError, "7", "Routed away.", "root"}));
    REQUIRE(told.journal->note({Level::kError, "8", "Not routed.", "root"}));
    REQUIRE(told.server.took(2));
    CHECK(told.body(1)["text"] == "Not routed.");
}

TEST_CASE("a person's message with named channels goes there alone") {
    Told told;
    UserMessage message{Level::kInfo, "9", "By webhook.", "root"};
    message.webhook = true;
    REQUIRE(told.journal->note(message));
    REQUIRE(told.server.took(1));
    CHECK(told.rows() == 0);
    message.webhook = false;
    message.history = true;
    message.text = "To the history.";
    REQUIRE(told.journal->note(message));
    CHECK(told.rows() == 1);
    CHECK(told.server.taken().size() == 1);
}

TEST_CASE("an id of a person's message that is no number of four digits is refused") {
    Told told;
    for (const char* id : {"-1", "10000", "x", "1 2", "KU-1"}) {
        CAPTURE(id);
        const Status said = told.journal->note({Level::kInfo, id, "x", "root"});
        REQUIRE_FALSE(said);
        CHECK(said.error().code == ErrorCode::kUsage);
        CHECK(said.error().remedy == "give a number from 0 to 9999");
    }
    CHECK(told.rows() == 0);
}

TEST_CASE("a person's message for a channel that is not there is refused") {
    Told told;
    UserMessage message{Level::kInfo, "9", "By mail.", "root"};
    message.mail = true;
    const Status said = told.journal->note(message);
    REQUIRE_FALSE(said);
    CHECK(said.error().code == ErrorCode::kNotFound);
    CHECK(said.error().message == "nothing can be sent by mail: there is no [alerts.mail]");
    told.config.alerts.webhooks.clear();
    told.journal->set_config(told.config);
    message = {Level::kInfo, "9", "By webhook.", "root"};
    message.webhook = true;
    CHECK(told.journal->note(message).error().message == "there is no webhook: there is no [[alerts.webhook]]");
    CHECK(told.rows() == 0);
}

TEST_CASE("a decision costs the engine's thread microseconds while receivers are dead") {
    Told told;
    const Receiver silent(told.dir.path(), "http", {"--silent"});
    told.config.alerts.webhooks = {
        {silent.url("/"), "", "", config::AlertLevel::kInfo},
        {"http://127.0.0.1:" + std::to_string(free_port()) + "/", "", "", config::AlertLevel::kInfo}};
    told.journal->set_config(told.config);
    const auto median = [](Journal& journal) {
        std::vector<Duration> costs;
        for (int i = 0; i < 1000; ++i) {
            const Instant before = host::boot_now();
            journal.record({Reason::kGroupFailover, "group web", "Group web fails over from node1 to node2.", {}});
            costs.push_back(host::boot_now() - before);
        }
        std::sort(costs.begin(), costs.end());
        return costs[500];
    };
    const auto without = Journal::open(told.dir / "plain.db");
    const Duration plain = median(*without);
    const Duration with = median(*told.journal);
    std::cout << "a decision: " << plain.count() << " ns without alerts, " << with.count()
              << " ns with two dead receivers\n";
    CHECK(with < plain + 100us);
}
