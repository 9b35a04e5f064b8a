// What the guard does to the machine: cgroup v2 (Linux 5.14 or newer: cgroup.freeze, cgroup.kill), addresses over one
// rtnetlink socket, connections of mirror disks, unmounting. Everything is idempotent and allocates nothing after open(); the outcome of an order is
// part of the next look(). Unmounting may block in the kernel, so a thread of its own does it, one group at a time: it
// must never hold up the suspension of another group.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>

#include "cluster-daemon/guard/guard_engine.h"
#include "common/files.h"

namespace kagami::guard {

class Unmounter {
 public:
    Status start();
    // True when every mount of the group at `place` was seen gone; otherwise ask again soon.
    bool unmount(size_t place, const GuardGroup& group);

 private:
    enum class Phase : uint8_t { kIdle, kBusy, kDone };
    static void* run(void* self);
    std::atomic<Phase> phase_{Phase::kIdle};
    size_t place_ = 0;  // of the group in hand
    GuardGroup group_;
    bool all_gone_ = false;
    std::array<bool, kMaxGroups> gone_{};  // results not yet fetched
};

class Hands {
 public:
    // Opens all that is needed later; makes the cgroup root if its parent is there.
    Status open(const char* cgroup_root);
    Sight look(size_t place, const GuardGroup& group);
    void act(size_t place, const GuardGroup& group, const GroupOrders& orders);

 private:
    void look_at(int base, const char* cgroup, bool mirrors, Sight& sight);
    void write_cgroups(const GuardGroup& group, const char* file, const char* text);
    void boost(const GuardGroup& group, bool on);
    uint16_t withdraw(const GuardGroup& group, bool& all_gone);
    bool withdraw(const GuardAddress& address, bool& was_there);
    int change_address(uint16_t type, const GuardAddress& address);  // 0 or an errno
    UniqueFd root_, top_, netlink_;  // top_: where cgroup2 is mounted
    UniqueFd any_socket_;  // for interface indexes
    uint32_t sequence_ = 0;
    Unmounter unmounter_;
    struct Outcome {
        bool addresses_gone = false, mounts_gone = false;
        uint16_t withdrawn = 0;
    };
    std::array<Outcome, kMaxGroups> outcomes_{};  // of the orders of the last step
    std::array<bool, kMaxGroups> calm_{};         // nothing of the group is boosted
};

}  // namespace kagami::guard
