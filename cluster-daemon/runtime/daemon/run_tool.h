// Runs one of the operating system's own tools: argv with an absolute path, no shell, an empty environment but for LANG,
// standard output taken, a limit after which it is killed. Blocks its caller.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace kagami::runtime {

// What it wrote (at most 64 KiB of it). An error when it cannot be started, ends with another status than 0, or does
// not end in time (kTimedOut).
Result<std::string> run_tool(const std::vector<std::string>& argv, Duration limit);

}  // namespace kagami::runtime
