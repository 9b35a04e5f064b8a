// The control service's answers that change nothing: what happened and why.
#pragma once

#include <functional>
#include <string>

#include "cluster-daemon/runtime/daemon/control_server.h"

namespace kagami::control::v1 {
class LogEntry;
class LogRequest;
class Status;
class WhyAnswer;
class WhyRequest;
}  // namespace kagami::control::v1

namespace kagami::runtime {

// What a watcher wants to hear of: the status without the fields that change with every look.
std::string essence(control::v1::Status status);

Status answer_why(const ControlBackend& backend, const control::v1::WhyRequest& in, control::v1::WhyAnswer& answer);

// Until all lines are written, or, when they are followed, until the reader is gone.
struct LogReader {
    std::function<bool(const control::v1::LogEntry&)> write;  // false: nobody reads any more
    std::function<bool()> gone;
};
void read_log(const ControlBackend& backend, const control::v1::LogRequest& in, const LogReader& reader);

}  // namespace kagami::runtime
