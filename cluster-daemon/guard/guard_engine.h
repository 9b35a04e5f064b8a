// The guard's decisions (docs/protocol.md 5), as a function of plan, clocks and what was seen of each group.
//
// Lease     A group may run while leased(): the plan can be read and is of this boot, the time is before the deadline
//           and before sent + T_hold, and the renewal behind it was sent after the last gap in the clocks (BOOTTIME,
//           MONOTONIC or RAW moved more than T_hold / 4 between two steps: the machine was paused). A dead daemon is no
//           special case: its deadline passes.
// States    GroupState in guard_page.h. Without a lease a data group is suspended and a strict one killed. What is
//           suspended is resumed by verdict `resume` under a lease that was sent after the suspension began, and killed
//           by verdict `kill`, by a newer token, or after a minute. A kill is never called off; a killed group runs
//           again only by the rule for a suspended one. A kill begins with failing the I/O of the group's mirror disks.
//           A group that others froze (the daemon, while it saw no guard)
//           counts as suspended since then.
// Orders    are repeated until the thing is seen done, and are harmless when it is done already.
// Watchdog  Armed as soon as the plan says so; disarmed when it no longer does and no group is left. Petted under a
//           lease, or when every group is seen suspended or killed. What was not suspended within T_guard or killed
//           within T_kill condemns the machine: never petted again, reset. Leases are kept whether armed or not.
// Leaving   A group that leaves the plan stays guarded until its cgroup is empty: a daemon cannot forget what runs.
//           Only a plan that says `unmanaged` lets go of what runs; what is suspended or being killed by then is not.
// Restart   A guard that starts takes over states from its predecessor's report. Without a plan it neither arms nor
//           pets.
//
// No clocks, no I/O, no allocation; cannot fail. The caller does what is ordered (hands.h) and steps again at wake_at.
#pragma once

#include <array>
#include <span>

#include "cluster-daemon/guard/guard_page.h"

namespace kagami::guard {

constexpr Duration kSuspensionLimit = 1min;

struct Clocks {
    Instant boot;
    Duration monotonic{}, raw{};
};

// What was seen of one group just before a step.
struct Sight {
    bool frozen = false;  // nothing of it can run; a task that waits for a stalled mirror disk counts as frozen, too
    bool populated = true;
    bool addresses_gone = false;  // the withdrawal ordered by the last step left none behind
    bool mounts_gone = false;     // the same for its mounts
    uint16_t withdrawn = 0;       // addresses that it took away
};

struct GroupOrders {
    bool freeze = false, thaw = false, kill = false, withdraw = false, unmount = false;
    bool abort = false;    // fail the I/O that waits for its mirror disks: neither SIGKILL nor unmounting ends before
    uint16_t restore = 0;  // addresses to put back
    bool operator==(const GroupOrders&) const = default;
};

struct Orders {
    std::array<GroupOrders, kMaxGroups> groups{};  // by place, see Engine::at()
    bool arm = false;                              // the watchdog is to be armed; false: disarmed
    bool pet = false;
    bool reset = false;  // reset the machine now
    Instant wake_at{};
};

class Engine {
 public:
    // `before`: what a guard before this one reported last, or nullptr.
    Engine(const BootId& boot, const GuardReport* before);
    // A new plan; nullptr: the page cannot be believed any more.
    void learn(const GuardPlan* plan);
    // The guarded group at a place (0 to kMaxGroups - 1), or nullptr. Places do not move while a group is guarded.
    const GuardGroup* at(size_t place) const;
    Orders step(const Clocks& now, std::span<const Sight, kMaxGroups> seen);
    // Fills the engine's part of the report.
    void report(GuardReport& report) const;
    const GuardTerms& terms() const { return terms_; }

 private:
    struct Tracked {
        bool used = false, fresh = false, in_plan = false, populated = false;
        GuardGroup group;  // as it was when it last ran
        GroupReport at;
        Verdict verdict = Verdict::kNone;
        Instant due_at{};  // of the suspension or kill under way
    };
    Instant lease_end() const;
    bool leased() const;
    bool notice(const GuardGroup& group);
    void track(Tracked& place, const GuardGroup& group);
    void watch_clocks(const Clocks& now);
    void step_group(Tracked& t, const Sight& seen, GroupOrders& orders);
    void decide(Tracked& t, const Sight& seen, GroupOrders& orders);
    void suspend(Tracked& t, const Sight& seen, GroupOrders& orders);
    void kill(Tracked& t, const Sight& seen, GroupOrders& orders);
    void begin(Tracked& t, GroupState state);
    Duration limit(GroupState state) const;
    void watchdog(Orders& orders);
    Instant wake_at() const;

    BootId boot_;
    const GuardReport* before_;  // of the predecessor, until the first plan is known
    std::array<Tracked, kMaxGroups> tracked_{};
    GuardTerms terms_;
    uint64_t plan_serial_ = 0;
    bool readable_ = false;
    bool armed_ = false;
    bool condemned_ = false;
    bool sampled_ = false;
    Clocks last_{};
    Instant suspect_at_ = Instant::min();
    uint32_t pauses_ = 0;
};

}  // namespace kagami::guard
