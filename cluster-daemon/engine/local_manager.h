// What the chosen document and the leader's orders mean on this node: ordered activation and deactivation, recovery on
// the node, monitors, suspend and resume with the lease, and the report to the leader. Pure.
//
// A group here: Stopped -> Starting -> Active -> Stopping -> Stopped
//             Starting|Active -failure-> retry | StartFailed | recovery ; Stopping -failure-> StopFailed
//             Starting|Active|Stopping -lease over-> Suspended -> back | killed -> Stopped
// Invariants: START is refused when token <= max_token, without lease, guard not alive, document does not name (me,
//             boot, token), or anything of an older token is left (I3, I15, I18); one refused only for the moment is
//             obeyed as soon as nothing is against it. max_token and the STARTING mark are durable before the first
//             activation; independent resources run in parallel, the others in the order of `after`, stop in reverse;
//             nothing is activated while suspended.
// Leaving:    an entry that becomes kLeft for this incarnation ends in ActOnSystem, a moment later so that the others
//             learn of it (the leader after T_hold, others after T_renew). A daemon that starts in a boot that has left
//             wants to join again. report().leaving is also the heartbeat's: the document asks this node to leave, or a
//             final action of its own does.
// Unmanaged:  a node that a person has taken out of the cluster's hands (MaintenanceKind::kUnmanaged): nothing is
//             guarded, suspended, started or recovered; what runs goes on. When it is over everything is probed.
// Reports:    one may say STOPPED(token) only when the token is durable: send them after persist when durable_changed.
// Leaves to others: leases (register.h), which node (policy.h), suspension itself (the guard), intervals of monitors
//             (monitor_machine.h), when a final action is suppressed (final_actions.h).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/timing.h"

namespace kagami::engine {

struct LocalInput {                          // what the local manager sees of the rest of the engine at each step
    const Document* document = nullptr;      // newest accepted
    const config::Config* config = nullptr;  // null: not unpacked yet: nothing starts
    const Timing* timing = nullptr;
    Incarnation self;
    Instant now;
    Instant run_until;  // lease; Instant{} = none
    Instant lease_sent_at;
    bool config_stored = false;  // scripts in force lie on the disk of this node
    bool unmanaged = false;      // a person runs this node by hand
    std::set<NodeId> healthy;    // other nodes that are heard as members with a guard
};

struct LocalCounts {  // durable, of DurableState
    uint32_t final_actions = 0;
    uint32_t final_actions_cleared = 0;
    bool operator==(const LocalCounts&) const = default;
};

struct LocalOutput {
    std::vector<Command> commands;  // carried out after persist when `durable` changed
    std::vector<Decision> decisions;
    bool durable_changed = false;  // groups() and counts() must be made durable before commands run
    bool report_changed = false;
    std::optional<Instant> wake_at;
};

class LocalManager {
 public:
    LocalManager();
    ~LocalManager();
    LocalManager(LocalManager&&) noexcept;
    LocalManager& operator=(LocalManager&&) noexcept;

    // Marks of this boot are re-adopted by probing; of another boot: tokens kept, marks void.
    void restore(const std::map<std::string, LocalGroup>& groups, bool same_boot);
    void restore(const LocalCounts& counts);
    void on_start(const StartGroup& order, const LocalInput& input);
    void on_stop(const StopGroup& order, const LocalInput& input);
    void on_resource_done(const ResourceDone& done, const LocalInput& input);
    void on_monitor_done(const MonitorDone& done, const LocalInput& input);
    void on_monitor_stirred(const MonitorStirred& stirred, const LocalInput& input);
    void on_script_done(const ScriptDone& done, const LocalInput& input);
    void on_guard(const GuardObserved& observed, const LocalInput& input);
    // Every step ends with this: lease, document, timers.
    void advance(const LocalInput& input);
    LocalOutput take_output();

    NodeReport report() const;  // without incarnation, serial, version (the engine fills them)
    const std::map<std::string, LocalGroup>& groups() const;  // durable part
    const LocalCounts& counts() const;                        // durable part, too
    std::vector<GuardedGroup> guarded() const;                // what the guard must cover, with verdicts
    bool anything_active() const;
    bool anything_suspended() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace kagami::engine
