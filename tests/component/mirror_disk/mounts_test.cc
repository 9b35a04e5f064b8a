// LinuxMounts on the real /proc: what is mounted, who keeps it busy, and who is signalled.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>

#include "common/files.h"
#include "common/host/linux_mounts.h"
#include "tests/component/mirror_disk/private_mounts.h"

using namespace kagami;
using namespace kagami::host;

namespace {

// A child that uses something below the mount, until it is killed.
class Child {
 public:
    explicit Child(const std::function<bool()>& use) {
        std::array<int, 2> ready{};
        REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::signal(SIGTERM, SIG_DFL);  // Catch's handler would speak
            const char good = use() ? 'y' : 'n';
            [[maybe_unused]] const ssize_t written = ::write(ready[1], &good, 1);
            for (;;) ::pause();
        }
        char good = 'n';
        REQUIRE(::read(ready[0], &good, 1) == 1);
        REQUIRE(good == 'y');
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~Child() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }
    // The signal that ended it.
    int ended_by() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }

 private:
    pid_t pid_ = 0;
};

struct Tmpfs {
    std::string target = "/run/kagami mounts-" + std::to_string(::getpid());  // the blank is escaped in mountinfo
    Tmpfs() {
        ::mkdir(target.c_str(), 0700);
        REQUIRE(::mount("kagami-test", target.c_str(), "tmpfs", 0, nullptr) == 0);
        const UniqueFd file(::open((target + "/file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(file.get(), 4096) == 0);
    }
    ~Tmpfs() {
        ::umount2(target.c_str(), MNT_DETACH);
        ::rmdir(target.c_str());
    }
};

LinuxMounts mounts_without_signature() {
    return LinuxMounts([](const std::string&) { return Result<std::string>(""); });
}

}  // namespace

TEST_CASE("mountinfo is read, escapes and optional fields included, and nonsense is left out") {
    const auto all = parse_mountinfo(
        "36 35 98:0 / /srv/da\\040ta rw,noatime master:1 shared:7 - ext4 /dev/loop3 rw,errors=remount-ro\n"
        "37 35 0:50 / /x\\134y rw - tmpfs none rw\n"
        "short line\n"
        "38 35 0:51 / /no-dash rw tmpfs none rw\n\n");
    REQUIRE(all.size() == 2);
    CHECK(all[0].source == "/dev/loop3");
    CHECK(all[0].target == "/srv/da ta");
    CHECK(all[0].type == "ext4");
    CHECK(all[0].device == "98:0");
    CHECK(all[0].id == "36");
    CHECK(all[1].target == "/x\\y");
}

TEST_CASE("a directory, an open file, and a deleted file keep a mount busy, and are signalled") {
    if (!kagami::testing::private_mounts()) return;
    const Tmpfs tmpfs;
    LinuxMounts mounts = mounts_without_signature();
    const auto listed = mounts.mounts();
    REQUIRE(listed);
    CHECK(std::any_of(listed->begin(), listed->end(), [&](const Mount& m) { return m.target == tmpfs.target; }));
    CHECK(mounts.holders(tmpfs.target)->empty());
    CHECK_FALSE(mounts.holders("/"));
    CHECK_FALSE(mounts.holders(""));

    const std::string file = tmpfs.target + "/file";
    const std::vector<std::function<bool()>> uses = {
        [&] { return ::chdir(tmpfs.target.c_str()) == 0; },
        [&] { return ::open(file.c_str(), O_RDONLY | O_CLOEXEC) >= 0; },
        [&] {
            const std::string gone = tmpfs.target + "/gone";
            return ::open(gone.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600) >= 0 && ::unlink(gone.c_str()) == 0;
        },
    };
    for (const auto& use : uses) {
        Child child(use);
        const auto holders = mounts.holders(tmpfs.target);
        REQUIRE(holders);
        REQUIRE(holders->size() == 1);
        CHECK(holders->front().pid == child.pid());
        CHECK_FALSE(holders->front().command.empty());
        CHECK(::umount2(tmpfs.target.c_str(), 0) != 0);
        const auto told = mounts.signal_holders(tmpfs.target, SIGTERM);
        REQUIRE(told);
        REQUIRE(told->size() == 1);
        CHECK(child.ended_by() == SIGTERM);
        CHECK(mounts.holders(tmpfs.target)->empty());
    }
}

TEST_CASE("a mount with a similar name is another one; a mount below is named; we do not signal ourselves") {
    if (!kagami::testing::private_mounts()) return;
    const Tmpfs tmpfs;
    LinuxMounts mounts = mounts_without_signature();
    const std::string prefix = tmpfs.target.substr(0, tmpfs.target.size() - 1);
    const UniqueFd own(::open((tmpfs.target + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(mounts.holders(prefix)->empty());
    CHECK(mounts.holders(tmpfs.target)->size() == 1);
    CHECK(mounts.signal_holders(tmpfs.target, SIGKILL)->empty());
    const std::string below = tmpfs.target + "/below";
    ::mkdir(below.c_str(), 0700);
    REQUIRE(::mount("none", below.c_str(), "tmpfs", 0, nullptr) == 0);
    const auto holders = mounts.holders(tmpfs.target);
    CHECK(std::any_of(holders->begin(), holders->end(),
                      [&](const Holder& h) { return h.pid == 0 && h.command == "the mount " + below; }));
    ::umount2(below.c_str(), 0);
}

namespace {

bool in_other_namespace() {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}
bool open_in(const std::string& directory) {
    return ::open((directory + "/opened").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600) >= 0;
}

}  // namespace

TEST_CASE("who has another file system under the same path does not use ours, and is not signalled") {
    if (!kagami::testing::private_mounts()) return;
    const Tmpfs tmpfs;
    LinuxMounts mounts = mounts_without_signature();
    const std::string below = tmpfs.target + "/below";
    ::mkdir(below.c_str(), 0700);
    const auto foreign = [&](const std::string& at) { return ::mount("none", at.c_str(), "tmpfs", 0, nullptr) == 0; };
    const std::vector<std::function<bool()>> uses = {
        [&] { return in_other_namespace() && foreign(tmpfs.target) && open_in(tmpfs.target); },
        [&] { return in_other_namespace() && foreign(tmpfs.target) && ::chdir(tmpfs.target.c_str()) == 0; },
        [&] {
            return in_other_namespace() && ::umount2(tmpfs.target.c_str(), MNT_DETACH) == 0 && foreign(tmpfs.target) &&
                   ::chdir(tmpfs.target.c_str()) == 0 && open_in(tmpfs.target);
        },
        [&] { return in_other_namespace() && foreign(below) && ::chroot(below.c_str()) == 0 && ::chdir("/") == 0; },
    };
    for (const auto& use : uses) {
        const Child child(use);
        CHECK(mounts.holders(tmpfs.target)->empty());
        CHECK(mounts.signal_holders(tmpfs.target, SIGTERM)->empty());
        CHECK(::kill(child.pid(), 0) == 0);
    }
    REQUIRE(foreign(below));
    {
        const Child child([&] { return ::chdir(below.c_str()) == 0 && open_in(below); });
        CHECK(mounts.signal_holders(tmpfs.target, SIGTERM)->empty());
    }
    ::umount2(below.c_str(), 0);
}

TEST_CASE("who has our file system under another path uses it, and is signalled") {
    if (!kagami::testing::private_mounts()) return;
    const Tmpfs tmpfs;
    LinuxMounts mounts = mounts_without_signature();
    const std::string other = tmpfs.target + "-other";
    const std::string below = tmpfs.target + "/below";
    ::mkdir(other.c_str(), 0700);
    ::mkdir(below.c_str(), 0700);
    const auto moved = [&] {
        return in_other_namespace() && ::mount(tmpfs.target.c_str(), other.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
               ::umount2(tmpfs.target.c_str(), MNT_DETACH) == 0;
    };
    const std::vector<std::function<bool()>> uses = {
        [&] { return moved() && ::chdir(other.c_str()) == 0; },
        [&] { return moved() && open_in(other); },
        [&] { return moved() && ::chroot(other.c_str()) == 0; },
        [&] { return ::chroot(below.c_str()) == 0 && ::chdir("/") == 0; },
        [&] { return open_in(tmpfs.target) && in_other_namespace() && ::umount2(tmpfs.target.c_str(), MNT_DETACH) == 0; },
    };
    for (size_t i = 0; i < uses.size(); ++i) {
        INFO(i);
        Child child(uses[i]);
        const auto told = mounts.signal_holders(tmpfs.target, SIGTERM);
        REQUIRE(told);
        CHECK(told->size() == 1);
        if (!told->empty()) CHECK(child.ended_by() == SIGTERM);
    }
    ::rmdir(other.c_str());
}
