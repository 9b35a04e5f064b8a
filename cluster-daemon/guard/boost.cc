#include "cluster-daemon/guard/boost.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "common/files.h"

namespace kagami::guard {
namespace {

constexpr int kMark = SCHED_FIFO | SCHED_RESET_ON_FORK;  // with the priority below it is ours
constexpr sched_param kBoosted{.sched_priority = 41};    // below the guard itself
constexpr sched_param kNormal{.sched_priority = 0};
constexpr int kMaxDepth = 8;

void boost(int task) {
    if (sched_getscheduler(task) == SCHED_OTHER) sched_setscheduler(task, kMark, &kBoosted);
}

void unboost(int task) {
    sched_param now{};
    if (sched_getscheduler(task) != kMark || sched_getparam(task, &now) != 0) return;
    if (now.sched_priority == kBoosted.sched_priority) sched_setscheduler(task, SCHED_OTHER, &kNormal);
}

void for_tasks_of(int directory, void (*change)(int)) {
    const UniqueFd file(openat(directory, "cgroup.threads", O_RDONLY | O_CLOEXEC));
    char text[4096];
    int task = 0;
    for (ssize_t length = 0; (length = read(file.get(), text, sizeof(text))) > 0;) {
        for (ssize_t i = 0; i < length; ++i) {  // one number a line; a number may be cut by the buffer's end
            if (text[i] != '\n') {
                task = task * 10 + (text[i] - '0');
                continue;
            }
            if (task > 0) change(task);
            task = 0;
        }
    }
}

void for_all_tasks(int parent, const char* name, void (*change)(int), int depth = 0) {
    const UniqueFd directory(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid() || depth > kMaxDepth) return;
    for_tasks_of(directory.get(), change);
    alignas(dirent64) char entries[1024];
    for (long length = 0; (length = syscall(SYS_getdents64, directory.get(), entries, sizeof(entries))) > 0;) {
        for (long at = 0; at < length;) {
            const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                for_all_tasks(directory.get(), entry->d_name, change, depth + 1);
            }
            at += entry->d_reclen;
        }
    }
}

}  // namespace

void boost_tasks(int root, const char* cgroup) {
    for_all_tasks(root, cgroup, boost);
}
void unboost_tasks(int root, const char* cgroup) {
    for_all_tasks(root, cgroup, unboost);
}

}  // namespace kagami::guard
