// The pages of the manual that are written by the program itself, from the table of commands and the tables of keys, so
// that they cannot be behind it. docs/man and docs/cli.md keep copies; a test compares.
#pragma once

#include <string>

#include "common/config/parameter.h"

namespace kagami::cli {

std::string kagami_page();                                           // kagami.1
std::string configuration_page(const config::TypeCatalogue& types);  // cluster.toml.5
std::string command_table();                                         // docs/cli.md

}  // namespace kagami::cli
