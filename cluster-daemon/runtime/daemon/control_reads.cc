#include "cluster-daemon/runtime/daemon/control_reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "common/text.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

constexpr Duration kLogPeriod = 250ms;  // how soon a new line shows

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

void forget_measures(proto::Path& path) {
    path.set_last_seen_ms(0);
    path.set_rtt_ms(0);
    path.set_loss_percent(0);
}

void fill_decision(const LogLine& line, proto::Decision& out) {
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
    if (!build_why(backend.status(), in.subject(), answer)) return fail(ErrorCode::kNotFound, fmt::format("nothing is named {}", in.subject()));
    LogQuery query;
    query.subject = in.subject();
    query.limit = in.limit() == 0 ? 10 : in.limit();
    std::vector<LogLine> lines = backend.log(query);
    std::reverse(lines.begin(), lines.end());
    for (const LogLine& line : lines) {
        fill_decision(line, *answer.add_decisions());
        answer.mutable_decisions()->rbegin()->set_node(backend.own_name);
    }
    if (answer.sentence().empty() && !lines.empty()) answer.set_sentence(valid_utf8(lines.front().message));
    return {};
}

void read_log(const ControlBackend& backend, const proto::LogRequest& in, const LogReader& reader) {
    LogQuery query;
    query.since_unix_ms = in.since_unix_ms();
    query.limit = in.limit() == 0 ? 200 : in.limit();
    query.minimum = parse_level(in.minimum_level());
    query.subject = in.subject();
    while (!reader.gone()) {
        for (const LogLine& line : backend.log(query)) {
            proto::LogEntry entry;
            entry.set_time_unix_ms(line.unix_ms);
            entry.set_node(backend.own_name);
            entry.set_level(word(line.level));
            entry.set_subject(line.subject);
            entry.set_code(line.code);
            entry.set_message(valid_utf8(line.message));
            if (!reader.write(entry)) return;
            query.since_unix_ms = line.unix_ms + 1;
        }
        if (!in.follow()) return;
        std::this_thread::sleep_for(kLogPeriod);
    }
}

}  // namespace kagami::runtime
