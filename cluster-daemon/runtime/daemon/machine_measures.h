// What this machine has left: memory that programs can get, and space on the file system of the durable state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster-daemon/engine/io.h"

namespace kagami::runtime {

// Of /proc/meminfo; nothing when it has no MemAvailable.
std::optional<uint64_t> available_mib(std::string_view meminfo);
// 0 where the machine does not say. May block on a stalled disk.
engine::MachineMeasured measure_machine(const std::string& state_directory);

}  // namespace kagami::runtime
