#include "cluster-daemon/engine/local_manager.h"

#include <algorithm>

#include "cluster-daemon/engine/coder.h"
#include "cluster-daemon/engine/local_state.h"

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
    if (input.unmanaged) return "this node is unmanaged, by the word of a person";
    if (final_actions.leaving() || final_actions.at_once() || asked_to_leave || act_at)
        return "this node is leaving the cluster";
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
        s.judge(monitor, done, input);
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
    if (const auto at = s.scripts.find(done.operation); at != s.scripts.end()) {
        const State::Script script = at->second;
        s.scripts.erase(at);
        if (!done.ok)
            s.out.decisions.push_back({Reason::kScriptFailed,
                                       "monitor " + script.monitor,
                                       "The recovery script of monitor " + script.monitor + " failed" +
                                           because(done.message) + ".",
                                       {}});
        s.go_on_after(script, input);
    }
    for (auto& [name, group] : s.machines) {
        const std::string* found = group.resource_of(done.operation);
        if (found == nullptr) continue;
        const std::string resource = *found;
        LocalContext context = s.context(input);
        group.on_script_done(done, resource, s.durable[name], context);
        break;
    }
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
    follow_unmanaged(input);
    final_actions.advance(input, out);
    follow_leaving(input);
    retry_starts(input);
    LocalContext using_context = context(input);
    for (auto& [name, group] : machines) group.advance(durable[name], using_context);
    advance_monitors(input);
    guarded.clear();
    out.wake_at.reset();
    if (const auto at = final_actions.wake_at(); at) earlier(out.wake_at, *at);
    for (auto& [name, group] : machines) {
        if (group.idle() || input.unmanaged) continue;
        guarded[name] = {name, group.token(), group.strict(), group.verdict(input)};
        if (input.now < input.run_until) earlier(out.wake_at, input.run_until);
    }
    for (const auto& [name, monitor] : monitors)
        if (const auto at = monitor.wake_at(); at) earlier(out.wake_at, *at);
    if (act_at && !acted) earlier(out.wake_at, *act_at);
}

// When the node is managed again, what a person did to it meanwhile is found out.
void LocalManager::State::follow_unmanaged(const LocalInput& input) {
    const bool over = unmanaged && !input.unmanaged;
    unmanaged = input.unmanaged;
    if (!over) return;
    for (auto& [name, group] : machines) group.probe_again();
}

// Groups that the configuration knows no more, and that run nothing here. The newest token of each is kept as long as
// there is room: a document that does not name the group keeps old orders from being obeyed as well.
void LocalManager::State::forget_removed_groups(const LocalInput& input) {
    if (durable.size() <= kMaxGroups / 2) return;
    std::erase_if(durable, [&](const auto& item) {
        const auto& [name, known] = item;
        const auto at = machines.find(name);
        if (input.config->group(name) != nullptr || input.document->groups.contains(name) ||
            known.mark != RunMark::kNone || (at != machines.end() && !at->second.idle()))
            return false;
        machines.erase(name);
        waiting.erase(name);
        refusals.erase(name);
        out.durable_changed = true;
        return true;
    });
}

// ---- leaving ----

void LocalManager::State::follow_leaving(const LocalInput& input) {
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
        leave_now(input, final_actions.leaving().value_or(action_of(entry.leaving)), "this node has left the cluster");
    act_on_failed_stop(input);
}

// A group that cannot be stopped keeps the node from leaving cleanly: once all else is stopped the final action is taken.
void LocalManager::State::act_on_failed_stop(const LocalInput& input) {
    bool stop_failed = false;
    bool others_stopped = true;
    for (const auto& [name, group] : machines) {
        if (group.phase() == GroupMachine::Phase::kStopFailed)
            stop_failed = true;
        else if (!group.idle())
            others_stopped = false;
    }
    if (final_actions.leaving() && stop_failed && others_stopped)
        leave_now(input, *final_actions.leaving(), "a group could not be stopped and its final action asks for it");
}

void LocalManager::State::leave_now(const LocalInput& input, SystemAction action, std::string why) {
    if (acted || final_actions.at_once()) return;
    acted = true;
    const std::string name = node_name(input);
    out.decisions.push_back({Reason::kFinalAction, "node " + name, name + " stops: " + why + ".", {}});
    out.commands.emplace_back(ActOnSystem{action, std::move(why)});
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

void LocalManager::restore(const LocalCounts& counts) {
    state_->final_actions.restore(counts);
}

NodeReport LocalManager::State::report() const {
    NodeReport report;
    report.final_actions = final_actions.counts().final_actions;
    report.guard_armed = guard.alive && guard.armed;
    report.leaving = asked_to_leave || final_actions.leaving().has_value() || act_at.has_value();
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

const LocalCounts& LocalManager::counts() const {
    return state_->final_actions.counts();
}

bool LocalManager::anything_suspended() const {
    return std::any_of(state_->machines.begin(), state_->machines.end(),
                       [](const auto& item) { return item.second.suspended(); });
}

bool LocalManager::anything_active() const {
    return std::any_of(state_->machines.begin(), state_->machines.end(),
                       [](const auto& item) { return !item.second.idle(); });
}

}  // namespace kagami::engine
