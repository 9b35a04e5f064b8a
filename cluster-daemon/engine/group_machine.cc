#include "cluster-daemon/engine/group_machine.h"

#include <algorithm>
#include <utility>

#include "cluster-daemon/engine/local_rules.h"
#include "common/assert.h"

namespace kagami::engine {
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
    return node_name(context.input);
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
           !context.input.unmanaged && ours(context.input);
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
    wants_failover_ = failed_ = killed_ = incomplete_ = false;
    event_failover_ = order.failover;
    failed_monitors_.clear();
    halted_.clear();
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
    had_lease_ = killed_ = incomplete_ = false;
    set_mark(RunMark::kNone, durable, context);
    context.say(Reason::kStopped, subject(), "Group " + name_ + " is stopped on " + here(context) + ".");
}

// ---- the flow ----

void GroupMachine::advance(LocalGroup& durable, LocalContext& context) {
    if (phase_ == Phase::kIdle) return;
    update_suspension(context);
    follow_document(context);
    if (doomed(context.input) && (!context.guard.alive || context.input.unmanaged) && phase_ != Phase::kStopping && phase_ != Phase::kStopFailed &&
        phase_ != Phase::kAdopting && phase_ != Phase::kCleaning) {  // no guard kills it: stop it the ordinary way
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
        case Phase::kStartFailed:
        case Phase::kStopFailed: return;
        case Phase::kActive: return settle_active(durable, context);
        case Phase::kAdopting:
        case Phase::kCleaning:
            if (!loaded_) {
                if (context.input.config == nullptr || !context.input.config_stored) return;
                const config::Group* group = context.input.config->group(name_);
                if (group == nullptr) return finish_stop(durable, context);
                load(*group);
                follow_document(context);
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
            if (context.input.unmanaged) return;
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

// Which resources shall be down while the group runs. One that has left the set and could not be stopped counts as
// running: it never went.
void GroupMachine::follow_document(LocalContext& context) {
    const auto at = context.input.document->groups.find(name_);
    if (!loaded_ || at == context.input.document->groups.end() || at->second.token != token_) return;
    std::set<std::string> wanted = halted_;
    for (const std::string& name : at->second.stopped_resources) {
        halted_.erase(name);
        if (runs_.contains(name)) wanted.insert(name);
    }
    const std::set<std::string> before = std::exchange(stopped_, with_dependents(wanted));
    for (const std::string& name : before) {
        if (stopped(name) || !runs_.contains(name)) continue;
        Run& back = runs_[name];
        back.attempts = 0;
        back.passed_over = false;
        if (back.state == ResourceState::kOfflineFailure) back.state = ResourceState::kOnline;
    }
}

// Active: what a person stops goes down, what is to run again comes up, and the group stays active.
void GroupMachine::settle_active(LocalGroup& durable, LocalContext& context) {
    if (broken_) {
        if (!busy()) broken(durable, context);
        return;
    }
    if (context.input.unmanaged) return;
    if (incomplete_ && maintained(context.input, name_)) return;
    if (incomplete_) return probe_again();
    drive_down(stopped_, context);
    drive_up(context);
}

void GroupMachine::probe_again() {
    if (phase_ != Phase::kActive || busy()) return;
    phase_ = Phase::kAdopting;
    adopted_mark_ = RunMark::kActive;
    incomplete_ = false;
    for (auto& [name, run] : runs_) run.probed = false;
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
        if (run.state == ResourceState::kOnline || (run.state == ResourceState::kOffline && stopped(name))) continue;
        unsound.insert(name);
        missing += (missing.empty() ? "" : ", ") + name;
    }
    if (unsound.empty()) {
        phase_ = Phase::kActive;
        set_mark(RunMark::kActive, durable, context);
        return context.say(Reason::kAdopted, subject(),
                           "Group " + name_ + " was found running on " + here(context) + " and goes on.");
    }
    const std::string found = "Group " + name_ + " was found incomplete on " + here(context) + ": " + missing;
    if (const auto scope = maintained(context.input, name_)) {
        phase_ = Phase::kActive;
        incomplete_ = true;
        set_mark(RunMark::kActive, durable, context);
        return context.say(Reason::kRecoveryObserved, subject(),
                           found + " would be started again, but " + *scope + " is under maintenance.");
    }
    phase_ = Phase::kRestarting;
    whole_ = false;
    event_failover_ = false;
    restarting_ = with_dependents(unsound);
    context.say(Reason::kRecoveryRestart, subject(), found + " is started again.");
}

void GroupMachine::up_done(LocalGroup& durable, LocalContext& context) {
    bool complete = true;
    for (const auto& [name, run] : runs_) {
        if (stopped(name)) continue;
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

}  // namespace kagami::engine
