#include "cluster-daemon/runtime/daemon/system_executor.h"

#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <future>
#include <memory>
#include <thread>

#include "common/files.h"
#include "common/time.h"

namespace kagami::runtime {
namespace {

constexpr Duration kSyncLimit = 5s;

// sync() waits for every device of the machine, also for a mirror whose I/O is stalled: then the node must go down all the
// same. What we promised is durable already.
void sync_within(Duration limit) {
    const auto done = std::make_shared<std::promise<void>>();
    auto ended = done->get_future();
    std::thread([done] {
        ::sync();
        done->set_value();
    }).detach();
    if (ended.wait_for(limit) != std::future_status::ready) spdlog::warn("not everything could be written to the disks within 5 s");
}

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
    sync_within(kSyncLimit);
    ::reboot(reboots ? RB_AUTOBOOT : RB_POWER_OFF);
    spdlog::critical("cannot {} this machine: {}; do it by hand", reboots ? "reboot" : "shut down", errno_text(errno));
}

}  // namespace kagami::runtime
