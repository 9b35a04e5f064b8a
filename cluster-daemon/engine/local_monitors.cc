#include <algorithm>

#include "cluster-daemon/engine/local_state.h"

namespace kagami::engine {
namespace {

// Types that combine what other monitors found.
bool looks_at_others(const config::Monitor& monitor) {
    return monitor.type == "mtw";
}

const char* words(RecoveryStep step) {  // "but for the maintenance, monitor x ..."
    switch (step) {
        case RecoveryStep::kNone: return "do nothing about";
        case RecoveryStep::kScript: return "run its recovery script for";
        case RecoveryStep::kRestart: return "restart";
        case RecoveryStep::kFailover: return "ask for a failover of";
        case RecoveryStep::kFinal: return "take its final action for";
    }
    return "";
}

RecoveryMoment moment_of(RecoveryStep before) {
    switch (before) {
        case RecoveryStep::kNone:
        case RecoveryStep::kScript: return RecoveryMoment::kRecovery;
        case RecoveryStep::kRestart: return RecoveryMoment::kRestart;
        case RecoveryStep::kFailover: return RecoveryMoment::kFailover;
        case RecoveryStep::kFinal: return RecoveryMoment::kFinalAction;
    }
    return RecoveryMoment::kRecovery;
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

}  // namespace

void LocalManager::State::follow_config(const LocalInput& input) {
    if (input.config == nullptr || !input.config_stored) return;
    if (config_followed && config_hash == input.document->config.hash) return;
    forget_removed_groups(input);
    for (const config::Group& group : input.config->groups)
        if (const auto at = machines.find(group.name); at != machines.end()) at->second.reconfigure(group);
    std::map<std::string, MonitorMachine> made;
    for (const config::Monitor& monitor : input.config->monitors) {
        if (!monitor.values.empty() && !monitor.values.contains(input.self.node)) continue;  // not used on this node
        const auto known = monitors.find(monitor.name);
        if (known != monitors.end() && known->second.settings() == monitor)
            made.insert(monitors.extract(known));
        else
            made.try_emplace(monitor.name, monitor);
    }
    // What is subscribed to may have changed, be it only the target or a script.
    for (const auto& [name, monitor] : monitors)
        if (monitor.on()) out.commands.emplace_back(WatchMonitor{name, false});
    for (const auto& [name, monitor] : made) {
        if (!monitor.on()) continue;
        out.commands.emplace_back(WatchMonitor{name, false});
        out.commands.emplace_back(WatchMonitor{name, true});
    }
    monitors = std::move(made);
    config_hash = input.document->config.hash;
    config_followed = true;
}

// ---- checking ----

MonitorMachine::Gate LocalManager::State::gate_of(const config::Monitor& monitor, const LocalInput& input) {
    const auto known = input.document->monitors.find(monitor.name);
    if (known != input.document->monitors.end() && known->second.suspended.contains(input.self.node))
        return MonitorMachine::Gate::kSuspended;
    const auto at = machines.find(monitor.target_group);
    if (at != machines.end() && at->second.suspended()) return MonitorMachine::Gate::kSuspended;
    if (monitor.target.empty()) return MonitorMachine::Gate::kOpen;
    if (at != machines.end() && at->second.stopped(monitor.target)) return MonitorMachine::Gate::kClosed;
    if (!monitor.only_while_active) return MonitorMachine::Gate::kOpen;
    const bool active = at != machines.end() && at->second.up(monitor.target);
    return active ? MonitorMachine::Gate::kOpen : MonitorMachine::Gate::kClosed;
}

void LocalManager::State::follow_persons(MonitorMachine& monitor, const LocalInput& input) {
    static const MonitorEntry kNothing;
    const std::string& name = monitor.settings().name;
    const auto at = input.document->monitors.find(name);
    const MonitorEntry& entry = at == input.document->monitors.end() ? kNothing : at->second;
    monitor.follow(entry, input.self.node, input.now);
    if (!entry.suspended.contains(input.self.node)) return;
    for (auto& [group, machine] : machines) machine.end_error(name);
}

void LocalManager::State::advance_monitors(const LocalInput& input) {
    follow_config(input);
    for (auto& [name, monitor] : monitors) {
        follow_persons(monitor, input);
        if (monitor.set_gate(gate_of(monitor.settings(), input), input.now))
            out.commands.emplace_back(WatchMonitor{name, monitor.on()});
        if (monitor.check_due(input.now)) check(monitor, input);
    }
}

void LocalManager::State::check(MonitorMachine& monitor, const LocalInput& input) {
    CheckMonitor command;
    command.operation = ++operations;
    command.monitor = monitor.settings().name;
    command.timeout = stretched(monitor.settings().timeout, *input.document);
    if (looks_at_others(monitor.settings()))
        for (const auto& [name, other] : monitors)
            if (&other != &monitor) command.others[name] = other.state();
    monitor.checking(command.operation, command.timeout, input.now);
    out.commands.emplace_back(std::move(command));
}

void LocalManager::State::judge(MonitorMachine& monitor, const MonitorDone& done, const LocalInput& input) {
    const std::string& name = monitor.settings().name;
    const MonitorReport before = monitor.report();
    const bool confirmed = monitor.on_done(done, input.now);
    const MonitorReport after = monitor.report();
    const auto say = [&](Reason reason, const std::string& sentence) {
        out.decisions.push_back({reason, "monitor " + name, sentence, {}});
    };
    if (after.late && !before.late)
        say(Reason::kMonitorLate, "Monitor " + name + " took more than " +
                                      std::to_string(monitor.settings().delay_warning) + " % of its time-out.");
    if (after.state == MonitorState::kError && before.state != after.state)
        say(Reason::kMonitorError, "Monitor " + name + " reports an error" + because(after.message) + ".");
    if (after.state == MonitorState::kNormal && before.state == MonitorState::kError)
        say(Reason::kMonitorNormal, "Monitor " + name + " is normal again.");
    if (after.state != MonitorState::kError)
        for (auto& [group, machine] : machines) machine.end_error(name);
    if (confirmed) recover(monitor, input);
}

// ---- recovery ----

// Active groups that the monitor's recovery is about.
std::vector<std::string> LocalManager::State::targets(const config::Monitor& monitor) {
    const bool any = monitor.target_group.empty() || monitor.recovery_target == config::RecoveryTarget::kAllGroups;
    std::vector<std::string> found;
    for (const auto& [name, group] : machines)
        if ((any || monitor.target_group == name) && group.phase() == GroupMachine::Phase::kActive)
            found.push_back(name);
    return found;
}

void LocalManager::State::recover(MonitorMachine& monitor, const LocalInput& input) {
    std::vector<std::string> groups = targets(monitor.settings());
    if (groups.empty() || (!input.unmanaged && input.now >= input.run_until)) return;  // nothing active to recover
    const std::string& name = monitor.settings().name;
    const bool script_runs =
        std::any_of(scripts.begin(), scripts.end(), [&](const auto& item) { return item.second.monitor == name; });
    if (script_runs) return;
    const bool failover_left = std::any_of(groups.begin(), groups.end(), [&](const std::string& group) {
        const auto entry = input.document->groups.find(group);
        return entry != input.document->groups.end() &&
               entry->second.failovers < static_cast<uint32_t>(std::max(0, monitor.settings().on_error.failover));
    });
    const RecoveryStep step = monitor.next_step(failover_left);
    if (only_observed(monitor, step, groups, input)) return;
    if (monitor.tells_before(step)) return run_script(monitor, step, input);
    take_step(monitor, step, groups, input);
}

// Takes out of `groups` what is under maintenance; true: nothing is left, and a person is told once what would be done.
bool LocalManager::State::only_observed(MonitorMachine& monitor, RecoveryStep step, std::vector<std::string>& groups,
                                        const LocalInput& input) {
    const std::vector<std::string> all = groups;
    std::optional<std::string> scope;
    std::erase_if(groups, [&](const std::string& group) {
        const auto found = maintained(input, group);
        if (found) scope = found;
        return found.has_value();
    });
    if (!groups.empty()) {
        monitor.not_observed();
        return false;
    }
    const std::string& name = monitor.settings().name;
    if (step != RecoveryStep::kNone && monitor.first_observed())
        out.decisions.push_back({Reason::kRecoveryObserved,
                                 "monitor " + name,
                                 "Monitor " + name + " would " + words(step) + " group " + joined(all) + " on " +
                                     node_name(input) + ", but " + scope.value_or("it") + " is under maintenance.",
                                 {}});
    return true;
}

void LocalManager::State::run_script(const MonitorMachine& monitor, RecoveryStep before, const LocalInput& input) {
    const MonitorReport counts = monitor.report();
    const config::MonitorRecovery& rules = monitor.settings().on_error;
    RunRecoveryScript command;
    command.operation = ++operations;
    command.monitor = monitor.settings().name;
    command.count = counts.scripts;
    command.moment = moment_of(before);
    command.restarts = counts.restarts;
    command.failovers = counts.failovers;
    command.timeout = stretched(rules.script_timeout, *input.document);
    scripts[command.operation] = {command.monitor, before};
    out.commands.emplace_back(std::move(command));
}

// The step follows its script however that ended; but not when the error, the lease or the service is gone.
void LocalManager::State::go_on_after(const Script& script, const LocalInput& input) {
    const auto at = monitors.find(script.monitor);
    if (at == monitors.end()) return;
    MonitorMachine& monitor = at->second;
    if (script.before == RecoveryStep::kNone) return monitor.stirred(input.now);  // look at once whether it helped
    std::vector<std::string> groups = targets(monitor.settings());
    const bool due = monitor.state() == MonitorState::kError && input.now < input.run_until && !groups.empty();
    if (due && !only_observed(monitor, script.before, groups, input)) take_step(monitor, script.before, groups, input);
}

void LocalManager::State::take_step(MonitorMachine& monitor, RecoveryStep step, const std::vector<std::string>& groups,
                                    const LocalInput& input) {
    const std::string& name = monitor.settings().name;
    const std::string cause = "monitor " + name + because(monitor.report().message);
    uint32_t failovers = 0;
    for (const std::string& group : groups)
        if (const auto entry = input.document->groups.find(group); entry != input.document->groups.end())
            failovers = std::max(failovers, entry->second.failovers);
    monitor.stepped(step, failovers, input.now);
    LocalContext using_context = context(input);
    switch (step) {
        case RecoveryStep::kNone: return;
        case RecoveryStep::kScript: return run_script(monitor, RecoveryStep::kNone, input);
        case RecoveryStep::kRestart: {
            const bool part = monitor.settings().recovery_target == config::RecoveryTarget::kResource;
            for (const std::string& group : groups)
                machine(group).restart(part ? monitor.settings().target : "", cause, using_context);
            return;
        }
        case RecoveryStep::kFailover:
            for (const std::string& group : groups) machine(group).want_failover(name, cause);
            out.decisions.push_back({Reason::kRecoveryFailover,
                                     "monitor " + name,
                                     "Restarts are used up (" + cause + "): a failover is asked for.",
                                     {}});
            return;
        case RecoveryStep::kFinal: return act_finally(monitor, groups, cause, input);
    }
}

void LocalManager::State::act_finally(const MonitorMachine& monitor, const std::vector<std::string>& groups,
                                      const std::string& cause, const LocalInput& input) {
    const config::Monitor& settings = monitor.settings();
    LocalContext using_context = context(input);
    for (const std::string& group : groups) {
        if (settings.on_error.final == config::FinalAction::kStopResource && !settings.target.empty())
            machine(group).stop_resource(settings.target, cause, using_context);
        else
            machine(group).act_finally(settings.on_error.final, cause, durable[group], using_context);
    }
}

}  // namespace kagami::engine
