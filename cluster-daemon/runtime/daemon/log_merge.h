// The journals of several nodes as one: by time, and what two of them tell alike only once. Pure.
// Clocks of machines differ, so the order of lines of different nodes is only as good as their clocks; each node's own
// lines keep their order as far as its clock does not go back.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/daemon/control_server.h"

namespace kagami::runtime {

// Oldest first, the newest `limit` lines. The same sentence about the same thing from two nodes within kSameEvent is
// one line: of the node that said it first.
constexpr int64_t kSameEventMs = 10'000;
std::vector<LogLine> merge_logs(std::vector<LogLine> lines, size_t limit);

// Which lines of each node a follower has already been shown. A node is asked from its own last moment on, by its own
// clock.
class LogCursor {
 public:
    int64_t since(const std::string& node, int64_t otherwise) const;
    // Those that are new, and takes them as shown.
    std::vector<LogLine> take_new(const std::vector<LogLine>& lines);

 private:
    struct Shown {
        int64_t unix_ms = 0;
        std::multiset<std::string> lines;  // of that moment
    };
    std::map<std::string, Shown> nodes_;
};

}  // namespace kagami::runtime
