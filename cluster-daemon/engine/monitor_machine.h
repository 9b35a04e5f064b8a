// One monitor on this node: when it checks, when an error counts, and which recovery step comes next
// (expresscluster.md 4.1, 4.2).
//
// States:     Offline (its target is not active) -> Unknown (first check under way) -> Normal | Caution | Error;
//             Suspended with its group, or by a person.
// Invariants: at most one check at a time; an error counts after `retry` further checks (a time-out at once without
//             retry_on_timeout); the steps are scripts, restarts, failover, final action, each at most its configured
//             number of times; counters are cleared by a person, and by a normal check that comes at least an interval
//             after the last step (a service that dies again at once has not recovered).
// A check is late when it took more than `delay_warning` of its time-out. A dummy failure (verification) turns whatever
// a check finds into an error; the recovery is a real one.
// Leaves to others: carrying the step out, the script before it, maintenance (local_monitors.cc).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"

namespace kagami::engine {

enum class RecoveryStep : uint8_t { kNone, kScript, kRestart, kFailover, kFinal };

class MonitorMachine {
 public:
    explicit MonitorMachine(config::Monitor settings) : settings_(std::move(settings)) {}

    // The target is active (or there is none to wait for), or not, or suspended.
    enum class Gate : uint8_t { kOpen, kClosed, kSuspended };
    // True when the subscription must be switched.
    bool set_gate(Gate gate, Instant now);
    bool check_due(Instant now) const { return gate_ == Gate::kOpen && operation_ == 0 && now >= next_check_; }
    void checking(uint64_t operation, Duration timeout, Instant now);
    void stirred(Instant now);
    // What persons have set of it: resets of its counters, a dummy failure.
    void follow(const MonitorEntry& entry, NodeId self, Instant now);
    // True when an error is confirmed now: recovery is due.
    bool on_done(const MonitorDone& done, Instant now);
    // `failover_left`: the group has not used up the failovers that this monitor allows.
    RecoveryStep next_step(bool failover_left) const;
    // The recovery script runs before this step, too.
    bool tells_before(RecoveryStep step) const;
    // `failovers`: of the group so far, for kFailover.
    void stepped(RecoveryStep step, uint32_t failovers, Instant now);
    // Of this error, nobody was told yet what would be done but for the maintenance.
    bool first_observed() { return !std::exchange(observed_, true); }
    void not_observed() { observed_ = false; }

    const config::Monitor& settings() const { return settings_; }
    uint64_t operation() const { return operation_; }
    bool on() const { return gate_ != Gate::kClosed; }
    MonitorState state() const { return state_; }
    std::optional<Instant> wake_at() const;
    MonitorReport report() const;

 private:
    MonitorDone judged(MonitorDone done) const;
    void clear_counters();

    config::Monitor settings_;
    Gate gate_ = Gate::kClosed;
    MonitorState state_ = MonitorState::kOffline;
    uint64_t operation_ = 0;
    bool again_ = false;  // stirred during a check
    Instant next_check_ = kNever;
    int errors_ = 0;  // in a row
    Instant check_began_;
    Duration check_timeout_{};
    bool late_ = false;
    bool dummy_ = false;
    bool observed_ = false;
    std::optional<uint32_t> cleared_;  // MonitorEntry::cleared as last obeyed
    uint32_t scripts_ = 0;
    uint32_t restarts_ = 0;
    uint32_t failovers_ = 0;
    bool final_done_ = false;
    std::optional<Instant> last_step_;
    std::string message_;
};

}  // namespace kagami::engine
