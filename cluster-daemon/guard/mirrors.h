// How the guard fails the I/O of a mirror disk whose driver does not answer: its front end is a file system in user
// space, mounted at /run/kagami/mirror/NAME/disk, and the kernel ends every request of such a connection when told so
// at /sys/fs/fuse/connections/N/abort. N is the minor device number of the mount, read from mountinfo: no path on the
// file system itself is touched, for that may block. Nothing is allocated; everything is idempotent.
//
// Needs the control file system (fusectl) at /sys/fs/fuse/connections. Where it is missing nothing is failed, and a
// kill that hangs for it ends as every other one that is not done within T_kill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kagami::guard {

// The connections of the FUSE file systems mounted at `path`, as the open file `mountinfo` has it; how many were put
// into `into`.
size_t fuse_connections(int mountinfo, std::string_view path, std::span<uint32_t> into);

void abort_mirror(std::string_view name);

}  // namespace kagami::guard
