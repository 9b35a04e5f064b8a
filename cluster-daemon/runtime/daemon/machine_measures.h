// What this machine has left: memory that programs can get, and space on the file system of the durable state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster-daemon/engine/io.h"

namespace kagami::runtime {

// Of /proc/meminfo, by its name there ("MemAvailable:"); nothing when it is not there.
std::optional<uint64_t> memory_field_mib(std::string_view meminfo, std::string_view key);
// 0 where the machine does not say. May block on a stalled disk.
engine::MachineMeasured measure_machine(const std::string& state_directory);

}  // namespace kagami::runtime
