// A task is frozen, or dies, when it next leaves the kernel; on a loaded machine a runnable one may wait for a
// processor longer than T_guard before it does (measured: 328 ms beside 7 busy processes on 2 processors, 1.1 ms with
// this). So the tasks of a cgroup that is being frozen or killed get SCHED_FIFO for that moment, in which they run no
// instruction of their own. Their normal scheduling is given back before they run again (the kernel keeps their nice
// value); a guard that restarts in between knows them by the mark. Tasks with a policy of their own are left alone.
// Nothing is allocated.
#pragma once

namespace kagami::guard {

// `cgroup` is relative to `root`; cgroups below it are covered.
void boost_tasks(int root, const char* cgroup);
void unboost_tasks(int root, const char* cgroup);

}  // namespace kagami::guard
