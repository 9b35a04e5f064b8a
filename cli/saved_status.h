// `simulate` on a saved `kagami status --json` and the configuration that was in force: the same pure what_if() that
// the daemon answers with.
#pragma once

#include <string>

#include "cli/command.h"
#include "proto/control.pb.h"

namespace kagami::cli {

// `config_file` empty: the configuration in force on this machine, else the person's.
Result<control::v1::SimulateAnswer> simulate_saved(Session& session, const std::string& status_file,
                                                   const std::string& config_file, const std::string& events);

}  // namespace kagami::cli
