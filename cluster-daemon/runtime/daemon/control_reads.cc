#include "cluster-daemon/runtime/daemon/control_reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "cluster-daemon/runtime/daemon/log_merge.h"
#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

constexpr Duration kLogPeriod = 500ms;  // how soon a new line shows
constexpr size_t kLogLimit = 200;
constexpr size_t kWhyLimit = 10;

const char* word(engine::Level level) {
    switch (level) {
        case engine::Level::kInfo: return "INFO";
        case engine::Level::kWarning: return "WARN";
        case engine::Level::kError: return "ERROR";
    }
    return "INFO";
}

engine::Level parse_level(const std::string& text) {
    if (text == "WARN") return engine::Level::kWarning;
    if (text == "ERROR") return engine::Level::kError;
    return engine::Level::kInfo;
}

// What brought a group where it is: the decision of the leader, not the steps that carried it out.
bool brings_about(const LogLine& line) {
    using engine::Reason;
    static const std::set<std::string> kCodes{
        name_of(Reason::kGroupPlaced),     name_of(Reason::kGroupMoveStarted), name_of(Reason::kGroupFailover),
        name_of(Reason::kGroupStopWanted), name_of(Reason::kGroupHeld),        name_of(Reason::kActivationFailed),
        name_of(Reason::kGroupNoPlace),    name_of(Reason::kAdopted),          name_of(Reason::kRecoveryFailover)};
    return kCodes.contains(line.code);
}

// Of lines with the newest first. A group is placed at the end of a move, too: then the move is the reason.
const LogLine& decisive(const std::vector<LogLine>& lines) {
    const auto found = std::find_if(lines.begin(), lines.end(), brings_about);
    if (found == lines.end()) return lines.front();
    if (found->code != name_of(engine::Reason::kGroupPlaced)) return *found;
    const auto earlier = std::find_if(std::next(found), lines.end(), brings_about);
    const bool moved = earlier != lines.end() && earlier->code == name_of(engine::Reason::kGroupMoveStarted);
    return moved ? *earlier : *found;
}

void forget_measures(proto::Path& path) {
    path.set_last_seen_ms(0);
    path.set_rtt_ms(0);
    path.set_loss_percent(0);
}

proto::LogEntry to_entry(const LogLine& line) {
    proto::LogEntry entry;
    entry.set_time_unix_ms(line.unix_ms);
    entry.set_node(line.node);
    entry.set_level(word(line.level));
    entry.set_subject(valid_utf8(line.subject));
    entry.set_code(line.code);
    entry.set_message(valid_utf8(line.message));
    return entry;
}

// Stands in the log for lines that could not be asked for.
proto::LogEntry missing(const std::string& node) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    proto::LogEntry entry;
    entry.set_time_unix_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    entry.set_node(node);
    entry.set_level(word(engine::Level::kWarning));
    entry.set_subject("node " + node);
    entry.set_code("log-missing");
    entry.set_message(node + " did not answer: its lines are missing here");
    return entry;
}

void fill_decision(const LogLine& line, proto::Decision& out) {
    out.set_node(line.node);
    out.set_time_unix_ms(line.unix_ms);
    out.set_reason(line.code);
    out.set_subject(line.subject);
    out.set_sentence(valid_utf8(line.message));
    out.set_epoch(line.epoch);
    for (const auto& input : line.inputs) out.add_inputs(valid_utf8(input));
}

}  // namespace

std::string essence(proto::Status status) {
    status.set_time_unix_ms(0);
    status.set_sequence(0);
    status.mutable_guard()->set_deadline_left_ms(0);
    for (auto& node : *status.mutable_nodes()) {
        node.set_lease_left_ms(0);
        for (auto& path : *node.mutable_paths()) forget_measures(path);
    }
    for (auto& path : *status.mutable_witness()->mutable_paths()) forget_measures(path);
    return status.SerializeAsString();
}

Status answer_why(const ControlBackend& backend, const proto::WhyRequest& in, proto::WhyAnswer& answer) {
    if (!build_why(backend.status(), in.subject(), answer))
        return fail(ErrorCode::kNotFound, fmt::format("nothing is named {}", in.subject()));
    LogQuery query;
    query.subject = in.subject();
    query.limit = kLogLimit;
    GatheredLog log = backend.log(query, {});
    log.lines = merge_logs(std::move(log.lines), query.limit);
    std::reverse(log.lines.begin(), log.lines.end());
    const auto shown = static_cast<int>(in.limit() == 0 ? kWhyLimit : std::min<uint32_t>(in.limit(), kLogLimit));
    for (const LogLine& line : log.lines) {
        if (answer.decisions_size() < shown) fill_decision(line, *answer.add_decisions());
    }
    for (const std::string& node : log.silent) answer.add_silent_nodes(node);
    if (!answer.sentence().empty() || log.lines.empty()) return {};
    answer.set_sentence(valid_utf8(decisive(log.lines).message));
    return {};
}

void read_log(const ControlBackend& backend, const proto::LogRequest& in, const LogReader& reader) {
    LogQuery query;
    query.since_unix_ms = in.since_unix_ms();
    query.limit = in.limit() == 0 ? kLogLimit : in.limit();
    query.minimum = parse_level(in.minimum_level());
    query.subject = in.subject();
    LogCursor cursor;
    std::set<std::string> silent;
    std::map<std::string, int64_t> since;
    while (!reader.gone()) {
        const GatheredLog log = backend.log(query, since);
        for (const LogLine& line : merge_logs(cursor.take_new(log.lines), query.limit)) {
            if (!reader.write(to_entry(line))) return;
            since[line.node] = cursor.since(line.node, query.since_unix_ms);
        }
        for (const std::string& node : log.silent) {
            if (silent.insert(node).second && !reader.write(missing(node))) return;
        }
        std::erase_if(silent, [&](const std::string& node) {
            return std::find(log.silent.begin(), log.silent.end(), node) == log.silent.end();
        });
        if (!in.follow()) return;
        std::this_thread::sleep_for(kLogPeriod);
    }
}

}  // namespace kagami::runtime
