// The device that resets the machine when the guard stops petting it, and the one place that can reset it at once.
// `path` names a character device (the kernel's watchdog interface; opening it starts it) or a Unix datagram socket
// (the simulated device of a node container: "arm MS", "pet", "disarm"). A real device and sysrq are touched only when
// `allow_reboot`, and sysrq never beside a simulated device.
#pragma once

#include <string>

#include "cluster-daemon/guard/guard_page.h"
#include "common/files.h"

namespace kagami::guard {

class Watchdog {
 public:
    Watchdog(const char* path, bool allow_reboot);  // looks, arms nothing; its end leaves an armed device armed

    // Idempotent. After a failure kind() is kNone and trouble() says why.
    void arm(Duration timeout);
    void pet();
    void disarm();
    void reset_machine();

    WatchdogKind kind() const { return kind_; }
    const std::string& driver() const { return driver_; }
    const char* trouble() const { return trouble_; }

 private:
    bool arm_hardware(Duration timeout);
    bool send(const char* text);
    void give_up(const char* why);
    std::string path_;
    std::string driver_ = "none";
    const char* trouble_ = "";
    WatchdogKind kind_ = WatchdogKind::kNone;
    Duration armed_for_{};  // zero = not armed
    UniqueFd device_, sysrq_;
};

}  // namespace kagami::guard
