// One archive of what this node knows, for whoever helps: KAGAMI-NODE-TIME.tar.gz. Every part that cannot be had is
// named in contents.txt with its reason, and the rest goes on. Keys, tokens, the voter's memory and the history's file
// never go in; of scripts the names alone, unless asked.
#pragma once

#include <string>

#include "cli/command.h"

namespace kagami::cli {

struct CollectOptions {
    std::string directory = ".";  // must exist
    bool with_scripts = false;
};

// The path of the archive.
Result<std::string> collect(Session& session, const CollectOptions& options);

}  // namespace kagami::cli
