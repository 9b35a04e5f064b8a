// A golden case: one text file with a story, a cluster, timed commands and the transcript that is expected (format:
// README.md).
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace kagami::golden {

struct Command {
    Duration at{};
    int line = 0;
    std::string text;                // as written
    std::vector<std::string> words;  // "move", "web", "to", "node2"
};

struct Case {
    std::string path;
    std::string head;  // everything above the transcript, kept as it is by --update
    std::string toml;
    std::vector<Command> commands;  // in order of time
    Duration end{};
    std::string expected;  // the transcript
};

constexpr const char* kDivider = "--- transcript ---\n";

// Configurations named by `use` lie in `configurations`/NAME.toml.
Result<Case> read_case(const std::string& path, const std::string& configurations);

}  // namespace kagami::golden
