#include "common/config/alerts.h"

#include <catch2/catch.hpp>

#include "common/config/diff.h"
#include "tests/unit/config/sample.h"

using namespace kagami::config;

namespace {

const std::string kMail =
    "[alerts.mail]\nserver = \"mail.example.com\"\nfrom = \"kagami@example.com\"\nto = [\"admin@example.com\"]\n";
const std::string kHook = "[[alerts.webhook]]\nurl = \"https://hooks.example.com/a?b=c\"\n";

TypeCatalogue types() {
    TypeCatalogue all = sample_types();
    all.messages = {"KG-0302", "group-failover", "KG-0300", "group-placed"};
    return all;
}

Alerts alerts_of(const std::string& text) {
    const Parsed parsed = parse(kSample + text, "cluster.toml", types());
    for (const Problem& problem : parsed.problems) UNSCOPED_INFO(to_string(problem));
    REQUIRE(parsed.config.has_value());
    return parsed.config->alerts;
}

// The problems of the text behind kSample, without their line.
std::vector<std::string> problems(const std::string& text) {
    std::vector<std::string> all;
    for (Problem problem : parse(kSample + text, "cluster.toml", types()).problems)
        all.push_back(problem.message + (problem.suggestion.empty() ? "" : "; " + problem.suggestion));
    return all;
}
using Lines = std::vector<std::string>;

std::string replaced(std::string text, const std::string& piece, const std::string& by) {
    REQUIRE(text.find(piece) != std::string::npos);
    return text.replace(text.find(piece), piece.size(), by);
}

}  // namespace

TEST_CASE("without [alerts] messages go to the system's log only") {
    const Alerts alerts = alerts_of("");
    CHECK(alerts == Alerts{});
    CHECK(alerts.syslog);
    CHECK_FALSE(alerts_of("[alerts]\nsyslog = false\n").syslog);
}

TEST_CASE("mail is read with the defaults of its encryption") {
    const Alerts alerts = alerts_of(kMail);
    REQUIRE(alerts.mail);
    CHECK(alerts.mail->server == "mail.example.com");
    CHECK(alerts.mail->to == std::vector<std::string>{"admin@example.com"});
    CHECK(alerts.mail->tls == MailTls::kStartTls);
    CHECK(alerts.mail->port == 587);
    CHECK(alerts.mail->minimum == AlertLevel::kWarning);
    CHECK(alerts.mail->subject_prefix == "[kagami]");
    CHECK(alerts_of(kMail + "tls = \"tls\"\n").mail->port == 465);
    CHECK(alerts_of(kMail + "tls = \"none\"\n").mail->port == 25);
    CHECK(alerts_of(kMail + "tls = \"none\"\nport = 2525\nminimum_level = \"error\"\n").mail->port == 2525);
    const Alerts full = alerts_of(
        kMail + "user = \"kagami\"\npassword_file = \"/etc/kagami/mail.password\"\nca_file = \"/etc/ssl/own.crt\"\n");
    CHECK(full.mail->password_file == "/etc/kagami/mail.password");
    CHECK(full.mail->ca_file == "/etc/ssl/own.crt");
}

TEST_CASE("webhooks and routes are read in the order of the file") {
    const Alerts alerts = alerts_of(kMail + kHook + "secret_file = \"/etc/kagami/hook\"\nminimum_level = \"info\"\n" +
                                    "[[alerts.webhook]]\nurl = \"http://[fd00::1]:8080/\"\n" +
                                    "[[alerts.route]]\nmessage = \"KG-0302\"\nchannels = [\"mail\", \"webhook\"]\n" +
                                    "[[alerts.route]]\nmessage = \"group-placed\"\nchannels = []\n" +
                                    "[[alerts.route]]\nmessage = \"KU-0007\"\nchannels = [\"syslog\"]\n");
    REQUIRE(alerts.webhooks.size() == 2);
    CHECK(alerts.webhooks[0].secret_file == "/etc/kagami/hook");
    CHECK(alerts.webhooks[0].minimum == AlertLevel::kInfo);
    CHECK(alerts.webhooks[1].url == "http://[fd00::1]:8080/");
    CHECK(alerts.routes == std::vector<AlertRoute>{{"KG-0302", false, true, true},
                                                   {"group-placed", false, false, false},
                                                   {"KU-0007", true, false, false}});
}

TEST_CASE("problems of [alerts] have their place, and say what to write") {
    CHECK(problems_of(kSample + "alert = 1\n").size() == 1);
    const std::string bad = kSample + "[alerts]\nsyslg = false\n";
    const auto line = std::to_string(std::count(kSample.begin(), kSample.end(), '\n') + 2);
    CHECK(problems_of(bad) ==
          Lines{"cluster.toml:" + line + ":1: unknown key \"syslg\" in [alerts]; did you mean \"syslog\"?"});
    CHECK(problems("[alerts]\nsyslog = \"yes\"\n") ==
          Lines{"[alerts]: syslog = \"yes\": must be true or false; the default is true"});
    CHECK(problems("[[alerts]]\nsyslog = true\n").size() == 1);
    CHECK(problems("[[alerts.mail]]\n") == Lines{"[alerts]: \"mail\" must be a table; write mail = { ... }"});
    CHECK(problems("[alerts.webhook]\nurl = \"https://a/\"\n") ==
          Lines{"\"webhook\" must be a list of tables; write [[alerts.webhook]]"});
}

TEST_CASE("bad mail is refused") {
    CHECK(problems("[alerts.mail]\n") ==
          Lines{"[alerts.mail] has no \"server\"; add server = ...: The SMTP server.",
                "[alerts.mail] has no \"from\"; add from = ...: The sender's address.",
                "[alerts.mail] has no \"to\"; add to = ...: The receivers' addresses, 20 "
                "at most."});
    for (const char* server : {"", "smtp://mail", "mail example", "mail/x", "-x", "a@b"}) {
        CAPTURE(server);
        CHECK(problems(replaced(kMail, "mail.example.com", server)) ==
              Lines{"[alerts.mail]: server = \"" + std::string(server) +
                    "\": is not a host name or an IP address; write \"mail.example.com\"; the port is a key"});
    }
    for (const char* address :
         {"", "admin", "@example.com", "a b@example.com", "A <a@b.c>", "a@b@c", "ä@example.com"}) {
        CAPTURE(address);
        CHECK(problems(replaced(kMail, "admin@example.com", address)).size() == 1);
        CHECK(problems(replaced(kMail, "kagami@example.com", address)).size() == 1);
    }
    CHECK(problems(replaced(kMail, "[\"admin@example.com\"]", "[]")) ==
          Lines{"[alerts.mail]: to names nobody; write to = [\"admin@example.com\"]"});
    CHECK(problems(kMail + "port = 0\n") == Lines{"[alerts.mail]: port = 0: out of range 1 to 65535"});
    CHECK(problems(kMail + "tls = \"ssl\"\n") ==
          Lines{"[alerts.mail]: tls = \"ssl\": is not one of starttls, tls, none; did you mean \"tls\"?"});
    CHECK(problems(kMail + "minimum_level = \"warn\"\n") ==
          Lines{"[alerts.mail]: minimum_level = \"warn\": is not one of info, warning, error"});
    CHECK(problems(kMail + "user = \"u\"\n") ==
          Lines{"[alerts.mail]: user without password_file; add password_file or remove user"});
    CHECK(problems(kMail + "password_file = \"/x\"\n") ==
          Lines{"[alerts.mail]: password_file without user; add user or remove password_file"});
    const Lines open_password = problems(kMail + "password = \"geheim\"\n");  // it is not repeated
    REQUIRE(open_password.size() == 1);
    CHECK(open_password[0].find("known keys: server, port, tls, ca_file, user, password_file") != std::string::npos);
    CHECK(open_password[0].find("geheim") == std::string::npos);
    std::string many;
    for (int i = 0; i < 21; ++i) many += "\"a" + std::to_string(i) + "@b.c\", ";
    CHECK(problems(replaced(kMail, "\"admin@example.com\"", many)) ==
          Lines{"[alerts.mail]: more than 20 receivers; let the mail server distribute it: name a list's address"});
}

TEST_CASE("a password goes only over an encrypted connection, or to this machine") {
    const std::string login = "user = \"u\"\npassword_file = \"/x\"\ntls = \"none\"\n";
    CHECK(problems(kMail + login) == Lines{"[alerts.mail]: the password would cross the network unencrypted; use tls = "
                                           "\"starttls\" or \"tls\""});
    for (const char* own : {"127.0.0.1", "::1", "localhost"})
        CHECK(problems(replaced(kMail, "mail.example.com", own) + login).empty());
    CHECK(problems(kMail + "tls = \"none\"\nca_file = \"/x\"\n").size() == 1);
}

TEST_CASE("bad webhooks are refused") {
    CHECK(problems("[[alerts.webhook]]\n") ==
          Lines{"[[alerts.webhook]] has no \"url\"; add url = ...: Where messages are sent by HTTP POST."});
    for (const char* url : {"", "hooks.example.com", "ftp://a/", "https://", "https:///x", "https://a b/",
                            "file:///etc/x", "https://a/\xc3\xa4"}) {
        CAPTURE(url);
        CHECK(problems(replaced(kHook, "https://hooks.example.com/a?b=c", url)).size() == 1);
    }
    CHECK(
        problems(replaced(kHook, "hooks", "user:pass@hooks")) ==
        Lines{"[[alerts.webhook]]: url = \"https://user:pass@hooks.example.com/a?b=c\": holds a user name or password; "
              "remove it, and use secret_file"});
    CHECK(problems(kHook + kHook) == Lines{"[[alerts.webhook]]: url = \"https://hooks.example.com/a?b=c\" stands there "
                                           "twice; remove one"});
    std::string many;
    for (int i = 0; i < 9; ++i) many += "[[alerts.webhook]]\nurl = \"https://h" + std::to_string(i) + "/\"\n";
    CHECK(problems(many) == Lines{"9 webhooks are more than the limit of 8; remove some"});
}

TEST_CASE("bad routes are refused") {
    const auto route = [](const std::string& message, const std::string& channels) {
        return "[[alerts.route]]\nmessage = \"" + message + "\"\nchannels = " + channels + "\n";
    };
    CHECK(problems(route("KG-0303", "[]")) ==
          Lines{"[[alerts.route]]: unknown message \"KG-0303\"; did you mean \"KG-0302\"?"});
    CHECK(problems(route("group-failovr", "[]")) ==
          Lines{"[[alerts.route]]: unknown message \"group-failovr\"; did you mean \"group-failover\"?"});
    CHECK(problems(route("something else", "[]")) ==
          Lines{"[[alerts.route]]: unknown message \"something else\"; docs/messages.md lists them"});
    CHECK(problems(route("KG-0302", "[]") + route("KG-0302", "[\"syslog\"]")) ==
          Lines{"[[alerts.route]]: message \"KG-0302\" has a route already; remove one"});
    CHECK(problems(route("KG-0302", "[\"mail\"]")) ==
          Lines{"[[alerts.route]]: mail without [alerts.mail]; add [alerts.mail] with server, from and to"});
    CHECK(problems(route("KG-0302", "[\"webhook\"]")) ==
          Lines{"[[alerts.route]]: webhook without [[alerts.webhook]]; add [[alerts.webhook]] with url"});
    CHECK(problems(route("KG-0302", "[\"sylog\"]")).front().find("did you mean \"syslog\"?") != std::string::npos);
    CHECK(problems(route("KG-0302", "\"syslog\"")).size() == 1);
    CHECK(problems("[[alerts.route]]\n").size() == 2);
}

TEST_CASE("changes of alerts are named, and restart nothing") {
    const auto changes = [](const std::string& from, const std::string& to) {
        const auto config = [](const std::string& text) { return *parse(kSample + text, "x", types()).config; };
        Lines lines;
        for (const Change& change : diff(config(from), config(to))) {
            CHECK(change.restarts == RestartScope::kNothing);
            lines.push_back(change.path + ": " + change.old_text + " -> " + change.new_text);
        }
        return lines;
    };
    CHECK(changes("", "[alerts]\nsyslog = false\n") == Lines{"alerts.syslog: true -> false"});
    CHECK(changes("", kMail) == Lines{"alerts.mail:  -> mail.example.com"});
    CHECK(changes(kMail, kMail + "port = 25\n") == Lines{"alerts.mail.port: 587 -> 25"});
    CHECK(changes(kHook, "") == Lines{"alerts.webhook.https://hooks.example.com/a?b=c:  -> "});
    const std::string route = "[[alerts.route]]\nmessage = \"KG-0302\"\nchannels = ";
    CHECK(changes(route + "[]\n", route + "[\"syslog\"]\n") ==
          Lines{"alerts.route.KG-0302.channels: nowhere -> syslog"});
}
