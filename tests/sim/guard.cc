#include "tests/sim/guard.h"

namespace kagami::sim {

using engine::GuardGroupState;
using engine::Verdict;

namespace {

constexpr Duration kPatience = 1min;  // a suspended group that nobody decides about is killed

bool runs(GuardGroupState state) {
    return state == GuardGroupState::kRunning || state == GuardGroupState::kResumed;
}

}  // namespace

Guard::Guard(Queue& queue, Random& random, Machine& machine, Hooks hooks)
    : queue_(queue), random_(random), machine_(machine), hooks_(std::move(hooks)) {}

void Guard::later(Duration delay, std::function<void()> action) {
    queue_.after(delay, [this, life = life_, action = std::move(action)] {
        if (!alive_ || life != life_) return;
        if (frozen_) {
            later(1ms, action);
        } else {
            action();
        }
    });
}

void Guard::start() {
    alive_ = true;
    ++life_;
    timer_ = Moment::max();
    for (auto& [name, held] : groups_) held.busy = false;
    look();
    hooks_.observed();
}

void Guard::crash() {
    alive_ = false;
    ++life_;
    feed_watchdog();
    queue_.after(timing_.guard, [this, life = life_] {
        if (!alive_ && life == life_) hooks_.observed();
    });
}

void Guard::power_off() {
    alive_ = frozen_ = suspected_ = hungry_ = false;
    ++life_;
    ++power_;
    ++hunger_;
    page_ = {};
    groups_.clear();
}

void Guard::freeze() {
    frozen_ = true;
    feed_watchdog();
}

void Guard::thaw() {
    frozen_ = false;
    timer_ = Moment::max();
    if (alive_) look();
}

void Guard::publish(const engine::SetGuard& plan) {
    page_ = plan;
    if (suspected_ && plan.lease_sent_at > suspected_at_) suspected_ = false;
    std::map<std::string, Held> next;
    for (const engine::GuardedGroup& group : plan.groups) {
        const auto known = groups_.find(group.group);
        Held held;
        if (known != groups_.end() && known->second.token == group.token) {
            held = known->second;
        } else if (machine_.suspended(group.group)) {
            held.state = GuardGroupState::kSuspended;
            held.over_at = held.suspended_at = hooks_.local_now();
        }
        held.token = group.token;
        held.strict = group.strict;
        held.verdict = group.verdict;
        next.emplace(group.group, held);
    }
    for (const auto& [name, held] : groups_) {
        if (!next.contains(name) && machine_.anything(name)) {
            hooks_.broken("the daemon dropped group " + name + " from the guard's page while something of it is there");
        }
    }
    groups_ = std::move(next);
    if (alive_ && !frozen_) look();
}

void Guard::pause_found() {
    suspected_ = true;
    suspected_at_ = hooks_.local_now();
    if (!alive_) return;
    look();
    hooks_.observed();
}

void Guard::look() {
    const Instant now = hooks_.local_now();
    for (auto& [name, held] : groups_) look_at(name, held, now);
    feed_watchdog();
    arm_timer();
}

void Guard::look_at(const std::string& name, Held& held, Instant now) {
    if (held.busy) return;
    const bool over = now >= page_.deadline || suspected_;
    if (held.state == GuardGroupState::kSuspended) {
        const bool lease_is_newer = page_.lease_sent_at >= held.over_at;
        if (held.verdict == Verdict::kKill || held.strict || now - held.suspended_at >= kPatience) {
            begin_kill(name);
        } else if (held.verdict == Verdict::kResume && !over && lease_is_newer) {
            held.state = GuardGroupState::kResumed;
            machine_.resume(name);
            hooks_.observed();
        }
    } else if (runs(held.state)) {
        if (held.verdict == Verdict::kKill) {
            begin_kill(name);
        } else if (over) {
            begin_suspend(name, held);
        }
    }
}

void Guard::begin_suspend(const std::string& name, Held& held) {
    held.busy = true;
    held.over_at = suspected_ ? suspected_at_ : page_.deadline;
    const Duration takes = calm_ ? 2ms : random_.between(100us, timing_.guard * 2 / 5);
    later(takes + late_, [this, name] {
        const auto at = groups_.find(name);
        if (at == groups_.end() || !at->second.busy) return;
        at->second.busy = false;
        at->second.state = GuardGroupState::kSuspended;
        at->second.suspended_at = hooks_.local_now();
        machine_.suspend(name);
        hooks_.observed();
        look();
    });
}

void Guard::begin_kill(const std::string& name) {
    groups_.at(name).busy = true;
    const Duration takes = calm_ ? 5ms : random_.between(1ms, timing_.kill * 2 / 5);
    later(takes, [this, name] { kill_done(name); });
}

void Guard::kill_done(const std::string& name) {
    const auto at = groups_.find(name);
    if (at == groups_.end() || !at->second.busy) return;
    at->second.busy = false;
    at->second.state = kill_fails_ ? GuardGroupState::kKillFailed : GuardGroupState::kKilled;
    if (!kill_fails_) machine_.kill(name);
    hooks_.observed();
    look();
}

void Guard::arm_timer() {
    Instant due = page_.deadline > hooks_.local_now() && !groups_.empty() ? page_.deadline : kNever;
    for (const auto& [name, held] : groups_) {
        if (held.state == GuardGroupState::kSuspended && !held.busy) due = std::min(due, held.suspended_at + kPatience);
    }
    if (due == kNever) return;
    const Moment at = std::max(hooks_.when(due), queue_.now() + 1us);
    if (timer_ <= at) return;  // looks again then
    timer_ = at;
    queue_.at(at, [this, at, life = life_] {
        if (!alive_ || life != life_ || frozen_ || timer_ != at) return;
        timer_ = Moment::max();
        look();
    });
}

bool Guard::fit_to_pet() const {
    if (!alive_ || (frozen_ && hardware_watchdog_)) return false;
    bool quiet = true;
    for (const auto& [name, held] : groups_) {
        if (held.state == GuardGroupState::kKillFailed) return false;
        quiet = quiet && (!runs(held.state) || !machine_.anything(name));
    }
    return quiet || (hooks_.local_now() < page_.deadline && !suspected_);
}

void Guard::feed_watchdog() {
    if (!page_.armed || fit_to_pet()) {
        hungry_ = false;
        ++hunger_;
        return;
    }
    if (hungry_) return;
    hungry_ = true;
    queue_.after(timing_.inputs.watchdog, [this, hunger = hunger_, power = power_] {
        const bool stands_still = frozen_ && !hardware_watchdog_;
        if (hungry_ && hunger == hunger_ && power == power_ && !stands_still) hooks_.watchdog_bites();
    });
}

engine::GuardObserved Guard::observed() const {
    engine::GuardObserved seen;
    seen.alive = alive_;
    seen.armed = armed();
    seen.pause_suspected = suspected_;
    for (const auto& [name, held] : groups_) seen.groups.emplace_back(name, held.token, held.state);
    return seen;
}

}  // namespace kagami::sim
