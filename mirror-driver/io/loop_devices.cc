#include "mirror-driver/io/loop_devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "common/host/boot_clock.h"
#include "mirror-driver/io/mount_table.h"

namespace kagami::mirror {
namespace {

constexpr unsigned kLoopMajor = 7;
constexpr uint32_t kSectorBytes = 4096;
constexpr Duration kDetachLimit = 3s;

struct Bound {
    int number = 0;
    std::string backing_file;
};

std::string device_name(int number) {
    return "/dev/loop" + std::to_string(number);
}

std::vector<Bound> bound_loops() {
    std::vector<Bound> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/sys/block"), closedir);
    while (const dirent* entry = folder ? readdir(folder.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (name.rfind("loop", 0) != 0) continue;
        auto file = read_file("/sys/block/" + name + "/loop/backing_file", 8192);
        if (!file) continue;  // not bound
        if (!file->empty() && file->back() == '\n') file->pop_back();
        found.push_back({std::atoi(name.c_str() + 4), *file});
    }
    return found;
}

UniqueFd open_loop(int number, int flags) {
    const std::string name = device_name(number);
    UniqueFd fd(::open(name.c_str(), flags | O_CLOEXEC));
    if (fd.valid() || errno != ENOENT) return fd;
    // A /dev that nobody fills.
    if (mknod(name.c_str(), S_IFBLK | 0600, makedev(kLoopMajor, static_cast<unsigned>(number))) != 0) return fd;
    return UniqueFd(::open(name.c_str(), flags | O_CLOEXEC));
}

// The kernel's encoding of a device number in loop_info64.
uint64_t encoded(dev_t device) {
    const uint64_t minor_number = minor(device);
    return (minor_number & 0xffU) | (uint64_t{major(device)} << 8U) | ((minor_number & ~uint64_t{0xff}) << 12U);
}

bool stands_on(int fd, dev_t device) {
    loop_info64 info{};
    return ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == encoded(device);
}

Error cannot(const std::string& device, const char* verb, int error) {
    return {ErrorCode::kFailed, device + ": cannot " + verb + ": " + errno_text(error), errno_remedy(error, device)};
}

// Nothing: somebody else was faster, try the next one.
Result<std::optional<Loop>> try_attach(int number, const UniqueFd& file) {
    Loop loop{device_name(number), open_loop(number, O_RDWR)};
    if (!loop.fd.valid()) return tl::unexpected(cannot(loop.device, "open it", errno));
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.get());
    config.block_size = kSectorBytes;
    config.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR;
    if (ioctl(loop.fd.get(), LOOP_CONFIGURE, &config) != 0) {
        if (errno == EBUSY) return std::optional<Loop>{};
        return tl::unexpected(cannot(loop.device, "attach the mirror's file", errno));
    }
    loop_info64 info{};
    if (ioctl(loop.fd.get(), LOOP_GET_STATUS64, &info) != 0 || (info.lo_flags & LO_FLAGS_DIRECT_IO) == 0) {
        ioctl(loop.fd.get(), LOOP_CLR_FD);
        return fail(
            loop.device + ": the kernel does no direct I/O on the mirror's file",
            "use a kernel whose loop driver does (5.8 or newer); buffered, writes would be acknowledged too early");
    }
    return std::optional<Loop>(std::move(loop));
}

}  // namespace

std::vector<std::string> loops_on_file(dev_t device, ino_t inode) {
    std::vector<std::string> found;
    for (const auto& loop : bound_loops()) {
        // A file of another file system is not even looked at: its server may be away, or be this very thread.
        if (file_system_of(loop.backing_file) != device) continue;
        struct stat file {};
        if (::stat(loop.backing_file.c_str(), &file) == 0 && file.st_dev == device && file.st_ino == inode) {
            found.push_back(device_name(loop.number));
        }
    }
    return found;
}

Result<Loop> find_loop(const std::string& path, dev_t device) {
    for (const auto& bound : bound_loops()) {
        if (bound.backing_file != path) continue;
        Loop loop{device_name(bound.number), open_loop(bound.number, O_RDWR)};
        if (!loop.fd.valid()) return tl::unexpected(cannot(loop.device, "open it", errno));
        if (stands_on(loop.fd.get(), device)) return loop;
    }
    return Loop{};
}

Result<Loop> attach_loop(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!file.valid()) return tl::unexpected(cannot(path, "open it", errno));
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.valid()) return tl::unexpected(cannot("/dev/loop-control", "open it", errno));
    for (int attempt = 0; attempt < 64; ++attempt) {
        const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return tl::unexpected(cannot("/dev/loop-control", "find a free loop device", errno));
        auto loop = try_attach(number, file);
        if (!loop) return tl::unexpected(loop.error());
        if (*loop) return std::move(**loop);
    }
    return fail("no loop device stayed free long enough to be used",
                "look who makes loop devices (losetup -l), then try again");
}

Status detach_loop(Loop& loop, dev_t device) {
    if (!loop.fd.valid()) return {};
    fsync(loop.fd.get());  // what was written buffered, while the device still is one
    if (ioctl(loop.fd.get(), LOOP_CLR_FD) != 0 && errno != ENXIO)
        return tl::unexpected(cannot(loop.device, "detach it", errno));
    const int number = std::atoi(loop.device.c_str() + 9);
    loop.fd.reset();
    for (const Instant end = host::boot_now() + kDetachLimit; host::boot_now() < end; ::poll(nullptr, 0, 5)) {
        UniqueFd fd = open_loop(number, O_RDONLY);
        if (!fd.valid() || !stands_on(fd.get(), device)) return {};
    }
    loop.fd = open_loop(number, O_RDWR);
    return fail(ErrorCode::kRefused, loop.device + " is still open",
                "end what uses it (fuser -v " + loop.device + "), then try again");
}

}  // namespace kagami::mirror
