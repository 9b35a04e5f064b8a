#include "cluster-daemon/engine/local_manager.h"

#include <algorithm>

#include "cluster-daemon/engine/group_machine.h"
#include "cluster-daemon/engine/monitor_machine.h"

namespace kagami::engine {
namespace {

void earlier(std::optional<Instant>& wake, Instant t) {
    if (t != kNever && (!wake || t < *wake)) wake = t;
}

SystemAction action_of(Leaving leaving) {
    switch (leaving) {
        case Leaving::kNo:
        case Leaving::kStopDaemon: return SystemAction::kStopDaemon;
        case Leaving::kHalt: return SystemAction::kHalt;
        case Leaving::kReboot: return SystemAction::kReboot;
    }
    return SystemAction::kStopDaemon;
}

}  // namespace

struct LocalManager::State {
    std::map<std::string, LocalGroup> durable;
    std::map<std::string, GroupMachine> machines;
    std::map<std::string, MonitorMachine> monitors;
    std::map<uint64_t, std::string> scripts;      // recovery scripts under way -> monitor
    std::map<std::string, std::string> refusals;  // last refusal of a START by group, said once
    std::map<std::string, StartGroup> waiting;    // refused for now: obeyed as soon as nothing is against it
    Hash config_hash{};                           // configuration that monitors and machines follow
    bool config_followed = false;
    GuardObserved guard;
    uint64_t operations = 0;
    LocalOutput out;
    NodeReport last_report;
    bool reported = false;

    std::optional<SystemAction> final_action;  // a final action asks this node to leave
    bool member_seen = false;                  // in this life of the daemon
    bool asked_to_leave = false;               // the document does
    std::optional<Instant> act_at;             // the document says LEFT: the system action follows then
    bool acted = false;
    std::map<std::string, GuardedGroup> guarded;

    LocalContext context(const LocalInput& input) { return {input, out, guard, operations, final_action}; }
    GroupMachine& machine(const std::string& group) { return machines.try_emplace(group, group).first->second; }

    std::optional<std::string> refusal(const StartGroup& order, const LocalInput& input);
    void try_start(const StartGroup& order, const LocalInput& input);
    void retry_starts(const LocalInput& input);
    void advance(const LocalInput& input);
    void follow_document(const LocalInput& input);
    void leave_now(const LocalInput& input, SystemAction action, std::string why);
    void follow_config(const LocalInput& input);
    MonitorMachine::Gate gate_of(const config::Monitor& monitor);
    void advance_monitors(const LocalInput& input);
    void recover(MonitorMachine& monitor, const LocalInput& input);
    std::vector<std::string> targets(const config::Monitor& monitor);
    void take_step(MonitorMachine& monitor, RecoveryStep step, const std::vector<std::string>& groups,
                   const LocalInput& input);
    NodeReport report() const;
};

// ---- orders ----

// Why a START is not obeyed; the rules of protocol.md 10.
std::optional<std::string> LocalManager::State::refusal(const StartGroup& order, const LocalInput& input) {
    const LocalGroup& known = durable[order.group];
    GroupMachine& group = machine(order.group);
    if (order.token <= known.max_token)
        return "its token " + to_string(order.token) + " is not newer than " + to_string(known.max_token) +
               ", which was seen here";
    if (!group.idle()) return "an older start of it (" + to_string(group.token()) + ") is not cleared up here yet";
    if (input.config == nullptr || !input.config_stored)
        return "the configuration in force is not stored on this node yet";
    if (input.config->group(order.group) == nullptr) return "the configuration in force has no such group";
    if (input.now >= input.run_until) return "this node holds no lease";
    if (!guard.alive) return "the guard of this node does not run";
    if (final_action || asked_to_leave || act_at) return "this node is leaving the cluster";
    const auto entry = input.document->groups.find(order.group);
    const bool named = entry != input.document->groups.end() && entry->second.owner == input.self &&
                       entry->second.token == order.token && entry->second.goal == Goal::kStarted;
    if (!named || !input.document->names(input.self))
        return "the document known here does not name this node as its owner with this token";
    return std::nullopt;
}

void LocalManager::State::try_start(const StartGroup& order, const LocalInput& input) {
    GroupMachine& group = machine(order.group);
    waiting.erase(order.group);
    if (!group.idle() && group.token() == order.token) return;  // a repetition
    if (const std::optional<std::string> why = refusal(order, input); why) {
        if (order.token > durable[order.group].max_token) waiting[order.group] = order;
        if (refusals[order.group] == *why) return;
        refusals[order.group] = *why;
        out.decisions.push_back({Reason::kStartRefused,
                                 "group " + order.group,
                                 "The start of group " + order.group + " is refused here: " + *why + ".",
                                 {}});
        return;
    }
    refusals.erase(order.group);
    LocalContext using_context = context(input);
    group.start(*input.config->group(order.group), order, durable[order.group], using_context);
}

// The lease or the document often comes a moment after the order: no need to wait until the leader repeats it.
void LocalManager::State::retry_starts(const LocalInput& input) {
    for (const auto& [group, order] : std::map<std::string, StartGroup>(waiting)) try_start(order, input);
}

void LocalManager::on_start(const StartGroup& order, const LocalInput& input) {
    state_->try_start(order, input);
    state_->advance(input);
}

void LocalManager::on_stop(const StopGroup& order, const LocalInput& input) {
    State& s = *state_;
    LocalContext context = s.context(input);
    LocalGroup& durable = s.durable[order.group];
    const LocalGroup before = durable;
    s.waiting.erase(order.group);
    s.machine(order.group).stop(order, durable, context);
    if (durable != before) s.out.durable_changed = true;
    s.advance(input);
}

// ---- completions ----

void LocalManager::on_resource_done(const ResourceDone& done, const LocalInput& input) {
    State& s = *state_;
    for (auto& [name, group] : s.machines) {
        const std::string* found = group.resource_of(done.operation);
        if (found == nullptr) continue;
        const std::string resource = *found;
        LocalContext context = s.context(input);
        group.on_done(done, resource, s.durable[name], context);
        break;
    }
    s.advance(input);
}

void LocalManager::on_monitor_done(const MonitorDone& done, const LocalInput& input) {
    State& s = *state_;
    for (auto& [name, monitor] : s.monitors) {
        if (monitor.operation() != done.operation || done.operation == 0) continue;
        const MonitorState before = monitor.report().state;
        const bool confirmed = monitor.on_done(done, input.now);
        const MonitorState after = monitor.report().state;
        if (after == MonitorState::kError && before != after)
            s.out.decisions.push_back({Reason::kMonitorError,
                                       "monitor " + name,
                                       "Monitor " + name + " reports an error: " + monitor.report().message + ".",
                                       {}});
        if (after == MonitorState::kNormal && before == MonitorState::kError)
            s.out.decisions.push_back(
                {Reason::kMonitorNormal, "monitor " + name, "Monitor " + name + " is normal again.", {}});
        if (after != MonitorState::kError)
            for (auto& [group, machine] : s.machines) machine.end_error(name);
        if (confirmed) s.recover(monitor, input);
        break;
    }
    s.advance(input);
}

void LocalManager::on_monitor_stirred(const MonitorStirred& stirred, const LocalInput& input) {
    const auto at = state_->monitors.find(stirred.monitor);
    if (at != state_->monitors.end()) at->second.stirred(input.now);
    state_->advance(input);
}

void LocalManager::on_script_done(const ScriptDone& done, const LocalInput& input) {
    State& s = *state_;
    const auto at = s.scripts.find(done.operation);
    if (at == s.scripts.end()) return;
    const auto monitor = s.monitors.find(at->second);
    if (monitor != s.monitors.end()) monitor->second.stirred(input.now);  // look at once whether it helped
    s.scripts.erase(at);
    s.advance(input);
}

void LocalManager::on_guard(const GuardObserved& observed, const LocalInput& input) {
    State& s = *state_;
    s.guard = observed;
    for (const auto& [name, token, state] : observed.groups) {
        const auto at = s.machines.find(name);
        if (at == s.machines.end() || at->second.idle() || at->second.token() != token) continue;
        LocalContext context = s.context(input);
        at->second.on_guard(state, s.durable[name], context);
    }
    s.advance(input);
}

void LocalManager::advance(const LocalInput& input) {
    state_->advance(input);
}

void LocalManager::State::advance(const LocalInput& input) {
    follow_document(input);
    retry_starts(input);
    LocalContext using_context = context(input);
    for (auto& [name, group] : machines) group.advance(durable[name], using_context);
    advance_monitors(input);
    guarded.clear();
    out.wake_at.reset();
    for (auto& [name, group] : machines) {
        if (group.idle()) continue;
        guarded[name] = {name, group.token(), group.strict(), group.verdict(input)};
        if (input.now < input.run_until) earlier(out.wake_at, input.run_until);
    }
    for (const auto& [name, monitor] : monitors)
        if (const auto at = monitor.wake_at(); at) earlier(out.wake_at, *at);
    if (act_at && !acted) earlier(out.wake_at, *act_at);
}

// ---- leaving ----

void LocalManager::State::follow_document(const LocalInput& input) {
    const NodeEntry& entry = input.document->node(input.self.node);
    const bool mine = entry.boot == input.self.boot;
    asked_to_leave = mine && entry.state == NodeState::kMember && entry.leaving != Leaving::kNo;
    if (mine && entry.state == NodeState::kMember) {
        member_seen = true;
        act_at.reset();
    }
    if (mine && entry.state == NodeState::kLeft && member_seen && !act_at) {
        const bool leads = input.document->leader.node == input.self.node;
        act_at = input.now + (leads ? input.timing->hold : input.timing->renew);
    }
    if (act_at && input.now >= *act_at)
        leave_now(input, final_action.value_or(action_of(entry.leaving)), "this node has left the cluster");
    // A group that cannot be stopped keeps the node from leaving cleanly: once all else is stopped the final action is
    // taken.
    bool stop_failed = false;
    bool others_stopped = true;
    for (const auto& [name, group] : machines) {
        if (group.phase() == GroupMachine::Phase::kStopFailed)
            stop_failed = true;
        else if (!group.idle())
            others_stopped = false;
    }
    if (final_action && stop_failed && others_stopped)
        leave_now(input, *final_action, "a group could not be stopped and its final action asks for it");
}

void LocalManager::State::leave_now(const LocalInput& input, SystemAction action, std::string why) {
    if (acted) return;
    acted = true;
    const std::string name =
        input.config != nullptr ? input.config->node_name(input.self.node) : to_string(input.self.node);
    out.decisions.push_back({Reason::kFinalAction, "node " + name, name + " stops: " + why + ".", {}});
    out.commands.emplace_back(ActOnSystem{action, std::move(why)});
}

// ---- monitors ----

void LocalManager::State::follow_config(const LocalInput& input) {
    if (input.config == nullptr || !input.config_stored) return;
    if (config_followed && config_hash == input.document->config.hash) return;
    for (const config::Group& group : input.config->groups)
        if (const auto at = machines.find(group.name); at != machines.end()) at->second.reconfigure(group);
    std::map<std::string, MonitorMachine> made;
    for (const config::Monitor& monitor : input.config->monitors) {
        if (!monitor.values.empty() && !monitor.values.contains(input.self.node)) continue;  // not used on this node
        made.try_emplace(monitor.name, monitor);
    }
    for (const auto& [name, monitor] : monitors)
        if (monitor.on()) out.commands.emplace_back(WatchMonitor{name, false});
    monitors = std::move(made);
    config_hash = input.document->config.hash;
    config_followed = true;
}

MonitorMachine::Gate LocalManager::State::gate_of(const config::Monitor& monitor) {
    const auto at = machines.find(monitor.target_group);
    if (at != machines.end() && at->second.suspended()) return MonitorMachine::Gate::kSuspended;
    if (monitor.target.empty() || !monitor.only_while_active) return MonitorMachine::Gate::kOpen;
    const bool active = at != machines.end() && at->second.up(monitor.target);
    return active ? MonitorMachine::Gate::kOpen : MonitorMachine::Gate::kClosed;
}

void LocalManager::State::advance_monitors(const LocalInput& input) {
    follow_config(input);
    for (auto& [name, monitor] : monitors) {
        if (monitor.set_gate(gate_of(monitor.settings()), input.now))
            out.commands.emplace_back(WatchMonitor{name, monitor.on()});
        if (!monitor.check_due(input.now)) continue;
        monitor.checking(++operations);
        out.commands.emplace_back(CheckMonitor{operations, name, monitor.settings().timeout});
    }
}

// Active groups that the monitor's recovery is about.
std::vector<std::string> LocalManager::State::targets(const config::Monitor& monitor) {
    std::vector<std::string> found;
    for (const auto& [name, group] : machines)
        if ((monitor.target_group.empty() || monitor.target_group == name) &&
            group.phase() == GroupMachine::Phase::kActive)
            found.push_back(name);
    return found;
}

void LocalManager::State::recover(MonitorMachine& monitor, const LocalInput& input) {
    const std::vector<std::string> groups = targets(monitor.settings());
    if (groups.empty() || input.now >= input.run_until) return;  // nothing active to recover
    const bool script_runs = std::any_of(scripts.begin(), scripts.end(),
                                         [&](const auto& item) { return item.second == monitor.settings().name; });
    if (script_runs) return;
    const bool failover_left = std::any_of(groups.begin(), groups.end(), [&](const std::string& group) {
        const auto entry = input.document->groups.find(group);
        return entry != input.document->groups.end() &&
               entry->second.failovers < static_cast<uint32_t>(std::max(0, monitor.settings().on_error.failover));
    });
    take_step(monitor, monitor.next_step(true, failover_left), groups, input);
}

void LocalManager::State::take_step(MonitorMachine& monitor, RecoveryStep step, const std::vector<std::string>& groups,
                                    const LocalInput& input) {
    const std::string& name = monitor.settings().name;
    const std::string message = monitor.report().message;
    const std::string cause = "monitor " + name + (message.empty() ? "" : ": " + message);
    monitor.stepped(step, input.now);
    LocalContext using_context = context(input);
    switch (step) {
        case RecoveryStep::kNone: return;
        case RecoveryStep::kScript:
            scripts[++operations] = name;
            out.commands.emplace_back(RunRecoveryScript{operations, name, monitor.scripts()});
            return;
        case RecoveryStep::kRestart:
            for (const std::string& group : groups)
                machine(group).restart(monitor.settings().target, cause, using_context);
            return;
        case RecoveryStep::kFailover:
            for (const std::string& group : groups) machine(group).want_failover(name, cause);
            out.decisions.push_back({Reason::kRecoveryFailover,
                                     "monitor " + name,
                                     "Restarts are used up (" + cause + "): a failover is asked for.",
                                     {}});
            return;
        case RecoveryStep::kFinal:
            for (const std::string& group : groups)
                machine(group).act_finally(monitor.settings().on_error.final, cause, durable[group], using_context);
            return;
    }
}

// ---- outside ----

LocalManager::LocalManager() : state_(std::make_unique<State>()) {}
LocalManager::~LocalManager() = default;
LocalManager::LocalManager(LocalManager&&) noexcept = default;
LocalManager& LocalManager::operator=(LocalManager&&) noexcept = default;

void LocalManager::restore(const std::map<std::string, LocalGroup>& groups, bool same_boot) {
    for (const auto& [name, known] : groups) {
        LocalGroup& durable = state_->durable[name];
        durable = known;
        if (!same_boot && durable.mark != RunMark::kNone) {  // the reboot has ended whatever it ran
            durable.mark = RunMark::kNone;
            state_->out.durable_changed = true;
        }
        if (durable.mark != RunMark::kNone) state_->machine(name).adopt(durable);
    }
}

NodeReport LocalManager::State::report() const {
    NodeReport report;
    report.guard_armed = guard.alive && guard.armed;
    report.leaving = asked_to_leave || final_action.has_value() || act_at.has_value();
    for (const auto& [name, known] : durable) {
        const auto at = machines.find(name);
        if (at != machines.end())
            report.groups.push_back(at->second.report(known));
        else
            report.groups.push_back({name, GroupState::kStopped, known.max_token, false, false, "", {}});
    }
    for (const auto& [name, monitor] : monitors) report.monitors.push_back(monitor.report());
    return report;
}

LocalOutput LocalManager::take_output() {
    State& s = *state_;
    NodeReport report = s.report();
    s.out.report_changed = !s.reported || report != s.last_report;
    s.last_report = std::move(report);
    s.reported = true;
    LocalOutput out = std::move(s.out);
    s.out = LocalOutput{};
    s.out.wake_at = out.wake_at;
    return out;
}

NodeReport LocalManager::report() const {
    return state_->report();
}

const std::map<std::string, LocalGroup>& LocalManager::groups() const {
    return state_->durable;
}

std::vector<GuardedGroup> LocalManager::guarded() const {
    std::vector<GuardedGroup> list;
    for (const auto& [name, group] : state_->guarded) list.push_back(group);
    return list;
}

bool LocalManager::anything_active() const {
    return std::any_of(state_->machines.begin(), state_->machines.end(),
                       [](const auto& item) { return !item.second.idle(); });
}

}  // namespace kagami::engine
