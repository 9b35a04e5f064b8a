#include "cluster-daemon/runtime/daemon/log_merge.h"

#include <algorithm>
#include <tuple>

namespace kagami::runtime {
namespace {

auto event_of(const LogLine& line) {
    return std::tie(line.code, line.subject, line.message);
}

std::string text_of(const LogLine& line) {
    return line.code + '\n' + line.subject + '\n' + line.message;
}

}  // namespace

std::vector<LogLine> merge_logs(std::vector<LogLine> lines, size_t limit) {
    std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.unix_ms < b.unix_ms; });
    std::vector<LogLine> merged;
    using Event = std::tuple<std::string, std::string, std::string>;
    std::map<Event, std::pair<int64_t, std::string>> said;  // when and by whom first
    for (LogLine& line : lines) {
        const auto [at, is_new] = said.try_emplace(Event(event_of(line)), line.unix_ms, line.node);
        const bool repeated =
            !is_new && line.unix_ms - at->second.first <= kSameEventMs && at->second.second != line.node;
        if (repeated) continue;
        at->second = {line.unix_ms, line.node};
        merged.push_back(std::move(line));
    }
    if (merged.size() > limit) merged.erase(merged.begin(), merged.end() - static_cast<std::ptrdiff_t>(limit));
    return merged;
}

int64_t LogCursor::since(const std::string& node, int64_t otherwise) const {
    const auto at = nodes_.find(node);
    return at == nodes_.end() ? otherwise : at->second.unix_ms;
}

std::vector<LogLine> LogCursor::take_new(const std::vector<LogLine>& lines) {
    std::vector<LogLine> fresh;
    std::map<std::string, Shown> before = nodes_;
    for (const LogLine& line : lines) {
        Shown& old = before[line.node];
        const std::string text = text_of(line);
        if (line.unix_ms < old.unix_ms) continue;
        if (const auto same = old.lines.find(text); line.unix_ms == old.unix_ms && same != old.lines.end()) {
            old.lines.erase(same);
            continue;
        }
        Shown& shown = nodes_[line.node];
        if (line.unix_ms > shown.unix_ms) shown = {line.unix_ms, {}};
        shown.lines.insert(text);
        fresh.push_back(line);
    }
    return fresh;
}

}  // namespace kagami::runtime
