#include "cluster-daemon/runtime/daemon/driver_watcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "cluster-daemon/guard/mirrors.h"
#include "common/files.h"
#include "common/host/boot_clock.h"
#include "common/host/pidfd.h"

namespace kagami::runtime {
namespace {

constexpr const char* kDriverName = "kagami-mirrord\n";

// Who holds the lock; 0 = nobody.
int holder_of(const std::string& lock_path) {
    const UniqueFd file(::open(lock_path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (!file.valid() || ::fcntl(file.get(), F_GETLK, &whole) != 0 || whole.l_type == F_UNLCK) return 0;
    return whole.l_pid;
}

// The connection of each mirror's device; mirrors without one are left out.
std::map<std::string, uint32_t> devices_of(const std::map<std::string, Duration>& mirrors) {
    std::map<std::string, uint32_t> devices;
    for (const auto& [name, limit] : mirrors) {
        const UniqueFd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
        std::array<uint32_t, 8> connections{};
        const size_t count =
            mounts.valid() ? guard::fuse_connections(mounts.get(), "/run/kagami/mirror/" + name + "/disk", connections) : 0;
        if (count != 0) devices[name] = connections[count - 1];  // the one on top
    }
    return devices;
}

std::string seconds(Duration d) { return fmt::format("{:.0f} s", std::chrono::duration<double>(d).count()); }

}  // namespace

DriverWatcher::DriverWatcher(std::string driver_socket, Handlers handlers)
    : lock_path_(std::move(driver_socket) + ".lock"), handlers_(std::move(handlers)) {}

void DriverWatcher::start() {
    thread_.emplace();
    thread_->post([this](host::EventLoop& loop) { tick(loop); });
}

void DriverWatcher::stop() { thread_.reset(); }

void DriverWatcher::set_limits(std::map<std::string, Duration> limits) {
    const std::lock_guard lock(mutex_);
    watch_.set_limits(limits);
    limits_ = std::move(limits);
}

void DriverWatcher::answered(const std::string& mirror, bool serves) {
    const std::lock_guard lock(mutex_);
    watch_.answered(mirror, serves);
}

bool DriverWatcher::given_up(const std::string& mirror) const {
    const std::lock_guard lock(mutex_);
    return watch_.given_up(mirror);
}

bool DriverWatcher::driver_runs() const { return holder_of(lock_path_) != 0; }

void DriverWatcher::tick(host::EventLoop& loop) {
    std::map<std::string, Duration> mirrors;
    {
        const std::lock_guard lock(mutex_);
        mirrors = limits_;
    }
    const auto devices = devices_of(mirrors);
    std::vector<DriverWatch::Action> actions;
    {
        const std::lock_guard lock(mutex_);
        actions = watch_.look(devices, host::boot_now());
    }
    for (const auto& action : actions) carry_out(action);
    for (const auto& [mirror, connection] : devices) {
        if (given_up(mirror)) handlers_.given_up(mirror);
    }
    loop.at(host::boot_now() + DriverWatch::kPeriod, [this, &loop] { tick(loop); });
}

void DriverWatcher::carry_out(const DriverWatch::Action& action) {
    switch (action.step) {
        case DriverWatch::Step::kAsk: return handlers_.ask(action.mirror);
        case DriverWatch::Step::kKill: return kill_driver(action);
        case DriverWatch::Step::kAbort:
            guard::abort_mirror(action.mirror);
            return handlers_.tell(
                {engine::Reason::kMirrorAborted, "mirror " + action.mirror,
                 fmt::format("the mirror driver gave no sign of life for {}, so the I/O of the mirror's device was failed, and "
                             "its group is recovered as after any failure. See why kagami-mirrord does not run "
                             "(journalctl -u kagami-mirrord), then: systemctl restart kagami-mirrord.",
                             seconds(action.silent)),
                 {}});
    }
}

// Between the two looks at the lock the handle was opened: it is of the process that holds it.
void DriverWatcher::kill_driver(const DriverWatch::Action& action) {
    const int pid = holder_of(lock_path_);
    if (pid <= 0) return;  // it is gone already, and its supervisor's to start
    const UniqueFd handle = host::open_pidfd(pid);
    const auto name = read_file(fmt::format("/proc/{}/comm", pid), 64);
    if (!handle.valid() || holder_of(lock_path_) != pid || !name || *name != kDriverName) return;
    if (::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0) != 0) return;
    handlers_.tell({engine::Reason::kMirrorDriverKilled, "mirror " + action.mirror,
                    fmt::format("the mirror driver (process {}) gave no sign of life for {} and was killed: its supervisor "
                                "starts it again, and applications see a pause.",
                                pid, seconds(action.silent)),
                    {}});
}

}  // namespace kagami::runtime
