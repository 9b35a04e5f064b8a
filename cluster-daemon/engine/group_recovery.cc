#include "cluster-daemon/engine/group_machine.h"

#include <algorithm>

#include "cluster-daemon/engine/local_rules.h"

namespace kagami::engine {

void GroupMachine::use_up(const config::Resource& r, bool deactivating, config::FinalAction action) {
    if (broken_ && broken_->told) return;  // what follows is being done
    broken_ = Broken{action, r.name, deactivating, false};
}

// The script before the final action is for an action that will be taken.
bool GroupMachine::tells_before_final(const LocalContext& context) const {
    if (!broken_ || broken_->told || wants_failover_) return false;
    return context.final_actions.refusal(broken_->action, name_, context.input).empty();
}

void GroupMachine::broken(LocalGroup& durable, LocalContext& context) {
    const Broken failed = *broken_;
    if (tells_before_final(context) && run_script(failed.resource, ScriptMoment::kBeforeFinal, context)) return;
    broken_.reset();
    const bool stop_failed =
        phase_ == Phase::kStopping || std::any_of(runs_.begin(), runs_.end(), [](const auto& item) {
            return item.second.state == ResourceState::kOfflineFailure;
        });
    if (stop_failed)
        enter_stop_failed(failed.action, context);
    else
        enter_start_failed(failed.action, durable, context);
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
    context.say(Reason::kFinalAction, subject(),
                "Group " + name_ + " could not be stopped; final action: " + std::string(config::word(action)) + ".");
    context.final_actions.ask(action, name_, cause_, context.input, context.out);
}

void GroupMachine::act_finally(config::FinalAction action, const std::string& cause, LocalGroup& durable,
                               LocalContext& context) {
    failed_ = true;
    cause_ = cause;
    context.say(Reason::kFinalAction, subject(),
                "Recovery of group " + name_ + " on " + here(context) + " is used up (" + cause +
                    "); final action: " + std::string(config::word(action)) + ".");
    const auto scope = maintained(context.input, name_);
    if (action == config::FinalAction::kStopGroup && scope) {
        context.say(Reason::kRecoveryObserved, subject(),
                    "Group " + name_ + " would be stopped on " + here(context) + ", but " + *scope +
                        " is under maintenance.");
    } else if (action == config::FinalAction::kStopGroup) {
        stop_reason_ = StopReason::kGroupStop;
        begin_stop(durable, context);
        failed_ = true;
    }
    context.final_actions.ask(action, name_, cause, context.input, context.out);
}

// The final action `stop-resource` of a monitor.
void GroupMachine::stop_resource(const std::string& resource, const std::string& cause, LocalContext& context) {
    if (phase_ != Phase::kActive || !runs_.contains(resource) || !halted_.insert(resource).second) return;
    cause_ = cause;
    context.say(Reason::kFinalAction, subject(),
                "Recovery of resource " + resource + " on " + here(context) + " is used up (" + cause +
                    "); final action: " + std::string(config::word(config::FinalAction::kStopResource)) + ".");
}

// ---- recovery asked for by monitors ----

void GroupMachine::restart(const std::string& resource, const std::string& cause, LocalContext& context) {
    if (phase_ != Phase::kActive) return;
    phase_ = Phase::kRestarting;
    whole_ = resource.empty();
    event_failover_ = false;
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

}  // namespace kagami::engine
