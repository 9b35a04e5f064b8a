// mtw: several monitors of this node as one. Error when `error_threshold` of them are in error (default: all of them);
// caution when `caution_threshold` of them are in error or caution. It reads what the engine has last judged of them
// (Context::others); a member that is off or has not been checked yet counts as normal, and if that holds for all,
// nothing is known and all is normal. Usually the members have no recovery of their own (on_error with zeros).
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

const config::TypeDescription& multi_target_description();
std::unique_ptr<Monitor> make_multi_target(host::Host& host);

}  // namespace kagami::monitors
