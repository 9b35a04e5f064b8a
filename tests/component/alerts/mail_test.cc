#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "tests/component/alerts/fixture.h"

using namespace kagami;
using namespace kagami::testing;
using config::AlertLevel;
using config::MailTls;

namespace {

struct Secured : AlertFixture {
    std::string certificate = dir / "receiver";
    std::string password = secret("password", "korrekt-pferd\n");

    std::vector<std::string> arguments(const std::string& tls, const std::string& mechanism) const {
        return {"--tls",   tls,      "--certificate", certificate,       "--mechanism",
                mechanism, "--user", "kagami-u",      "--password-file", password};
    }
    void log_in(uint16_t port, MailTls tls) {
        mail_to(port, tls);
        config.mail->ca_file = certificate + ".crt";
        config.mail->user = "kagami-u";
        config.mail->password_file = password;
    }
    void no_secret_is_seen() {
        for (const std::string& line : said()) CHECK(line.find("korrekt") == std::string::npos);
        CHECK(database().find("korrekt") == std::string::npos);
    }
};

}  // namespace

TEST_CASE("an alert arrives as a mail that says what, where, when and what to do, once") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "smtp");
    fixture.mail_to(server.port());
    fixture.config.mail->to = {"admin@example.com", "night@example.com"};
    fixture.start();
    fixture.post("Group web fails over from node1 to node2.", AlertLevel::kError);
    fixture.post("This is below the level.", AlertLevel::kInfo);
    REQUIRE(server.took(1));
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 1; }));
    const auto mail = server.taken().at(0);
    CHECK(mail["sender"] == "kagami@example.com");
    CHECK(mail["receivers"] == nlohmann::json({"admin@example.com", "night@example.com"}));
    const auto& headers = mail["headers"];
    CHECK(headers["Subject"] == "[kagami] ERROR group web: Group web fails over from node1 to node2.");
    CHECK(headers["From"] == "kagami@example.com");
    CHECK(headers["To"] == "admin@example.com, night@example.com");
    CHECK(headers["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000");
    CHECK(headers["Auto-Submitted"] == "auto-generated");
    CHECK(headers["X-Kagami-Message"] == "KG-0302");
    CHECK(headers["Message-ID"].get<std::string>().ends_with("@kagami>"));
    CHECK(mail["text"] ==
          "Group web fails over from node1 to node2.\n\n"
          "Message  KG-0302 group-failover (error)\nObject   group web\nSaid by  node1, cluster demo\n"
          "Time     2023-11-14 22:13:20 UTC\n\nWhat to do: See `kagami why GROUP`.\n");
    fixture.restart();  // nothing is left to be sent
    fixture.post("Another one.");
    REQUIRE(server.took(2));
    CHECK(server.taken().size() == 2);
    CHECK(fixture.said().empty());
}

TEST_CASE("texts in every script and of any length make a well-formed mail, and cannot add a header") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "smtp");
    fixture.mail_to(server.port());
    fixture.start();
    const std::string japanese = "グループ「ウェブ」がノード2へ移動しました。もう一度確認してください。";
    fixture.post(japanese);
    fixture.post("x\r\nBcc: everybody@example.com\r\n\r\nbody\n.\nQUIT");
    fixture.post(std::string(100'000, 'y'));
    fixture.post("\xff\xfe broken \xc2\x85 bytes");
    REQUIRE(server.took(4));
    const auto mails = server.taken();
    const auto subject = [&](size_t i) { return mails[i]["headers"]["Subject"].get<std::string>(); };
    CHECK(subject(0) == "[kagami] WARNING group web: " + japanese);
    CHECK(mails[0]["text"].get<std::string>().starts_with(japanese + "\n"));
    CHECK(subject(1) ==
          "[kagami] WARNING group web: x\\x0d\\x0aBcc: everybody@example.com\\x0d\\x0a\\x0d\\x0abody\\x0a.\\x0aQUIT");
    CHECK_FALSE(mails[1]["headers"].contains("Bcc"));
    CHECK(mails[2]["text"].get<std::string>().size() < 3000);
    CHECK(subject(3) == "[kagami] WARNING group web: ?? broken ? bytes");
    for (const auto& mail : mails) {
        std::istringstream raw(mail["raw"].get<std::string>());
        for (std::string line; std::getline(raw, line);) CHECK(line.size() < 999);
    }
}

TEST_CASE("a mail is sent encrypted and logged in, by each mechanism that a server may offer") {
    for (const char* mechanism : {"PLAIN", "LOGIN", "CRAM-MD5"}) {
        for (const char* tls : {"starttls", "tls"}) {
            CAPTURE(mechanism, tls);
            Secured fixture;
            const Receiver server(fixture.dir.path(), "smtp", fixture.arguments(tls, mechanism));
            fixture.log_in(server.port(), tls == std::string("tls") ? MailTls::kTls : MailTls::kStartTls);
            fixture.start();
            fixture.post("One.");
            REQUIRE(server.took(1));
            CHECK(server.taken().at(0)["encrypted"] == true);
            CHECK(server.taken().at(0)["login"] == "kagami-u");
            fixture.no_secret_is_seen();
        }
    }
}

TEST_CASE("a server whose certificate is of nobody we know, or that does not encrypt, gets nothing") {
    Secured fixture;
    const Receiver server(fixture.dir.path(), "smtp", fixture.arguments("starttls", "PLAIN"));
    fixture.log_in(server.port(), MailTls::kStartTls);
    fixture.config.mail->ca_file.clear();
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.has_said("certificate"));
    const Receiver plain(fixture.dir.path(), "smtp");
    fixture.log_in(plain.port(), MailTls::kStartTls);
    fixture.change_config();
    REQUIRE(fixture.has_said("STARTTLS"));
    CHECK(plain.all().empty());
    CHECK(server.all().empty());
    fixture.log_in(server.port(), MailTls::kStartTls);
    fixture.change_config();
    REQUIRE(server.took(1));
    fixture.no_secret_is_seen();
}

TEST_CASE("a wrong password is told without it, and the right one is used as soon as it is in the file") {
    Secured fixture;
    const Receiver server(fixture.dir.path(), "smtp", fixture.arguments("starttls", "PLAIN"));
    fixture.log_in(server.port(), MailTls::kStartTls);
    fixture.config.mail->password_file = fixture.secret("own", "korrekt-esel\n");
    fixture.start();
    fixture.post("One.");
    REQUIRE(fixture.has_said("by mail through 127.0.0.1:" + std::to_string(server.port()) + " are not delivered"));
    CHECK(fixture.has_said("Login denied"));
    CHECK(fixture.queue->status().given_up == 0);
    fixture.secret("own", "korrekt-pferd\n");
    REQUIRE(server.took(1));
    CHECK(fixture.has_said("are delivered again"));
    CHECK(fixture.count_said("are not delivered") == 1);
    fixture.no_secret_is_seen();
}

TEST_CASE("a password that others could read, that is missing or of two lines is not used") {
    Secured fixture;
    const Receiver server(fixture.dir.path(), "smtp", fixture.arguments("starttls", "PLAIN"));
    const auto tell = [&](const std::string& path) {
        fixture.log_in(server.port(), MailTls::kStartTls);
        fixture.config.mail->password_file = path;
        fixture.start();
        fixture.post("One.");
    };
    tell(fixture.secret("open", "korrekt-pferd\n", 0644));
    CHECK(fixture.has_said("open"));
    tell(fixture.dir / "absent");
    CHECK(fixture.has_said("absent"));
    tell(fixture.secret("lines", "korrekt-pferd\nUSER\n"));
    CHECK(fixture.has_said("lines does not hold one line"));
    tell(fixture.secret("empty", ""));
    CHECK(fixture.has_said("empty does not hold one line"));
    CHECK(server.all().empty());
    fixture.no_secret_is_seen();
}

TEST_CASE("a mail server that is busy is asked again, and the mail arrives once") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "smtp", {"--answers", "451,0,421,530,535"});
    fixture.mail_to(server.port());
    fixture.start();
    fixture.post("One.");
    REQUIRE(server.took(1));
    REQUIRE(wait_until([&] { return fixture.queue->status().delivered == 1; }));
    CHECK(fixture.queue->status().given_up == 0);
    CHECK(server.refused() == 5);
    fixture.restart();
    fixture.post("Two.");
    REQUIRE(server.took(2));
    CHECK(server.taken().at(1)["text"].get<std::string>().starts_with("Two."));
    CHECK(fixture.count_said("are not delivered") == 1);
    CHECK(fixture.count_said("are delivered again") == 1);
}

TEST_CASE("a mail that the server will not have is given up after three times, and holds up no other") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "smtp", {"--answers", "554,554,554"});
    fixture.mail_to(server.port());
    fixture.start();
    fixture.post("Nobody wants this.");
    REQUIRE(fixture.has_said("was refused 3 times and is given up"));
    fixture.post("Two.");
    REQUIRE(server.took(1));
    CHECK(server.taken().at(0)["text"].get<std::string>().starts_with("Two."));
    CHECK(fixture.queue->status().given_up == 1);
}

TEST_CASE("a receiver that is gone does not cost the others their mail") {
    AlertFixture fixture;
    const Receiver server(fixture.dir.path(), "smtp");
    fixture.mail_to(server.port());
    fixture.config.mail->to = {"gone@example.com", "admin@example.com"};
    fixture.start();
    fixture.post("One.");
    REQUIRE(server.took(1));
    CHECK(server.taken().at(0)["receivers"] == nlohmann::json({"admin@example.com"}));
}

TEST_CASE("files that a node does not have are told when the configuration comes, before there is anything to send") {
    Secured fixture;
    fixture.log_in(free_port(), MailTls::kStartTls);
    fixture.config.mail->password_file = fixture.dir / "absent";
    fixture.webhook_to("https://127.0.0.1:1/");
    fixture.config.webhooks[0].ca_file = fixture.dir / "no.crt";
    fixture.start();
    REQUIRE(fixture.queue->flush(10s));
    CHECK(fixture.count_said("by mail through 127.0.0.1") == 1);
    CHECK(fixture.count_said("absent") == 1);
    CHECK(fixture.count_said("to https://127.0.0.1:1 cannot be delivered from this node") == 1);
    CHECK(fixture.count_said("no.crt cannot be read") == 1);
}
