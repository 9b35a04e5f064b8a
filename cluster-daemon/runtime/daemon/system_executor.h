// The one place that stops, halts, reboots, crashes or resets this machine on the cluster's behalf. Which action, and
// when it is not taken, is the engine's business (final_actions.h).
//
// kHalt, kReboot  through systemd where it runs (nothing to do when it is on its way already), else sync and reboot(2).
// kSysrqPanic     /proc/sysrq-trigger `c`: the kernel crashes, and leaves a dump where one is set up.
// kReset          /proc/sysrq-trigger `b`: at once, nothing is written.
// kBmc*           `/usr/bin/ipmitool chassis power reset|off|cycle|diag`. A machine that still runs after kBmcPatience,
//                 or a service processor that refuses, is ended like kReset (kBmcPowerOff: like kHalt, at once): what
//                 asked for it counts on the machine being gone.
// Inside a pid namespace (a node container) only that namespace is ended, by reboot(2): its kernel is everybody's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/engine/io.h"
#include "common/result.h"

namespace kagami::runtime {

constexpr Duration kBmcPatience = 10s;

// What the executor needs of the machine; replaced in tests.
class SystemHands {
 public:
    virtual ~SystemHands() = default;
    virtual bool in_container() = 0;      // not the machine's own pid namespace
    virtual bool systemd_runs() = 0;
    virtual bool systemd_ends() = 0;      // the operating system is going down already
    virtual Status run(const std::vector<std::string>& argv, Duration limit) = 0;
    virtual Status sysrq(char key) = 0;   // returns when it has failed
    virtual Status reboot(bool power_off) = 0;  // reboot(2); returns when it has failed
    virtual void sync(Duration limit) = 0;
    virtual void wait(Duration) = 0;
};
std::unique_ptr<SystemHands> linux_hands();

class SystemExecutor {
 public:
    virtual ~SystemExecutor() = default;
    // Returns an error when the machine is still there and nothing is on its way to end it.
    virtual Status carry_out(engine::SystemAction action, const std::string& why) = 0;
};
std::unique_ptr<SystemExecutor> make_system_executor(std::unique_ptr<SystemHands> hands = linux_hands());

}  // namespace kagami::runtime
