// diskw, psw, userw and resw with the real kagami-check: files, a full file system, a disk that stalls, processes.
#include <fcntl.h>
#include <linux/loop.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/files.h"
#include "common/host/check/linux_checks.h"
#include "tests/component/guard/stalled_disk.h"
#include "tests/component/monitors/watched.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait_until.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;
using testing::Texts;

namespace {

struct Machine {
    std::unique_ptr<host::LinuxHost> host = host::make_linux_host(nullptr);
    testing::TemporaryDirectory directory;
    Result<Finding> look(const std::string& word, const Texts& values, Duration timeout = 10s) const {
        return check(host->host(), word, values, timeout);
    }
    std::string file(const std::string& name, const std::string& content) const {
        std::ofstream(directory / name) << content;
        return directory / name;
    }
};

}  // namespace

TEST_CASE("diskw reads a file through and past the page cache, and writes one that is gone afterwards") {
    const Machine machine;
    const std::string file = machine.file("data", std::string(100000, 'x'));
    CHECK(machine.look("diskw", {{"object", {file}}, {"method", {"read"}}})->message == file + " can be read");
    CHECK(machine.look("diskw", {{"object", {file}}})->health == Health::kNormal);
    const std::string other = machine.directory / "test";
    CHECK(machine.look("diskw", {{"object", {other}}, {"method", {"write"}}})->message == other + " can be written");
    CHECK_FALSE(std::filesystem::exists(other));
    std::ofstream(other) << "made by kagami";  // a test that was killed while it wrote
    CHECK(machine.look("diskw", {{"object", {other}}, {"method", {"write"}}, {"size", {"1"}}})->health ==
          Health::kNormal);
    CHECK_FALSE(std::filesystem::exists(other));
}

TEST_CASE("diskw refuses what its method cannot do, and leaves a user's file alone") {
    const Machine machine;
    const std::string file = machine.file("data", "precious");
    const auto refusal = [&](const std::string& object, const std::string& method) {
        return machine.look("diskw", {{"object", {object}}, {"method", {method}}}).error();
    };
    CHECK_THAT(refusal(file, "write").message, Contains("was not made by this monitor"));
    CHECK(read_file(file, 100) == "precious");
    CHECK_THAT(refusal(file, "tur").message, Contains("is not a block device"));
    CHECK_THAT(refusal("/dev/loop0", "tur").message, Contains("knows no TEST UNIT READY"));
    CHECK(refusal("/dev/no-such-disk", "read").code == ErrorCode::kNotFound);
    CHECK_THAT(refusal("/dev/no-such-disk", "read").message, Contains("/dev/no-such-disk: cannot open"));
    CHECK_THAT(refusal("/dev/null", "read").message, Contains("neither a block device nor a regular file"));
    CHECK_THAT(refusal("/dev/null", "write").message, Contains("is not a regular file"));
    CHECK_THAT(refusal(machine.directory.path(), "read").message,
               Contains("neither a block device nor a regular file"));
    CHECK_THAT(refusal(machine.file("empty", ""), "read").message, Contains("is empty"));
    REQUIRE(::mkfifo((machine.directory / "pipe").c_str(), 0600) == 0);
    CHECK_THAT(refusal(machine.directory / "pipe", "read").message,
               Contains("neither a block device nor a regular file"));
    std::filesystem::create_symlink(file, machine.directory / "link");
    CHECK_FALSE(machine.look("diskw", {{"object", {machine.directory / "link"}}, {"method", {"write"}}}));
    CHECK(read_file(file, 100) == "precious");
}

TEST_CASE("diskw asks a real SCSI disk whether it is ready") {
    std::string disk;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
        if (entry.path().filename().string().starts_with("sd")) disk = "/dev/" + entry.path().filename().string();
    }
    if (disk.empty()) {
        WARN("SKIPPED: this machine has no SCSI disk (/dev/sd*)");
        return;
    }
    const Machine machine;
    CHECK(machine.look("diskw", {{"object", {disk}}, {"method", {"tur"}}})->message == disk + " is ready");
}

TEST_CASE("diskw tells a full file system from a broken one") {
    const Machine machine;
    const std::string place = machine.directory / "small";
    REQUIRE(::mkdir(place.c_str(), 0700) == 0);
    REQUIRE(::mount("none", place.c_str(), "tmpfs", 0, "size=1m") == 0);
    const Texts values{{"object", {place + "/test"}}, {"method", {"write"}}};
    const auto full = machine.look("diskw", values);
    const auto tight = machine.look("resw", {{"minimum_disk", {"10"}}, {"path", {place}}});
    const auto roomy = machine.look("resw", {{"minimum_disk", {"1"}}, {"path", {machine.directory.path()}}});
    const bool left_nothing = std::filesystem::is_empty(place);
    REQUIRE(::mount("none", place.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m") == 0);
    const auto read_only = machine.look("diskw", values);
    ::umount2(place.c_str(), MNT_DETACH);
    CHECK(full->health == Health::kError);
    CHECK_THAT(full->message, Contains("no room to write 2000000 bytes"));
    CHECK(left_nothing);
    CHECK(tight->health == Health::kError);
    CHECK(roomy->health == Health::kNormal);
    CHECK_THAT(read_only.error().message, Contains("Read-only file system"));
}

TEST_CASE("a disk that stalls costs one process and no worker, and is well again when it answers") {
    if (::access("/dev/fuse", R_OK) != 0 || ::access("/dev/loop-control", R_OK) != 0) {
        WARN("SKIPPED: this machine has no /dev/fuse or no /dev/loop-control");
        return;
    }
    const Machine machine;
    guard::test::StalledDisk disk("monitors-stall", machine.directory / "mounted");
    const std::string device = "/run/kagami/mirror/monitors-stall/loop";
    const Texts values{{"object", {device}}};
    REQUIRE(machine.look("diskw", values)->health == Health::kNormal);
    disk.withhold();
    const Instant begun = host::boot_now();
    const auto stalled = machine.look("diskw", values, 500ms);
    const Duration took = host::boot_now() - begun;
    const auto again = machine.look("diskw", values);
    const Duration at_once = host::boot_now() - begun - took;
    const auto file_stalled =
        machine.look("diskw", {{"object", {machine.directory / "mounted/test"}}, {"method", {"write"}}}, 500ms);
    disk.go_on();
    REQUIRE_FALSE(stalled);
    CHECK(stalled.error().code == ErrorCode::kTimedOut);
    CHECK_THAT(stalled.error().message, Contains(device + ": no answer within"));
    CHECK(took < 1500ms);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ErrorCode::kTimedOut);
    CHECK_THAT(again.error().message, Contains("still waits in the kernel"));
    CHECK(at_once < 400ms);
    CHECK(file_stalled.error().code == ErrorCode::kTimedOut);
    CHECK(testing::wait_until([&] {
        const auto healed = machine.look("diskw", values);
        return healed && healed->health == Health::kNormal;
    }));
}

TEST_CASE("a check program that is missing or says nonsense is told") {
    host::LinuxChecks missing("/usr/sbin/no-such-program");
    CHECK_THAT(missing.free_bytes("/", host::boot_now() + 5s).error().message,
               Contains("/usr/sbin/no-such-program cannot be run"));
    host::LinuxChecks silent("/usr/bin/true");
    CHECK_THAT(silent.free_bytes("/", host::boot_now() + 5s).error().message, Contains("ended without an answer"));
    host::LinuxChecks endless("/usr/bin/yes");
    CHECK_FALSE(endless.free_bytes("/", host::boot_now() + 5s));
    host::LinuxChecks checks(host::check_program());
    CHECK(checks.free_bytes("/no/such/path", host::boot_now() + 5s).error().code == ErrorCode::kNotFound);
    CHECK(checks.free_bytes("/", host::boot_now() - 1s).error().code == ErrorCode::kTimedOut);
}

TEST_CASE("psw counts real processes by name and by command line, and no corpses") {
    const Machine machine;
    // Nobody else's: the program has a name of its own.
    const std::string program = machine.directory / "kg-sleeper";
    std::filesystem::copy_file("/usr/bin/sleep", program);
    const auto count = [&](const std::string& name) {
        return machine.look("psw", {{"process", {name}}, {"minimum", {"2"}}}).value();
    };
    CHECK_THAT(count("kg-sleeper").message, Contains("no process of \"kg-sleeper\""));
    std::vector<pid_t> pids(2);
    for (pid_t& pid : pids) {
        std::string name = program;
        std::string seconds = "1000";
        char* argv[] = {name.data(), seconds.data(), nullptr};
        REQUIRE(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ) == 0);
    }
    CHECK(count("kg-sleeper").health == Health::kNormal);
    CHECK(count(program).health == Health::kNormal);
    CHECK(count(program + " 1000").health == Health::kNormal);
    CHECK(count("*/kg-sleeper 1000").health == Health::kNormal);
    CHECK(count("kg-sleep").health == Health::kError);
    ::kill(pids[0], SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pids[0]), &info, WEXITED | WNOWAIT);  // a corpse now
    CHECK_THAT(count("kg-sleeper").message, Contains("only 1 of 2"));
    ::kill(pids[1], SIGKILL);
    for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
}

TEST_CASE("userw carries its load, and tells where it cannot") {
    const Machine machine;
    const Texts load{{"write_bytes", {"200000"}},
                     {"make_thread", {"true"}},
                     {"directory", {machine.directory.path()}},
                     {"limit", {"5s"}}};
    const auto found = machine.look("userw", load);
    REQUIRE(found);
    CHECK(found->health == Health::kNormal);
    CHECK(std::filesystem::is_empty(machine.directory.path()));
    CHECK_THAT(machine.look("userw", {{"open_file", {"true"}}, {"directory", {"/no/such/directory"}}}).error().message,
               Contains("/no/such/directory: cannot open a file there"));
    CHECK_THAT(machine.look("userw", {{"open_file", {"true"}}, {"directory", {"/proc"}}}).error().message,
               Contains("no files without a name"));
}

TEST_CASE("resw reads this machine's memory") {
    const Machine machine;
    CHECK(machine.look("resw", {{"minimum_memory", {"1"}}})->health == Health::kNormal);
    CHECK(machine.look("resw", {{"minimum_memory", {"1000000000"}}})->health == Health::kError);
}
