// Runs a program of this machine for a test: absolute path, both outputs together.
#pragma once

#include <string>
#include <vector>

namespace kagami::cli {

struct Ran {
    int status = -1;
    std::string output;
};
Ran run_program(const std::vector<std::string>& command, const std::string& directory);  // a folder for its output

}  // namespace kagami::cli
