// The journals of all nodes of the cluster, as far as their daemons answer.
#pragma once

#include "cluster-daemon/runtime/daemon/peer_questions.h"

namespace kagami::runtime {

struct LogSources {
    std::string own_name;
    std::function<std::vector<LogLine>(const LogQuery&)> own;
    std::map<NodeId, std::string> others;  // that are to be asked
};
// Each node from where `since` says, by its name, else from the query's own bound.
GatheredLog gather_logs(PeerQuestions& questions, const LogSources& sources, const LogQuery& query,
                        const std::map<std::string, int64_t>& since, Duration patience);

// Who has a journal: every node that ever joined, but this one.
std::map<NodeId, std::string> journal_keepers(const engine::Snapshot& snapshot);

}  // namespace kagami::runtime
