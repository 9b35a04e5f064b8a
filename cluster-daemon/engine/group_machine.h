// One group on this node: the order of its resources, retries, restart of a part, suspension, and what the guard has
// done. Pure.
//
// Phases:     Idle; Adopting (a restarted daemon probes what runs); Starting; Active; Restarting (a part goes
//             down, then up again); Stopping; Cleaning (the guard killed it: probes confirm); StartFailed; StopFailed.
// Invariants: a resource is activated only when everything it comes after is up, under a lease, with the guard alive,
//             not suspended; it is deactivated only when nothing that comes after it is up; Idle means that every
//             resource was seen down.
// Leaves to others: whether an order is acceptable (local_manager.cc), when monitors call for recovery
//             (monitor_machine.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "cluster-daemon/engine/local_manager.h"

namespace kagami::engine {

// What a machine may use during one call.
struct LocalContext {
    const LocalInput& input;
    LocalOutput& out;
    const GuardObserved& guard;
    uint64_t& operations;                       // counter of operation ids
    std::optional<SystemAction>& final_action;  // a final action asks this node to leave

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
    void on_guard(GuardGroupState state, LocalGroup& durable, LocalContext& context);
    void advance(LocalGroup& durable, LocalContext& context);

    // Monitors: restart `resource` and what comes after it ("" = all); move away; the error is over.
    void restart(const std::string& resource, const std::string& cause, LocalContext& context);
    void want_failover(const std::string& monitor, const std::string& cause);
    void end_error(const std::string& monitor);
    void act_finally(config::FinalAction action, const std::string& cause, LocalGroup& durable, LocalContext& context);

    // A new configuration that restarts nothing of a running group: time-outs and recovery rules count from now on.
    void reconfigure(const config::Group& group);

    Phase phase() const { return phase_; }
    bool idle() const { return phase_ == Phase::kIdle; }
    bool suspended() const { return suspended_at_.has_value(); }
    bool up(const std::string& resource) const;  // online
    Verdict verdict(const LocalInput& input) const;
    bool strict() const { return loaded_ && config_.exclusion == config::ExclusionKind::kStrict; }
    Token token() const { return token_; }
    GroupReport report(const LocalGroup& durable) const;
    const std::string* resource_of(uint64_t operation) const;  // under way; null = not of this group

 private:
    struct Run {
        ResourceState state = ResourceState::kOffline;
        ResourceAction action = ResourceAction::kProbe;
        uint64_t operation = 0;    // under way; 0 = none
        int attempts = 0;          // failed ones of the present step
        bool passed_over = false;  // failed, and its final action lets the others go on
        bool probed = false;
        std::string message;
    };

    const config::Resource* resource(const std::string& name) const;
    std::set<std::string> with_dependents(const std::set<std::string>& names) const;
    bool busy() const;
    bool ours(const LocalInput& input) const;
    bool doomed(const LocalInput& input) const;
    bool may_activate(const LocalContext& context) const;

    void load(const config::Group& group);
    void run(const std::string& name, ResourceAction action, LocalContext& context);
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
    std::set<std::string> failed_monitors_;  // monitors that want a failover
    StartGroup order_;
    std::string cause_;
    Token token_;
    std::optional<Instant> suspended_at_;
    Instant last_deadline_;
    uint64_t stale_probes_ = 0;                  // operations up to here speak of before the kill
    std::optional<config::FinalAction> broken_;  // a resource is used up: nothing new; what follows when all is quiet
    std::optional<GuardGroupState> guard_state_;
    Phase phase_ = Phase::kIdle;
    RunMark adopted_mark_ = RunMark::kNone;
    StopReason stop_reason_ = StopReason::kGroupStop;
    uint8_t last_action_ = 0;
    bool loaded_ = false;          // config_ is known
    bool wants_failover_ = false;  // of an activation
    bool failed_ = false;
    bool killed_ = false;  // by the guard: nothing is left to suspend
    bool had_lease_ = false;
};

}  // namespace kagami::engine
