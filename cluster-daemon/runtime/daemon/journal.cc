#include "cluster-daemon/runtime/daemon/journal.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "cluster-daemon/runtime/daemon/engine_shell.h"
#include "cluster-daemon/runtime/history.h"
#include "common/text.h"

namespace kagami::runtime {
namespace {

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

void write_log(const engine::Decision& decision) {
    const std::string line = one_line(fmt::format("{}: {} [{}]", decision.subject, decision.sentence, engine::name_of(decision.reason)));
    switch (engine::level_of(decision.reason)) {
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

void Journal::record(const engine::Decision& decision) {
    write_log(decision);
    HistoryRecord row;
    row.kind = HistoryKind::kDecision;
    row.wall_ns = wall_ns();
    row.at = EngineShell::now();
    row.level = to_history(engine::level_of(decision.reason));
    row.reason = engine::name_of(decision.reason);
    row.subject = decision.subject;
    row.sentence = decision.sentence;
    row.inputs_json = nlohmann::json(decision.rejected).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    impl_->history->record(std::move(row));
}

void Journal::flush() { impl_->history->flush(1s); }

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
