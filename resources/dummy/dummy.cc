#include "resources/dummy/dummy.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <set>

namespace kagami::resources {
namespace {

using config::ParameterKind;

Status check_failures(std::string_view text) {
    for (const std::string_view known : {"none", "activate", "deactivate", "probe"}) {
        if (text == known) return {};
    }
    return fail(ErrorCode::kUsage, "is none of none, activate, deactivate, probe",
                "name the operation that shall fail");
}

constexpr std::array<config::Parameter, 2> kParameters = {{
    {"delay", ParameterKind::kDuration, false, "0s", 0, 3600, "How long activation and deactivation take."},
    {"fail", ParameterKind::kString, false, "none", 0, 0, "Which operation fails: none, activate, deactivate or probe.",
     check_failures},
}};

// Of this process: every operation has an object of its own.
class ActiveSet {
 public:
    void set(const Context& context, bool active) {
        const std::scoped_lock lock(mutex_);
        if (active) {
            names_.insert({context.group, context.resource});
        } else {
            names_.erase({context.group, context.resource});
        }
    }
    bool holds(const Context& context) const {
        const std::scoped_lock lock(mutex_);
        return names_.contains({context.group, context.resource});
    }

 private:
    mutable std::mutex mutex_;
    std::set<std::pair<std::string, std::string>> names_;
};

ActiveSet& active() {
    static ActiveSet set;
    return set;
}

class Dummy : public Resource {
 public:
    explicit Dummy(host::Host& host) : host_(host) {}
    Status activate(const Context& context) override { return change(context, "activate", true); }
    Status deactivate(const Context& context) override { return change(context, "deactivate", false); }
    Result<Probe> probe(const Context& context) override {
        if (context.values.text("fail") == "probe") return refuse(context, "probe");
        return active().holds(context) ? Probe::kActive : Probe::kInactive;
    }
    Result<Footprint> footprint(const Context&) override { return Footprint{}; }

 private:
    static tl::unexpected<Error> refuse(const Context& context, const std::string& operation) {
        return fail(context.group + "." + context.resource + ": fails, as its configuration says (fail = \"" +
                        operation + "\")",
                    "set fail = \"none\"");
    }
    Status change(const Context& context, const std::string& operation, bool to_active) {
        const Duration delay = context.values.duration("delay");
        const Duration left = context.deadline - host_.now();
        if (delay > 0ns) host_.oversleep(std::min(delay, left));
        if (delay > left)
            return fail(ErrorCode::kTimedOut,
                        context.group + "." + context.resource + ": delay is longer than the time-out of its operation",
                        "lower delay, or raise " + operation + "_timeout");
        if (context.values.text("fail") == operation) return refuse(context, operation);
        active().set(context, to_active);
        return {};
    }
    host::Host& host_;
};

}  // namespace

const config::TypeDescription& dummy_description() {
    static const config::TypeDescription description = {
        "dummy", "Does nothing, as slowly and as badly as it is told; for tests.", kParameters, {}};
    return description;
}

std::unique_ptr<Resource> make_dummy(host::Host& host) {
    return std::make_unique<Dummy>(host);
}

}  // namespace kagami::resources
