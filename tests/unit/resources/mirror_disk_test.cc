// md on a fake machine: each step of activation and deactivation, and each way in which it can be refused.
#include <algorithm>
#include <csignal>

#include "tests/unit/resources/resource_fixture.h"

using namespace kagami;
using namespace kagami::resources;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kTarget = "/srv/data";
constexpr const char* kDevice = "/dev/loop3";

testing::Texts with(testing::Texts more = {}) {
    testing::Texts texts = {{"data", {"/dev/a"}}, {"metadata", {"/dev/b"}}, {"mount", {kTarget}}};
    for (auto& [name, value] : more) texts[name] = value;
    return texts;
}

// mount and umount do what they say; `fail_with` makes a program fail.
struct Bench : ResourceFixture {
    std::map<std::string, host::ScriptResult> fail_with;  // by the program's last name

    explicit Bench(const testing::Texts& more = {}) : ResourceFixture("md", with(more)) {
        context.resource = "md1";
        context.environment = {};
        fake.mounts.signatures[kDevice] = "an ext4 file system";
        fake.scripts.program = [this](const host::ScriptRequest& request) { return run(request.argv); };
    }
    Result<host::ScriptResult> run(const std::vector<std::string>& argv) {
        const std::string program = argv[0].substr(argv[0].rfind('/') + 1);
        if (const auto at = fail_with.find(program); at != fail_with.end()) return at->second;
        if (program == "mount") fake.mounts.mounted.push_back({argv[argv.size() - 2], argv.back(), "ext4"});
        if (program == "umount") {
            if (!fake.mounts.holding[argv.back()].empty()) return host::ScriptResult{32, 0, false, "target is busy."};
            auto& all = fake.mounts.mounted;
            const auto top =
                std::find_if(all.rbegin(), all.rend(), [&](const auto& mount) { return mount.target == argv.back(); });
            if (top == all.rend()) return host::ScriptResult{32, 0, false, "not mounted."};
            all.erase(std::next(top).base());
        }
        return host::ScriptResult{};
    }
    std::vector<std::string> programs() const {
        std::vector<std::string> all;
        for (const auto& run : fake.scripts.runs) {
            std::string line;
            for (const auto& word : run.request.argv) line += (line.empty() ? "" : " ") + word;
            all.push_back(line);
        }
        return all;
    }
    void promoted_and_mounted() {
        fake.mirrors.promoted["md1"] = {kDevice, "fuse-loop"};
        fake.mounts.mounted.push_back({kDevice, kTarget, "ext4"});
    }
    Probe probed() { return resource->probe(context).value(); }
};
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("md: promote, check, mount; and the same again changes nothing") {
    Bench md;
    CHECK(md.activation_error() == "");
    CHECK(md.fake.mirrors.calls == Lines{"promote md1"});
    CHECK(md.programs() == Lines{"/usr/sbin/e2fsck -p /dev/loop3",
                                 "/usr/bin/mount --mkdir -t ext4 -o errors=remount-ro /dev/loop3 /srv/data"});
    for (const auto& run : md.fake.scripts.runs) {
        CHECK(run.request.group == "web");
        CHECK(run.request.resource == "md1");
        CHECK(run.deadline == md.context.deadline);
    }
    CHECK(md.activation_error() == "");
    CHECK(md.programs().size() == 2);
    CHECK(md.probed() == Probe::kActive);
}

TEST_CASE("md: a blank mirror gets its file system once, and only a blank one") {
    SECTION("ext4") {
        Bench md;
        md.fake.mounts.signatures.clear();
        CHECK(md.activation_error() == "");
        CHECK(md.programs()[0] == "/usr/sbin/mke2fs -q -t ext4 -E nodiscard /dev/loop3");
        CHECK(md.fake.notes.size() == 1);
    }
    SECTION("xfs, which is not checked") {
        Bench md(testing::Texts{{"filesystem", {"xfs"}}});
        md.fake.mounts.signatures.clear();
        CHECK(md.activation_error() == "");
        CHECK(md.programs() ==
              Lines{"/usr/sbin/mkfs.xfs -q -K /dev/loop3", "/usr/bin/mount --mkdir -t xfs -o defaults /dev/loop3 /srv/data"});
    }
    SECTION("mkfs = false") {
        Bench md(testing::Texts{{"mkfs", {"false"}}});
        md.fake.mounts.signatures.clear();
        CHECK_THAT(md.activation_error(), Contains("there is no file system on the mirror, and mkfs is false"));
        CHECK(md.programs().empty());
    }
    SECTION("anything recognised is left alone") {
        for (const char* other : {"an xfs file system", "data of an unknown kind (not zero in the block at offset 0)", "an ext3 file system", "a GPT partition table",
                                  "the first blocks cannot be read"}) {
            Bench md;
            md.fake.mounts.signatures[kDevice] = other;
            CHECK_THAT(md.activation_error(), Contains(other) && Contains("nothing was changed"));
            CHECK(md.programs().empty());
        }
    }
    SECTION("what cannot be looked at is left alone") {
        Bench md;
        md.fake.mounts.broken = Error{ErrorCode::kFailed, "no /proc", ""};
        CHECK_THAT(md.activation_error(), Contains("no /proc"));
        CHECK(md.programs().empty());
    }
    SECTION("mkfs fails") {
        Bench md;
        md.fake.mounts.signatures.clear();
        md.fail_with["mke2fs"] = {1, 0, false, "No space"};
        CHECK_THAT(md.activation_error(), Contains("web.md1: /usr/sbin/mke2fs failed with exit status 1: \"No space\""));
        CHECK(md.programs().size() == 1);
    }
}

TEST_CASE("md: only a new mirror gets its file system") {
    SECTION("soon after its construction") {
        for (const uint64_t counter : {1U, 2U, 3U}) {
            Bench md;
            md.fake.mounts.signatures.clear();
            md.fake.mirrors.generation = {counter, {}};
            CHECK(md.activation_error() == "");
            CHECK(md.programs().size() == 3);
        }
    }
    SECTION("not one that has been used before, or of which nothing is known") {
        for (const uint64_t counter : {0U, 4U, 99U}) {
            Bench md;
            md.fake.mounts.signatures.clear();
            md.fake.mirrors.generation = {counter, {}};
            CHECK_THAT(md.activation_error(),
                       Contains("no file system is recognised on mirror md1, and it has been used before") &&
                           Contains("nothing is made anew by itself") && Contains("mkfs.ext4 /dev/loop3"));
            CHECK(md.programs().empty());
            md.fake.mounts.signatures[kDevice] = "an ext4 file system";
            CHECK(md.activation_error() == "");
        }
    }
}

TEST_CASE("md: raw disks are promoted and nothing else") {
    for (const auto& values : {testing::Texts{{"mount", {}}}, testing::Texts{{"filesystem", {"none"}}}}) {
        Bench md(values);
        CHECK(md.probed() == Probe::kInactive);
        CHECK(md.activation_error() == "");
        CHECK(md.programs().empty());
        CHECK(md.probed() == Probe::kActive);
        CHECK(md.resource->footprint(md.context).value().mounts.empty());
        CHECK(md.deactivation_error() == "");
        CHECK(md.fake.mirrors.calls == Lines{"promote md1", "demote md1"});
    }
}

TEST_CASE("md: a refused promotion is told and nothing else happens") {
    Bench md;
    md.fake.mirrors.promote_error = Error{ErrorCode::kRefused, "mirror md1: its copy is stale", "wait for the resync"};
    CHECK(md.activation_error() == "web.md1: mirror md1: its copy is stale | wait for the resync");
    CHECK(md.programs().empty());
}

TEST_CASE("md: e2fsck's exit status decides") {
    const auto outcome = [](host::ScriptResult result, const std::string& policy = "auto") {
        Bench md(testing::Texts{{"fsck", {policy}}});
        md.fail_with["e2fsck"] = std::move(result);
        return md.activation_error();
    };
    CHECK(outcome({0, 0, false, ""}) == "");
    CHECK(outcome({1, 0, false, ""}) == "");
    CHECK(outcome({2, 0, false, ""}) == "");
    CHECK_THAT(outcome({4, 0, false, "UNEXPECTED INCONSISTENCY"}),
               Contains("UNEXPECTED INCONSISTENCY") && Contains("set fsck = \"repair\""));
    CHECK_THAT(outcome({5, 0, false, ""}), Contains("failed with exit status 5"));
    CHECK_THAT(outcome({8, 0, false, ""}), Contains("failed with exit status 8 |"));
    CHECK_THAT(outcome({-1, 9, false, ""}), Contains("was ended by signal 9"));
    CHECK_THAT(outcome({-1, 15, true, ""}), Contains("did not end in time") && Contains("raise activate_timeout"));
    Bench repair(testing::Texts{{"fsck", {"repair"}}});
    CHECK(repair.activation_error() == "");
    CHECK(repair.programs()[0] == "/usr/sbin/e2fsck -y /dev/loop3");
    Bench never(testing::Texts{{"fsck", {"never"}}});
    CHECK(never.activation_error() == "");
    CHECK(never.programs().size() == 1);
}

TEST_CASE("md: a mount that fails is an error; xfs is repaired only when asked for") {
    Bench md(testing::Texts{{"mount_options", {"noatime,discard"}}});
    md.fail_with["mount"] = {32, 0, false, "wrong fs type"};
    CHECK_THAT(md.activation_error(), Contains("/usr/bin/mount failed with exit status 32: \"wrong fs type\""));
    CHECK_THAT(md.programs().back(), Contains("-o noatime,discard /dev/loop3"));
    for (const bool repair : {false, true}) {
        Bench xfs(testing::Texts{{"filesystem", {"xfs"}}, {"fsck", {repair ? "repair" : "auto"}}});
        xfs.fake.mounts.signatures[kDevice] = "an xfs file system";
        xfs.fail_with["mount"] = {32, 0, false, "Structure needs cleaning"};
        CHECK_FALSE(xfs.activation_error().empty());
        CHECK(xfs.programs().size() == (repair ? 3 : 1));
    }
}

TEST_CASE("md: something else at the mount point, or the device elsewhere, is refused") {
    Bench foreign;
    foreign.fake.mounts.mounted.push_back({"tmpfs", kTarget, "tmpfs"});
    CHECK(foreign.activation_error() == "web.md1: tmpfs is mounted at /srv/data already | umount /srv/data");
    Bench elsewhere;
    elsewhere.fake.mounts.mounted.push_back({kDevice, "/mnt/x", "ext4"});
    CHECK(elsewhere.activation_error() == "web.md1: its device /dev/loop3 is mounted at /mnt/x | umount /mnt/x");
    CHECK(elsewhere.programs().empty());
}

TEST_CASE("md: deactivation unmounts, demotes, and may be repeated") {
    Bench md;
    md.promoted_and_mounted();
    md.fake.mounts.mounted.push_back({kDevice, kTarget, "ext4"});  // mounted twice
    CHECK(md.deactivation_error() == "");
    CHECK(md.programs() == Lines{"/usr/bin/umount -c /srv/data", "/usr/bin/umount -c /srv/data"});
    CHECK(md.fake.mirrors.calls == Lines{"demote md1"});
    CHECK(md.probed() == Probe::kInactive);
    CHECK(md.deactivation_error() == "");
    CHECK(md.programs().size() == 2);
}

TEST_CASE("md: what keeps it busy is ended, first politely") {
    Bench md;
    md.promoted_and_mounted();
    md.fake.mounts.holding[kTarget] = {{4711, "postgres"}, {4712, "bash"}};
    std::vector<int> signals;
    md.fake.mounts.on_signal = [&](const std::string& target, int signal) {
        signals.push_back(signal);
        if (signal == SIGTERM) std::erase_if(md.fake.mounts.holding[target], [](const auto& h) { return h.pid == 4711; });
        if (signal == SIGKILL) md.fake.mounts.holding[target].clear();
    };
    const Instant begin = md.fake.time;
    CHECK(md.deactivation_error() == "");
    CHECK(signals == std::vector<int>{SIGTERM, SIGKILL});
    CHECK(md.fake.time - begin >= 5s);
    CHECK(md.fake.time - begin < 8s);
    CHECK(md.fake.notes == Lines{"web.md1: /srv/data is busy; SIGTERM sent to postgres (4711), bash (4712)",
                                 "web.md1: /srv/data is busy; SIGKILL sent to bash (4712)"});
    CHECK(md.fake.mirrors.calls == Lines{"demote md1"});
}

TEST_CASE("md: a mount that stays busy is named with its holders before the deadline, and the mirror is not demoted") {
    for (const bool kill : {true, false}) {
        Bench md(testing::Texts{{"unmount_kill", {kill ? "true" : "false"}}});
        md.promoted_and_mounted();
        md.fake.mounts.holding[kTarget] = {{4711, "postgres"}, {0, "the mount /srv/data/sub"}};
        CHECK_THAT(md.deactivation_error(),
                   Contains("web.md1: /srv/data cannot be unmounted (\"target is busy.\"); it is used by postgres (4711), "
                            "the mount /srv/data/sub"));
        CHECK(md.fake.time <= md.context.deadline);
        CHECK(md.fake.mirrors.calls.empty());
        CHECK(md.fake.mounts.signalled.empty() == !kill);
        CHECK(md.probed() == Probe::kActive);
    }
    Bench nobody;
    nobody.promoted_and_mounted();
    nobody.fail_with["umount"] = {-1, 0, true, ""};
    CHECK_THAT(nobody.deactivation_error(), Contains("did not end in time") && Contains("nobody that can be seen"));
}

TEST_CASE("md: what somebody else mounted is left alone") {
    Bench foreign;
    foreign.fake.mirrors.promoted["md1"] = {kDevice, "fuse-loop"};
    foreign.fake.mounts.mounted.push_back({"tmpfs", kTarget, "tmpfs"});
    CHECK(foreign.deactivation_error() == "");
    CHECK(foreign.fake.mounts.mounted.size() == 1);
    Bench stale;  // of a driver that died: its device is dead, and the new one has another number
    stale.fake.mirrors.promoted["md1"] = {kDevice, "fuse-loop"};
    stale.fake.mounts.mounted.push_back({"/dev/loop2", kTarget, "ext4"});
    CHECK(stale.deactivation_error() == "");
    CHECK(stale.fake.mounts.mounted.empty());
    Bench both;
    both.promoted_and_mounted();
    both.fake.mounts.mounted.push_back({"/dev/loop2", kTarget, "ext4"});
    CHECK(both.deactivation_error() == "");
    CHECK(both.fake.mounts.mounted.empty());
    Bench over;
    over.promoted_and_mounted();
    over.fake.mounts.mounted.push_back({"tmpfs", kTarget, "tmpfs"});
    CHECK_THAT(over.deactivation_error(), Contains("tmpfs is mounted over the mirror at /srv/data"));
    CHECK(over.fake.mirrors.calls.empty());
}

TEST_CASE("md: a refused demotion and a driver that does not run are told") {
    Bench md;
    md.promoted_and_mounted();
    md.fake.mirrors.demote_error = Error{ErrorCode::kFailed, "mirror md1: its device is open", "close it"};
    CHECK(md.deactivation_error() == "web.md1: mirror md1: its device is open | close it");
    md.fake.mirrors.demote_error = Error{ErrorCode::kRefused, "mirror md1: loop3 is open", "close it"};
    Instant begin = md.fake.time;
    CHECK(md.deactivation_error() == "web.md1: mirror md1: loop3 is open | close it");
    CHECK(md.fake.time - begin >= 4s);  // somebody may be just looking at it
    CHECK(md.fake.time - begin <= 5s);
    md.fake.host.oversleep = [&](Duration pause) {
        md.fake.time += pause;
        md.fake.mirrors.demote_error.reset();
        return Duration(0);
    };
    begin = md.fake.time;
    CHECK(md.deactivation_error() == "");
    CHECK(md.fake.time - begin < 1s);
    md.fake.mirrors.broken = Error{ErrorCode::kUnreachable, "the mirror driver does not run", "start it"};
    CHECK_THAT(md.activation_error(), Contains("does not run"));
    CHECK_THAT(md.deactivation_error(), Contains("does not run"));
    CHECK(md.resource->probe(md.context).error().message == "web.md1: the mirror driver does not run");
}

TEST_CASE("md: half of it is partial") {
    Bench promoted;
    promoted.fake.mirrors.promoted["md1"] = {kDevice, "fuse-loop"};
    CHECK(promoted.probed() == Probe::kPartial);
    Bench lost;  // promoted still, but the guard has aborted its device
    lost.fake.mirrors.promoted["md1"] = {"", "fuse-loop"};
    CHECK(lost.probed() == Probe::kPartial);
    CHECK(lost.deactivation_error() == "");
    CHECK(lost.fake.mirrors.calls == Lines{"demote md1"});
    Bench lost_raw(testing::Texts{{"mount", {}}});
    lost_raw.fake.mirrors.promoted["md1"] = {"", "fuse-loop"};
    CHECK(lost_raw.probed() == Probe::kPartial);
    Bench mounted;
    mounted.fake.mounts.mounted.push_back({kDevice, kTarget, "ext4"});
    const Instant begin = mounted.fake.time;
    CHECK(mounted.probed() == Probe::kPartial);
    CHECK(mounted.fake.time - begin >= 3s);  // a restarted driver had its time
    mounted.context.deadline = mounted.fake.time + 70s;
    CHECK(mounted.deactivation_error() == "");
    CHECK(mounted.fake.mounts.mounted.empty());
}

TEST_CASE("md: the guard covers mount, mirror and cgroup") {
    Bench md;
    const auto all = md.resource->footprint(md.context).value();
    CHECK(all.cgroup);
    CHECK(all.mounts == Lines{kTarget});
    CHECK(all.mirrors == Lines{"md1"});
    CHECK(all.addresses.empty());
}

TEST_CASE("md: parameters say what is wrong with them") {
    const auto parameter = [](std::string_view name) {
        for (const auto& known : find("md")->description.parameters) {
            if (known.name == name) return known;
        }
        FAIL(name);
        return config::Parameter{};
    };
    for (const char* bad : {"", "dev/sdb1", "/", "/dev//sdb1", "/dev/../sdb1", "/dev/sdb1/", "/dev/./x", "/dev/a\nb"}) {
        INFO(bad);
        CHECK_FALSE(parameter("data").check(bad));
        CHECK_FALSE(parameter("metadata").check(bad));
    }
    CHECK_FALSE(parameter("data").check("/" + std::string(255, 'x')));
    CHECK(parameter("data").check("/dev/disk/by-id/x..y"));
    for (const char* bad : {"/", "/usr", "/usr/", "/etc", "/etc/kagami", "/var", "/run/kagami/x", "srv", "/dev/shm", "/tmp",
                            "/var/lib", "/var/lib/kagami", "/var/lib/kagami/log", "/var/log", "/run", "/run/kagami",
                            "/var/run", "/var/run/kagami", "/usr/lib/kagami", "/usr/bin", "/usr/share/x", "/usr/local",
                            "/usr/local/bin", "/usr/local/libexec/kagami", "/bin/x", "/sbin", "/lib64/x", "/boot/efi",
                            "/proc/1", "/sys/fs/cgroup", "/root"}) {
        INFO(bad);
        CHECK_FALSE(parameter("mount").check(bad));
    }
    for (const char* good : {"/srv/data", "/srv", "/var/lib/postgresql", "/var/lib/kagami2", "/home/shared", "/mnt/md1",
                             "/usr/local/data", "/library", "/root/data", "/var/log/app"}) {
        INFO(good);
        CHECK(parameter("mount").check(good));
    }
    CHECK_FALSE(parameter("filesystem").check("btrfs"));
    CHECK_FALSE(parameter("fsck").check("yes"));
    CHECK(parameter("mode").check("async").error().message == "is not possible yet: asynchronous mirrors come later");
    CHECK_FALSE(parameter("mode").check("semi"));
    CHECK_FALSE(parameter("mount_options").check("-o ro"));
    CHECK_FALSE(parameter("mount_options").check("noatime ro"));
    CHECK(parameter("mount_options").check("noatime,commit=5"));
}
