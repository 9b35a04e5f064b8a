// The conversation of one change: the request goes to the engine, its answers come back to the caller as they arrive.
//   accepted or refused; with `wait`, steps and one done or refused more; of a dry run accepted{dry_run} or refused.
// What the engine answers in several lines is one message and, a line each, its consequences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/daemon/control_server.h"

namespace kagami::control::v1 {
class ChangeOptions;
class NotifyAnswer;
class NotifyRequest;
class Progress;
class Refused;
}  // namespace kagami::control::v1

namespace kagami::runtime {

struct Caller {
    std::function<bool(const control::v1::Progress&)> write;  // false: nobody reads any more
    std::function<bool()> gone;
};

void fill_refused(control::v1::Refused& out, const Error& error);
void answer_error(const Caller& caller, const Error& error);

void carry_out(const ControlBackend& backend, const Caller& caller, Result<engine::OperatorRequest> request,
               const control::v1::ChangeOptions& options);
// A step that has to be accepted before the change itself is asked for. False when it was refused (that has been
// written) or the caller is gone.
bool carry_out_first(const ControlBackend& backend, const Caller& caller, Result<engine::OperatorRequest> request);

// A person's own message, on the way of the alerts.
void notify(const ControlBackend& backend, const control::v1::NotifyRequest& in, control::v1::NotifyAnswer& answer);

}  // namespace kagami::runtime
