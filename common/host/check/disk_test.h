// One test of a disk, done by the calling process: it may wait in the kernel for ever, so only kagami-check calls it.
// TEST UNIT READY asks the device itself and reads nothing; a buffered read first lets go of what the page cache holds
// of the object; a direct read takes whole blocks; a write makes the file, syncs and removes it. A file that is there
// already and was not made by such a test is left alone.
#pragma once

#include "common/host/host.h"

namespace kagami::host {

// False: no room (kWrite). kUsage when the method does not fit the object.
Result<bool> test_disk(const DiskTest& test);
// Free bytes for everybody of the file system that the path lies on.
Result<uint64_t> free_bytes(const std::string& path);

}  // namespace kagami::host
