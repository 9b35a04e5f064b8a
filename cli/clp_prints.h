// What commands of existing runbooks print, that no verb of kagami prints in that form, and the two that work on files:
// "verbs" of the translation (clp.h) which a person cannot call. Each asks the control service and shows its answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "proto/control.pb.h"

namespace kagami::cli {

// "where GROUP", "monitor-counters SERVER MONITOR" (either may be empty), "final-actions", "group-times GROUP",
// "monitor-times MONITOR", "pull-configuration DIR", "check-configuration OUT_DIR IN_DIR" (empty: the one in force).
// The exit code; nothing when `words` are none of these.
std::optional<int> run_clp_print(Session& session, const std::vector<std::string>& words);

// Their texts.
std::string render_counters(const control::v1::Status& status, const std::string& server, const std::string& monitor);
std::string render_final_actions(const control::v1::Status& status);

}  // namespace kagami::cli
