// One group on this node: the order of its resources, the scripts around their steps, retries, restart of a part,
// single resources that a person stops, suspension, and what the guard has done. Pure. Split over group_machine.cc
// (knowledge, orders, the flow of phases), group_steps.cc (single resources), group_recovery.cc (restarts, final
// actions) and group_guard.cc (lease, guard, report).
//
// Phases:     Idle; Adopting (a restarted daemon, or the end of `unmanaged`, probes what runs); Starting; Active;
//             Restarting (a part goes down, then up again); Stopping; Cleaning (the guard killed it: probes confirm);
//             StartFailed; StopFailed.
// A step:     script before it, the operation, script after it; each may fail, and then the step has failed and is
//             tried again from its beginning. A script under way when the group is suspended is frozen in its cgroup
//             and runs into its time-out at the worst; its answer always comes, and that failure is no attempt. Before
//             a final action the failed resource's own script runs; however it ends, the action follows.
// Invariants: a resource is activated (its scripts included) only when everything it comes after is up, under a lease,
//             with the guard alive, not suspended; it is deactivated only when nothing that comes after it is up; Idle
//             means that every resource was seen down.
// Stopped by a person (GroupEntry::stopped_resources) or by the final action `stop-resource` of a monitor: such
//             resources, and what comes after them, are down while the group is Active.
// Leaves to others: whether an order is acceptable (local_manager.cc), when monitors call for recovery
//             (monitor_machine.h), whether a final action is suppressed (final_actions.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "cluster-daemon/engine/final_actions.h"
#include "cluster-daemon/engine/local_manager.h"

namespace kagami::engine {

// What a machine may use during one call.
struct LocalContext {
    const LocalInput& input;
    LocalOutput& out;
    const GuardObserved& guard;
    uint64_t& operations;  // counter of operation ids
    FinalActions& final_actions;

    bool leased() const { return input.now < input.run_until; }
    void say(Reason reason, const std::string& subject, std::string sentence) const {
        out.decisions.push_back({reason, subject, std::move(sentence), {}});
    }
};

class GroupMachine {
 public:
    enum class Phase : uint8_t {
        kIdle,
        kAdopting,
        kStarting,
        kActive,
        kRestarting,
        kStopping,
        kCleaning,
        kStartFailed,
        kStopFailed
    };

    explicit GroupMachine(std::string name) : name_(std::move(name)) {}

    // A mark of this boot: something of the group may run here.
    void adopt(const LocalGroup& durable);
    void start(const config::Group& group, const StartGroup& order, LocalGroup& durable, LocalContext& context);
    void stop(const StopGroup& order, LocalGroup& durable, LocalContext& context);
    void on_done(const ResourceDone& done, const std::string& resource, LocalGroup& durable, LocalContext& context);
    void on_script_done(const ScriptDone& done, const std::string& resource, LocalGroup& durable,
                        LocalContext& context);
    void on_guard(GuardGroupState state, LocalGroup& durable, LocalContext& context);
    void advance(LocalGroup& durable, LocalContext& context);

    // Monitors: restart `resource` and what comes after it ("" = all); move away; the error is over.
    void restart(const std::string& resource, const std::string& cause, LocalContext& context);
    void want_failover(const std::string& monitor, const std::string& cause);
    void end_error(const std::string& monitor);
    void act_finally(config::FinalAction action, const std::string& cause, LocalGroup& durable, LocalContext& context);
    void stop_resource(const std::string& resource, const std::string& cause, LocalContext& context);
    // The node is managed again: what runs is found out by probing.
    void probe_again();

    // A new configuration that restarts nothing of a running group: time-outs and recovery rules count from now on.
    void reconfigure(const config::Group& group);

    Phase phase() const { return phase_; }
    bool idle() const { return phase_ == Phase::kIdle; }
    bool suspended() const { return suspended_at_.has_value(); }
    bool up(const std::string& resource) const;  // online
    bool stopped(const std::string& resource) const { return stopped_.contains(resource); }  // while the group runs
    Verdict verdict(const LocalInput& input) const;
    bool strict() const { return loaded_ && config_.exclusion == config::ExclusionKind::kStrict; }
    Token token() const { return token_; }
    GroupReport report(const LocalGroup& durable) const;
    const std::string* resource_of(uint64_t operation) const;  // under way; null = not of this group

 private:
    struct Run {
        ResourceState state = ResourceState::kOffline;
        ResourceAction action = ResourceAction::kProbe;
        uint64_t operation = 0;               // under way; 0 = none
        std::optional<ScriptMoment> script{};  // it is this script of the step
        int attempts = 0;          // failed ones of the present step
        bool passed_over = false;  // failed, and its final action lets the others go on
        bool probed = false;
        std::string message;
    };

    struct Broken {  // a resource is used up
        config::FinalAction action = config::FinalAction::kStay;
        std::string resource;
        bool deactivating = false;
        bool told = false;  // its script before the final action has run
    };

    const config::Resource* resource(const std::string& name) const;
    std::set<std::string> with_dependents(const std::set<std::string>& names) const;
    bool busy() const;
    bool ours(const LocalInput& input) const;
    bool doomed(const LocalInput& input) const;
    bool may_activate(const LocalContext& context) const;

    void load(const config::Group& group);
    void begin_step(const std::string& name, ResourceAction action, LocalContext& context);
    void run(const std::string& name, ResourceAction action, LocalContext& context);
    bool run_script(const std::string& name, ScriptMoment moment, LocalContext& context);
    void script_passed(Run& run, const config::Resource& resource, ScriptMoment moment, const ScriptDone& done,
                       LocalContext& context);
    StopReason stop_reason() const;
    bool disk_failed() const;
    void follow_document(LocalContext& context);
    void settle_active(LocalGroup& durable, LocalContext& context);
    void settle(LocalGroup& durable, LocalContext& context);
    void drive_probes(LocalContext& context);
    void drive_up(LocalContext& context);
    void drive_down(const std::set<std::string>& which, LocalContext& context);
    void probes_done(LocalGroup& durable, LocalContext& context);
    void up_done(LocalGroup& durable, LocalContext& context);
    void down_done(LocalGroup& durable, LocalContext& context);
    void broken(LocalGroup& durable, LocalContext& context);
    void begin_stop(LocalGroup& durable, LocalContext& context);
    void finish_stop(LocalGroup& durable, LocalContext& context);
    void activated(Run& run, const config::Resource& resource, const ResourceDone& done, LocalContext& context);
    void deactivated(Run& run, const config::Resource& resource, const ResourceDone& done, LocalContext& context);
    void probed(Run& run, const config::Resource& resource, const ResourceDone& done);
    void suspend(Instant at, LocalContext& context, const std::string& why);
    bool all_down(const std::set<std::string>& which) const;
    bool dependents_down(const std::string& name) const;
    std::set<std::string> all() const;
    bool tells_before_final(const LocalContext& context) const;
    void use_up(const config::Resource& resource, bool deactivating, config::FinalAction action);
    void enter_start_failed(config::FinalAction action, LocalGroup& durable, LocalContext& context);
    void enter_stop_failed(config::FinalAction action, LocalContext& context);
    void update_suspension(LocalContext& context);
    void set_mark(RunMark mark, LocalGroup& durable, LocalContext& context) const;
    std::string subject() const { return "group " + name_; }
    std::string here(const LocalContext& context) const;

    std::string name_;
    config::Group config_;  // as it was when the group started here, or when it was adopted
    std::map<std::string, Run> runs_;
    std::set<std::string> restarting_;       // still to go down in Restarting
    std::set<std::string> stopped_;          // not to run although the group does
    std::set<std::string> halted_;           // of these: by a monitor's final action, since the group started here
    std::set<std::string> failed_monitors_;  // monitors that want a failover
    StartGroup order_;
    std::string cause_;
    Token token_;
    std::optional<Instant> suspended_at_;
    Instant last_deadline_;
    uint64_t stale_probes_ = 0;     // operations up to here speak of before the kill
    std::optional<Broken> broken_;  // nothing new; what follows when all is quiet
    std::optional<GuardGroupState> guard_state_;
    Phase phase_ = Phase::kIdle;
    RunMark adopted_mark_ = RunMark::kNone;
    StopReason stop_reason_ = StopReason::kGroupStop;
    uint8_t last_action_ = 0;
    bool loaded_ = false;          // config_ is known
    bool wants_failover_ = false;  // of an activation
    bool failed_ = false;
    bool whole_ = false;       // Restarting: all of the group
    bool event_failover_ = false;  // CLP_EVENT: how what runs now was started
    bool incomplete_ = false;  // found so under maintenance, and left so
    bool killed_ = false;  // by the guard: nothing is left to suspend
    bool had_lease_ = false;
};

}  // namespace kagami::engine
