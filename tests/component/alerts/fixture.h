// An alert queue with its files in a directory of its own, and what it says.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/alerts/alert_queue.h"
#include "tests/component/alerts/receiver.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait_until.h"

namespace kagami::testing {

struct AlertFixture {
    TemporaryDirectory dir;
    runtime::alerts::AlertOptions options;
    config::Alerts config;

    AlertFixture();
    ~AlertFixture() { queue.reset(); }
    void start();
    void restart() { start(); }
    void post(const std::string& sentence, config::AlertLevel level = config::AlertLevel::kWarning);
    void change_config() const { queue->set_config("demo", config); }

    void mail_to(uint16_t port, config::MailTls tls = config::MailTls::kNone);
    void webhook_to(const std::string& url);
    std::string secret(const std::string& name, const std::string& text, unsigned mode = 0600) const;  // its path

    std::vector<std::string> said();
    bool has_said(const std::string& part);  // within a moment
    size_t count_said(const std::string& part);
    std::string database() const;  // with what SQLite has not moved into it yet

    std::unique_ptr<runtime::alerts::AlertQueue> queue;

 private:
    std::mutex mutex_;
    std::vector<std::string> said_;
};

runtime::alerts::Alert alert(const std::string& sentence, config::AlertLevel level = config::AlertLevel::kWarning);

}  // namespace kagami::testing
