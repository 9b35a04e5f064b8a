#include "cluster-daemon/guard/watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <tuple>

namespace kagami::guard {

Watchdog::Watchdog(const char* path, bool allow_reboot) : path_(path) {
    struct stat found{};
    const bool there = stat(path, &found) == 0;
    if (there && S_ISSOCK(found.st_mode)) {
        kind_ = WatchdogKind::kSimulated;
        driver_ = "simulated";
        return;
    }
    if (allow_reboot) sysrq_ = UniqueFd(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
    if (!there || !S_ISCHR(found.st_mode)) {
        trouble_ = "no such device: load a watchdog driver, or softdog";
    } else if (!allow_reboot) {
        trouble_ = "a real device is used only with --allow-reboot";
    } else {
        kind_ = WatchdogKind::kHardware;
        std::ifstream identity("/sys/class/watchdog/watchdog0/identity");  // reading it arms nothing
        if (!std::getline(identity, driver_)) driver_ = "unknown";
    }
}

void Watchdog::give_up(const char* why) {
    kind_ = WatchdogKind::kNone;
    trouble_ = why;
}

void Watchdog::arm(Duration timeout) {
    if (kind_ == WatchdogKind::kNone || timeout == armed_for_) return;
    armed_for_ = timeout;
    if (kind_ == WatchdogKind::kHardware) {
        if (!arm_hardware(timeout)) give_up("the device is in use, or cannot do a time-out as short as configured");
        return;
    }
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::snprintf(to.sun_path, sizeof(to.sun_path), "%s", path_.c_str());
    if (!device_.valid()) device_ = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    char text[32];
    std::snprintf(text, sizeof(text), "arm %lld", static_cast<long long>(milliseconds(timeout)));
    if (connect(device_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 || !send(text)) {
        give_up("nobody listens on the simulated device");
    }
}

// Whole seconds, rounded down: resetting early is safe, late is not.
bool Watchdog::arm_hardware(Duration timeout) {
    if (!device_.valid()) device_ = UniqueFd(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    const int wanted = static_cast<int>(timeout / 1s);
    int given = wanted;
    if (device_.valid() && wanted > 0 && ioctl(device_.get(), WDIOC_SETTIMEOUT, &given) == 0 && given <= wanted)
        return true;
    disarm();
    return false;
}

void Watchdog::pet() {
    if (kind_ == WatchdogKind::kHardware) ioctl(device_.get(), WDIOC_KEEPALIVE, 0);
    if (kind_ == WatchdogKind::kSimulated) send("pet");
}

void Watchdog::disarm() {
    if (armed_for_ == 0ns) return;
    armed_for_ = 0ns;
    if (kind_ == WatchdogKind::kSimulated) send("disarm");
    if (kind_ == WatchdogKind::kHardware && device_.valid()) {
        std::ignore = write(device_.get(), "V", 1);  // magic close
        device_.reset();
    }
}

void Watchdog::reset_machine() {
    if (sysrq_.valid()) std::ignore = write(sysrq_.get(), "b", 1);
}

bool Watchdog::send(const char* text) {
    return ::send(device_.get(), text, std::strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

}  // namespace kagami::guard
