#include "cluster-daemon/engine/group_machine.h"

#include <algorithm>

#include "cluster-daemon/engine/local_rules.h"

namespace kagami::engine {

namespace {

bool is_disk(const std::string& type) {
    return type == "md" || type == "disk" || type == "volmgr";
}

}  // namespace

// For CLP_DISK: scripts that start although a disk of their group has failed.
bool GroupMachine::disk_failed() const {
    return std::any_of(config_.resources.begin(), config_.resources.end(), [&](const config::Resource& r) {
        const Run& run = runs_.at(r.name);
        return is_disk(r.type) && (run.passed_over || run.state == ResourceState::kOnlineFailure ||
                                   run.state == ResourceState::kOfflineFailure);
    });
}

void GroupMachine::begin_step(const std::string& name, ResourceAction action, LocalContext& context) {
    const bool up = action == ResourceAction::kActivate;
    Run& run_of = runs_[name];
    run_of.action = action;
    run_of.state = up ? ResourceState::kOnlinePending : ResourceState::kOfflinePending;
    const ScriptMoment before = up ? ScriptMoment::kBeforeActivation : ScriptMoment::kBeforeDeactivation;
    if (!run_script(name, before, context)) run(name, action, context);
}

void GroupMachine::run(const std::string& name, ResourceAction action, LocalContext& context) {
    Run& run = runs_[name];
    const config::Resource& r = *resource(name);
    RunResource command;
    command.operation = ++context.operations;
    command.group = name_;
    command.resource = name;
    command.action = action;
    command.timeout = stretched(action == ResourceAction::kDeactivate ? r.deactivate_timeout : r.activate_timeout,
                                *context.input.document);
    command.failover = event_failover_;
    command.proven_stopped = order_.proven_stopped;
    command.previous = order_.previous;
    command.stop_reason = stop_reason();
    command.last_action = last_action_;
    command.disk_failed = disk_failed();
    run.operation = command.operation;
    run.action = action;
    context.out.commands.emplace_back(std::move(command));
}

// False: there is none. What is under way then is the script.
bool GroupMachine::run_script(const std::string& name, ScriptMoment moment, LocalContext& context) {
    const config::ResourceScripts& scripts = resource(name)->scripts;
    if (script_of(scripts, moment).empty()) return false;
    Run& run = runs_[name];
    RunResourceScript command;
    command.operation = ++context.operations;
    command.group = name_;
    command.resource = name;
    command.moment = moment;
    command.timeout = stretched(scripts.timeout, *context.input.document);
    command.deactivating = moment == ScriptMoment::kBeforeFinal ? broken_ && broken_->deactivating
                                                                : run.action == ResourceAction::kDeactivate;
    command.failover = event_failover_;
    command.stop_reason = stop_reason();
    command.last_action = last_action_;
    command.previous = order_.previous;
    command.disk_failed = disk_failed();
    run.operation = command.operation;
    run.script = moment;
    context.out.commands.emplace_back(std::move(command));
    return true;
}

StopReason GroupMachine::stop_reason() const {
    if (phase_ != Phase::kRestarting) return stop_reason_;
    return whole_ ? StopReason::kGroupRestart : StopReason::kResourceRestart;
}

void GroupMachine::drive_probes(LocalContext& context) {
    for (auto& [name, run_of] : runs_)
        if (!run_of.probed && run_of.operation == 0) run(name, ResourceAction::kProbe, context);
}

void GroupMachine::drive_up(LocalContext& context) {
    if (!may_activate(context)) return;
    for (const config::Resource& r : config_.resources) {
        Run& candidate = runs_[r.name];
        if (candidate.state != ResourceState::kOffline || candidate.operation != 0 || stopped(r.name)) continue;
        const bool ready = std::all_of(r.after.begin(), r.after.end(), [&](const std::string& a) {
            return runs_[a].state == ResourceState::kOnline || runs_[a].passed_over;
        });
        if (ready) begin_step(r.name, ResourceAction::kActivate, context);
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
        if (dependents_down(name)) begin_step(name, ResourceAction::kDeactivate, context);
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
        case ResourceAction::kActivate:
            if (!done.ok || !run_script(name, ScriptMoment::kAfterActivation, context))
                activated(run, r, done, context);
            break;
        case ResourceAction::kDeactivate:
            if (done.ok && suspended_at_ && !script_of(r.scripts, ScriptMoment::kAfterDeactivation).empty())
                run.state = ResourceState::kOfflineFailure;  // as a whole again, when it goes on
            else if (!done.ok || !run_script(name, ScriptMoment::kAfterDeactivation, context))
                deactivated(run, r, done, context);
            break;
        case ResourceAction::kProbe:
            if (done.operation > stale_probes_) probed(run, r, done);
            break;
    }
    advance(durable, context);
}

void GroupMachine::on_script_done(const ScriptDone& done, const std::string& name, LocalGroup& durable,
                                  LocalContext& context) {
    Run& run = runs_[name];
    const config::Resource& r = *resource(name);
    const ScriptMoment moment = run.script.value_or(ScriptMoment::kBeforeFinal);
    run.operation = 0;
    run.script.reset();
    if (!done.ok)
        context.say(Reason::kScriptFailed, subject(),
                    "The script " + std::string(words(moment)) + " of resource " + name + " failed on " +
                        here(context) + because(done.message) + ".");
    if (moment == ScriptMoment::kBeforeFinal) {
        if (broken_) broken_->told = true;
    } else if (done.ok) {
        script_passed(run, r, moment, done, context);
    } else {
        run.message = done.message;
        const ResourceDone failed{done.operation, false, ProbeResult::kInactive, done.message};
        if (run.action == ResourceAction::kActivate)
            activated(run, r, failed, context);
        else
            deactivated(run, r, failed, context);
    }
    advance(durable, context);
}

// The step goes on, unless what happened meanwhile forbids it.
void GroupMachine::script_passed(Run& run, const config::Resource& r, ScriptMoment moment, const ScriptDone& done,
                                 LocalContext& context) {
    const ResourceDone passed{done.operation, true, ProbeResult::kActive, ""};
    const bool ends = phase_ == Phase::kStopping || phase_ == Phase::kCleaning || broken_ || !ours(context.input);
    switch (moment) {
        case ScriptMoment::kBeforeActivation:
            if (!ends && may_activate(context)) return this->run(r.name, ResourceAction::kActivate, context);
            // Begun anew when there is a lease again; or its deactivation undoes what the script did.
            run.state = ends ? ResourceState::kOnlineFailure : ResourceState::kOffline;
            return;
        case ScriptMoment::kAfterActivation: return activated(run, r, passed, context);
        case ScriptMoment::kBeforeDeactivation:
            if (!suspended_at_ && !killed_) return this->run(r.name, ResourceAction::kDeactivate, context);
            run.state = ResourceState::kOfflineFailure;  // tried again when it goes on
            return;
        case ScriptMoment::kAfterDeactivation: return deactivated(run, r, passed, context);
        case ScriptMoment::kBeforeFinal: return;
    }
}

void GroupMachine::activated(Run& run, const config::Resource& r, const ResourceDone& done, LocalContext& context) {
    if (done.ok) {
        run.state = ResourceState::kOnline;
        run.attempts = 0;
        if (phase_ == Phase::kActive)
            context.say(Reason::kResourceStarted, subject(),
                        "Resource " + r.name + " is started again on " + here(context) + ".");
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
        use_up(r, false, config::FinalAction::kStay);
    } else if (rule.final == config::FinalAction::kNone) {
        run.passed_over = true;
        failed_ = true;
    } else {
        use_up(r, false, rule.final);
    }
}

void GroupMachine::deactivated(Run& run, const config::Resource& r, const ResourceDone& done, LocalContext& context) {
    if (done.ok) {
        run.state = ResourceState::kOffline;
        run.attempts = 0;
        if (phase_ == Phase::kActive)
            context.say(Reason::kResourceStopped, subject(),
                        "Resource " + r.name + " is stopped on " + here(context) + "; group " + name_ + " goes on.");
        return;
    }
    run.state = ResourceState::kOfflineFailure;
    if (suspended_at_ || killed_) return;  // tried again when it goes on
    const config::DeactivationFailure& rule = r.on_deactivation_failure;
    if (++run.attempts <= rule.retry)
        return context.say(Reason::kRetrying, subject(),
                           "Resource " + r.name + " is stopped again after a failure" + because(done.message) + ".");
    if (phase_ == Phase::kRestarting || phase_ == Phase::kActive) {  // what has died cannot be stopped: a probe tells
        run.probed = false;
        return this->run(r.name, ResourceAction::kProbe, context);
    }
    cause_ = "resource " + r.name + because(done.message);
    context.say(Reason::kDeactivationFailed, subject(),
                "Resource " + r.name + " could not be stopped on " + here(context) + because(done.message) + ".");
    if (rule.final == config::FinalAction::kNone)
        run.passed_over = true;
    else
        use_up(r, true, rule.final);
}

void GroupMachine::probed(Run& run, const config::Resource& r, const ResourceDone& done) {
    run.probed = true;
    const bool down = done.ok && done.probe == ProbeResult::kInactive;
    const bool up = done.ok && done.probe == ProbeResult::kActive;
    if (phase_ == Phase::kRestarting || phase_ == Phase::kActive) {  // after a failed stop
        run.state = down ? ResourceState::kOffline : ResourceState::kOfflineFailure;
        if (down) return;
        cause_ = "resource " + r.name + " could not be stopped";
        use_up(r, true, r.on_deactivation_failure.final);
        return;
    }
    run.state = down ? ResourceState::kOffline : up ? ResourceState::kOnline : ResourceState::kUnknown;
}

}  // namespace kagami::engine
