// resw: does this node have enough free memory (that programs can get without swapping) and enough free space on a file
// system? Below the threshold is an error; below kCautionPercentOfMinimum of it, but not below it, a caution.
#pragma once

#include <memory>

#include "monitors/monitor.h"

namespace kagami::monitors {

constexpr uint64_t kCautionPercentOfMinimum = 125;

const config::TypeDescription& free_resource_description();
std::unique_ptr<Monitor> make_free_resource(host::Host& host);

}  // namespace kagami::monitors
