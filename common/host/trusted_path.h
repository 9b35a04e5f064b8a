// May root run this program? (security.md S8) Yes when the program and every directory above it belong to root and
// nobody else can write them, and no part of the path is a symbolic link: then only root can change what the path means
// between the check and exec.
#pragma once

#include <string>

#include "common/result.h"

namespace kagami::host {

// kUsage: not absolute, or with "." or ".." in it; kNotFound: a part is missing; kRefused: the rule above. Names the
// part and the remedy.
Status check_trusted_program(const std::string& path);
// The same rule for a directory and all above it.
Status check_trusted_directory(const std::string& path);

}  // namespace kagami::host
