// One simulated machine: its power, clock, disk, guard, resources, and the daemon process with the real engine in it.
// This is the third shell around the engine: it makes `persist` durable, then sends and runs what waited for it. Fates:
// power loss and boot (new boot id), daemon crash and restart (same boot), freeze and thaw of the whole machine.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cluster-daemon/engine/engine.h"
#include "tests/sim/disk.h"
#include "tests/sim/guard.h"
#include "tests/sim/machine.h"
#include "tests/sim/moment.h"

namespace kagami::sim {

class Driver;
class World;

class Node {
 public:
    Node(World& world, NodeId id, size_t slot);

    NodeId id() const { return id_; }
    size_t slot() const { return slot_; }
    bool witness() const { return id_ == kWitnessId; }
    bool powered() const { return powered_; }
    bool running() const { return engine_ != nullptr; }  // the daemon process exists
    bool frozen() const { return frozen_; }
    BootId boot() const { return boot_; }
    Incarnation incarnation() const { return {id_, boot_}; }
    Moment booted_at() const { return booted_at_; }
    Instant local_now() const;
    const NodeClock& clock() const { return clock_; }
    engine::Engine& engine() { return *engine_; }
    const engine::Engine& engine() const { return *engine_; }
    Disk& disk() { return disk_; }
    Guard& guard() { return guard_; }
    Machine& machine() { return machine_; }
    const Machine& machine() const { return machine_; }
    const Guard& guard() const { return guard_; }
    const engine::DurableState& durable() const { return disk_.durable(); }
    uint64_t daemon_life() const { return daemon_life_; }
    void add_driver(Driver* driver) { drivers_.push_back(driver); }

    void power_on();
    void power_off();
    void start_daemon();
    void kill_daemon();
    void crash_guard(Duration away);
    void freeze();
    void thaw();
    bool woke_lately(Duration within) const;

    void receive(NodeId from, const Bytes& message);
    void feed(const engine::Event& event);
    void set_skew(double skew) { skew_ = skew; }

 private:
    void step(const engine::Event& event);
    void handle(engine::Output output);
    void send(const engine::Envelope& envelope);
    void run(const engine::Command& command);
    void tell_daemon_of_guard();
    void tell_driver(const mirror::Authority& authority);
    bool order_mirror(const engine::RunResource& command, uint64_t ticket);
    void mirrors_killed(const std::string& group);
    std::optional<engine::ProbeResult> probe_mirror(const std::string& resource);
    void act(const engine::ActOnSystem& action);
    void on_confirmed(uint64_t serial);
    void arm_wake(std::optional<Instant> wake_at);
    void wake(Moment entered, uint64_t life);
    void end_daemon(bool silent);
    engine::Timing timing() const;

    World& world_;
    NodeId id_;
    size_t slot_;
    Disk disk_;
    Machine machine_;
    Guard guard_;
    NodeClock clock_;
    double skew_ = 0;
    bool powered_ = false;
    bool frozen_ = false;
    Moment frozen_at_{};
    Moment thawed_at_{};
    BootId boot_{};
    Moment booted_at_{};
    uint64_t boots_ = 0;
    uint64_t power_life_ = 0;
    uint64_t daemon_life_ = 0;  // grows with every start and end of the daemon

    std::unique_ptr<engine::Engine> engine_;
    uint64_t confirmed_ = 0;  // serial of this daemon
    std::vector<engine::Envelope> held_messages_;
    std::vector<engine::HeldCommand> held_commands_;
    Instant wake_at_ = kNever;
    Instant wake_asked_ = kNever;
    Moment wake_entered_ = Moment::max();
    Moment spin_since_{};
    int spins_ = 0;
    std::vector<engine::Event> inbox_;  // what arrived while the machine stood still
    std::vector<Driver*> drivers_;      // of its mirrors
};

}  // namespace kagami::sim
