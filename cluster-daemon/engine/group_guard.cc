#include "cluster-daemon/engine/group_machine.h"

#include <algorithm>

#include "cluster-daemon/engine/local_rules.h"

namespace kagami::engine {

void GroupMachine::suspend(Instant at, LocalContext& context, const std::string& why) {
    suspended_at_ = at;
    context.say(Reason::kSuspended, subject(),
                "Group " + name_ + " is suspended on " + here(context) + ": " + why + ".");
}

void GroupMachine::update_suspension(LocalContext& context) {
    if (killed_) return;
    if (context.input.unmanaged) {  // nothing ends it, and its lease counts anew when it is managed again
        had_lease_ = false;
        return;
    }
    if (context.leased()) {
        had_lease_ = true;
        last_deadline_ = context.input.run_until;
    } else if (had_lease_ && !suspended_at_) {
        suspend(std::min(last_deadline_, context.input.now), context,
                context.guard.alive ? "its lease has run out" : "the guard does not run");
    }
    const bool free =
        !guard_state_ || *guard_state_ == GuardGroupState::kRunning || *guard_state_ == GuardGroupState::kResumed;
    if (!suspended_at_ || !free || verdict(context.input) != Verdict::kResume) return;
    suspended_at_.reset();
    context.say(Reason::kResumed, subject(), "Group " + name_ + " goes on running on " + here(context) + ".");
}

void GroupMachine::on_guard(GuardGroupState state, LocalGroup& durable, LocalContext& context) {
    if (phase_ == Phase::kIdle || guard_state_ == state) return;
    guard_state_ = state;
    switch (state) {
        case GuardGroupState::kRunning:
        case GuardGroupState::kResumed: break;
        case GuardGroupState::kSuspended:
            if (!suspended_at_ && !killed_) suspend(context.input.now, context, "the guard has suspended it");
            break;
        case GuardGroupState::kKilled:
            killed_ = true;
            suspended_at_.reset();
            broken_.reset();
            restarting_.clear();
            wants_failover_ = false;
            failed_monitors_.clear();
            stop_reason_ = StopReason::kGroupFailover;
            for (auto& [name, run] : runs_) run.probed = false;
            stale_probes_ = context.operations;
            phase_ = Phase::kCleaning;
            set_mark(RunMark::kStopping, durable, context);
            context.say(Reason::kKilled, subject(),
                        "The guard has killed group " + name_ + " on " + here(context) + ".");
            break;
        case GuardGroupState::kKillFailed:
            phase_ = Phase::kStopFailed;
            failed_ = true;
            cause_ = "the guard could not kill it in time";
            context.say(Reason::kDeactivationFailed, subject(),
                        "The guard could not kill group " + name_ + " on " + here(context) +
                            " in time: it resets the machine.");
            break;
    }
}

GroupReport GroupMachine::report(const LocalGroup& durable) const {
    GroupReport report;
    report.group = name_;
    report.token = durable.max_token;
    report.wants_failover = wants_failover_ || !failed_monitors_.empty();
    report.failed = failed_;
    report.cause = cause_;
    switch (phase_) {
        case Phase::kIdle: report.state = GroupState::kStopped; break;
        case Phase::kAdopting:
            report.state = adopted_mark_ == RunMark::kStopping ? GroupState::kStopping : GroupState::kStarting;
            break;
        case Phase::kStarting:
        case Phase::kRestarting: report.state = GroupState::kStarting; break;
        case Phase::kActive: report.state = GroupState::kActive; break;
        case Phase::kStopping:
        case Phase::kCleaning: report.state = GroupState::kStopping; break;
        case Phase::kStartFailed: report.state = GroupState::kStartFailed; break;
        case Phase::kStopFailed: report.state = GroupState::kStopFailed; break;
    }
    if (suspended_at_) report.state = GroupState::kSuspended;
    for (const auto& [name, run] : runs_) report.resources.push_back({name, run.state, run.message});
    return report;
}

}  // namespace kagami::engine
