// `simulate` on a saved `kagami status --json`.
#pragma once

#include <string>

#include "common/result.h"
#include "proto/control.pb.h"

namespace kagami::cli {

Result<control::v1::SimulateAnswer> simulate_saved(const std::string& file, const std::string& event);

}  // namespace kagami::cli
