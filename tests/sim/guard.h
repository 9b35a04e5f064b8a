// The guard of one machine, as protocol.md 5 describes it: the reference against which the engine is judged. It reads
// only the published page. At the deadline it suspends every group of the page within T_guard (strict ones it kills
// then, within T_kill); it resumes or kills on the daemon's verdict, kills what was suspended for a minute, and pets
// the watchdog while that is right; else the machine is reset in T_wd. The page and what is suspended outlive guard and
// daemon; nothing outlives the machine.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/engine/timing.h"
#include "tests/sim/machine.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"

namespace kagami::sim {

class Guard {
 public:
    struct Hooks {
        std::function<Instant()> local_now;
        std::function<Moment(Instant)> when;
        std::function<void()> observed;                       // the report page changed
        std::function<void()> watchdog_bites;                 // power loss
        std::function<void(const std::string& what)> broken;  // a rule of the page was broken by the daemon
    };
    Guard(Queue& queue, Random& random, Machine& machine, Hooks hooks);

    void set_timing(const engine::Timing& timing) { timing_ = timing; }
    void set_calm(bool calm) { calm_ = calm; }
    void set_late(Duration late) { late_ = late; }  // mutation: suspends too late
    // Hardware counts on while the machine stands still; a virtual watchdog stands still with it.
    void set_hardware_watchdog(bool on) { hardware_watchdog_ = on; }
    void set_kill_fails(bool on) { kill_fails_ = on; }
    void start();
    void crash();
    void power_off();
    void publish(const engine::SetGuard& plan);
    void pause_found();  // BOOTTIME went on while nothing ran
    void freeze();
    void thaw();

    bool alive() const { return alive_; }
    bool armed() const { return alive_ && page_.armed; }
    const engine::SetGuard& page() const { return page_; }
    engine::GuardObserved observed() const;
    bool suspected() const { return suspected_; }

 private:
    struct Held {
        Token token;
        bool strict = false;
        engine::Verdict verdict = engine::Verdict::kNone;
        engine::GuardGroupState state = engine::GuardGroupState::kRunning;
        Instant over_at{};  // the deadline after which it was suspended
        Instant suspended_at{};
        bool busy = false;  // suspending or killing now
    };
    void look();  // everything that is due now
    void look_at(const std::string& name, Held& held, Instant now);
    void begin_suspend(const std::string& name, Held& held);
    void begin_kill(const std::string& name);
    void kill_done(const std::string& name);
    void arm_timer();
    void feed_watchdog();
    bool fit_to_pet() const;
    void later(Duration delay, std::function<void()> action);

    Queue& queue_;
    Random& random_;
    Machine& machine_;
    Hooks hooks_;
    engine::Timing timing_{};
    engine::SetGuard page_;
    std::map<std::string, Held> groups_;
    bool alive_ = false;
    bool frozen_ = false;
    bool suspected_ = false;
    Instant suspected_at_{};
    bool calm_ = false;
    bool kill_fails_ = false;
    bool hardware_watchdog_ = false;
    Duration late_{};
    Moment timer_ = Moment::max();
    uint64_t life_ = 0;  // of the guard process
    uint64_t power_ = 0;
    uint64_t hunger_ = 0;  // grows whenever the watchdog is fed again
    bool hungry_ = false;
};

}  // namespace kagami::sim
