#include "cluster-daemon/runtime/daemon/system_executor.h"

#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/files.h"

namespace kagami::runtime {
namespace {

bool systemd_runs() { return ::access("/run/systemd/system", F_OK) == 0; }

bool ask_systemd(const char* verb) {
    std::array<char*, 3> argv = {const_cast<char*>("/usr/bin/systemctl"), const_cast<char*>(verb), nullptr};
    std::array<char*, 1> environment = {nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environment.data()) != 0) return false;
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void halt_or_reboot(engine::SystemAction action, const std::string& why) {
    const bool reboots = action == engine::SystemAction::kReboot;
    spdlog::warn("{} this machine: {}", reboots ? "rebooting" : "shutting down", why);
    if (systemd_runs() && ask_systemd(reboots ? "reboot" : "poweroff")) return;
    ::sync();
    ::reboot(reboots ? RB_AUTOBOOT : RB_POWER_OFF);
    spdlog::critical("cannot {} this machine: {}; do it by hand", reboots ? "reboot" : "shut down", errno_text(errno));
}

}  // namespace kagami::runtime
