// A monitor type: `check` answers once within its deadline; a subscribing type also reports at once when something
// happened. Intervals, retries, thresholds and recovery are engine policy. Adding a type = one folder here and one line
// in registry.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/config/parameter.h"
#include "common/host/host.h"
#include "common/result.h"

namespace kagami::monitors {

struct Context {
    std::string monitor;
    std::string target_group;  // empty without a target
    std::string target_resource;
    config::Values values;         // of the monitor
    config::Values target_values;  // of the target resource
    std::string script_directory;
    Instant deadline;
};

enum class Health { kNormal, kCaution, kError };
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
};

struct Type {
    config::TypeDescription description;
    std::unique_ptr<Monitor> (*make)(host::Host& host);
};

std::span<const Type> registry();
const Type* find(std::string_view word);

}  // namespace kagami::monitors
