#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/alerts/alert.h"

using namespace kagami;
using namespace kagami::runtime::alerts;
using config::AlertLevel;
using Names = std::vector<std::string>;

namespace {

Alert of(AlertLevel level, const std::string& code = "KG-0302", const std::string& name = "group-failover") {
    Alert alert;
    alert.level = level;
    alert.code = code;
    alert.name = name;
    return alert;
}

config::Alerts everything() {
    config::Alerts config;
    config.mail.emplace();
    config.webhooks = {{"https://a/", "", "", AlertLevel::kInfo}, {"https://b/", "", "", AlertLevel::kError}};
    return config;
}

}  // namespace

TEST_CASE("without anything configured a message goes to the system's log alone") {
    const Destinations to = route({}, of(AlertLevel::kError));
    CHECK(to.syslog);
    CHECK(to.names.empty());
}

TEST_CASE("a message goes to every receiver whose level it reaches") {
    const config::Alerts config = everything();
    CHECK(route(config, of(AlertLevel::kInfo)).names == Names{"https://a/"});
    CHECK(route(config, of(AlertLevel::kWarning)).names == Names{"mail", "https://a/"});
    CHECK(route(config, of(AlertLevel::kError)).names == Names{"mail", "https://a/", "https://b/"});
    CHECK(route(config, of(AlertLevel::kInfo)).syslog);
}

TEST_CASE("a route by id or by name replaces levels and the syslog switch") {
    config::Alerts config = everything();
    config.syslog = false;
    for (const char* message : {"KG-0302", "group-failover"}) {
        CAPTURE(message);
        config.routes = {{message, true, false, true}};
        const Destinations to = route(config, of(AlertLevel::kInfo));
        CHECK(to.syslog);
        CHECK(to.names == Names{"https://a/", "https://b/"});
        const Destinations other = route(config, of(AlertLevel::kInfo, "KG-0300", "group-placed"));
        CHECK_FALSE(other.syslog);
        CHECK(other.names == Names{"https://a/"});
        config.routes = {{message, false, false, false}};
        CHECK(route(config, of(AlertLevel::kError)).names.empty());
    }
}

TEST_CASE("channels that a person named come before every rule, as far as they exist") {
    config::Alerts config = everything();
    config.routes = {{"KG-0302", true, true, true}};
    Alert alert = of(AlertLevel::kError);
    alert.only = Channels{false, true, false};
    CHECK_FALSE(route(config, alert).syslog);
    CHECK(route(config, alert).names == Names{"mail"});
    alert.only = Channels{true, true, true};
    CHECK(route({}, alert).syslog);
    CHECK(route({}, alert).names.empty());
}

TEST_CASE("the receivers of a configuration are its mail and its webhooks") {
    CHECK(destinations({}).empty());
    CHECK(destinations(everything()) == Names{"mail", "https://a/", "https://b/"});
}

TEST_CASE("a cleaned alert has one bounded line of valid UTF-8 in each text") {
    Alert alert = of(AlertLevel::kError, "KU\n1", "a\tb");
    alert.subject = "group \x1b[31mred";
    alert.sentence = std::string(5000, '\n');
    alert.remedy = std::string(2047, 'x') + "\xc3\xa4";
    alert = cleaned(alert);
    CHECK(alert.code == "KU\\x0a1");
    CHECK(alert.name == "a\\x09b");
    CHECK(alert.subject == "group \\x1b[31mred");
    CHECK(alert.sentence.size() == 2048);
    CHECK(alert.remedy == std::string(2047, 'x') + "?");
}
