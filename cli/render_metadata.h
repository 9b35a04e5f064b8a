// The metadata of a mirror disk's copy as text for people.
#pragma once

#include <string>
#include <vector>

#include "mirror-driver/tools/offline.h"

namespace kagami::cli {

std::string render_metadata(const std::string& device, const mirror::Inspection& seen);
// What a check has to say, a line each; empty = sound.
std::vector<std::string> metadata_findings(const mirror::Inspection& seen);

}  // namespace kagami::cli
