#include "tests/component/alerts/fixture.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "common/files.h"

namespace kagami::testing {

using runtime::alerts::AlertQueue;

runtime::alerts::Alert alert(const std::string& sentence, config::AlertLevel level) {
    runtime::alerts::Alert out;
    out.unix_ms = 1'700'000'000'123;  // 2023-11-14 22:13:20
    out.level = level;
    out.code = "KG-0302";
    out.name = "group-failover";
    out.subject = "group web";
    out.sentence = sentence;
    out.remedy = "See `kagami why GROUP`.";
    return out;
}

AlertFixture::AlertFixture() {
    options.path = dir / "alerts.db";
    options.node = "node1";
    options.first_retry = 20ms;
    options.last_retry = 200ms;
    options.retry.max_age = std::chrono::hours(24 * 365 * 100);  // the alerts of tests are old
    options.system_log = {dir / "journal", dir / "syslog"};
    config.syslog = false;
}

void AlertFixture::start() {
    queue.reset();
    queue = AlertQueue::start(options, "demo", config, [this](const std::string& sentence) {
        const std::lock_guard lock(mutex_);
        said_.push_back(sentence);
    });
}

void AlertFixture::post(const std::string& sentence, config::AlertLevel level) {
    queue->post(alert(sentence, level));
}

void AlertFixture::mail_to(uint16_t port, config::MailTls tls) {
    config.mail.emplace();
    config.mail->server = "127.0.0.1";
    config.mail->port = port;
    config.mail->tls = tls;
    config.mail->from = "kagami@example.com";
    config.mail->to = {"admin@example.com"};
    config.mail->subject_prefix = "[kagami]";
}

void AlertFixture::webhook_to(const std::string& url) {
    config.webhooks.push_back({url, "", "", config::AlertLevel::kWarning});
}

std::string AlertFixture::secret(const std::string& name, const std::string& text, unsigned mode) const {
    const std::string path = dir / name;
    REQUIRE(write_file_atomically(path, text));
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
}

std::vector<std::string> AlertFixture::said() {
    const std::lock_guard lock(mutex_);
    return said_;
}

size_t AlertFixture::count_said(const std::string& part) {
    const auto lines = said();
    return static_cast<size_t>(std::count_if(
        lines.begin(), lines.end(), [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

bool AlertFixture::has_said(const std::string& part) {
    return wait_until([&] { return count_said(part) != 0; });
}

std::string AlertFixture::database() const {
    std::string all;
    for (const char* part : {"", "-wal"}) all += read_file(options.path + part, 1U << 26U).value_or("");
    return all;
}

}  // namespace kagami::testing
