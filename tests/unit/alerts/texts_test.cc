// What a mail server and a web server make of these texts: tests/component/alerts.
#include "cluster-daemon/runtime/alerts/texts.h"

#include <catch2/catch.hpp>

using namespace kagami;
using namespace kagami::runtime::alerts;

namespace {

Alert sample() {
    Alert alert;
    alert.unix_ms = 0;
    alert.code = "KG-0302";
    alert.subject = "group web";
    alert.sentence = "Group web fails over.";
    return alert;
}

}  // namespace

TEST_CASE("a signature is the HMAC-SHA256 of the body, as other tools compute it") {
    // printf '{"a":1}' | openssl dgst -sha256 -hmac geheim
    CHECK(signature_of("{\"a\":1}", "geheim") ==
          "sha256=0c3e89010807a274fd26fae3628d3e1dc8f1ee15cc206a8e72920e50b4da8baf");
}

TEST_CASE("a line for the system's log begins with the id and the object") {
    CHECK(line_of(sample()) == "KG-0302 group web: Group web fails over.");
}

TEST_CASE("a mail has the same Message-ID for the same id, and ASCII only") {
    config::MailAlerts mail;
    mail.from = "a@b.c";
    mail.to = {"d@e.f", "g@h.i"};
    Alert alert = sample();
    alert.sentence = "Grüße";
    const std::string text = mail_of(alert, {"demo", "node1"}, mail, "0123");
    CHECK(text.starts_with(
        "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nFrom: a@b.c\r\nTo: d@e.f,\r\n g@h.i\r\nSubject: =?UTF-8?B?"));
    CHECK(text.find("\r\nMessage-ID: <0123@kagami>\r\n") != std::string::npos);
    for (const char c : text) CHECK(static_cast<unsigned char>(c) < 0x7f);
}

TEST_CASE("broken text makes valid JSON") {
    Alert alert = sample();
    alert.sentence = "\xff\"\n";
    const std::string json = json_of(alert, {"demo", "node1"}, "0123");
    CHECK(json.find("\"text\":\"\xef\xbf\xbd\\\"\\n\"") != std::string::npos);
    CHECK(json.starts_with(
        R"({"version":1,"id":"0123","time":"1970-01-01T00:00:00.000Z","cluster":"demo","node":"node1")"));
}
