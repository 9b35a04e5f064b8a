#include "cluster-daemon/engine/group_machine.h"

#include <algorithm>

#include "common/assert.h"

namespace kagami::engine {
namespace {

std::optional<SystemAction> system_action(config::FinalAction action) {
    switch (action) {
        case config::FinalAction::kNone:
        case config::FinalAction::kStay:
        case config::FinalAction::kStopResource:
        case config::FinalAction::kStopGroup: return std::nullopt;
        case config::FinalAction::kStopCluster: return SystemAction::kStopDaemon;
        case config::FinalAction::kStopAndShutdown: return SystemAction::kHalt;
        case config::FinalAction::kStopAndReboot: return SystemAction::kReboot;
        case config::FinalAction::kSysrqPanic: return SystemAction::kSysrqPanic;
        case config::FinalAction::kReset: return SystemAction::kReset;
        case config::FinalAction::kBmcReset: return SystemAction::kBmcReset;
        case config::FinalAction::kBmcPowerOff: return SystemAction::kBmcPowerOff;
        case config::FinalAction::kBmcPowerCycle: return SystemAction::kBmcPowerCycle;
        case config::FinalAction::kBmcNmi: return SystemAction::kBmcNmi;
    }
    return std::nullopt;
}

std::string because(const std::string& message) {
    return message.empty() ? "" : ": " + message;
}

}  // namespace

// ---- what the machine knows ----

const config::Resource* GroupMachine::resource(const std::string& name) const {
    const auto at = std::find_if(config_.resources.begin(), config_.resources.end(),
                                 [&](const config::Resource& r) { return r.name == name; });
    return at == config_.resources.end() ? nullptr : &*at;
}

const std::string* GroupMachine::resource_of(uint64_t operation) const {
    for (const auto& [name, run] : runs_)
        if (run.operation == operation) return &name;
    return nullptr;
}

std::set<std::string> GroupMachine::all() const {
    std::set<std::string> names;
    for (const auto& [name, run] : runs_) names.insert(name);
    return names;
}

// The resources themselves and all that comes after them, directly or not.
std::set<std::string> GroupMachine::with_dependents(const std::set<std::string>& names) const {
    std::set<std::string> found = names;
    for (bool grown = true; grown;) {
        grown = false;
        for (const config::Resource& r : config_.resources) {
            const bool depends =
                std::any_of(r.after.begin(), r.after.end(), [&](const std::string& a) { return found.contains(a); });
            if (depends && found.insert(r.name).second) grown = true;
        }
    }
    return found;
}

bool GroupMachine::busy() const {
    return std::any_of(runs_.begin(), runs_.end(), [](const auto& item) { return item.second.operation != 0; });
}

bool GroupMachine::up(const std::string& resource) const {
    const auto at = runs_.find(resource);
    return at != runs_.end() && at->second.state == ResourceState::kOnline;
}

std::string GroupMachine::here(const LocalContext& context) const {
    return context.input.config != nullptr ? context.input.config->node_name(context.input.self.node)
                                           : to_string(context.input.self.node);
}

// The document names this incarnation and token as the owner that shall run it.
bool GroupMachine::ours(const LocalInput& input) const {
    const auto at = input.document->groups.find(name_);
    return at != input.document->groups.end() && at->second.owner == input.self && at->second.token == token_ &&
           at->second.goal == Goal::kStarted && input.document->names(input.self);
}

// The document gave the group to somebody else, or wants it stopped while it is suspended: it will never be resumed.
bool GroupMachine::doomed(const LocalInput& input) const {
    if (phase_ == Phase::kIdle || killed_) return false;
    const auto at = input.document->groups.find(name_);
    if (at == input.document->groups.end() || at->second.owner != input.self || at->second.token != token_) return true;
    return suspended_at_.has_value() && at->second.goal == Goal::kStopped;
}

Verdict GroupMachine::verdict(const LocalInput& input) const {
    if (killed_ || doomed(input)) return Verdict::kKill;
    const bool renewed = suspended_at_ && input.now < input.run_until && input.lease_sent_at > *suspended_at_;
    return renewed && ours(input) ? Verdict::kResume : Verdict::kNone;
}

bool GroupMachine::may_activate(const LocalContext& context) const {
    return context.leased() && context.guard.alive && !suspended_at_ && !killed_ && context.input.config_stored &&
           ours(context.input);
}

// ---- orders ----

void GroupMachine::adopt(const LocalGroup& durable) {
    phase_ = Phase::kAdopting;
    adopted_mark_ = durable.mark;
    token_ = durable.running;
}

void GroupMachine::load(const config::Group& group) {
    config_ = group;
    loaded_ = true;
    runs_.clear();
    for (const config::Resource& r : group.resources) runs_[r.name] = Run{};
}

void GroupMachine::reconfigure(const config::Group& group) {
    if (phase_ == Phase::kIdle || !loaded_) return;
    const bool same = group.resources.size() == runs_.size() &&
                      std::all_of(group.resources.begin(), group.resources.end(),
                                  [&](const config::Resource& r) { return runs_.contains(r.name); });
    if (same) config_ = group;
}

void GroupMachine::start(const config::Group& group, const StartGroup& order, LocalGroup& durable,
                         LocalContext& context) {
    KAGAMI_ASSERT(phase_ == Phase::kIdle, "a group starts only when nothing older of it is left");
    load(group);
    order_ = order;
    token_ = order.token;
    phase_ = Phase::kStarting;
    broken_.reset();
    wants_failover_ = failed_ = killed_ = false;
    failed_monitors_.clear();
    cause_.clear();
    suspended_at_.reset();
    guard_state_.reset();
    durable.max_token = order.token;
    durable.running = order.token;
    set_mark(RunMark::kStarting, durable, context);
    context.say(Reason::kStarting, subject(), "Group " + name_ + " starts on " + here(context) + ".");
}

void GroupMachine::stop(const StopGroup& order, LocalGroup& durable, LocalContext& context) {
    if (phase_ != Phase::kIdle && order.token < token_) return;  // an order of a former leader
    if (durable.max_token < order.token) durable.max_token = order.token;
    if (phase_ == Phase::kIdle || phase_ == Phase::kStopping || phase_ == Phase::kCleaning) return;
    stop_reason_ = order.reason;
    last_action_ = order.last_action;
    if (phase_ == Phase::kAdopting)
        adopted_mark_ = RunMark::kStopping;  // what is to be stopped is known after the probes
    else
        begin_stop(durable, context);
}

void GroupMachine::set_mark(RunMark mark, LocalGroup& durable, LocalContext& context) const {
    durable.mark = mark;
    context.out.durable_changed = true;
}

void GroupMachine::begin_stop(LocalGroup& durable, LocalContext& context) {
    phase_ = Phase::kStopping;
    broken_.reset();
    restarting_.clear();
    wants_failover_ = false;
    failed_monitors_.clear();
    for (auto& [name, run] : runs_) {
        run.attempts = 0;
        run.passed_over = false;
    }
    set_mark(RunMark::kStopping, durable, context);
    context.say(Reason::kStopping, subject(), "Group " + name_ + " stops on " + here(context) + ".");
}

void GroupMachine::finish_stop(LocalGroup& durable, LocalContext& context) {
    phase_ = Phase::kIdle;
    suspended_at_.reset();
    guard_state_.reset();
    had_lease_ = killed_ = false;
    set_mark(RunMark::kNone, durable, context);
    context.say(Reason::kStopped, subject(), "Group " + name_ + " is stopped on " + here(context) + ".");
}

// ---- operations ----

void GroupMachine::run(const std::string& name, ResourceAction action, LocalContext& context) {
    Run& run = runs_[name];
    const config::Resource& r = *resource(name);
    RunResource command;
    command.operation = ++context.operations;
    command.group = name_;
    command.resource = name;
    command.action = action;
    command.timeout = action == ResourceAction::kDeactivate ? r.deactivate_timeout : r.activate_timeout;
    command.failover = order_.failover;
    command.proven_stopped = order_.proven_stopped;
    command.previous = order_.previous;
    command.stop_reason = phase_ == Phase::kRestarting ? StopReason::kResourceRestart : stop_reason_;
    command.last_action = last_action_;
    run.operation = command.operation;
    run.action = action;
    if (action == ResourceAction::kActivate) run.state = ResourceState::kOnlinePending;
    if (action == ResourceAction::kDeactivate) run.state = ResourceState::kOfflinePending;
    context.out.commands.emplace_back(std::move(command));
}

void GroupMachine::drive_probes(LocalContext& context) {
    for (auto& [name, run_of] : runs_)
        if (!run_of.probed && run_of.operation == 0) run(name, ResourceAction::kProbe, context);
}

void GroupMachine::drive_up(LocalContext& context) {
    if (!may_activate(context)) return;
    for (const config::Resource& r : config_.resources) {
        Run& candidate = runs_[r.name];
        if (candidate.state != ResourceState::kOffline || candidate.operation != 0) continue;
        const bool ready = std::all_of(r.after.begin(), r.after.end(), [&](const std::string& a) {
            return runs_[a].state == ResourceState::kOnline || runs_[a].passed_over;
        });
        if (ready) run(r.name, ResourceAction::kActivate, context);
    }
}

bool GroupMachine::dependents_down(const std::string& name) const {
    return std::all_of(config_.resources.begin(), config_.resources.end(), [&](const config::Resource& r) {
        if (std::find(r.after.begin(), r.after.end(), name) == r.after.end()) return true;
        const Run& run = runs_.at(r.name);
        return run.operation == 0 && (run.state == ResourceState::kOffline || run.passed_over);
    });
}

void GroupMachine::drive_down(const std::set<std::string>& which, LocalContext& context) {
    if (suspended_at_) return;
    for (const std::string& name : which) {
        const Run& candidate = runs_[name];
        if (candidate.operation != 0 || candidate.state == ResourceState::kOffline || candidate.passed_over) continue;
        if (dependents_down(name)) run(name, ResourceAction::kDeactivate, context);
    }
}

bool GroupMachine::all_down(const std::set<std::string>& which) const {
    return std::all_of(which.begin(), which.end(), [&](const std::string& name) {
        const Run& run = runs_.at(name);
        return run.operation == 0 && (run.state == ResourceState::kOffline || run.passed_over);
    });
}

void GroupMachine::on_done(const ResourceDone& done, const std::string& name, LocalGroup& durable,
                           LocalContext& context) {
    Run& run = runs_[name];
    const config::Resource& r = *resource(name);
    run.operation = 0;
    run.message = done.ok ? "" : done.message;
    switch (run.action) {
        case ResourceAction::kActivate: activated(run, r, done, context); break;
        case ResourceAction::kDeactivate: deactivated(run, r, done, context); break;
        case ResourceAction::kProbe:
            if (done.operation > stale_probes_) probed(run, r, done);
            break;
    }
    advance(durable, context);
}

void GroupMachine::activated(Run& run, const config::Resource& r, const ResourceDone& done, LocalContext& context) {
    if (done.ok) {
        run.state = ResourceState::kOnline;
        run.attempts = 0;
        return;
    }
    run.state = ResourceState::kOnlineFailure;
    if (phase_ == Phase::kStopping || phase_ == Phase::kCleaning) return;  // goes down anyway
    const config::ActivationFailure& rule = r.on_activation_failure;
    if (!suspended_at_ && ++run.attempts <= rule.retry) {
        run.state = ResourceState::kOffline;
        return context.say(Reason::kRetrying, subject(),
                           "Resource " + r.name + " is started again after a failure" + because(done.message) + ".");
    }
    if (suspended_at_) {  // it failed because it was suspended: that is no attempt
        run.state = ResourceState::kOffline;
        return;
    }
    cause_ = "resource " + r.name + because(done.message);
    context.say(Reason::kActivationFailed, subject(),
                "Resource " + r.name + " could not be started on " + here(context) + because(done.message) + ".");
    const auto entry = context.input.document->groups.find(name_);
    const uint32_t used = entry == context.input.document->groups.end() ? 0 : entry->second.failovers;
    if (used < static_cast<uint32_t>(rule.failover)) {
        wants_failover_ = true;
        broken_ = config::FinalAction::kStay;
    } else if (rule.final == config::FinalAction::kNone) {
        run.passed_over = true;
        failed_ = true;
    } else {
        broken_ = rule.final;
    }
}

void GroupMachine::deactivated(Run& run, const config::Resource& r, const ResourceDone& done, LocalContext& context) {
    if (done.ok) {
        run.state = ResourceState::kOffline;
        run.attempts = 0;
        return;
    }
    run.state = ResourceState::kOfflineFailure;
    if (suspended_at_ || killed_) return;  // tried again when it goes on
    const config::DeactivationFailure& rule = r.on_deactivation_failure;
    if (++run.attempts <= rule.retry)
        return context.say(Reason::kRetrying, subject(),
                           "Resource " + r.name + " is stopped again after a failure" + because(done.message) + ".");
    if (phase_ == Phase::kRestarting) {  // what has died cannot be stopped: a probe tells
        run.probed = false;
        return this->run(r.name, ResourceAction::kProbe, context);
    }
    cause_ = "resource " + r.name + because(done.message);
    context.say(Reason::kDeactivationFailed, subject(),
                "Resource " + r.name + " could not be stopped on " + here(context) + because(done.message) + ".");
    if (rule.final == config::FinalAction::kNone)
        run.passed_over = true;
    else
        broken_ = rule.final;
}

void GroupMachine::probed(Run& run, const config::Resource& r, const ResourceDone& done) {
    run.probed = true;
    const bool down = done.ok && done.probe == ProbeResult::kInactive;
    const bool up = done.ok && done.probe == ProbeResult::kActive;
    if (phase_ == Phase::kRestarting) {  // after a failed stop
        run.state = down ? ResourceState::kOffline : ResourceState::kOfflineFailure;
        if (down) return;
        cause_ = "resource " + r.name + " could not be stopped";
        broken_ = r.on_deactivation_failure.final;
        return;
    }
    run.state = down ? ResourceState::kOffline : up ? ResourceState::kOnline : ResourceState::kUnknown;
}

// ---- the flow ----

void GroupMachine::advance(LocalGroup& durable, LocalContext& context) {
    if (phase_ == Phase::kIdle) return;
    update_suspension(context);
    if (doomed(context.input) && !context.guard.alive && phase_ != Phase::kStopping && phase_ != Phase::kStopFailed &&
        phase_ != Phase::kAdopting && phase_ != Phase::kCleaning) {  // no guard to kill it: stop it the ordinary way
        suspended_at_.reset();
        stop_reason_ = StopReason::kGroupFailover;
        begin_stop(durable, context);
    }
    for (Phase before = Phase::kIdle; before != phase_ && phase_ != Phase::kIdle;) {
        before = phase_;
        settle(durable, context);
    }
}

void GroupMachine::settle(LocalGroup& durable, LocalContext& context) {
    switch (phase_) {
        case Phase::kIdle:
        case Phase::kActive:
        case Phase::kStartFailed:
        case Phase::kStopFailed: return;
        case Phase::kAdopting:
        case Phase::kCleaning:
            if (!loaded_) {
                if (context.input.config == nullptr || !context.input.config_stored) return;
                const config::Group* group = context.input.config->group(name_);
                if (group == nullptr) return finish_stop(durable, context);
                load(*group);
            }
            if (phase_ == Phase::kAdopting || !busy()) drive_probes(context);
            if (!busy()) probes_done(durable, context);
            return;
        case Phase::kStarting:
        case Phase::kRestarting:
            if (broken_) {
                if (!busy()) broken(durable, context);
                return;
            }
            std::erase_if(restarting_, [&](const std::string& name) { return all_down({name}); });
            if (!restarting_.empty()) return drive_down(restarting_, context);
            drive_up(context);
            return up_done(durable, context);
        case Phase::kStopping:
            if (broken_) {
                if (!busy()) broken(durable, context);
                return;
            }
            drive_down(all(), context);
            if (all_down(all())) down_done(durable, context);
            return;
    }
}

void GroupMachine::probes_done(LocalGroup& durable, LocalContext& context) {
    const bool everything_down = all_down(all());
    if (phase_ == Phase::kCleaning || adopted_mark_ == RunMark::kStopping) {
        if (everything_down) return finish_stop(durable, context);
        return begin_stop(durable, context);
    }
    std::set<std::string> unsound;
    std::string missing;
    for (const auto& [name, run] : runs_) {
        if (run.state == ResourceState::kOnline) continue;
        unsound.insert(name);
        missing += (missing.empty() ? "" : ", ") + name;
    }
    if (unsound.empty()) {
        phase_ = Phase::kActive;
        set_mark(RunMark::kActive, durable, context);
        return context.say(Reason::kAdopted, subject(),
                           "Group " + name_ + " was found running on " + here(context) + " and goes on.");
    }
    phase_ = Phase::kRestarting;
    restarting_ = with_dependents(unsound);
    context.say(Reason::kRecoveryRestart, subject(),
                "Group " + name_ + " was found incomplete on " + here(context) + ": " + missing + " is started again.");
}

void GroupMachine::up_done(LocalGroup& durable, LocalContext& context) {
    bool complete = true;
    for (const auto& [name, run] : runs_) {
        if (run.passed_over) complete = false;
        if (!run.passed_over && run.state != ResourceState::kOnline) return;
    }
    if (!complete) return enter_start_failed(config::FinalAction::kNone, durable, context);
    phase_ = Phase::kActive;
    set_mark(RunMark::kActive, durable, context);
    context.say(Reason::kActive, subject(), "Group " + name_ + " is active on " + here(context) + ".");
}

void GroupMachine::down_done(LocalGroup& durable, LocalContext& context) {
    const bool proven =
        std::none_of(runs_.begin(), runs_.end(), [](const auto& item) { return item.second.passed_over; });
    if (proven) return finish_stop(durable, context);
    enter_stop_failed(config::FinalAction::kNone, context);
}

void GroupMachine::broken(LocalGroup& durable, LocalContext& context) {
    const config::FinalAction action = broken_.value_or(config::FinalAction::kStay);
    broken_.reset();
    const bool stop_failed =
        phase_ == Phase::kStopping || std::any_of(runs_.begin(), runs_.end(), [](const auto& item) {
            return item.second.state == ResourceState::kOfflineFailure;
        });
    if (stop_failed)
        enter_stop_failed(action, context);
    else
        enter_start_failed(action, durable, context);
}

void GroupMachine::enter_start_failed(config::FinalAction action, LocalGroup& durable, LocalContext& context) {
    phase_ = Phase::kStartFailed;
    if (wants_failover_)
        return context.say(Reason::kRecoveryFailover, subject(),
                           "Group " + name_ + " asks to be moved away from " + here(context) + ": " + cause_ + ".");
    act_finally(action, cause_, durable, context);
}

void GroupMachine::enter_stop_failed(config::FinalAction action, LocalContext& context) {
    phase_ = Phase::kStopFailed;
    failed_ = true;
    context.final_action = system_action(action).has_value() ? system_action(action) : context.final_action;
    context.say(Reason::kFinalAction, subject(),
                "Group " + name_ + " could not be stopped; final action: " + std::string(config::word(action)) + ".");
}

void GroupMachine::act_finally(config::FinalAction action, const std::string& cause, LocalGroup& durable,
                               LocalContext& context) {
    failed_ = true;
    cause_ = cause;
    context.say(Reason::kFinalAction, subject(),
                "Recovery of group " + name_ + " on " + here(context) + " is used up (" + cause +
                    "); final action: " + std::string(config::word(action)) + ".");
    if (action == config::FinalAction::kStopGroup) {
        stop_reason_ = StopReason::kGroupStop;
        begin_stop(durable, context);
        failed_ = true;
    }
    if (system_action(action)) context.final_action = system_action(action);
}

// ---- recovery asked for by monitors ----

void GroupMachine::restart(const std::string& resource, const std::string& cause, LocalContext& context) {
    if (phase_ != Phase::kActive) return;
    phase_ = Phase::kRestarting;
    restarting_ = resource.empty() ? all() : with_dependents({resource});
    for (const std::string& name : restarting_) {
        runs_[name].attempts = 0;
        runs_[name].passed_over = false;
    }
    context.say(Reason::kRecoveryRestart, subject(),
                (resource.empty() ? "Group " + name_ : "Resource " + resource) + " is restarted on " + here(context) +
                    ": " + cause + ".");
}

void GroupMachine::want_failover(const std::string& monitor, const std::string& cause) {
    failed_monitors_.insert(monitor);
    cause_ = cause;
}

void GroupMachine::end_error(const std::string& monitor) {
    failed_monitors_.erase(monitor);
}

// ---- lease and guard ----

void GroupMachine::suspend(Instant at, LocalContext& context, const std::string& why) {
    suspended_at_ = at;
    context.say(Reason::kSuspended, subject(),
                "Group " + name_ + " is suspended on " + here(context) + ": " + why + ".");
}

void GroupMachine::update_suspension(LocalContext& context) {
    if (killed_) return;
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
