#include "cluster-daemon/runtime/daemon/system_executor.h"

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/daemon/os_shutdown.h"
#include "cluster-daemon/runtime/daemon/run_tool.h"

using namespace kagami;
using namespace kagami::runtime;
using engine::SystemAction;

namespace {

// A machine that cannot be ended, and what was tried.
struct Recorded {
    std::string tried{};
    bool container = false;
    bool systemd = false;
    bool ends_already = false;
    bool tools_work = true;
};

class RecordingHands : public SystemHands {
 public:
    explicit RecordingHands(Recorded& machine) : machine_(machine) {}
    bool in_container() override { return machine_.container; }
    bool systemd_runs() override { return machine_.systemd; }
    bool systemd_ends() override { return machine_.ends_already; }
    Status run(const std::vector<std::string>& argv, Duration) override {
        for (const std::string& word : argv) machine_.tried += word + " ";
        if (machine_.tools_work) return {};
        return fail("it does not work");
    }
    Status sysrq(char key) override {
        machine_.tried += std::string("sysrq ") + key + " ";
        return fail("still here");
    }
    Status reboot(bool power_off) override {
        machine_.tried += power_off ? "power-off" : "reboot";
        return fail("still here");
    }
    void sync(Duration) override { machine_.tried += "sync "; }
    void wait(Duration time) override { machine_.tried += "wait" + std::to_string(static_cast<int>(seconds(time))) + " "; }

 private:
    Recorded& machine_;
};

std::string tried(SystemAction action, Recorded machine) {
    (void)make_system_executor(std::make_unique<RecordingHands>(machine))->carry_out(action, "a test");
    return machine.tried;
}

}  // namespace

TEST_CASE("the operating system is ended by systemd where it runs, by reboot(2) else") {
    CHECK(tried(SystemAction::kHalt, {.systemd = true}) == "/usr/bin/systemctl poweroff ");
    CHECK(tried(SystemAction::kReboot, {.systemd = true}) == "/usr/bin/systemctl reboot ");
    CHECK(tried(SystemAction::kHalt, {}) == "sync power-off");
    CHECK(tried(SystemAction::kReboot, {}) == "sync reboot");
    CHECK(tried(SystemAction::kReboot, {.container = true}) == "reboot");  // the kernel goes on: no sync
    CHECK(tried(SystemAction::kReboot, {.systemd = true, .tools_work = false}) ==
          "/usr/bin/systemctl reboot sync reboot");
    CHECK(tried(SystemAction::kStopDaemon, {}).empty());
}

TEST_CASE("an operating system that is going down already is not asked for another end, and that is no failure") {
    Recorded machine{.systemd = true, .ends_already = true};
    auto executor = make_system_executor(std::make_unique<RecordingHands>(machine));
    CHECK(executor->carry_out(SystemAction::kReboot, "a test"));
    CHECK(executor->carry_out(SystemAction::kHalt, "a test"));
    CHECK(machine.tried.empty());
}

TEST_CASE("panic and reset go through sysrq at once, without a sync") {
    CHECK(tried(SystemAction::kSysrqPanic, {.systemd = true}) == "sysrq c reboot");
    CHECK(tried(SystemAction::kReset, {.systemd = true}) == "sysrq b reboot");
}

TEST_CASE("the service processor is asked with ipmitool's own words, and what it does not do is done without it") {
    const std::string tool = "/usr/bin/ipmitool chassis power ";
    CHECK(tried(SystemAction::kBmcReset, {}) == tool + "reset wait10 sysrq b reboot");
    CHECK(tried(SystemAction::kBmcPowerCycle, {}) == tool + "cycle wait10 sysrq b reboot");
    CHECK(tried(SystemAction::kBmcNmi, {}) == tool + "diag wait10 sysrq b reboot");
    CHECK(tried(SystemAction::kBmcPowerOff, {}) == tool + "off wait10 power-off");
    CHECK(tried(SystemAction::kBmcReset, {.tools_work = false}) == tool + "reset sysrq b reboot");
}

TEST_CASE("a node container ends itself alone: never the machine's kernel or its service processor") {
    for (const SystemAction action : {SystemAction::kSysrqPanic, SystemAction::kReset, SystemAction::kBmcReset,
                                      SystemAction::kBmcPowerCycle, SystemAction::kBmcNmi})
        CHECK(tried(action, {.container = true}) == "reboot");
    CHECK(tried(SystemAction::kBmcPowerOff, {.container = true}) == "power-off");
}

TEST_CASE("a machine that is still there is a failure that says what to do") {
    Recorded machine;
    const Status done =
        make_system_executor(std::make_unique<RecordingHands>(machine))->carry_out(SystemAction::kReset, "a test");
    REQUIRE_FALSE(done);
    CHECK(done.error().remedy == "end this machine by hand");
}

TEST_CASE("systemd's own jobs tell how the operating system ends") {
    CHECK(end_in_jobs("") == OsEnd::kNone);
    CHECK(end_in_jobs("12 nginx.service start running\n13 reboot.target stop waiting\n") == OsEnd::kNone);
    CHECK(end_in_jobs("12 kagami-stop.service stop running\n 71 reboot.target  start waiting\n") == OsEnd::kReboot);
    CHECK(end_in_jobs("71 kexec.target start waiting") == OsEnd::kReboot);
    CHECK(end_in_jobs("5 shutdown.target start waiting\n71 poweroff.target start waiting\n") == OsEnd::kHalt);
    CHECK(end_in_jobs("71 halt.target start waiting\n") == OsEnd::kHalt);
    CHECK(end_in_jobs("71 halt.target start waiting\n72 reboot.target start waiting\n") == OsEnd::kReboot);
    CHECK(end_in_jobs("no jobs running.") == OsEnd::kNone);
}

TEST_CASE("a tool's output is taken; its failure, its absence and its hanging are errors") {
    const auto said = run_tool({"/bin/echo", "two words"}, 5s);
    REQUIRE(said);
    CHECK(*said == "two words\n");
    CHECK_FALSE(run_tool({"/bin/false"}, 5s));
    CHECK_FALSE(run_tool({"/nowhere/tool"}, 5s));
    const auto hung = run_tool({"/bin/sleep", "60"}, 100ms);
    REQUIRE_FALSE(hung);
    CHECK(hung.error().code == ErrorCode::kTimedOut);
}
