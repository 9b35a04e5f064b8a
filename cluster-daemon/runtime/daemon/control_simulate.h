// `kagami simulate`: the engine's what-if, asked with what this node knows.
#pragma once

#include "cluster-daemon/runtime/daemon/status_builder.h"

namespace kagami::control::v1 {
class SimulateAnswer;
}  // namespace kagami::control::v1

namespace kagami::runtime {

void simulate(const StatusInput& input, const std::string& events, control::v1::SimulateAnswer& answer);

}  // namespace kagami::runtime
