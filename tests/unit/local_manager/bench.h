// One node under test: a document that names it, a lease, a guard that reports, and workers that answer as the test
// says.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>

#include "cluster-daemon/engine/local_manager.h"

namespace kagami::engine::test {

class Bench {
 public:
    Bench() : self{NodeId{1}, BootId{1}}, other{NodeId{2}, BootId{2}} {
        for (const NodeId id : {NodeId{1}, NodeId{2}}) {
            config::Node node;
            node.id = id;
            node.name = "node" + std::to_string(id.value);
            config.nodes.push_back(node);
            document.nodes[node.id].state = NodeState::kMember;
        }
        document.nodes[self.node].boot = self.boot;
        document.nodes[other.node].boot = other.boot;
        config::Group group;
        group.name = "web";
        group.nodes = {self.node, other.node};
        config.groups.push_back(group);
        config.groups[0].resources.reserve(16);  // the tests keep references
        config.monitors.reserve(16);
        timing = Timing::derive(config.timing);
        document.version = {Epoch::make(1, other.node), 1};
        document.leader = other;
        renew();
        guard.alive = guard.armed = true;
        manager.on_guard(guard, input());
        take();
    }

    config::Resource& resource(const std::string& name, std::vector<std::string> after = {}) {
        config::Resource made;
        made.type = "exec";
        made.name = name;
        made.after = std::move(after);
        made.on_activation_failure.failover = 0;
        config.groups[0].resources.push_back(made);
        return config.groups[0].resources.back();
    }
    config::Monitor& monitor(const std::string& name, const std::string& target) {
        config::Monitor made;
        made.name = name;
        made.target = target;
        made.target_group = target.empty() ? "" : "web";
        made.only_while_active = !target.empty();
        made.recovery_target = target.empty() ? config::RecoveryTarget::kAllGroups : config::RecoveryTarget::kResource;
        made.interval = 5s;
        config.monitors.push_back(made);
        ++document.config.hash[0];  // another configuration
        return config.monitors.back();
    }

    LocalInput input() {
        LocalInput in;
        in.document = &document;
        in.config = has_config ? &config : nullptr;
        in.timing = &timing;
        in.self = self;
        in.now = now;
        in.run_until = run_until;
        in.lease_sent_at = lease_sent_at;
        in.config_stored = config_stored;
        in.unmanaged = unmanaged;
        in.healthy = healthy;
        return in;
    }
    void renew() {
        lease_sent_at = now;
        run_until = now + timing.hold;
    }
    // The document gives the group to this node under a new token.
    StartGroup assign() {
        ++document.version.seq;
        GroupEntry& entry = document.groups["web"];
        entry.owner = self;
        entry.token = document.version;
        entry.goal = Goal::kStarted;
        StartGroup order;
        order.group = "web";
        order.token = entry.token;
        return order;
    }
    void assign_elsewhere() {
        ++document.version.seq;
        document.groups["web"].owner = other;
        document.groups["web"].token = document.version;
    }
    void order_stop(StopReason reason = StopReason::kGroupStop) {
        StopGroup order;
        order.group = "web";
        order.token = document.groups["web"].token;
        order.reason = reason;
        document.groups["web"].goal = Goal::kStopped;
        manager.on_stop(order, input());
        take();
    }
    void start() {
        manager.on_start(assign(), input());
        take();
    }
    // Started, with every activation a success.
    void run() {
        start();
        finish_all();
        REQUIRE(state() == GroupState::kActive);
    }
    void advance() {
        manager.advance(input());
        take();
    }
    void pass(Duration d) {
        now += d;
        advance();
    }

    void take() {
        const LocalOutput out = manager.take_output();
        durable_changed = durable_changed || out.durable_changed;
        report_changed = report_changed || out.report_changed;
        wake_at = out.wake_at;
        decisions.insert(decisions.end(), out.decisions.begin(), out.decisions.end());
        for (const Command& command : out.commands) {
            if (const auto* run = std::get_if<RunResource>(&command)) {
                running.push_back(*run);
                history.push_back(word(run->action) + run->resource);
            }
            if (const auto* check = std::get_if<CheckMonitor>(&command)) checks.push_back(*check);
            if (const auto* watch = std::get_if<WatchMonitor>(&command)) watched[watch->monitor] = watch->on;
            if (const auto* script = std::get_if<RunRecoveryScript>(&command)) scripts.push_back(*script);
            if (const auto* script = std::get_if<RunResourceScript>(&command)) {
                around.push_back(*script);
                history.push_back(word(script->moment) + script->resource);
            }
            if (const auto* act = std::get_if<ActOnSystem>(&command)) acts.push_back(act->action);
        }
    }
    static std::string word(ResourceAction action) {
        return action == ResourceAction::kActivate ? "+" : action == ResourceAction::kDeactivate ? "-" : "?";
    }
    static std::string word(ScriptMoment moment) {
        switch (moment) {
            case ScriptMoment::kBeforeActivation: return "(+";
            case ScriptMoment::kAfterActivation: return "+)";
            case ScriptMoment::kBeforeDeactivation: return "(-";
            case ScriptMoment::kAfterDeactivation: return "-)";
            case ScriptMoment::kBeforeFinal: return "!";
        }
        return "";
    }
    // The script of a resource that is under way ends.
    void finish_script(const std::string& resource, bool ok = true, const std::string& message = "") {
        const auto at = std::find_if(around.begin(), around.end(),
                                     [&](const RunResourceScript& s) { return s.resource == resource; });
        REQUIRE(at != around.end());
        const uint64_t operation = at->operation;
        around.erase(at);
        manager.on_script_done({operation, ok, message}, input());
        take();
    }
    void finish_recovery_script(bool ok = true) {
        REQUIRE_FALSE(scripts.empty());
        const uint64_t operation = scripts.front().operation;
        scripts.erase(scripts.begin());
        manager.on_script_done({operation, ok, ok ? "" : "it ended with 1"}, input());
        take();
    }
    // Names under way: "+md +fip".
    std::string under_way() const {
        std::string text;
        for (const RunResource& run : running) text += (text.empty() ? "" : " ") + word(run.action) + run.resource;
        return text;
    }
    std::string steps() {
        std::string text;
        for (const std::string& step : std::exchange(history, {})) text += (text.empty() ? "" : " ") + step;
        return text;
    }
    void finish(const std::string& resource, bool ok = true, const std::string& message = "",
                ProbeResult probe = ProbeResult::kActive) {
        const auto at =
            std::find_if(running.begin(), running.end(), [&](const RunResource& r) { return r.resource == resource; });
        REQUIRE(at != running.end());
        const uint64_t operation = at->operation;
        running.erase(at);
        manager.on_resource_done({operation, ok, probe, message}, input());
        take();
    }
    void finish_all(ProbeResult probe = ProbeResult::kActive) {
        for (int i = 0; i < 50 && !running.empty(); ++i) finish(running.front().resource, true, "", probe);
        REQUIRE(running.empty());
    }
    void check(const std::string& monitor, MonitorState state, const std::string& message = "") {
        const auto at =
            std::find_if(checks.begin(), checks.end(), [&](const CheckMonitor& c) { return c.monitor == monitor; });
        REQUIRE(at != checks.end());
        const uint64_t operation = at->operation;
        checks.erase(at);
        manager.on_monitor_done({operation, state, false, message}, input());
        take();
    }
    void guard_says(GuardGroupState state) {
        guard.groups = {
            {"web", document.groups["web"].owner == self ? document.groups["web"].token : last_token(), state}};
        manager.on_guard(guard, input());
        take();
    }
    Token last_token() const { return manager.groups().at("web").running; }

    GroupReport report() const {
        for (const GroupReport& report : manager.report().groups)
            if (report.group == "web") return report;
        return {};
    }
    GroupState state() const { return report().state; }
    MonitorReport monitor_report(const std::string& name) const {
        for (const MonitorReport& report : manager.report().monitors)
            if (report.name == name) return report;
        return {};
    }
    Verdict verdict() const {
        const auto guarded = manager.guarded();
        return guarded.empty() ? Verdict::kNone : guarded[0].verdict;
    }
    RunMark mark() const { return manager.groups().at("web").mark; }
    bool said(Reason reason) const {
        return std::any_of(decisions.begin(), decisions.end(), [&](const Decision& d) { return d.reason == reason; });
    }
    std::string sentence(Reason reason) const {
        for (auto at = decisions.rbegin(); at != decisions.rend(); ++at)
            if (at->reason == reason) return at->sentence;
        return "";
    }

    Incarnation self, other;
    config::Config config;
    Timing timing;
    Document document;
    LocalManager manager;
    Instant now{1000s};
    Instant run_until, lease_sent_at;
    GuardObserved guard;
    bool has_config = true;
    bool config_stored = true;
    std::vector<RunResource> running;
    std::vector<std::string> history;
    std::vector<CheckMonitor> checks;
    std::vector<RunRecoveryScript> scripts;
    std::vector<RunResourceScript> around;  // of resources, under way
    std::set<NodeId> healthy{NodeId{2}};
    bool unmanaged = false;
    std::vector<SystemAction> acts;
    std::map<std::string, bool> watched;
    std::vector<Decision> decisions;
    bool durable_changed = false;
    bool report_changed = false;
    std::optional<Instant> wake_at;
};

}  // namespace kagami::engine::test
