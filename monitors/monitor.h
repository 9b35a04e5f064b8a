// A monitor type: `check` answers once within its deadline; a subscribing type also reports at once when something
// happened. Intervals, retries, thresholds and recovery are engine policy. Adding a type = one folder here and one line
// in registry.cc. An error of `check` is a check that could not be made (kTimedOut: not in time); what it found out is
// a Finding, an error of the object included.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/config/parameter.h"
#include "common/host/host.h"
#include "common/result.h"

namespace kagami::monitors {

enum class Health { kNormal, kCaution, kError };

struct Context {
    std::string monitor;
    std::string target_group;  // empty without a target
    std::string target_resource;
    config::Values values;         // of the monitor
    config::Values target_values;  // of the target resource
    std::string script_directory;
    Instant deadline;
    // The other monitors of this node as the engine has last judged them (after retries, dummy failures included); one
    // that is off, suspended or has not been checked yet is missing. Only mtw reads it.
    std::map<std::string, Health> others{};
};

struct Finding {
    Health health = Health::kNormal;
    std::string message;  // names the object: "process 4711 of postgres has ended"
};

class Monitor {
 public:
    virtual ~Monitor() = default;
    virtual Result<Finding> check(const Context& context) = 0;
    // Calls `changed` (from a thread of the host) whenever a check is worthwhile at once, and once before it returns:
    // what happened before the subscription is not told by it. Polling types return null.
    virtual std::shared_ptr<void> subscribe(const Context&, const std::function<void()>& /*changed*/) {
        return nullptr;
    }
    // The monitor is switched off (its target is no longer active, or it was removed): ends what its checks
    // left running.
    virtual Status stop(const Context&) { return {}; }
};

struct Type {
    config::TypeDescription description;
    std::unique_ptr<Monitor> (*make)(host::Host& host);
};

std::span<const Type> registry();
const Type* find(std::string_view word);

}  // namespace kagami::monitors
