// One monitor on this node: when it checks, when an error counts, and which recovery step comes next
// (expresscluster.md 4.1, 4.2).
//
// States:     Offline (its target is not active) -> Unknown (first check under way) -> Normal | Caution | Error;
//             Suspended with its group.
// Invariants: at most one check at a time; an error counts after `retry` further checks; the steps are scripts,
//             restarts, failover, final action, each at most its configured number of times; counters are cleared by a
//             normal check that comes at least an interval after the last step (a service that dies again at once has
//             not recovered).
// Leaves to others: carrying the step out (local_manager.cc).
#pragma once

#include <optional>
#include <string>

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
    void checking(uint64_t operation);
    void stirred(Instant now);
    // True when an error is confirmed now: recovery is due.
    bool on_done(const MonitorDone& done, Instant now);
    // `failover_left`: the group has not used up the failovers that this monitor allows. `restartable`: there is
    // something to restart.
    RecoveryStep next_step(bool restartable, bool failover_left);
    void stepped(RecoveryStep step, Instant now);
    void check_now(Instant now) { next_check_ = now; }

    const config::Monitor& settings() const { return settings_; }
    uint64_t operation() const { return operation_; }
    bool on() const { return gate_ != Gate::kClosed; }
    std::optional<Instant> wake_at() const;
    MonitorReport report() const;
    uint32_t scripts() const { return scripts_; }

 private:
    config::Monitor settings_;
    Gate gate_ = Gate::kClosed;
    MonitorState state_ = MonitorState::kOffline;
    uint64_t operation_ = 0;
    bool again_ = false;  // stirred during a check
    Instant next_check_ = kNever;
    int errors_ = 0;  // in a row
    uint32_t scripts_ = 0;
    uint32_t restarts_ = 0;
    uint32_t failovers_ = 0;
    bool final_done_ = false;
    std::optional<Instant> last_step_;
    std::string message_;
};

}  // namespace kagami::engine
