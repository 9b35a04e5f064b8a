// The front end of kernels with neither ublk nor NBD: a FUSE file (fuse_file.h) with a loop device on it.
// Mounting, attaching, detaching and unmounting wait for requests that this very mirror must answer, so they run on a
// helper thread, one task at a time; the mirror's thread answers meanwhile and takes the outcome in advance().
// Left-overs of a driver that was killed without its descriptor being kept (a dead mount on our path, and a loop device
// on it) are swept before a new mount is made. Who is killed later finds the mount in /proc/self/mountinfo at
// DIRECTORY/disk, and aborts its connection there.
#pragma once

#include "mirror-driver/frontends/frontend.h"

namespace kagami::mirror {

Status fuse_loop_usable();
Result<std::unique_ptr<FrontEnd>> open_fuse_loop(FrontEndSettings settings);
void drop_fuse_loop(const std::string& directory);

}  // namespace kagami::mirror
