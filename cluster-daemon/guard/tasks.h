// Every task (thread) of a cgroup and of the cgroups below it. Nothing is allocated.
#pragma once

namespace kagami::guard {

// `cgroup` is relative to the directory `root`. Visits until `visit` says false. True when all were visited and none
// said so; a task that appears meanwhile may be missed, and one of another pid namespace is seen as 0.
bool for_all_tasks(int root, const char* cgroup, bool (*visit)(int task));

// True when the cgroup is told to freeze and none of its tasks can execute another instruction of its own until it is
// thawed, though the kernel does not call it frozen: that it does only when each has left the kernel, and one that
// waits for a mirror disk which withholds its acknowledgement cannot leave. A task that the freezer has marked, and
// that is not runnable, can only wake inside the kernel, on its way into the freezer. False when this cannot be told,
// also because there are more than 4096 tasks (the look must be over within a fraction of T_guard).
bool stands_still(int root, const char* cgroup);

}  // namespace kagami::guard
