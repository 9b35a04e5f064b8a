// The inside of the local manager, split over local_manager.cc (orders, groups, leaving, the report) and
// local_monitors.cc (monitors and the recovery that they ask for).
#pragma once

#include "cluster-daemon/engine/final_actions.h"
#include "cluster-daemon/engine/group_machine.h"
#include "cluster-daemon/engine/local_manager.h"
#include "cluster-daemon/engine/local_rules.h"
#include "cluster-daemon/engine/monitor_machine.h"

namespace kagami::engine {

struct LocalManager::State {
    std::map<std::string, LocalGroup> durable;
    std::map<std::string, GroupMachine> machines;
    std::map<std::string, MonitorMachine> monitors;
    struct Script {                               // a recovery script under way
        std::string monitor;
        RecoveryStep before = RecoveryStep::kNone;  // follows it; kNone: the script was the step
    };
    std::map<uint64_t, Script> scripts;           // by operation
    std::map<std::string, std::string> refusals;  // last refusal of a START by group, said once
    std::map<std::string, StartGroup> waiting;    // refused for now: obeyed as soon as nothing is against it
    Hash config_hash{};                           // configuration that monitors and machines follow
    bool config_followed = false;
    GuardObserved guard;
    uint64_t operations = 0;
    LocalOutput out;
    NodeReport last_report;
    bool reported = false;

    FinalActions final_actions;
    bool unmanaged = false;                    // as last seen
    bool member_seen = false;                  // in this life of the daemon
    bool asked_to_leave = false;               // the document does
    std::optional<Instant> act_at;             // the document says LEFT: the system action follows then
    bool acted = false;
    std::map<std::string, GuardedGroup> guarded;

    LocalContext context(const LocalInput& input) { return {input, out, guard, operations, final_actions}; }
    GroupMachine& machine(const std::string& group) { return machines.try_emplace(group, group).first->second; }

    std::optional<std::string> refusal(const StartGroup& order, const LocalInput& input);
    void try_start(const StartGroup& order, const LocalInput& input);
    void retry_starts(const LocalInput& input);
    void advance(const LocalInput& input);
    void follow_leaving(const LocalInput& input);
    void leave_now(const LocalInput& input, SystemAction action, std::string why);
    void act_on_failed_stop(const LocalInput& input);
    void follow_config(const LocalInput& input);
    void forget_removed_groups(const LocalInput& input);
    void follow_unmanaged(const LocalInput& input);

    // ---- local_monitors.cc ----
    MonitorMachine::Gate gate_of(const config::Monitor& monitor, const LocalInput& input);
    void follow_persons(MonitorMachine& monitor, const LocalInput& input);
    void advance_monitors(const LocalInput& input);
    void check(MonitorMachine& monitor, const LocalInput& input);
    void judge(MonitorMachine& monitor, const MonitorDone& done, const LocalInput& input);
    void recover(MonitorMachine& monitor, const LocalInput& input);
    std::vector<std::string> targets(const config::Monitor& monitor);
    bool only_observed(MonitorMachine& monitor, RecoveryStep step, std::vector<std::string>& groups,
                       const LocalInput& input);
    void run_script(const MonitorMachine& monitor, RecoveryStep before, const LocalInput& input);
    void go_on_after(const Script& script, const LocalInput& input);
    void take_step(MonitorMachine& monitor, RecoveryStep step, const std::vector<std::string>& groups,
                   const LocalInput& input);
    void act_finally(const MonitorMachine& monitor, const std::vector<std::string>& groups, const std::string& cause,
                     const LocalInput& input);

    NodeReport report() const;
};

}  // namespace kagami::engine
