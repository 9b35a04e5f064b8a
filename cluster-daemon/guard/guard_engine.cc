#include "cluster-daemon/guard/guard_engine.h"

#include <algorithm>
#include <utility>

namespace kagami::guard {
namespace {

// Nothing of the group is suspended or being killed, so a new plan may describe it anew.
bool settled(GroupState state) {
    switch (state) {
        case GroupState::kRunning:
        case GroupState::kResumed:
        case GroupState::kKilled: return true;
        case GroupState::kSuspending:
        case GroupState::kSuspended:
        case GroupState::kKilling:
        case GroupState::kKillFailed: return false;
    }
    return false;
}

constexpr uint16_t kAllAddresses = 0xffff;

bool in_progress(GroupState state) {
    return state == GroupState::kSuspending || state == GroupState::kKilling || state == GroupState::kKillFailed;
}

bool safe_without_lease(GroupState state) {
    return state == GroupState::kSuspended || state == GroupState::kKilled;
}

}  // namespace

Engine::Engine(const BootId& boot, const GuardReport* before)
    : boot_(boot), before_(before != nullptr && before->boot == boot ? before : nullptr) {
    condemned_ = before_ != nullptr && before_->condemned != 0;
    pauses_ = before_ != nullptr ? before_->pauses : 0;
}

const GuardGroup* Engine::at(size_t place) const {
    return tracked_[place].used ? &tracked_[place].group : nullptr;
}

void Engine::learn(const GuardPlan* plan) {
    readable_ = plan != nullptr && plan->terms.boot == boot_;  // a page left by another boot leases nothing
    if (!readable_) return;
    terms_ = plan->terms;
    plan_serial_ = plan->serial;
    for (auto& t : tracked_) {
        t.in_plan = false;
        t.verdict = Verdict::kNone;
    }
    for (const auto& group : plan->groups) readable_ &= notice(group);
    for (auto& t : tracked_) {
        if (!t.in_plan && settled(t.at.state) && (!t.populated || terms_.unmanaged != 0)) t.used = false;
    }
    before_ = nullptr;
}

// False when there is no room beside groups that left the plan and still run: what cannot be guarded leases nothing.
bool Engine::notice(const GuardGroup& group) {
    const auto same = [&](const Tracked& t) { return t.used && t.group.name == group.name; };
    if (auto t = std::find_if(tracked_.begin(), tracked_.end(), same); t != tracked_.end()) {
        t->in_plan = true;
        // What is left of an older token while a newer one is named can only be killed.
        t->verdict = settled(t->at.state) || t->group.token == group.token ? group.verdict : Verdict::kKill;
        if (!settled(t->at.state)) return true;
        if (t->group.token != group.token) t->at = {group.name, group.token};
        t->group = group;
        return true;
    }
    const auto unused = std::find_if(tracked_.begin(), tracked_.end(), [](const Tracked& t) { return !t.used; });
    if (unused == tracked_.end()) return false;
    track(*unused, group);
    return true;
}

void Engine::track(Tracked& t, const GuardGroup& group) {
    t = Tracked{};
    t.used = t.fresh = t.in_plan = t.populated = true;
    t.group = group;
    t.at = {group.name, group.token};
    t.verdict = group.verdict;
    if (before_ == nullptr) return;
    for (const auto& was : before_->groups) {
        if (was.name != group.name || was.token != group.token) continue;
        t.at = was;
    }
}

Instant Engine::lease_end() const {
    return std::min(terms_.deadline, terms_.lease_sent_at + terms_.t_hold);
}

bool Engine::leased() const {
    const Instant sent = terms_.lease_sent_at;
    return readable_ && sent > suspect_at_ && sent <= last_.boot && last_.boot < lease_end();
}

Orders Engine::step(const Clocks& now, std::span<const Sight, kMaxGroups> seen) {
    Orders orders;
    watch_clocks(now);
    for (size_t place = 0; place < kMaxGroups; ++place) {
        if (tracked_[place].used) step_group(tracked_[place], seen[place], orders.groups[place]);
    }
    watchdog(orders);
    orders.wake_at = wake_at();
    return orders;
}

void Engine::watch_clocks(const Clocks& now) {
    const Clocks was = std::exchange(last_, now);
    if (!std::exchange(sampled_, true) || terms_.t_hold == 0ns) return;
    const auto gap = [&](Duration step) { return step > terms_.t_hold / 4 || step < 0ns; };
    if (gap(now.boot - was.boot) || gap(now.monotonic - was.monotonic) || gap(now.raw - was.raw)) {
        suspect_at_ = now.boot;
        ++pauses_;
    }
    // While the guard itself could not run, no group can have missed its time.
    for (auto& t : tracked_) t.due_at += std::max<Duration>(0ns, now.boot - was.boot - terms_.t_guard / 2);
}

void Engine::step_group(Tracked& t, const Sight& seen, GroupOrders& orders) {
    t.populated = seen.populated;
    t.at.withdrawn |= seen.withdrawn;
    const bool fresh = std::exchange(t.fresh, false);
    if (fresh) t.due_at = last_.boot + (settled(t.at.state) ? 0ns : limit(t.at.state));
    const bool unsure = fresh && (t.at.state == GroupState::kSuspending || (seen.frozen && seen.populated));
    decide(t, seen, orders);
    // The predecessor may have died between withdrawing and saying what: resuming brings back all of the plan.
    if (unsure && t.at.state == GroupState::kSuspending) t.at.withdrawn = kAllAddresses;
    switch (t.at.state) {
        case GroupState::kSuspending:
        case GroupState::kSuspended: return suspend(t, seen, orders);
        case GroupState::kKilling:
        case GroupState::kKillFailed: return kill(t, seen, orders);
        case GroupState::kRunning:
        case GroupState::kResumed:
        case GroupState::kKilled: return;
    }
}

// What the lease and the verdict make of a group.
void Engine::decide(Tracked& t, const Sight& seen, GroupOrders& orders) {
    const bool frozen_by_another = seen.frozen && seen.populated && last_.boot >= t.due_at;
    const bool may_return = leased() && t.verdict == Verdict::kResume && terms_.lease_sent_at > t.at.begun_at;
    switch (t.at.state) {
        case GroupState::kRunning:
        case GroupState::kResumed:
            if (t.verdict == Verdict::kKill || (!leased() && t.group.kind == GroupKind::kStrict)) {
                begin(t, GroupState::kKilling);
            } else if (!leased() || frozen_by_another) {
                begin(t, GroupState::kSuspending);
            }
            return;
        case GroupState::kSuspending:
        case GroupState::kSuspended:
            if (t.verdict == Verdict::kKill || last_.boot - t.at.begun_at >= kSuspensionLimit ||
                (!t.in_plan && !t.populated)) {
                begin(t, GroupState::kKilling);
            } else if (may_return) {
                orders = {.thaw = true, .restore = t.at.withdrawn};
                begin(t, GroupState::kResumed);
            }
            return;
        case GroupState::kKilled:
            if (may_return) {
                begin(t, GroupState::kRunning);
            } else if (t.populated) {
                begin(t, GroupState::kKilling);
            }
            return;
        case GroupState::kKilling:
        case GroupState::kKillFailed: return;
    }
}

void Engine::begin(Tracked& t, GroupState state) {
    t.at.state = state;
    t.at.begun_at = last_.boot;
    t.at.done_at = {};
    if (settled(state)) t.at.withdrawn = 0;
    t.due_at = last_.boot + limit(state);
}

// How long a state may last before it counts as failed.
Duration Engine::limit(GroupState state) const {
    return state == GroupState::kKilling || state == GroupState::kKillFailed ? terms_.t_kill : terms_.t_guard;
}

void Engine::suspend(Tracked& t, const Sight& seen, GroupOrders& orders) {
    orders.freeze = !seen.frozen;
    orders.withdraw = true;  // again and again: an address may come back
    if (seen.frozen && seen.addresses_gone) {
        if (t.at.state == GroupState::kSuspending) t.at.done_at = last_.boot;
        t.at.state = GroupState::kSuspended;
        return;
    }
    if (t.at.state == GroupState::kSuspended) t.due_at = last_.boot + limit(t.at.state);  // somebody undid it
    t.at.state = GroupState::kSuspending;
    condemned_ |= last_.boot > t.due_at;
}

void Engine::kill(Tracked& t, const Sight& seen, GroupOrders& orders) {
    if (!seen.populated && seen.addresses_gone && seen.mounts_gone) {
        t.at.state = GroupState::kKilled;
        t.at.done_at = last_.boot;
        orders.thaw = true;  // the empty cgroup, so that the next start is not born frozen
        return;
    }
    orders.abort = true;
    orders.kill = seen.populated;  // SIGKILL reaches frozen tasks as well, and not one of them runs on
    orders.withdraw = true;
    orders.unmount = !seen.populated;
    if (last_.boot > t.due_at) {
        t.at.state = GroupState::kKillFailed;
        condemned_ = true;
    }
}

void Engine::watchdog(Orders& orders) {
    bool all_safe = true;
    bool any_active = false;
    for (const auto& t : tracked_) {
        if (!t.used) continue;
        all_safe &= safe_without_lease(t.at.state);
        any_active |= t.at.state != GroupState::kKilled;
    }
    if (readable_ && terms_.armed != 0 && !condemned_) armed_ = true;
    if (readable_ && terms_.armed == 0 && !condemned_ && !any_active) armed_ = false;
    orders.arm = armed_;
    orders.pet = armed_ && !condemned_ && (leased() || all_safe);
    orders.reset = armed_ && condemned_;
}

Instant Engine::wake_at() const {
    const Duration period = terms_.t_guard > 0ns ? terms_.t_guard / 2 : 25ms;
    const Duration settling = std::clamp<Duration>(terms_.t_guard / 50, 1ms, 10ms);
    Instant at = last_.boot + period;
    if (leased()) at = std::min(at, lease_end());
    for (const auto& t : tracked_) {
        if (t.used && in_progress(t.at.state)) at = std::min(at, last_.boot + settling);
    }
    return at;
}

void Engine::report(GuardReport& report) const {
    report.plan_serial = plan_serial_;
    report.alive_at = last_.boot;
    report.boot = boot_;
    report.pauses = pauses_;
    report.plan_readable = readable_ ? 1 : 0;
    report.armed = armed_ ? 1 : 0;
    report.condemned = condemned_ ? 1 : 0;
    report.groups.clear();
    for (const auto& t : tracked_) {
        if (t.used) report.groups.push_back(t.at);
    }
}

}  // namespace kagami::guard
