// md with the real programs: a loop device stands for the promoted mirror, the script helper runs mke2fs, e2fsck, mount and
// umount in the resource's cgroup.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "cluster-daemon/runtime/daemon/device_signature.h"
#include "common/host/fake_host.h"
#include "common/host/linux_mounts.h"
#include "resources/resource.h"
#include "tests/component/mirror_disk/private_mounts.h"
#include "tests/component/script_helper/helper_fixture.h"
#include "tests/support/type_values.h"

using namespace kagami;
using namespace kagami::resources;
using Catch::Matchers::Contains;

namespace {

// A loop device on a file of its own, gone with its last user.
class LoopDevice {
 public:
    explicit LoopDevice(const std::string& file) : file_(file) {
        const UniqueFd backing(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(backing.get(), off_t{400} << 20U) == 0);
        const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
        loop_config config{};
        config.fd = static_cast<uint32_t>(backing.get());
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        for (int attempt = 0; attempt < 10 && !fd_.valid(); ++attempt) {  // others may take the free one first
            path_ = "/dev/loop" + std::to_string(::ioctl(control.get(), LOOP_CTL_GET_FREE));
            UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
            if (fd.valid() && ::ioctl(fd.get(), LOOP_CONFIGURE, &config) == 0) fd_ = std::move(fd);
        }
    }
    ~LoopDevice() { ::unlink(file_.c_str()); }
    bool valid() const { return fd_.valid(); }
    const std::string& path() const { return path_; }
    int fd() const { return fd_.get(); }

 private:
    std::string file_, path_;
    UniqueFd fd_;
};

struct LoopMirrors : host::FakeMirrors {
    std::string path;
    Result<host::MirrorDevice> promote(const std::string& mirror, Instant) override {
        return promoted[mirror] = host::MirrorDevice{path, "loop", generation};
    }
};

// The resource is called nginx because the fixture clears away the cgroup of that name.
struct Bench {
    script_helper::HelperFixture helper;
    LoopDevice loop{helper.path("disk")};
    LoopMirrors mirrors;
    host::LinuxMounts mounts{runtime::device_signature};
    std::vector<std::string> notes;
    host::Host host;
    Context context;
    std::unique_ptr<Resource> resource;
    std::string target = helper.path("data");

    explicit Bench(const std::string& filesystem) {
        helper.start_helper();
        mirrors.path = loop.path();
        host.now = host::boot_now;
        host.oversleep = [](Duration pause) {
            ::poll(nullptr, 0, static_cast<int>(milliseconds(pause)));
            return Duration(0);
        };
        host.scripts = &helper.client();
        host.mirrors = &mirrors;
        host.mounts = &mounts;
        host.note = [this](const std::string& line) { notes.push_back(line); };
        const Type* type = find("md");
        resource = type->make(host);
        context.group = "web";
        context.resource = "nginx";
        context.values = testing::type_values(
            type->description,
            {{"data", {"/dev/a"}}, {"metadata", {"/dev/b"}}, {"mount", {target}}, {"filesystem", {filesystem}}});
    }
    ~Bench() { ::umount2(target.c_str(), MNT_DETACH); }
    std::string activate() {
        context.deadline = host::boot_now() + 60s;
        return said(resource->activate(context));
    }
    std::string deactivate(Duration limit) {
        context.deadline = host::boot_now() + limit;
        return said(resource->deactivate(context));
    }
    Probe probe() {
        context.deadline = host::boot_now() + 10s;
        return resource->probe(context).value();
    }
    static std::string said(const Status& status) { return status ? "" : status.error().message; }
    // A process with a file open below the mount that ignores SIGTERM.
    pid_t holder() const {
        std::array<int, 2> ready{};
        REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::signal(SIGTERM, SIG_IGN);
            const bool open = ::open((target + "/word").c_str(), O_RDWR | O_CREAT, 0600) >= 0;
            if (::write(ready[1], "x", 1) != 1 || !open) ::_exit(1);
            for (;;) ::pause();
        }
        char byte = 0;
        REQUIRE(::read(ready[0], &byte, 1) == 1);
        ::close(ready[0]);
        ::close(ready[1]);
        return pid;
    }
};

bool skip() {
    if (!kagami::testing::private_mounts() || script_helper::skip_without_cgroups()) return true;
    if (::access("/dev/loop-control", R_OK | W_OK) == 0) return false;
    WARN("SKIPPED: there is no /dev/loop-control");
    return true;
}

}  // namespace

TEST_CASE("md makes ext4 and xfs once, finds them again, checks and mounts them") {
    if (skip()) return;
    for (const char* type : {"ext4", "xfs"}) {
        if (std::string(type) == "xfs" && ::access("/usr/sbin/mkfs.xfs", X_OK) != 0) {
            WARN("SKIPPED: xfsprogs is not installed");
            continue;
        }
        Bench b(type);
        REQUIRE(b.loop.valid());
        CHECK(runtime::device_signature(b.loop.path()).value().empty());
        CHECK(b.probe() == Probe::kInactive);
        REQUIRE(b.activate() == "");
        CHECK(b.probe() == Probe::kActive);
        CHECK(runtime::device_signature(b.loop.path()).value() == std::string("an ") + type + " file system");
        std::ofstream(b.target + "/word") << "kept";
        CHECK(b.activate() == "");
        CHECK(b.deactivate(60s) == "");
        CHECK(b.probe() == Probe::kInactive);
        CHECK(::access((b.target + "/word").c_str(), F_OK) != 0);
        REQUIRE(b.activate() == "");
        std::string word;
        std::ifstream(b.target + "/word") >> word;
        CHECK(word == "kept");
        CHECK(b.deactivate(60s) == "");
        CHECK(b.notes.size() == 1);  // one mkfs
    }
}

TEST_CASE("md refuses another file system than the configured one and leaves it as it is") {
    if (skip()) return;
    Bench b("ext4");
    REQUIRE(::pwrite(b.loop.fd(), "XFSB", 4, 0) == 4);
    REQUIRE(::fsync(b.loop.fd()) == 0);
    CHECK_THAT(b.activate(), Contains("the mirror holds an xfs file system, and filesystem is \"ext4\""));
    std::array<char, 4> bytes{};
    REQUIRE(::pread(b.loop.fd(), bytes.data(), 4, 0) == 4);
    CHECK(std::string(bytes.data(), 4) == "XFSB");
}

TEST_CASE("md makes no file system over data of an unknown kind, nor on a mirror that was used before") {
    if (skip()) return;
    for (const off_t offset : {off_t{20000}, (off_t{400} << 20U) - 1}) {
        Bench b("ext4");
        REQUIRE(::pwrite(b.loop.fd(), "x", 1, offset) == 1);
        REQUIRE(::fsync(b.loop.fd()) == 0);
        CHECK_THAT(b.activate(), Contains("the mirror holds data of an unknown kind") && Contains("nothing was changed"));
    }
    Bench used("ext4");
    used.mirrors.generation = {4, {}};
    CHECK_THAT(used.activate(), Contains("has been used before"));
    CHECK(runtime::device_signature(used.loop.path()).value().empty());
}

TEST_CASE("md unmounts what a dead driver left at its mount point") {
    if (skip()) return;
    Bench b("ext4");
    REQUIRE(b.activate() == "");
    b.mirrors.promoted["nginx"] = {"/dev/loop-of-the-next-driver", "loop"};
    CHECK(b.deactivate(10s) == "");
    const auto left = b.mounts.mounts().value();
    CHECK(std::none_of(left.begin(), left.end(), [&](const auto& mount) { return mount.target == b.target; }));
}

TEST_CASE("md stops a damaged ext4 at e2fsck -p, and says what to do") {
    if (skip()) return;
    Bench b("ext4");
    REQUIRE(b.activate() == "");
    CHECK(b.deactivate(60s) == "");
    const std::vector<char> garbage(size_t{2} << 20U, '\x5a');  // group descriptors, bitmaps, inodes
    REQUIRE(::pwrite(b.loop.fd(), garbage.data(), garbage.size(), 4096) == static_cast<ssize_t>(garbage.size()));
    REQUIRE(::fsync(b.loop.fd()) == 0);
    const std::string refusal = b.activate();
    CHECK_THAT(refusal, Contains("/usr/sbin/e2fsck failed with exit status"));
    CHECK(b.probe() == Probe::kPartial);
    CHECK(b.deactivate(60s) == "");
}

TEST_CASE("md names who keeps the mount busy, and ends them when it may") {
    if (skip()) return;
    Bench b("ext4");
    REQUIRE(b.activate() == "");
    const pid_t pid = b.holder();
    auto texts = b.context.values.all();
    texts["unmount_kill"] = {"false"};
    const config::Values killing = b.context.values;
    b.context.values = config::Values(texts);
    CHECK_THAT(b.deactivate(1s), Contains("it is used by component_mirro (" + std::to_string(pid) + ")"));
    CHECK(b.probe() == Probe::kActive);
    b.context.values = killing;
    CHECK(b.deactivate(6s) == "");
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(WTERMSIG(status) == SIGKILL);
    CHECK(b.probe() == Probe::kInactive);
}
