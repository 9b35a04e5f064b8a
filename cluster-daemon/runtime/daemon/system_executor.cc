#include "cluster-daemon/runtime/daemon/system_executor.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <thread>

#include "cluster-daemon/runtime/daemon/os_shutdown.h"
#include "cluster-daemon/runtime/daemon/run_tool.h"
#include "common/files.h"
#include "common/time.h"

namespace kagami::runtime {
namespace {

using engine::SystemAction;

constexpr Duration kSyncLimit = 5s;
constexpr Duration kSystemctlLimit = 30s;
constexpr Duration kIpmiLimit = 20s;
constexpr ino_t kInitialPidNamespace = 0xeffffffc;  // PROC_PID_INIT_INO of the kernel

class LinuxHands : public SystemHands {
 public:
    bool in_container() override {
        struct stat own {};
        return ::stat("/proc/self/ns/pid", &own) == 0 && own.st_ino != kInitialPidNamespace;
    }
    bool systemd_runs() override { return ::access("/run/systemd/system", F_OK) == 0; }
    bool systemd_ends() override { return os_end_under_way() != OsEnd::kNone; }
    Status run(const std::vector<std::string>& argv, Duration limit) override {
        const auto done = run_tool(argv, limit);
        if (!done) return tl::unexpected<Error>(done.error());
        return {};
    }
    Status sysrq(char key) override {
        const UniqueFd trigger(::open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));
        if (trigger.valid() && ::write(trigger.get(), &key, 1) == 1) wait(1s);
        return fail("/proc/sysrq-trigger: " + errno_text(errno));
    }
    Status reboot(bool power_off) override {
        ::reboot(power_off ? RB_POWER_OFF : RB_AUTOBOOT);
        return fail("reboot: " + errno_text(errno));
    }
    // It waits for every device of the machine, also for a mirror whose I/O is stalled: then the node must go down all
    // the same. What we promised is durable already.
    void sync(Duration limit) override {
        const auto done = std::make_shared<std::promise<void>>();
        auto ended = done->get_future();
        std::thread([done] {
            ::sync();
            done->set_value();
        }).detach();
        if (ended.wait_for(limit) != std::future_status::ready)
            spdlog::warn("not everything could be written to the disks within {:.3g} s", seconds(limit));
    }
    void wait(Duration time) override { std::this_thread::sleep_for(time); }
};

const char* verb(SystemAction action) {
    switch (action) {
        case SystemAction::kStopDaemon: return "leaving";
        case SystemAction::kHalt: return "shutting down";
        case SystemAction::kReboot: return "rebooting";
        case SystemAction::kSysrqPanic: return "crashing";
        case SystemAction::kReset: return "resetting";
        case SystemAction::kBmcReset: return "resetting (BMC)";
        case SystemAction::kBmcPowerOff: return "powering off (BMC)";
        case SystemAction::kBmcPowerCycle: return "power-cycling (BMC)";
        case SystemAction::kBmcNmi: return "sending an NMI to (BMC)";
    }
    return "ending";
}

// Of `ipmitool chassis power`; nullptr: not an action of the service processor.
const char* ipmi_word(SystemAction action) {
    switch (action) {
        case SystemAction::kBmcReset: return "reset";
        case SystemAction::kBmcPowerOff: return "off";
        case SystemAction::kBmcPowerCycle: return "cycle";
        case SystemAction::kBmcNmi: return "diag";
        case SystemAction::kStopDaemon:
        case SystemAction::kHalt:
        case SystemAction::kReboot:
        case SystemAction::kSysrqPanic:
        case SystemAction::kReset: return nullptr;
    }
    return nullptr;
}

class Executor : public SystemExecutor {
 public:
    explicit Executor(std::unique_ptr<SystemHands> hands) : hands_(std::move(hands)) {}

    Status carry_out(SystemAction action, const std::string& why) override {
        spdlog::warn("{} this machine: {}", verb(action), why);
        switch (action) {
            case SystemAction::kStopDaemon: return {};
            case SystemAction::kHalt: return go_down(true);
            case SystemAction::kReboot: return go_down(false);
            case SystemAction::kSysrqPanic: return end_at_once('c', false);
            case SystemAction::kReset: return end_at_once('b', false);
            case SystemAction::kBmcReset:
            case SystemAction::kBmcPowerOff:
            case SystemAction::kBmcPowerCycle:
            case SystemAction::kBmcNmi: return by_service_processor(action);
        }
        return {};
    }

 private:
    Status go_down(bool power_off) {
        if (hands_->systemd_runs()) {
            if (hands_->systemd_ends()) return {};
            const Status asked =
                hands_->run({"/usr/bin/systemctl", power_off ? "poweroff" : "reboot"}, kSystemctlLimit);
            if (asked) return {};
            spdlog::error("{}", asked.error().message);
        }
        if (!hands_->in_container()) hands_->sync(kSyncLimit);  // the kernel and its cache live on behind a container
        return by_hand(hands_->reboot(power_off));
    }

    Status end_at_once(char key, bool power_off) {
        if (hands_->in_container() || power_off) return by_hand(hands_->reboot(power_off));
        const Status failed = hands_->sysrq(key);
        if (!failed) spdlog::error("{}", failed.error().message);
        return by_hand(hands_->reboot(false));
    }

    Status by_service_processor(SystemAction action) {
        const bool power_off = action == SystemAction::kBmcPowerOff;
        if (!hands_->in_container()) {
            const Status asked =
                hands_->run({"/usr/bin/ipmitool", "chassis", "power", ipmi_word(action)}, kIpmiLimit);
            if (asked) hands_->wait(kBmcPatience);
            spdlog::error("the service processor has not ended this machine{}{}", asked ? "" : ": ",
                          asked ? "" : asked.error().message);
        }
        return end_at_once('b', power_off);
    }

    static Status by_hand(Status failed) {
        if (!failed) failed.error().remedy = "end this machine by hand";
        return failed;
    }

    std::unique_ptr<SystemHands> hands_;
};

}  // namespace

std::unique_ptr<SystemHands> linux_hands() {
    return std::make_unique<LinuxHands>();
}

std::unique_ptr<SystemExecutor> make_system_executor(std::unique_ptr<SystemHands> hands) {
    return std::make_unique<Executor>(std::move(hands));
}

}  // namespace kagami::runtime
