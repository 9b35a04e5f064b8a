// Groups on a mirror disk whose driver withholds its answers.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <iostream>

#include "common/host/boot_clock.h"
#include "tests/component/guard/harness.h"
#include "tests/component/guard/stalled_disk.h"

using namespace kagami;
using namespace kagami::guard;
using namespace kagami::guard::test;

#define NEEDS_STALLED_DISK()                                           \
    if (const auto missing = missing_for_a_disk(); !missing.empty()) { \
        WARN("SKIPPED: this machine lacks " << missing);               \
        return;                                                        \
    }

namespace {

std::string missing_for_a_disk() {
    if (auto missing = missing_kernel_feature(); !missing.empty()) return missing;
    if (access("/dev/fuse", R_OK | W_OK) != 0) return "/dev/fuse";
    if (access("/dev/loop-control", R_OK | W_OK) != 0) return "/dev/loop-control";
    if (access("/usr/sbin/mkfs.ext4", X_OK) != 0) return "mkfs.ext4";
    const char* control = "/sys/fs/fuse/connections";
    const bool there = is_mounted(control) || mount("none", control, "fusectl", 0, nullptr) == 0;
    return there ? "" : "the control file system of FUSE (fusectl)";
}

// A running group `db` with a process that only computes and one that waits for its disk.
struct Stalled {
    explicit Stalled(bool on_the_page = true) {
        site.plan.terms.t_hold = 1s;
        site.plan.terms.t_kill = 2s;
        auto group = site.group("db");
        group.mounts.push_back(mount_point);
        if (on_the_page) group.mirrors.push_back("md1");
        site.plan.groups.push_back(group);
        site.start_guard();
        site.renew();
        REQUIRE(site.becomes("db", GroupState::kRunning));
        REQUIRE(writer.makes_progress());
        disk.withhold();
        REQUIRE(eventually([&] { return writer.state() == 'D'; }));
        site.renew();
    }
    ~Stalled() { disk.go_on(); }  // or its process could not be waited for
    bool frozen_for_the_kernel() const {
        return read_text(site.cgroups + "/db/cgroup.events").find("frozen 1") != std::string::npos;
    }
    Site site;
    std::string mount_point = site.folder + "/mnt";
    StalledDisk disk{"md1", mount_point};
    Busy busy{site.cgroups + "/db", 1};
    Writer writer{site.cgroups + "/db", mount_point + "/file"};
};

}  // namespace

TEST_CASE("a process that waits for a stalled mirror disk counts as suspended, and goes on when all is well again") {
    NEEDS_STALLED_DISK();
    Stalled s;
    REQUIRE(s.busy.runs());
    REQUIRE(s.site.becomes("db", GroupState::kSuspended));
    CHECK(s.site.reported("db")->done_at - s.site.plan.terms.deadline <= kGuard);
    CHECK(s.busy.stands());
    CHECK_FALSE(s.frozen_for_the_kernel());
    CHECK(s.site.report().condemned == 0);
    s.disk.go_on();  // it comes out of the kernel only as far as the freezer
    CHECK(eventually([&] { return s.frozen_for_the_kernel(); }));
    CHECK_FALSE(s.writer.makes_progress());
    CHECK(s.site.reported("db")->state == GroupState::kSuspended);
    s.site.renew();
    REQUIRE(s.site.becomes("db", GroupState::kResumed));
    CHECK(s.busy.runs());
    s.site.renew();
    CHECK(s.writer.makes_progress());
}

TEST_CASE("a process that waits for any other disk does not count as suspended") {
    NEEDS_STALLED_DISK();
    Stalled s(false);
    REQUIRE(eventually([&] { return s.site.report().condemned == 1; }));
    CHECK(s.site.reported("db")->state == GroupState::kSuspending);
    CHECK(s.busy.stands());
}

TEST_CASE("a kill fails the I/O of a stalled mirror disk: its process dies and its file system is unmounted in time") {
    NEEDS_STALLED_DISK();
    Stalled s;
    SECTION("running") {}
    SECTION("suspended before") {
        REQUIRE(s.site.becomes("db", GroupState::kSuspended));
    }
    SECTION("with a guard that has just started") {
        s.site.kill_guard();
        s.site.start_guard();
    }
    const Instant asked = host::boot_now();
    s.site.renew(Verdict::kKill);
    REQUIRE(s.site.becomes("db", GroupState::kKilled));
    const Duration took = s.site.reported("db")->done_at - asked;
    CHECK(took <= s.site.plan.terms.t_kill);
    CHECK_FALSE(s.busy.populated());
    CHECK_FALSE(is_mounted(s.mount_point));
    CHECK(s.site.report().condemned == 0);
    std::cout << "a group on a stalled mirror disk killed and unmounted within " << seconds(took) * 1e3 << " ms\n";
}

TEST_CASE("without its mirror disk on the page the process of a stalled disk outlives SIGKILL") {
    NEEDS_STALLED_DISK();
    Stalled s(false);
    s.site.renew(Verdict::kKill);
    CHECK(s.site.becomes("db", GroupState::kKillFailed));  // what the abort is for
    CHECK(s.busy.populated());
}

TEST_CASE("a stalled mirror disk of one group holds up neither another group's suspension nor its unmounting") {
    NEEDS_STALLED_DISK();
    Stalled s;
    const std::string other = s.site.folder + "/other";
    mkdir(other.c_str(), 0700);
    REQUIRE(mount("none", other.c_str(), "tmpfs", 0, nullptr) == 0);
    auto group = s.site.group("web", GroupKind::kStrict);
    group.mounts.push_back(other);
    s.site.plan.groups.push_back(group);
    Busy busy(s.site.cgroups + "/web", 1);
    s.site.renew();
    REQUIRE(s.site.becomes("web", GroupState::kRunning));
    REQUIRE(s.site.becomes("web", GroupState::kKilled));
    CHECK(s.site.reported("web")->done_at <= s.site.plan.terms.deadline + s.site.plan.terms.t_kill);
    CHECK_FALSE(is_mounted(other));
    CHECK(s.site.becomes("db", GroupState::kSuspended));
    rmdir(other.c_str());
}
