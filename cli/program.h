// The output of another program: absolute path, no shell, no input, bounded in size and time.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace kagami::cli {

// A command of a person, of the person's environment, searched where the system keeps programs.
enum class Errors { kJoined, kDropped };  // what it writes to stderr
struct Ended {
    int status = 0;      // -1: by a signal
    std::string output;  // at most `limit_bytes`
};
Result<Ended> run_program(const std::vector<std::string>& command, size_t limit_bytes, Duration limit,
                          Errors errors = Errors::kJoined);

// What it wrote to stdout, at most `limit_bytes`. kNotFound when it is not installed, kTimedOut after which it is
// killed, kFailed when it ended with another status than 0.
Result<std::string> output_of(const std::vector<std::string>& command, size_t limit_bytes, Duration limit);

}  // namespace kagami::cli
