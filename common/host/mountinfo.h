// /proc/PID/mountinfo as values. The lines are all that is looked at: a mounted file system, whose server may be away, is
// never touched.
#pragma once

#include <string_view>
#include <vector>

#include "common/host/host.h"

namespace kagami::host {

// What cannot be read as a line of it is left out. Paths are as they are on the disk ("\\040" is a space again).
std::vector<Mount> parse_mountinfo(std::string_view text);

}  // namespace kagami::host
