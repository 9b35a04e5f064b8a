// Which processes a name means. Without '*': the name of the program (its short name in the kernel, or the last part of
// its first argument), its first argument, or the whole command line, as ps shows them. With '*', which stands for any
// text: the whole command line or the short name. A process that has ended and waits for its parent does not count.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace kagami::host {

// The arguments joined by single blanks; empty of kernel threads, whose name is the short one.
bool matches_process(std::string_view pattern, std::string_view short_name, std::string_view first_argument,
                     std::string_view command_line);
// Reads /proc. May wait in the kernel for ever (the command line lies in the process's memory): only kagami-check calls
// it, and does not count its own kind.
Result<int> count_processes(const std::string& pattern);

}  // namespace kagami::host
