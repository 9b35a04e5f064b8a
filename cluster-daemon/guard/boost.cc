#include "cluster-daemon/guard/boost.h"

#include <sched.h>

#include "cluster-daemon/guard/tasks.h"

namespace kagami::guard {
namespace {

constexpr int kMark = SCHED_FIFO | SCHED_RESET_ON_FORK;  // with the priority below it is ours
constexpr sched_param kBoosted{.sched_priority = 41};    // below the guard itself
constexpr sched_param kNormal{.sched_priority = 0};

bool boost(int task) {
    if (sched_getscheduler(task) == SCHED_OTHER) sched_setscheduler(task, kMark, &kBoosted);
    return true;
}

bool unboost(int task) {
    sched_param now{};
    if (sched_getscheduler(task) != kMark || sched_getparam(task, &now) != 0) return true;
    if (now.sched_priority == kBoosted.sched_priority) sched_setscheduler(task, SCHED_OTHER, &kNormal);
    return true;
}

}  // namespace

void boost_tasks(int root, const char* cgroup) {
    for_all_tasks(root, cgroup, boost);
}
void unboost_tasks(int root, const char* cgroup) {
    for_all_tasks(root, cgroup, unboost);
}

}  // namespace kagami::guard
