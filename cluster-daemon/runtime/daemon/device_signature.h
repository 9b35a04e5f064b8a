// What lies on a block device, as the mirror engine recognises it: for host::Mounts::signature.
#pragma once

#include <string>

#include "common/result.h"

namespace kagami::runtime {

// "an ext4 file system", "data of an unknown kind ...", ...; empty = blank. An error when the device cannot be opened; unreadable
// places are told as a sentence, never as nothing.
Result<std::string> device_signature(const std::string& device);

}  // namespace kagami::runtime
