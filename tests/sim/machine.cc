#include "tests/sim/machine.h"

#include <algorithm>

namespace kagami::sim {

using engine::ProbeResult;
using engine::ResourceAction;

Machine::Machine(Queue& queue, Random& random, Hooks hooks)
    : queue_(queue), random_(random), hooks_(std::move(hooks)) {}

void Machine::run(const engine::RunResource& command) {
    Item& at = item(command.group, command.resource);
    Operation operation;
    operation.command = command;
    operation.daemon_life = hooks_.daemon_life();
    at.work.push_back(std::move(operation));
    if (at.work.size() == 1) begin(command.group, command.resource);
}

std::optional<Trouble> Machine::next_trouble(const engine::RunResource& command) {
    auto& waiting = troubles_[command.resource];
    const auto found =
        std::find_if(waiting.begin(), waiting.end(), [&](const Trouble& t) { return t.action == command.action; });
    if (found == waiting.end()) return std::nullopt;
    const Trouble taken = *found;
    if (--found->times <= 0) waiting.erase(found);
    return taken;
}

void Machine::begin(const std::string& group, const std::string& resource) {
    Item& at = item(group, resource);
    Operation& operation = at.work.front();
    const engine::RunResource& command = operation.command;
    operation.begun = true;
    operation.trouble = next_trouble(command);
    const bool probe = command.action == ResourceAction::kProbe;
    const Duration takes = probe ? pace_.probe : random_.between(pace_.fastest, pace_.slowest);
    operation.times_out = queue_.now() + command.timeout;
    operation.ends = operation.trouble && operation.trouble->hangs ? Moment::max() : queue_.now() + takes;
    if (command.action == ResourceAction::kActivate) {
        at.active = true;
        at.dead = false;
    }
    if (command.action == ResourceAction::kActivate) hooks_.changed(group);
    pass_on(operation);
    arm(group, resource);
}

// What another part of the simulation runs ends when that part says so.
void Machine::pass_on(Operation& operation) {
    const bool probe = operation.command.action == ResourceAction::kProbe;
    if (probe || operation.trouble || !hooks_.order(operation.command, tickets_ + 1)) return;
    operation.ticket = ++tickets_;
    operation.ends = Moment::max();
}

void Machine::ordered_done(uint64_t ticket, bool ok, const std::string& message) {
    for (auto& [group, box] : boxes_) {
        for (auto& [name, at] : box.items) {
            if (at.work.empty() || at.work.front().ticket != ticket) continue;
            Operation& operation = at.work.front();
            if (!ok) operation.trouble = Trouble{operation.command.action, 0, false, false};
            operation.message = message;
            operation.ends = queue_.now();
            operation.ticket = 0;
            return arm(group, name);
        }
    }
}

// A suspended script makes no progress; its time-out goes on. A probe is no part of the group.
void Machine::arm(const std::string& group, const std::string& resource) {
    Item& at = item(group, resource);
    const Operation& operation = at.work.front();
    const bool stands_still = boxes_[group].suspended && operation.command.action != ResourceAction::kProbe;
    const Moment ends = stands_still ? Moment::max() : operation.ends;
    const bool timed_out = operation.times_out < ends;
    const uint64_t turn = ++at.turn;
    queue_.at(std::min(ends, operation.times_out), [this, group, resource, turn, timed_out, life = life_] {
        if (life == life_ && item(group, resource).turn == turn) end(group, resource, timed_out);
    });
}

void Machine::end(const std::string& group, const std::string& resource, bool timed_out) {
    if (frozen_) {  // looked at again when the machine goes on
        const uint64_t turn = ++item(group, resource).turn;
        queue_.after(20ms, [this, group, resource, turn, timed_out, life = life_] {
            if (life == life_ && item(group, resource).turn == turn) end(group, resource, timed_out);
        });
        return;
    }
    Item& at = item(group, resource);
    const Operation operation = std::move(at.work.front());
    at.work.pop_front();
    ++at.turn;
    finish(group, resource, operation, timed_out);
    Item& again = item(group, resource);  // the report may have entered more work
    if (!again.work.empty() && !again.work.front().begun) begin(group, resource);
}

void Machine::finish(const std::string& group, const std::string& resource, const Operation& operation,
                     bool timed_out) {
    Item& at = item(group, resource);
    const engine::RunResource& command = operation.command;
    engine::ResourceDone done;
    done.operation = command.operation;
    done.ok = !timed_out && !operation.trouble;
    if (timed_out) done.message = "the script ran into its time-out";
    if (!timed_out && operation.trouble)
        done.message = operation.message.empty() ? "the script exited with status 1" : operation.message;
    switch (command.action) {
        case ResourceAction::kActivate:
            if (!done.ok) at.active = timed_out || (operation.trouble && operation.trouble->leaves_mess);
            break;
        case ResourceAction::kDeactivate:
            if (done.ok) at.active = at.dead = false;
            break;
        case ResourceAction::kProbe:
            done.probe = !at.active ? ProbeResult::kInactive : at.dead ? ProbeResult::kPartial : ProbeResult::kActive;
            if (const auto other = hooks_.probe(command.resource); other && at.active && !at.dead) done.probe = *other;
            break;
    }
    hooks_.changed(group);
    if (operation.daemon_life == hooks_.daemon_life()) hooks_.report(done);
}

void Machine::suspend(const std::string& group) {
    Box& box = boxes_[group];
    if (box.suspended) return;
    box.suspended = true;
    box.suspended_at = queue_.now();
    for (auto& [name, at] : box.items) {
        if (!at.work.empty()) arm(group, name);
    }
    hooks_.changed(group);
}

void Machine::resume(const std::string& group) {
    Box& box = boxes_[group];
    if (!box.suspended) return;
    box.suspended = false;
    for (auto& [name, at] : box.items) {
        if (at.work.empty()) continue;
        Operation& operation = at.work.front();
        if (operation.ends != Moment::max()) operation.ends += queue_.now() - box.suspended_at;
        arm(group, name);
    }
    hooks_.changed(group);
}

void Machine::kill(const std::string& group) {
    Box& box = boxes_[group];
    box.suspended = false;
    for (auto& [name, at] : box.items) {
        at.active = at.dead = false;
        if (at.work.empty() || at.work.front().command.action == ResourceAction::kProbe) continue;
        Operation& operation = at.work.front();
        const bool stop = operation.command.action == ResourceAction::kDeactivate;
        operation.trouble = stop ? std::nullopt : std::optional(Trouble{operation.command.action, 0, false, false});
        operation.ends = queue_.now();
        operation.ticket = 0;
        arm(group, name);
    }
    hooks_.killed(group);
    hooks_.changed(group);
}

void Machine::power_off() {
    ++life_;
    boxes_.clear();
    watched_.clear();
    failing_.clear();
    frozen_ = false;
}

bool Machine::anything(const std::string& group) const {
    const auto box = boxes_.find(group);
    if (box == boxes_.end()) return false;
    return std::any_of(box->second.items.begin(), box->second.items.end(),
                       [](const auto& entry) { return entry.second.active; });
}

bool Machine::effects(const std::string& group) const {
    return !frozen_ && !suspended(group) && anything(group);
}

bool Machine::suspended(const std::string& group) const {
    const auto box = boxes_.find(group);
    return box != boxes_.end() && box->second.suspended;
}

std::vector<std::string> Machine::groups() const {
    std::vector<std::string> names;
    for (const auto& [name, box] : boxes_) names.push_back(name);
    return names;
}

std::vector<std::string> Machine::active_resources(const std::string& group) const {
    std::vector<std::string> names;
    const auto box = boxes_.find(group);
    if (box == boxes_.end()) return names;
    for (const auto& [name, at] : box->second.items) {
        if (at.active && !at.dead) names.push_back(name);
    }
    return names;
}

void Machine::forget_troubles() {
    troubles_.clear();
    failing_.clear();
    for (auto& [group, box] : boxes_) {
        for (auto& [name, at] : box.items) {
            const auto watches = [&](const config::Monitor& m) { return m.target == name; };
            // What nobody watches any more is started again by hand.
            if (std::none_of(config_->monitors.begin(), config_->monitors.end(), watches)) at.dead = false;
            if (at.work.empty() || at.work.front().ends != Moment::max() || at.work.front().ticket != 0) continue;
            at.work.front().trouble.reset();  // what hung goes on
            at.work.front().ends = queue_.now() + pace_.slowest;
            pass_on(at.work.front());
            arm(group, name);
        }
    }
}

void Machine::service_dies(const std::string& group, const std::string& resource) {
    const auto box = boxes_.find(group);
    if (box == boxes_.end()) return;
    const auto at = box->second.items.find(resource);
    if (at == box->second.items.end() || !at->second.active) return;
    at->second.dead = true;
    for (const config::Monitor& monitor : config_->monitors) {
        if (monitor.target == resource && watched_.contains(monitor.name))
            hooks_.report(engine::MonitorStirred{monitor.name});
    }
}

void Machine::monitor_fails(const std::string& monitor, bool on) {
    if (on) {
        failing_.insert(monitor);
        if (watched_.contains(monitor)) hooks_.report(engine::MonitorStirred{monitor});
    } else {
        failing_.erase(monitor);
    }
}

void Machine::watch(const engine::WatchMonitor& command) {
    if (command.on) {
        watched_.insert(command.monitor);
    } else {
        watched_.erase(command.monitor);
    }
}

bool Machine::troubled(const std::string& name) const {
    if (failing_.contains(name)) return true;
    const auto monitor =
        std::find_if(config_->monitors.begin(), config_->monitors.end(), [&](const auto& m) { return m.name == name; });
    if (monitor == config_->monitors.end() || monitor->target.empty()) return false;
    for (const auto& [group, box] : boxes_) {
        const auto at = box.items.find(monitor->target);
        if (at != box.items.end()) return !at->second.active || at->second.dead;
    }
    return true;
}

bool Machine::next_script_ends_well(const std::string& name) {
    const auto at = failing_scripts_.find(name);
    return at == failing_scripts_.end() || at->second-- <= 0;
}

void Machine::check(const engine::CheckMonitor& command) {
    const auto slow = check_takes_.find(command.monitor);
    const Duration takes = slow == check_takes_.end() ? Duration(1ms) : std::min(slow->second, command.timeout);
    queue_.after(takes, [this, command, life = life_, daemon = hooks_.daemon_life()] {
        if (life != life_ || daemon != hooks_.daemon_life()) return;
        engine::MonitorDone done;
        done.operation = command.operation;
        const bool bad = troubled(command.monitor);
        done.state = bad ? engine::MonitorState::kError : engine::MonitorState::kNormal;
        done.message = bad ? "the process has ended" : "";
        hooks_.report(done);
    });
}

}  // namespace kagami::sim
