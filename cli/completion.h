// Completion for shells, written from the table of commands. Names of nodes, groups and the like are asked from
// `kagami names KIND` at the moment of the key press, which gives up after a second.
#pragma once

#include <string>

namespace kagami::cli {

std::string bash_completion();
std::string zsh_completion();

}  // namespace kagami::cli
