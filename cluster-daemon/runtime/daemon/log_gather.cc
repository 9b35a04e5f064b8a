#include "cluster-daemon/runtime/daemon/log_gather.h"

namespace kagami::runtime {
namespace {

LogQuery from_where(LogQuery query, const std::string& node, const std::map<std::string, int64_t>& since) {
    if (const auto at = since.find(node); at != since.end()) query.since_unix_ms = at->second;
    return query;
}

void add(std::vector<LogLine> lines, const std::string& node, GatheredLog& log) {
    for (LogLine& line : lines) {
        line.node = node;
        log.lines.push_back(std::move(line));
    }
}

}  // namespace

GatheredLog gather_logs(PeerQuestions& questions, const LogSources& sources, const LogQuery& query,
                        const std::map<std::string, int64_t>& since, Duration patience) {
    GatheredLog log;
    std::map<NodeId, LogQuery> queries;
    for (const auto& [node, name] : sources.others) queries[node] = from_where(query, name, since);
    auto answers = questions.ask_log(queries, patience);
    add(sources.own(from_where(query, sources.own_name, since)), sources.own_name, log);
    for (const auto& [node, name] : sources.others) {
        const auto answer = answers.find(node);
        if (answer == answers.end())
            log.silent.push_back(name);
        else
            add(std::move(answer->second), name, log);
    }
    return log;
}

std::map<NodeId, std::string> journal_keepers(const engine::Snapshot& snapshot) {
    std::map<NodeId, std::string> all;
    if (!snapshot.config) return all;
    for (const config::Node& node : snapshot.config->nodes) {
        const bool joined = snapshot.document.node(node.id).state != engine::NodeState::kAbsent;
        if (joined && node.id != snapshot.self.node) all[node.id] = node.name;
    }
    return all;
}

}  // namespace kagami::runtime
