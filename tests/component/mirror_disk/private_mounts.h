// A mount namespace of the test's own, so that nothing that it mounts is seen, or stays, outside.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>

namespace kagami::testing {

// Before any thread is started. False (and said aloud): not permitted here.
inline bool private_mounts() {
    static const bool done =
        ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!done) WARN("SKIPPED: a mount namespace cannot be made here (CAP_SYS_ADMIN)");
    return done;
}

}  // namespace kagami::testing
