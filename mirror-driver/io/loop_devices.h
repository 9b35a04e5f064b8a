// The loop devices of this machine, as far as the mirror driver cares: which of them stands on a given file, and making
// one for our own FUSE file. They are global to the machine while paths are not (a container beside this one may have
// the same path): a device counts as ours only if path, file system and inode agree. Nothing else is ever touched.
// Every call may block on requests to the backing file: never call it on the thread that serves that file, but
// loops_on_file().
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/files.h"
#include "common/result.h"

namespace kagami::mirror {

// Devices ("/dev/loop3") whose backing file is this one. Reads sysfs only.
std::vector<std::string> loops_on_file(dev_t device, ino_t inode);

struct Loop {
    std::string device;  // "/dev/loop3"
    UniqueFd fd;         // as long as it is open, the device stays although it detaches by itself after its last user
};
// The one that stands on `path`, a file of the file system `device`; fd invalid = there is none.
Result<Loop> find_loop(const std::string& path, dev_t device);
// Direct I/O (checked), 4096-byte sectors, detached after its last user.
Result<Loop> attach_loop(const std::string& path);
// Detaches it; kRefused when somebody still has it open (then it goes with its last user, and `loop` stays open).
Status detach_loop(Loop& loop, dev_t device);

}  // namespace kagami::mirror
