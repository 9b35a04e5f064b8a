#include "cluster-daemon/engine/monitor_machine.h"

namespace kagami::engine {

bool MonitorMachine::set_gate(Gate gate, Instant now) {
    if (gate == gate_) return false;
    const bool was_on = on();
    const bool was_open = gate_ == Gate::kOpen;
    gate_ = gate;
    errors_ = 0;
    if (gate == Gate::kOpen) {
        state_ = MonitorState::kUnknown;
        next_check_ = now + (was_on && !was_open ? Duration{} : settings_.start_wait);
    } else {
        state_ = gate == Gate::kSuspended ? MonitorState::kSuspended : MonitorState::kOffline;
        operation_ = 0;  // its answer will speak of another time
        again_ = false;
        next_check_ = kNever;
        message_.clear();
        late_ = observed_ = false;
    }
    return was_on != on();
}

void MonitorMachine::checking(uint64_t operation, Duration timeout, Instant now) {
    operation_ = operation;
    again_ = false;
    check_began_ = now;
    check_timeout_ = timeout;
}

void MonitorMachine::follow(const MonitorEntry& entry, NodeId self, Instant now) {
    if (cleared_ && *cleared_ != entry.cleared) clear_counters();
    cleared_ = entry.cleared;
    const bool dummy = entry.dummy_failure.contains(self);
    if (dummy == dummy_) return;
    dummy_ = dummy;
    stirred(now);
}

void MonitorMachine::clear_counters() {
    scripts_ = restarts_ = failovers_ = 0;
    final_done_ = false;
    last_step_.reset();
}

void MonitorMachine::stirred(Instant now) {
    if (gate_ != Gate::kOpen) return;
    if (operation_ != 0)
        again_ = true;
    else
        next_check_ = now;
}

MonitorDone MonitorMachine::judged(MonitorDone done) const {
    if (done.timed_out && done.message.empty()) done.message = "the check timed out";
    if (!dummy_) return done;
    done.state = MonitorState::kError;
    done.timed_out = false;
    done.message = "a dummy failure is set for verification";
    return done;
}

bool MonitorMachine::on_done(const MonitorDone& answer, Instant now) {
    const MonitorDone done = judged(answer);
    operation_ = 0;
    next_check_ = again_ ? now : now + settings_.interval;
    again_ = false;
    message_ = done.message;
    late_ = settings_.delay_warning > 0 && now - check_began_ > check_timeout_ / 100 * settings_.delay_warning;
    if (done.state != MonitorState::kError) {
        state_ = done.state;
        errors_ = 0;
        observed_ = false;
        if (done.state == MonitorState::kNormal && (!last_step_ || now >= *last_step_ + settings_.interval))
            clear_counters();
        return false;
    }
    ++errors_;
    const bool at_once = dummy_ || (done.timed_out && !settings_.retry_on_timeout);
    if (errors_ <= settings_.retry && !at_once) return false;
    state_ = MonitorState::kError;
    if (!done.timed_out || settings_.recover_on_timeout) return true;
    message_ += "; nothing is done about it (recover_on_timeout = false)";
    return false;
}

RecoveryStep MonitorMachine::next_step(bool failover_left) const {
    const config::MonitorRecovery& allowed = settings_.on_error;
    if (scripts_ < static_cast<uint32_t>(allowed.script)) return RecoveryStep::kScript;
    if (restarts_ < static_cast<uint32_t>(allowed.restart)) return RecoveryStep::kRestart;
    if (failover_left) return RecoveryStep::kFailover;
    return final_done_ ? RecoveryStep::kNone : RecoveryStep::kFinal;
}

bool MonitorMachine::tells_before(RecoveryStep step) const {
    switch (step) {
        case RecoveryStep::kNone:
        case RecoveryStep::kScript: return false;
        case RecoveryStep::kRestart: return settings_.on_error.script_before_restart;
        case RecoveryStep::kFailover: return settings_.on_error.script_before_failover && failovers_ == 0;
        case RecoveryStep::kFinal: return settings_.on_error.script_before_final;
    }
    return false;
}

void MonitorMachine::stepped(RecoveryStep step, uint32_t failovers, Instant now) {
    last_step_ = now;
    switch (step) {
        case RecoveryStep::kNone: break;
        case RecoveryStep::kScript: ++scripts_; break;
        case RecoveryStep::kRestart: ++restarts_; break;
        case RecoveryStep::kFailover: failovers_ = failovers + 1; break;
        case RecoveryStep::kFinal: final_done_ = true; break;
    }
}

std::optional<Instant> MonitorMachine::wake_at() const {
    if (gate_ != Gate::kOpen || operation_ != 0 || next_check_ == kNever) return std::nullopt;
    return next_check_;
}

MonitorReport MonitorMachine::report() const {
    MonitorReport report;
    report.name = settings_.name;
    report.state = state_;
    report.message = message_;
    report.restarts = restarts_;
    report.failovers = failovers_;
    report.scripts = scripts_;
    report.late = late_;
    return report;
}

}  // namespace kagami::engine
