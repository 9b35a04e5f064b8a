#include "cluster-daemon/runtime/daemon/journal.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cluster-daemon/engine/message_catalogue.h"
#include "cluster-daemon/runtime/alerts/alert_queue.h"
#include "cluster-daemon/runtime/daemon/engine_shell.h"
#include "cluster-daemon/runtime/history.h"
#include "common/text.h"

namespace kagami::runtime {
namespace {

constexpr const char* kUserMessage = "user-message";

int64_t wall_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HistoryLevel to_history(engine::Level level) {
    switch (level) {
        case engine::Level::kInfo: return HistoryLevel::kInfo;
        case engine::Level::kWarning: return HistoryLevel::kWarning;
        case engine::Level::kError: return HistoryLevel::kError;
    }
    return HistoryLevel::kInfo;
}

engine::Level from_history(HistoryLevel level) {
    switch (level) {
        case HistoryLevel::kInfo: return engine::Level::kInfo;
        case HistoryLevel::kWarning: return engine::Level::kWarning;
        case HistoryLevel::kError: return engine::Level::kError;
    }
    return engine::Level::kInfo;
}

config::AlertLevel to_alert(engine::Level level) {
    switch (level) {
        case engine::Level::kInfo: return config::AlertLevel::kInfo;
        case engine::Level::kWarning: return config::AlertLevel::kWarning;
        case engine::Level::kError: return config::AlertLevel::kError;
    }
    return config::AlertLevel::kInfo;
}

alerts::Alert alert_of(const engine::Decision& decision) {
    const engine::MessageEntry& entry = engine::message_of(decision.reason);
    alerts::Alert alert;
    alert.unix_ms = wall_ns() / 1'000'000;
    alert.level = to_alert(entry.level);
    alert.code = entry.code;
    alert.name = entry.name;
    alert.subject = decision.subject;
    alert.sentence = decision.sentence;
    alert.remedy = entry.remedy;
    return alert;
}

alerts::Alert alert_of(const UserMessage& message, const std::string& code, const std::string& subject) {
    alerts::Alert alert;
    alert.unix_ms = wall_ns() / 1'000'000;
    alert.level = to_alert(message.level);
    alert.code = code;
    alert.name = kUserMessage;
    alert.subject = subject;
    alert.sentence = message.text;
    if (message.history || message.syslog || message.mail || message.webhook)
        alert.only = {message.syslog, message.mail, message.webhook};
    return alert;
}

Result<std::string> code_of_user(const std::string& id) {
    const bool digits = std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || id.size() > 4)
        return fail(ErrorCode::kUsage, fmt::format("\"{}\" is not the id of a message", one_line(id)),
                    "give a number from 0 to 9999");
    return fmt::format("KU-{:0>4}", id.empty() ? "1" : id);
}

HistoryRecord row_of(engine::Level level, std::string reason, std::string subject, std::string sentence) {
    HistoryRecord row;
    row.kind = HistoryKind::kDecision;
    row.wall_ns = wall_ns();
    row.at = EngineShell::now();
    row.level = to_history(level);
    row.reason = std::move(reason);
    row.subject = std::move(subject);
    row.sentence = std::move(sentence);
    return row;
}

void write_log(engine::Level level, const std::string& subject, const std::string& sentence, const std::string& reason) {
    const std::string line = one_line(fmt::format("{}: {} [{}]", subject, sentence, reason));
    switch (level) {
        case engine::Level::kInfo: spdlog::info("{}", line); break;
        case engine::Level::kWarning: spdlog::warn("{}", line); break;
        case engine::Level::kError: spdlog::error("{}", line); break;
    }
}

LogLine to_line(const HistoryRecord& record) {
    LogLine line;
    line.unix_ms = record.wall_ns / 1'000'000;
    line.level = from_history(record.level);
    line.subject = record.subject;
    line.code = record.reason;
    line.message = record.sentence;
    if (record.epoch != Epoch{}) line.epoch = to_string(record.epoch);
    const auto inputs = nlohmann::json::parse(record.inputs_json, nullptr, false);
    if (inputs.is_array()) {
        for (const auto& input : inputs) {
            if (input.is_string()) line.inputs.push_back(input.get<std::string>());
        }
    }
    return line;
}

// Configurations are numbered by one counter; the history orders them as it orders documents.
Version history_version(uint64_t number) { return Version{Epoch{}, number}; }

}  // namespace

struct Journal::Impl {
    std::unique_ptr<History> history;
    std::string node;
    std::unique_ptr<alerts::AlertQueue> alerts;  // null on a witness
    std::atomic<bool> has_mail = false;
    std::atomic<bool> has_webhook = false;

    Status check_channels(const UserMessage& message) const {
        if (message.mail && !has_mail)
            return fail(ErrorCode::kNotFound, "nothing can be sent by mail: there is no [alerts.mail]", "add it to cluster.toml");
        if (message.webhook && !has_webhook)
            return fail(ErrorCode::kNotFound, "there is no webhook: there is no [[alerts.webhook]]", "add it to cluster.toml");
        return {};
    }
    void know_channels(const config::Alerts& config) {
        has_mail = config.mail.has_value();
        has_webhook = !config.webhooks.empty();
    }
};

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

std::unique_ptr<Journal> Journal::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    HistoryOptions options;
    options.path = path;
    impl->history = History::start(std::move(options), [](const std::string& sentence) { spdlog::error("{}", sentence); });
    return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

void Journal::record(const engine::Decision& decision, const Epoch& epoch, const Version& version) {
    const engine::Level level = engine::level_of(decision.reason);
    write_log(level, decision.subject, decision.sentence, engine::name_of(decision.reason));
    HistoryRecord row = row_of(level, engine::name_of(decision.reason), decision.subject, decision.sentence);
    row.epoch = epoch;
    row.version = version;
    row.inputs_json = nlohmann::json(decision.rejected).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    impl_->history->record(std::move(row));
    if (impl_->alerts) impl_->alerts->post(alert_of(decision));
}

void Journal::start_alerts(const std::string& path, const std::string& node, const config::Config& config) {
    alerts::AlertOptions options;
    options.path = path;
    options.node = node;
    impl_->node = node;
    impl_->know_channels(config.alerts);
    impl_->alerts = alerts::AlertQueue::start(std::move(options), config.cluster_name, config.alerts,
                                              [](const std::string& sentence) { spdlog::warn("{}", one_line(sentence)); });
}

void Journal::set_config(const config::Config& config) {
    impl_->know_channels(config.alerts);
    if (impl_->alerts) impl_->alerts->set_config(config.cluster_name, config.alerts);
}

Status Journal::note(const UserMessage& message) {
    const auto code = code_of_user(message.id);
    if (!code) return tl::unexpected<Error>(code.error());
    if (Status there = impl_->check_channels(message); !there) return there;
    const std::string subject = "node " + impl_->node;
    const alerts::Alert alert = alert_of(message, *code, subject);
    if (!alert.only || message.history) {
        write_log(message.level, subject, message.text, *code);
        HistoryRecord row = row_of(message.level, *code, subject, valid_utf8(message.text));
        row.inputs_json = nlohmann::json::array({"said by " + message.person}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        impl_->history->record(std::move(row));
    }
    if (impl_->alerts) impl_->alerts->post(alert);
    return {};
}

void Journal::flush() {
    impl_->history->flush(1s);
    if (impl_->alerts) impl_->alerts->flush(500ms);
}

void Journal::record_config(const engine::StoreConfig& config) {
    ConfigurationRecord row;
    row.version = history_version(config.version);
    row.hash = config.hash;
    row.wall_ns = wall_ns();
    row.bundle = config.packed;
    impl_->history->record(std::move(row));
}

std::vector<LogLine> Journal::lines(const LogQuery& query) const {
    HistoryQuery wanted;
    wanted.at_least = to_history(query.minimum);
    wanted.name = query.subject;
    if (query.since_unix_ms != 0) wanted.since_wall_ns = query.since_unix_ms * 1'000'000;
    wanted.limit = static_cast<int64_t>(query.limit);
    const auto rows = impl_->history->log(wanted);
    std::vector<LogLine> lines;
    if (!rows) {
        spdlog::error("{} {}", rows.error().message, rows.error().remedy);
        return lines;
    }
    for (const auto& row : *rows) lines.push_back(to_line(row));
    return lines;
}

Result<std::vector<ConfigRecord>> Journal::configurations(size_t limit) const {
    const auto rows = impl_->history->configurations(static_cast<int64_t>(limit));
    if (!rows) return tl::unexpected<Error>(rows.error());
    std::vector<ConfigRecord> all;
    for (const auto& row : *rows) {
        all.push_back({row.version.seq, to_hex(row.hash.data(), row.hash.size()), row.wall_ns / 1'000'000, row.who, {}});
    }
    return all;
}

Result<Bytes> Journal::configuration(uint64_t version) const {
    const auto row = impl_->history->configuration(history_version(version));
    if (!row) return tl::unexpected<Error>(row.error());
    return row->bundle;
}

}  // namespace kagami::runtime
