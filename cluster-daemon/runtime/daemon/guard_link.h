// The daemon's end of the guard's page: publishes the engine's plan with cgroups, addresses and mounts filled in, and turns what the guard
// reports into events. While the guard does not live, the daemon suspends the groups itself (protocol.md 5: no guard, no groups).
// Owned by the engine's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/timing.h"
#include "common/result.h"
#include "resources/resource.h"

namespace kagami::runtime {

struct GuardSummary {        // for status displays
    bool alive = false;
    bool armed = false;
    std::string watchdog;    // "none", "hardware: iTCO_wdt", "simulated"
    bool watchdog_tested = false;  // `kagami-guard test` has passed with this driver and kernel
    bool realtime = false;
    bool memory_locked = false;
};

class GuardLink {
 public:
    using Footprints = std::function<Result<resources::Footprint>(const std::string& group)>;
    static Result<std::unique_ptr<GuardLink>> open(const std::string& page_path, const BootId& boot, Footprints footprints);
    ~GuardLink();

    void set_timing(const engine::Timing& timing);
    void forget_footprints();                     // the configuration has changed
    void publish(const engine::SetGuard& plan);
    // Why the guard does not cover the group now, so that nothing of it may be activated; nothing when it does. From any thread.
    std::optional<std::string> uncovered(const std::string& group) const;
    // Call it every T_guard / 2: what changed since the last call, or nothing.
    std::optional<engine::GuardObserved> poll(Instant now);
    GuardSummary summary() const;
    // The largest lateness of the guard's beat seen since the last call, for the monitor userw. From any thread.
    Duration take_lateness();

 private:
    struct Impl;
    explicit GuardLink(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
