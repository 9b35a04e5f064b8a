// What the resources of one machine are really doing: started, half started, suspended by the guard, killed. The
// engine's commands take time here, fail when told to, hang, and go on when the daemon dies. A group has effects while
// anything of it is active or being started and it is not suspended.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "common/config/config.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"

namespace kagami::sim {

struct WorkPace {
    Duration fastest = 10ms;  // an activation or deactivation
    Duration slowest = 200ms;
    Duration probe = 2ms;
};

// Told before the run or by a fault: what goes wrong the next `times` times.
struct Trouble {
    engine::ResourceAction action = engine::ResourceAction::kActivate;
    int times = 0;
    bool hangs = false;        // until the time-out
    bool leaves_mess = false;  // a failed activation leaves something behind
};

class Machine {
 public:
    struct Hooks {
        std::function<void(const engine::Event&)> report;  // to the daemon, if it is still the one that asked
        std::function<uint64_t()> daemon_life;
        std::function<void(const std::string& group)> changed;  // effects may have begun or ended
        // Takes over what another part of the machine does (mirrors); ordered_done() must follow. False: a script.
        std::function<bool(const engine::RunResource& command, uint64_t ticket)> order;
        std::function<void(const std::string& group)> killed;
        std::function<std::optional<engine::ProbeResult>(const std::string& resource)> probe;  // of such a resource
    };
    Machine(Queue& queue, Random& random, Hooks hooks);

    void set_config(std::shared_ptr<const config::Config> config) { config_ = std::move(config); }
    void set_pace(WorkPace pace) { pace_ = pace; }
    void run(const engine::RunResource& command);
    void ordered_done(uint64_t ticket, bool ok, const std::string& message);
    void check(const engine::CheckMonitor& command);
    void watch(const engine::WatchMonitor& command);
    void daemon_ended() { watched_.clear(); }

    void suspend(const std::string& group);
    void resume(const std::string& group);
    void kill(const std::string& group);
    void power_off();

    bool anything(const std::string& group) const;  // suspended or not
    bool effects(const std::string& group) const;   // unsuspended
    bool suspended(const std::string& group) const;
    std::vector<std::string> groups() const;
    std::vector<std::string> active_resources(const std::string& group) const;

    void trouble(const std::string& resource, Trouble trouble) { troubles_[resource].push_back(trouble); }
    void forget_troubles();
    void service_dies(const std::string& group, const std::string& resource);
    void monitor_fails(const std::string& monitor, bool on);
    void check_takes(const std::string& monitor, Duration takes) { check_takes_[monitor] = takes; }
    // The next scripts around the steps of a resource, or of a monitor's recovery, fail.
    void scripts_fail(const std::string& name, int times) { failing_scripts_[name] = times; }
    bool next_script_ends_well(const std::string& name);
    void set_frozen(bool on) { frozen_ = on; }

 private:
    struct Operation {
        engine::RunResource command;
        uint64_t daemon_life = 0;
        Moment ends{};
        Moment times_out{};
        std::optional<Trouble> trouble;
        bool begun = false;
        uint64_t ticket = 0;  // not 0: another part of the machine does it
        std::string message;
    };
    struct Item {
        bool active = false;  // something of it exists
        bool dead = false;    // its process has ended by itself
        std::deque<Operation> work;
        uint64_t turn = 0;  // invalidates what was entered in the queue for an earlier state
    };
    struct Box {
        std::map<std::string, Item> items;
        bool suspended = false;
        Moment suspended_at{};
    };
    Item& item(const std::string& group, const std::string& resource) { return boxes_[group].items[resource]; }
    void begin(const std::string& group, const std::string& resource);
    void pass_on(Operation& operation);
    void arm(const std::string& group, const std::string& resource);
    void end(const std::string& group, const std::string& resource, bool timed_out);
    void finish(const std::string& group, const std::string& resource, const Operation& operation, bool timed_out);
    std::optional<Trouble> next_trouble(const engine::RunResource& command);
    bool troubled(const std::string& monitor) const;

    Queue& queue_;
    Random& random_;
    Hooks hooks_;
    WorkPace pace_;
    std::shared_ptr<const config::Config> config_;
    std::map<std::string, Box> boxes_;
    std::map<std::string, std::deque<Trouble>> troubles_;
    std::set<std::string> watched_;
    std::set<std::string> failing_;
    std::map<std::string, Duration> check_takes_;
    std::map<std::string, int> failing_scripts_;
    uint64_t life_ = 0;  // of the machine: power
    uint64_t tickets_ = 0;
    bool frozen_ = false;
};

}  // namespace kagami::sim
