#include "tests/component/guard/stalled_disk.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <tuple>
#include <utility>

#include "cluster-daemon/guard/mirrors.h"
#include "tests/component/guard/harness.h"

namespace kagami::guard::test {
namespace {

constexpr size_t kSize = 16UL << 20U;
constexpr size_t kRequestRoom = (1UL << 17U) + 4096;

template <typename T>
T body(const std::vector<uint8_t>& request) {
    T value{};
    std::memcpy(&value, request.data() + sizeof(fuse_in_header), sizeof(T));
    return value;
}

}  // namespace

StalledDisk::StalledDisk(const std::string& name, const std::string& mount_point)
    : directory_("/run/kagami/mirror/" + name), disk_(directory_ + "/disk"), node_(directory_ + "/loop"),
      mount_point_(mount_point), fuse_(open("/dev/fuse", O_RDWR | O_CLOEXEC)), content_(kSize) {
    mkdir("/run/kagami", 0700);
    mkdir("/run/kagami/mirror", 0700);
    mkdir(directory_.c_str(), 0700);
    mkdir(mount_point_.c_str(), 0700);
    REQUIRE(UniqueFd(open(disk_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).valid());
    const std::string options =
        "fd=" + std::to_string(fuse_.get()) + ",rootmode=100600,user_id=0,group_id=0,allow_other";
    REQUIRE(mount("md", disk_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0);
    server_ = std::thread([this] { serve(); });
    const UniqueFd loop = attach_loop();  // until it is mounted
    REQUIRE(run({"/usr/sbin/mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0", node_}) == 0);
    REQUIRE(mount(node_.c_str(), mount_point_.c_str(), "ext4", 0, nullptr) == 0);
}

UniqueFd StalledDisk::attach_loop() const {
    const UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const UniqueFd file(open(disk_.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(file.valid());
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    UniqueFd loop;
    const bool attached = eventually([&] {  // the number may go to somebody else in between
        const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
        unlink(node_.c_str());
        if (number < 0 || mknod(node_.c_str(), S_IFBLK | 0600, makedev(7, static_cast<unsigned>(number))) != 0) {
            return false;
        }
        loop = UniqueFd(open(node_.c_str(), O_RDWR | O_CLOEXEC));
        return loop.valid() && ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0;
    });
    REQUIRE(attached);
    return loop;
}

void StalledDisk::fail_all() {
    const UniqueFd mountinfo(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    std::array<uint32_t, 1> connection{};
    if (fuse_connections(mountinfo.get(), disk_, connection) == 1) {
        write_text("/sys/fs/fuse/connections/" + std::to_string(connection[0]) + "/abort", "1");
    }
}

StalledDisk::~StalledDisk() {
    fail_all();
    server_.join();
    umount2(mount_point_.c_str(), MNT_DETACH);
    umount2(disk_.c_str(), MNT_DETACH);
    rmdir(mount_point_.c_str());
    for (const auto& file : {node_, disk_}) unlink(file.c_str());
    rmdir(directory_.c_str());
}

void StalledDisk::withhold() {
    const std::lock_guard lock(mutex_);
    withheld_ = true;
}

void StalledDisk::go_on() {
    const std::lock_guard lock(mutex_);
    withheld_ = false;
    for (const auto& request : kept_) answer(request);
    kept_.clear();
}

void StalledDisk::serve() {
    std::vector<uint8_t> room(kRequestRoom);
    for (;;) {
        const ssize_t length = read(fuse_.get(), room.data(), room.size());
        if (length < 0 && errno == ENODEV) return;  // aborted
        if (length < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
        Request request{{room.begin(), room.begin() + length}};
        const std::lock_guard lock(mutex_);
        if (withheld_) {
            kept_.push_back(std::move(request));
        } else {
            answer(request);
        }
    }
}

void StalledDisk::reply(uint64_t unique, int error, const void* data, size_t length) const {
    fuse_out_header header{static_cast<uint32_t>(sizeof(header) + length), -error, unique};
    const iovec parts[] = {{&header, sizeof(header)}, {const_cast<void*>(data), length}};
    // An answer to a request that was given up meanwhile is refused, which is as good.
    std::ignore = writev(fuse_.get(), parts, length > 0 ? 2 : 1);
}

void StalledDisk::reply_attributes(uint64_t unique) const {
    fuse_attr_out out{};
    out.attr_valid = 1000;
    out.attr.ino = 1;
    out.attr.size = kSize;
    out.attr.mode = S_IFREG | 0600;
    out.attr.nlink = 1;
    reply(unique, 0, &out, sizeof(out));
}

void StalledDisk::answer(const Request& request) {
    const auto& bytes = request.bytes;
    fuse_in_header header{};
    std::memcpy(&header, bytes.data(), sizeof(header));
    switch (header.opcode) {
        case FUSE_INIT: {
            fuse_init_out out{};
            out.major = FUSE_KERNEL_VERSION;
            out.minor = FUSE_KERNEL_MINOR_VERSION;
            out.flags = FUSE_ASYNC_DIO | FUSE_ASYNC_READ;
            out.max_background = 64;
            out.congestion_threshold = 48;
            out.max_write = 1U << 17U;
            return reply(header.unique, 0, &out, sizeof(out));
        }
        case FUSE_GETATTR: return reply_attributes(header.unique);
        case FUSE_OPEN: {
            fuse_open_out out{};
            out.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
            return reply(header.unique, 0, &out, sizeof(out));
        }
        case FUSE_READ: {
            const auto in = body<fuse_read_in>(bytes);
            const size_t end = std::min<size_t>(kSize, in.offset + in.size);
            return reply(header.unique, 0, content_.data() + in.offset, end - in.offset);
        }
        case FUSE_WRITE: {
            const auto in = body<fuse_write_in>(bytes);
            std::memcpy(content_.data() + in.offset, bytes.data() + sizeof(header) + sizeof(in), in.size);
            const fuse_write_out out{in.size, 0};
            return reply(header.unique, 0, &out, sizeof(out));
        }
        case FUSE_STATFS: {
            fuse_statfs_out out{};
            out.st.bsize = out.st.frsize = 4096;
            return reply(header.unique, 0, &out, sizeof(out));
        }
        case FUSE_FSYNC:
        case FUSE_FLUSH:
        case FUSE_RELEASE: return reply(header.unique, 0, nullptr, 0);
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT: return;
        default: return reply(header.unique, ENOSYS, nullptr, 0);
    }
}

Writer::Writer(const std::string& cgroup, const std::string& file) : cgroup_(cgroup) {
    mkdir(cgroup_.c_str(), 0755);
    void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(at != MAP_FAILED);
    shared_ = new (at) Shared;
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(3, ~0U, 0);  // the disk must end with the test, whatever becomes of us
    const int out = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0 || !write_text(cgroup_ + "/cgroup.procs", "0")) _exit(1);
    const std::array<char, 4096> block{};
    for (uint64_t i = 0;; ++i) {
        if (pwrite(out, block.data(), block.size(), static_cast<off_t>(i % 64 * block.size())) < 0) _exit(2);
        if (fdatasync(out) != 0) _exit(2);
        shared_->blocks = i + 1;
    }
}

Writer::~Writer() {
    kill(pid_, SIGKILL);
    write_text(cgroup_ + "/cgroup.freeze", "0");
    waitpid(pid_, nullptr, 0);
    eventually([&] { return rmdir(cgroup_.c_str()) == 0; });
    munmap(shared_, sizeof(Shared));
}

char Writer::state() const {
    const std::string text = read_text("/proc/" + std::to_string(pid_) + "/stat");
    const size_t name_end = text.rfind(')');
    return name_end == text.npos ? '?' : text[name_end + 2];
}

bool Writer::makes_progress() const {
    const uint64_t before = shared_->blocks;
    return eventually([&] { return shared_->blocks > before + 1; }, 2s);
}

}  // namespace kagami::guard::test
