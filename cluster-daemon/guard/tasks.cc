#include "cluster-daemon/guard/tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "common/files.h"

namespace kagami::guard {
namespace {

constexpr int kMaxDepth = 8;
constexpr int kMaxTasks = 4096;
constexpr size_t kTextBytes = 160;  // the state stands within the first 90 bytes of /proc/TASK/stat

struct Walk {
    bool (*visit)(int task);
    int left = 0;  // tasks that may still be visited; zero = no limit
    bool limited = false;
};

bool visit(Walk& walk, int task) {
    if (walk.limited && walk.left-- == 0) return false;
    return walk.visit(task);
}

bool walk_tasks(int directory, Walk& walk) {
    const UniqueFd file(openat(directory, "cgroup.threads", O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return false;
    char text[4096];
    int task = 0;
    ssize_t length = 0;
    while ((length = read(file.get(), text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < length; ++i) {  // one number a line; a number may be cut by the buffer's end
            if (text[i] != '\n') {
                task = task * 10 + (text[i] - '0');
                continue;
            }
            if (!visit(walk, task)) return false;
            task = 0;
        }
    }
    return length == 0;
}

bool walk_cgroups(int parent, const char* name, Walk& walk, int depth) {
    const UniqueFd directory(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid() || depth > kMaxDepth || !walk_tasks(directory.get(), walk)) return false;
    alignas(dirent64) char entries[1024];
    long length = 0;
    while ((length = syscall(SYS_getdents64, directory.get(), entries, sizeof(entries))) > 0) {
        for (long at = 0; at < length;) {
            const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
            const bool below = entry->d_type == DT_DIR && entry->d_name[0] != '.';
            if (below && !walk_cgroups(directory.get(), entry->d_name, walk, depth + 1)) return false;
            at += entry->d_reclen;
        }
    }
    return length == 0;
}

// At most kTextBytes - 1 bytes of a file, NUL-terminated; "" when it cannot be read.
void read_start(int at, const char* path, char (&text)[kTextBytes]) {
    const UniqueFd file(openat(at, path, O_RDONLY | O_CLOEXEC));
    const ssize_t length = file.valid() ? read(file.get(), text, sizeof(text) - 1) : 0;
    text[length > 0 ? length : 0] = '\0';
}

bool not_runnable(int task) {
    if (task == 0) return false;  // of a pid namespace that we cannot look into
    char text[kTextBytes];
    std::snprintf(text, sizeof(text), "/proc/%d/stat", task);
    read_start(AT_FDCWD, text, text);  // nothing, when it has just ended: then the next look will tell
    const char* name_end = std::strrchr(text, ')');  // the name itself may contain brackets
    return name_end != nullptr && std::strlen(name_end) > 2 && name_end[2] != 'R';
}

}  // namespace

bool for_all_tasks(int root, const char* cgroup, bool (*visit)(int)) {
    Walk walk{.visit = visit};
    return walk_cgroups(root, cgroup, walk, 0);
}

bool stands_still(int root, const char* cgroup) {
    char path[256];
    char text[kTextBytes];
    std::snprintf(path, sizeof(path), "%s/cgroup.freeze", cgroup);
    read_start(root, path, text);
    if (text[0] != '1') return false;
    // Said again, it returns when a freeze that another process has just begun has marked every task.
    const UniqueFd freezer(openat(root, path, O_WRONLY | O_CLOEXEC));
    if (!freezer.valid() || write(freezer.get(), "1", 1) != 1) return false;
    Walk walk{.visit = not_runnable, .left = kMaxTasks, .limited = true};
    return walk_cgroups(root, cgroup, walk, 0);
}

}  // namespace kagami::guard
