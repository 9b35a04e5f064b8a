// Carries out the engine's resource and monitor commands on a pool of workers, and posts what came of them back as events.
// Every call of a driver blocks its worker at most until its deadline. Which resource, when and how often is the engine's business.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"
#include "common/host/host.h"
#include "resources/resource.h"

namespace kagami::runtime {

class Drivers {
 public:
    using Post = std::function<void(engine::Event)>;
    Drivers(const host::Host& host, NodeId self, std::string script_directory, Post post);
    ~Drivers();

    void set_config(std::shared_ptr<const config::Config> config);
    void run(const engine::RunResource& command);
    void check(const engine::CheckMonitor& command);
    void watch(const engine::WatchMonitor& command);
    void run_script(const engine::RunRecoveryScript& command);
    void run_script(const engine::RunResourceScript& command);
    // Tells the network where the group's addresses are again, after the guard has given them back.
    void announce(const std::string& group);
    // What the guard must cover while the group may be active here; empty when the group is not in the configuration. An error when a
    // part is not known now (an address without an interface).
    Result<resources::Footprint> footprint(const std::string& group) const;
    // Asked before every activation: why the guard does not cover the group, or nothing. Set it before the first command.
    void set_guard_check(std::function<std::optional<std::string>(const std::string& group)> uncovered);
    // Told after every check how long it took; from any thread. Set it before the first command.
    void set_check_listener(std::function<void(const std::string& monitor, Duration took, bool timed_out)> checked);

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
