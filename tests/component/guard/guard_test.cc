#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <iostream>

#include "common/host/boot_clock.h"
#include "tests/component/guard/harness.h"

using namespace kagami;
using namespace kagami::guard;
using namespace kagami::guard::test;

#define NEEDS_KERNEL()                                                     \
    if (const auto missing = missing_kernel_feature(); !missing.empty()) { \
        WARN("SKIPPED: this machine lacks " << missing);                   \
        return;                                                            \
    }

namespace {

// One suspended group `db` with two busy processes.
struct Suspended {
    explicit Suspended(GroupKind kind = GroupKind::kData) {
        site.plan.groups.push_back(site.group("db", kind));
        site.start_guard();
        site.renew();
        REQUIRE(busy.runs());
        REQUIRE(site.becomes("db", GroupState::kSuspended));
        REQUIRE(busy.stands());
    }
    Site site;
    Busy busy{site.cgroups + "/db"};
};

}  // namespace

TEST_CASE("busy processes are frozen within T_guard of the deadline, and run again when resumed, time after time") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 3);
    site.plan.groups.push_back(site.group("db"));
    site.start_guard();
    Duration latest_run{}, latest_report{};
    for (int trial = 0; trial < 20; ++trial) {
        site.renew();
        REQUIRE(busy.runs());
        REQUIRE(site.becomes("db", GroupState::kSuspended));
        const Duration ran = busy.last_ran() - site.plan.terms.deadline;
        const Duration reported = site.reported("db")->done_at - site.plan.terms.deadline;
        CHECK(ran <= kGuard);
        CHECK(reported <= kGuard);
        CHECK(ran > -kHold / 2);  // and not before the deadline, give or take scheduling of the busy processes
        latest_run = std::max(latest_run, ran);
        latest_report = std::max(latest_report, reported);
    }
    CHECK(busy.stands());
    CHECK(site.report().condemned == 0);
    std::cout << "20 trials, T_guard 50 ms: a process of the group last ran " << seconds(latest_run) * 1e3
              << " ms after the deadline; suspension seen done " << seconds(latest_report) * 1e3 << " ms after it\n";
}

TEST_CASE(
    "neither 10 busy processes in the group nor 10 beside it delay the suspension, and all keep their own scheduling") {
    NEEDS_KERNEL();
    Site site;
    site.plan.terms.t_hold = 1s;
    site.plan.groups.push_back(site.group("db"));
    Busy busy(site.cgroups + "/db", 0);
    Busy others(site.cgroups + "/others", 0);
    site.start_guard();
    site.renew();
    for (int i = 0; i < 10; ++i) {
        busy.add();
        others.add();
    }
    Duration latest{};
    for (int trial = 0; trial < 5; ++trial) {
        site.renew();
        REQUIRE(eventually([&] { return site.reported("db")->begun_at > site.plan.terms.lease_sent_at + 900ms; }));
        REQUIRE(site.becomes("db", GroupState::kSuspended));
        CHECK(busy.last_ran() <= site.plan.terms.deadline + kGuard);
        latest = std::max(latest, site.reported("db")->done_at - site.plan.terms.deadline);
    }
    CHECK(eventually([&] { return busy.all_normal(); }));
    CHECK(site.report().condemned == 0);
    std::cout << "5 trials with 10 busy processes in the group and 10 beside it: suspension seen done "
              << seconds(latest) * 1e3 << " ms after the deadline\n";
}

TEST_CASE("what a group has handed to a unit of the system is frozen, resumed and killed with it") {
    NEEDS_KERNEL();
    Site site;
    Busy own(site.cgroups + "/db", 1);
    Busy unit(site.cgroups + "/elsewhere", 1);
    auto group = site.group("db");
    group.units.push_back(site.cgroups.substr(site.cgroups.rfind('/') + 1) + "/elsewhere");
    group.units.push_back("system.slice/kagami-not-there.service");
    site.plan.groups.push_back(group);
    site.start_guard();
    site.renew();
    REQUIRE(unit.runs());
    REQUIRE(site.becomes("db", GroupState::kSuspended));
    CHECK(own.stands());
    CHECK(unit.stands());
    site.renew();
    REQUIRE(unit.runs());
    CHECK(own.runs());
    site.renew(Verdict::kKill);
    REQUIRE(site.becomes("db", GroupState::kKilled));
    CHECK_FALSE(own.populated());
    CHECK_FALSE(unit.populated());
}

TEST_CASE("a group whose own cgroup is empty lives on in its unit: it is guarded until that is empty, too") {
    NEEDS_KERNEL();
    Site site;
    Busy unit(site.cgroups + "/elsewhere", 1);
    auto group = site.group("db");
    group.units.push_back(site.cgroups.substr(site.cgroups.rfind('/') + 1) + "/elsewhere");
    site.plan.groups.push_back(group);
    site.start_guard();
    site.renew();
    REQUIRE(unit.runs());
    REQUIRE(site.becomes("db", GroupState::kRunning));  // the guard knows of it
    site.plan.groups.clear();
    site.publish();
    CHECK(eventually([&] { return unit.stands(); }));
}

TEST_CASE("a guard that is told that its node is unmanaged lets go of what runs") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    site.plan.groups.push_back(site.group("db"));
    site.start_guard();
    site.renew();
    REQUIRE(busy.runs());
    site.plan.groups.clear();
    site.plan.terms.armed = 0;
    site.plan.terms.unmanaged = 1;
    site.plan.terms.deadline = {};
    site.publish();
    REQUIRE(eventually([&] { return site.report().groups.size() == 0; }));
    CHECK_FALSE(eventually([&] { return busy.stands(); }, 2 * kHold));
    CHECK(busy.runs());
}

TEST_CASE("addresses are withdrawn with the suspension, and exactly those come back") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    auto group = site.group("db");
    group.addresses.push_back({4, 24, {10, 99, 1, 100}, "kg0"});
    group.addresses.push_back({6, 64, {0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, "kg0"});
    group.addresses.push_back({4, 24, {10, 99, 1, 101}, "kg0"});      // never activated
    group.addresses.push_back({4, 24, {10, 99, 1, 102}, "nothere"});  // its interface is gone
    site.plan.groups.push_back(group);
    REQUIRE(run({"/usr/sbin/ip", "address", "add", "10.99.1.1/24", "dev", "kg0"}) == 0);
    REQUIRE(run({"/usr/sbin/ip", "address", "add", "10.99.1.100/32", "dev", "kg0"}) == 0);  // under another prefix
    REQUIRE(run({"/usr/sbin/ip", "-6", "address", "add", "fd99::100/64", "dev", "kg0", "nodad"}) == 0);
    site.start_guard();
    site.renew();
    REQUIRE(site.becomes("db", GroupState::kSuspended));
    CHECK_FALSE(address_is_there("10.99.1.100"));
    CHECK_FALSE(address_is_there("fd99::100"));
    CHECK(address_is_there("10.99.1.1"));  // the machine's own
    site.renew();
    REQUIRE(site.becomes("db", GroupState::kResumed));
    CHECK(eventually([] { return address_is_there("10.99.1.100") && address_is_there("fd99::100"); }));
    CHECK_FALSE(address_is_there("10.99.1.101"));
    site.renew(Verdict::kKill);
    REQUIRE(site.becomes("db", GroupState::kKilled));
    CHECK_FALSE(address_is_there("10.99.1.100"));
    CHECK_FALSE(address_is_there("fd99::100"));
    run({"/usr/sbin/ip", "address", "flush", "dev", "kg0"});
}

TEST_CASE(
    "verdict kill ends suspended processes without letting them run, and leaves the cgroup ready for the next start") {
    NEEDS_KERNEL();
    Suspended s;
    const Instant last = s.busy.last_ran();
    s.site.renew(Verdict::kKill);
    REQUIRE(s.site.becomes("db", GroupState::kKilled));
    CHECK_FALSE(s.busy.populated());
    CHECK(s.busy.last_ran() == last);
    CHECK(eventually([&] { return !s.busy.freeze_asked(); }));
    s.site.plan.groups[0].token.seq++;
    s.site.renew(Verdict::kNone);
    REQUIRE(s.site.becomes("db", GroupState::kRunning));
    s.busy.add();
    CHECK(s.busy.runs());
}

TEST_CASE("a strict group is killed and unmounted at the deadline, within T_kill") {
    NEEDS_KERNEL();
    Site site;
    const std::string mounts[] = {site.folder + "/a", site.folder + "/a/b"};
    auto group = site.group("db", GroupKind::kStrict);
    for (const auto& path : mounts) {
        mkdir(path.c_str(), 0700);
        REQUIRE(mount("none", path.c_str(), "tmpfs", 0, nullptr) == 0);
        group.mounts.push_back(path);
    }
    REQUIRE(mount("none", mounts[1].c_str(), "tmpfs", 0, nullptr) == 0);  // one over the other
    site.plan.groups.push_back(group);
    Busy busy(site.cgroups + "/db");
    site.start_guard();
    site.renew();
    REQUIRE(busy.runs());
    REQUIRE(site.becomes("db", GroupState::kKilled));
    CHECK(site.reported("db")->done_at <= site.plan.terms.deadline + kKill);
    CHECK_FALSE(busy.populated());
    CHECK_FALSE(is_mounted(mounts[0]));
    CHECK_FALSE(is_mounted(mounts[1]));
    CHECK(site.report().condemned == 0);
    rmdir(mounts[0].c_str());
}

TEST_CASE("a guard that is killed and started again leaves a suspended group suspended, and can resume it") {
    NEEDS_KERNEL();
    Suspended s;
    const auto before = s.site.reported("db");
    const Instant last = s.busy.last_ran();
    for (int i = 0; i < 5; ++i) {
        s.site.kill_guard();
        s.site.start_guard();
        REQUIRE(s.site.becomes("db", GroupState::kSuspended));
    }
    CHECK(s.site.reported("db")->begun_at == before->begun_at);
    CHECK(s.busy.last_ran() == last);
    s.site.renew();
    CHECK(s.busy.runs());
    CHECK(s.busy.all_normal());
}

TEST_CASE("a guard that is killed and started again disturbs nothing that has a lease") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    site.plan.groups.push_back(site.group("db"));
    site.start_guard();
    for (int i = 0; i < 10; ++i) {
        site.renew();
        site.kill_guard();
        site.start_guard();
        REQUIRE(site.becomes("db", GroupState::kRunning));
        CHECK_FALSE(busy.freeze_asked());
        CHECK(busy.runs());
    }
    CHECK(site.report().pauses == 0);
}

TEST_CASE("a guard that was dead at the deadline suspends as soon as it is back") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    site.plan.groups.push_back(site.group("db"));
    site.start_guard();
    site.renew();
    REQUIRE(site.becomes("db", GroupState::kRunning));
    site.kill_guard();
    REQUIRE(eventually([&] { return host::boot_now() > site.plan.terms.deadline + kGuard; }));
    CHECK(busy.runs());
    site.start_guard();
    CHECK(site.becomes("db", GroupState::kSuspended));
    CHECK(busy.stands());
}

TEST_CASE("a stopped daemon is a deadline that passes; when it goes on, so does the group") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    site.plan.groups.push_back(site.group("db"));
    site.start_guard();
    const pid_t daemon = fork();
    if (daemon == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (const timespec t_renew{0, 50'000'000};; nanosleep(&t_renew, nullptr)) site.renew();
    }
    REQUIRE(site.becomes("db", GroupState::kRunning));
    CHECK_FALSE(eventually([&] { return site.reported("db")->state != GroupState::kRunning; }, 2 * kHold));
    kill(daemon, SIGSTOP);
    CHECK(site.becomes("db", GroupState::kSuspended));
    CHECK(busy.stands());
    kill(daemon, SIGCONT);
    CHECK(site.becomes("db", GroupState::kResumed));
    CHECK(busy.runs());
    kill(daemon, SIGKILL);
    waitpid(daemon, nullptr, 0);
    CHECK(site.becomes("db", GroupState::kSuspended));
}

TEST_CASE("a page overwritten with noise suspends at once, and the next sound plan resumes") {
    NEEDS_KERNEL();
    Site site;
    Busy busy(site.cgroups + "/db", 1);
    site.plan.groups.push_back(site.group("db"));
    site.plan.terms.t_hold = 10s;
    site.start_guard();
    site.plan.terms.lease_sent_at = host::boot_now();
    site.plan.terms.deadline = site.plan.terms.lease_sent_at + 10s;
    site.publish();
    REQUIRE(site.becomes("db", GroupState::kRunning));
    const Instant noise = host::boot_now();
    REQUIRE(write_text(site.page, std::string(sizeof(Page::plan), '\x5a')));
    CHECK(site.becomes("db", GroupState::kSuspended));
    CHECK(site.reported("db")->done_at - noise <= kGuard);
    CHECK(site.report().plan_readable == 0);
    CHECK(busy.stands());
    site.renew();
    CHECK(site.becomes("db", GroupState::kResumed));
    CHECK(busy.runs());
}

TEST_CASE(
    "the watchdog is armed, petted under a lease and when suspended cleanly, and disarmed when no group is left") {
    NEEDS_KERNEL();
    Site site;
    WatchdogSocket watchdog(site.watchdog);
    Busy busy(site.cgroups + "/db", 1);
    site.start_guard();
    CHECK(site.report().watchdog == WatchdogKind::kSimulated);
    CHECK(site.report().device.view() == "simulated");
    CHECK(watchdog.silent_for(100ms));
    site.plan.terms.armed = 1;
    site.plan.groups.push_back(site.group("db"));
    site.renew();
    CHECK(watchdog.hears("arm 200"));
    CHECK(watchdog.hears("pet"));
    REQUIRE(site.becomes("db", GroupState::kSuspended));
    watchdog.heard();
    CHECK(watchdog.hears("pet"));
    site.kill_guard();
    site.start_guard();
    CHECK(watchdog.hears("arm 200"));
    CHECK(watchdog.hears("pet"));
    site.plan.terms.armed = 0;
    site.renew(Verdict::kKill);
    CHECK(watchdog.hears("disarm"));
    CHECK(watchdog.silent_for(100ms));
    CHECK(site.report().armed == 0);
}

TEST_CASE(
    "a mount that cannot be unmounted within T_kill: kill failed, and never a pet again, not even from a new guard") {
    NEEDS_KERNEL();
    Site site;
    WatchdogSocket watchdog(site.watchdog);
    const std::string mounted = site.folder + "/busy";
    mkdir(mounted.c_str(), 0700);
    REQUIRE(mount("none", mounted.c_str(), "tmpfs", 0, nullptr) == 0);
    auto group = site.group("db", GroupKind::kStrict);
    group.mounts.push_back(mounted);
    site.plan.groups.push_back(group);
    site.plan.groups.push_back(site.group("other"));
    site.plan.terms.armed = 1;
    Busy busy(site.cgroups + "/db", 1);
    Busy other(site.cgroups + "/other", 1);
    const int holder = open(mounted.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // a process outside the group
    site.start_guard();
    site.renew();
    CHECK(watchdog.hears("pet"));
    REQUIRE(site.becomes("db", GroupState::kKillFailed));
    CHECK(site.reported("other")->state == GroupState::kSuspended);  // not held up by the mount of its neighbour
    CHECK(site.reported("other")->done_at <= site.plan.terms.deadline + kGuard);
    CHECK(watchdog.silent_for(250ms));
    CHECK(site.report().condemned == 1);
    site.kill_guard();
    site.start_guard();
    site.renew();
    CHECK(watchdog.silent_for(250ms));
    close(holder);
    CHECK(site.becomes("db", GroupState::kKilled));  // it was tried on
    CHECK_FALSE(is_mounted(mounted));
    rmdir(mounted.c_str());
}

TEST_CASE("a watchdog that is not there, or real and not allowed, is reported as none") {
    NEEDS_KERNEL();
    Site site;
    SECTION("not there") {}
    SECTION("a character device without --allow-reboot") {
        site.watchdog = "/dev/null";
    }
    site.start_guard();
    CHECK(site.report().watchdog == WatchdogKind::kNone);
    CHECK(site.report().watchdog_tested == 0);
    site.watchdog = site.folder + "/none";
}

TEST_CASE("the guard says what it cannot do, and what to do about it") {
    NEEDS_KERNEL();
    Site site;
    SECTION("an unknown word") {
        const auto end = site.finish(site.start({"guard"}));
        CHECK(end.status == 2);
        CHECK(end.said.find("usage:") != std::string::npos);
    }
    SECTION("an unknown option") {
        CHECK(site.finish(site.start({"--reboot"})).status == 2);
    }
    SECTION("no cgroup2") {
        const auto ours = std::exchange(site.cgroups, site.folder);
        const auto end = site.finish(site.start());
        site.cgroups = ours;
        CHECK(end.status == 1);
        CHECK(end.said.find("KAGAMI_CGROUP_ROOT") != std::string::npos);
    }
    SECTION("a second guard") {
        site.start_guard();
        const auto end = site.finish(site.start());
        CHECK(end.status == 4);
        CHECK(end.said.find("another process writes this half") != std::string::npos);
    }
    SECTION("a page that others can write") {
        REQUIRE(chmod(site.page.c_str(), 0666) == 0);
        CHECK(site.finish(site.start()).status == 4);
    }
}

TEST_CASE("asked to stop, the guard ends and leaves an armed watchdog armed") {
    NEEDS_KERNEL();
    Site site;
    WatchdogSocket watchdog(site.watchdog);
    site.plan.terms.armed = 1;
    site.start_guard();
    site.renew();
    REQUIRE(watchdog.hears("pet"));
    kill(site.guard, SIGTERM);
    const auto end = site.finish(std::exchange(site.guard, -1));
    CHECK(end.status == 0);
    CHECK(end.said.find("the watchdog stays armed") != std::string::npos);
    for (const auto& message : watchdog.heard()) CHECK(message == "pet");
}

TEST_CASE(
    "guard test does nothing unless the machine's name is typed; then it arms, does not pet, and has left a record") {
    NEEDS_KERNEL();
    Site site;
    char host[256] = {};
    gethostname(host, sizeof(host) - 1);
    const std::string record = "/var/lib/kagami/guard-test";
    SECTION("no watchdog") {
        const auto end = site.finish(site.start({"test"}, std::string(host) + "\n"));
        CHECK(end.status == 4);
        CHECK(end.said.find("no such device") != std::string::npos);
    }
    SECTION("not confirmed") {
        WatchdogSocket watchdog(site.watchdog);
        CHECK(site.finish(site.start({"test"}, "yes\n")).status == 4);
        CHECK(watchdog.heard().empty());
        CHECK(read_text(record).empty());
    }
    SECTION("confirmed, and the simulated device kills the node") {
        WatchdogSocket watchdog(site.watchdog);
        const pid_t pid = site.start({"test"}, std::string(host) + "\n");
        CHECK(watchdog.hears("arm 5000"));
        CHECK(watchdog.silent_for(200ms));
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        CHECK(read_text(record).starts_with("simulated\n"));
        site.start_guard();
        CHECK(site.report().watchdog_tested == 0);  // this boot has not been through it
        site.kill_guard();
        auto text = read_text(record);
        text.replace(text.size() - 37, 4, "0000");  // as if written before this boot
        REQUIRE(write_text(record, text));
        site.start_guard();
        CHECK(site.report().watchdog_tested == 1);
    }
    unlink(record.c_str());
}
