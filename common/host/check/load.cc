#include "common/host/check/load.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/files.h"

namespace kagami::host {
namespace {

Status use_file(const Load& load) {
    // Without a name, so that nothing is left of it whatever happens.
    const UniqueFd file(::open(load.directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (!file.valid() && (errno == EOPNOTSUPP || errno == EISDIR))
        return fail(ErrorCode::kUsage, load.directory + ": its file system has no files without a name",
                    "let `directory` name one on ext4, xfs, btrfs or tmpfs");
    if (!file.valid())
        return fail(load.directory + ": cannot open a file there: " + errno_text(errno),
                    errno_remedy(errno, load.directory));
    static const std::array<uint8_t, 65536> zeros{};
    for (uint64_t left = load.write_bytes; left > 0;) {
        const ssize_t written = ::write(file.get(), zeros.data(), std::min<uint64_t>(left, zeros.size()));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0)
            return fail(load.directory + ": cannot write a file there: " + errno_text(errno),
                        errno_remedy(errno, load.directory));
        left -= static_cast<uint64_t>(written);
    }
    if (load.write_bytes > 0 && ::fdatasync(file.get()) != 0)
        return fail(load.directory + ": cannot sync a file there: " + errno_text(errno));
    return {};
}

Status use_thread() {
    pthread_t thread{};
    const int refused = ::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
    if (refused != 0)
        return fail("cannot make a thread: " + errno_text(refused),
                    "look for what uses up threads or memory of this node");
    ::pthread_join(thread, nullptr);
    return {};
}

}  // namespace

Status carry_load(const Load& load) {
    if (load.thread) {
        if (Status made = use_thread(); !made) return made;
    }
    return load.directory.empty() ? Status{} : use_file(load);
}

}  // namespace kagami::host
