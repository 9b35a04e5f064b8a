#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/hash.h"
#include "common/ids.h"
#include "tests/component/alerts/fixture.h"

using namespace kagami;
using namespace kagami::testing;
using config::AlertLevel;

namespace {

std::string text_of(const nlohmann::json& taken) {
    return nlohmann::json::parse(taken.at("body").get<std::string>()).at("text").get<std::string>();
}

}  // namespace

TEST_CASE("an alert arrives as JSON by POST, once") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "http");
    fixture.webhook_to(server.url("/hooks/secret-path?x=1"));
    fixture.start();
    fixture.post("Group web fails over from node1 to node2.");
    fixture.post("This is below the level.", AlertLevel::kInfo);
    REQUIRE(server.took(1));
    const auto taken = server.taken().at(0);
    CHECK(taken["request"] == "POST /hooks/secret-path?x=1 HTTP/1.1");
    CHECK(taken["headers"]["content-type"] == "application/json");
    CHECK_FALSE(taken["headers"].contains("x-kagami-signature"));
    auto body = nlohmann::json::parse(taken["body"].get<std::string>());
    CHECK(body["id"] == taken["headers"]["x-kagami-id"]);
    CHECK(body["id"].get<std::string>().size() == 32);
    body.erase("id");
    CHECK(body == nlohmann::json{{"version", 1},
                                 {"time", "2023-11-14T22:13:20.123Z"},
                                 {"cluster", "demo"},
                                 {"node", "node1"},
                                 {"level", "warning"},
                                 {"message", "KG-0302"},
                                 {"name", "group-failover"},
                                 {"object", "group web"},
                                 {"text", "Group web fails over from node1 to node2."},
                                 {"remedy", "See `kagami why GROUP`."}});
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 1; }));
    fixture.restart();
    fixture.post("Another one.");
    REQUIRE(server.took(2));
    CHECK(server.taken().size() == 2);
}

TEST_CASE("a webhook with a secret is signed, with a new secret as soon as it is in the file") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "http");
    fixture.webhook_to(server.url("/"));
    fixture.config.webhooks[0].secret_file = fixture.secret("secret", "geheim-1\n");
    fixture.start();
    const auto signed_with = [&](const nlohmann::json& taken, std::string key) {
        const auto body = taken["body"].get<std::string>();
        const auto bytes = [](const std::string& text) {
            return std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
        };
        const Hash hash = hmac_sha256(bytes(key), bytes(body));
        return taken["headers"]["x-kagami-signature"] == "sha256=" + to_hex(hash.data(), hash.size());
    };
    fixture.post("One.");
    REQUIRE(server.took(1));
    CHECK(signed_with(server.taken()[0], "geheim-1"));
    fixture.secret("secret", "geheim-2");
    fixture.post("Two.");
    REQUIRE(server.took(2));
    CHECK(signed_with(server.taken()[1], "geheim-2"));
    CHECK(fixture.database().find("geheim") == std::string::npos);
    CHECK(fixture.said().empty());
}

TEST_CASE("a webhook over TLS is sent only to a certificate that we know") {
    AlertFixture fixture;
    const std::string certificate = fixture.dir / "receiver";
    const Receiver server(fixture.dir.path(), "http", {"--tls", "tls", "--certificate", certificate});
    fixture.webhook_to("https://127.0.0.1:" + std::to_string(server.port()) + "/token-in-the-path");
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.has_said("certificate"));
    CHECK(server.all().empty());
    fixture.config.webhooks[0].ca_file = certificate + ".crt";
    fixture.change_config();
    REQUIRE(server.took(1));
    for (const std::string& line : fixture.said()) CHECK(line.find("token-in-the-path") == std::string::npos);
}

TEST_CASE("a web server that fails is asked again, and what it says elsewhere is not followed") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "http", {"--answers", "500,503,302,0,401,404,429"});
    fixture.webhook_to(server.url("/"));
    fixture.start();
    fixture.post("One.");
    REQUIRE(server.took(1));
    CHECK(server.taken().at(0)["request"] == "POST / HTTP/1.1");
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 1; }));
    CHECK(fixture.count_said("HTTP status 500") == 1);
    CHECK(fixture.count_said("are not delivered") == 1);
    CHECK(fixture.queue->status().given_up == 0);
}

TEST_CASE("an alert that a web server will not have is given up after three times, and holds up no other") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "http", {"--answers", "413,400,422"});
    fixture.webhook_to(server.url("/"));
    fixture.start();
    fixture.post("Nobody wants this.");
    REQUIRE(fixture.has_said("was refused 3 times and is given up"));
    fixture.post("Two.");
    REQUIRE(server.took(1));
    CHECK(text_of(server.taken().at(0)) == "Two.");
    CHECK(fixture.queue->status().given_up == 1);
}

TEST_CASE("each webhook gets what its level and the message's route say") {
    AlertFixture fixture;
    const Receiver all(fixture.dir.path(), "http");
    const Receiver errors(fixture.dir.path(), "http");
    fixture.webhook_to(all.url("/"));
    fixture.config.webhooks[0].minimum = AlertLevel::kInfo;
    fixture.webhook_to(errors.url("/"));
    fixture.config.webhooks[1].minimum = AlertLevel::kError;
    fixture.start();
    fixture.post("An info.", AlertLevel::kInfo);
    fixture.post("An error.", AlertLevel::kError);
    REQUIRE(all.took(2));
    REQUIRE(errors.took(1));
    CHECK(text_of(errors.taken().at(0)) == "An error.");
    fixture.config.routes = {{"group-failover", false, false, false}};
    fixture.change_config();
    fixture.post("A routed one goes nowhere.", AlertLevel::kError);
    REQUIRE(fixture.queue->flush(10s));
    fixture.config.routes = {{"KG-0302", false, false, true}};
    fixture.change_config();
    fixture.post("A routed one goes to all.", AlertLevel::kInfo);
    REQUIRE(all.took(3));
    REQUIRE(errors.took(2));
    CHECK(text_of(all.taken().at(2)) == "A routed one goes to all.");
}
