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
    }
    return was_on != on();
}

void MonitorMachine::checking(uint64_t operation) {
    operation_ = operation;
    again_ = false;
}

void MonitorMachine::stirred(Instant now) {
    if (gate_ != Gate::kOpen) return;
    if (operation_ != 0)
        again_ = true;
    else
        next_check_ = now;
}

bool MonitorMachine::on_done(const MonitorDone& done, Instant now) {
    operation_ = 0;
    next_check_ = again_ ? now : now + settings_.interval;
    again_ = false;
    message_ = done.timed_out && done.message.empty() ? "the check timed out" : done.message;
    if (done.state != MonitorState::kError) {
        state_ = done.state;
        errors_ = 0;
        if (done.state == MonitorState::kNormal && (!last_step_ || now >= *last_step_ + settings_.interval)) {
            scripts_ = restarts_ = failovers_ = 0;
            final_done_ = false;
            last_step_.reset();
        }
        return false;
    }
    ++errors_;
    if (errors_ <= settings_.retry) return false;
    state_ = MonitorState::kError;
    return true;
}

RecoveryStep MonitorMachine::next_step(bool restartable, bool failover_left) {
    const config::MonitorRecovery& allowed = settings_.on_error;
    if (scripts_ < static_cast<uint32_t>(allowed.script)) return RecoveryStep::kScript;
    if (restartable && restarts_ < static_cast<uint32_t>(allowed.restart)) return RecoveryStep::kRestart;
    if (failover_left) return RecoveryStep::kFailover;
    return final_done_ ? RecoveryStep::kNone : RecoveryStep::kFinal;
}

void MonitorMachine::stepped(RecoveryStep step, Instant now) {
    last_step_ = now;
    switch (step) {
        case RecoveryStep::kNone: break;
        case RecoveryStep::kScript: ++scripts_; break;
        case RecoveryStep::kRestart: ++restarts_; break;
        case RecoveryStep::kFailover: failovers_ = 1; break;
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
    return report;
}

}  // namespace kagami::engine
