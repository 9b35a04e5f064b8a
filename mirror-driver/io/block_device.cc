#include "mirror-driver/io/block_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "common/hash.h"
#include "mirror-driver/io/loop_devices.h"
#include "mirror-driver/io/mount_table.h"

namespace kagami::mirror {
namespace {

const std::string kUnidentified = "unidentified";
constexpr uint64_t kLeastBytes = uint64_t{1} << 20U;
constexpr size_t kWindowBytes = size_t{256} << 10U;  // read ahead while the metadata are loaded

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\n')) line.pop_back();
    return line;
}

std::string sysfs(dev_t device) {
    return "/sys/dev/block/" + device_numbers(device);
}

std::string first_in(const std::string& folder) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
        if (entry->d_name[0] != '.') return entry->d_name;
    }
    return {};
}

Error busy(const std::string& subject, const std::string& path, dev_t device) {
    if (const std::string point = mount_point_of(device); !point.empty()) {
        return {ErrorCode::kRefused, subject + " is mounted on " + point, "unmount it, and take it out of /etc/fstab"};
    }
    if (const std::string holder = first_in(sysfs(device) + "/holders"); !holder.empty()) {
        return {ErrorCode::kRefused, subject + " is used by " + holder,
                "take it out of " + holder + ", or configure another device"};
    }
    return {ErrorCode::kRefused,
            subject + " is in use: mounted elsewhere, swap, or opened exclusively by another program",
            "find who uses it (lsblk, swapon --show, fuser -v " + path + ") and end that"};
}

// ---- identity ----

std::string part_uuid(dev_t device) {
    const std::string folder = "/dev/disk/by-partuuid/";
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
        struct stat found {};
        if (stat((folder + entry->d_name).c_str(), &found) == 0 && S_ISBLK(found.st_mode) && found.st_rdev == device) {
            return entry->d_name;
        }
    }
    return {};
}

// Neither separator nor more than fits, and never two disks alike only because of that.
std::string fitted(std::string value, size_t most) {
    std::replace(value.begin(), value.end(), ';', '_');
    if (value.size() <= most) return value;
    const auto* bytes = reinterpret_cast<const uint8_t*>(value.data());
    return value.substr(0, most - 11) + "~" + std::to_string(crc32c({bytes, value.size()}));
}

// Of the disk, with the partition's number behind it.
std::string hardware_identity(dev_t device) {
    const std::string partition = first_line(sysfs(device) + "/partition");
    const std::string disk = sysfs(device) + (partition.empty() ? "" : "/..");
    const std::string suffix = partition.empty() ? "" : "-part" + partition;
    constexpr std::pair<const char*, const char*> kPlaces[] = {
        {"dm=", "/dm/uuid"},       {"md=", "/md/uuid"},    {"wwid=", "/wwid"},
        {"wwid=", "/device/wwid"}, {"serial=", "/serial"}, {"serial=", "/device/serial"},
    };
    for (const auto& [kind, file] : kPlaces) {
        if (const std::string value = first_line(disk + file); !value.empty())
            return kind + fitted(value, 120) + suffix;
    }
    return {};
}

// Numbers of devices are no part of it: they change with every boot, those of dm, loop and file systems as well.
std::string identity_of_device(dev_t device) {
    const std::string uuid = part_uuid(device);
    const std::string hardware = hardware_identity(device);
    if (uuid.empty()) return hardware.empty() ? kUnidentified : hardware;
    return "partuuid=" + fitted(uuid, 40) + (hardware.empty() ? "" : ";" + hardware);
}

std::set<std::string> parts_of(const std::string& identity) {
    std::set<std::string> parts;
    std::istringstream text(identity);
    for (std::string part; std::getline(text, part, ';');) parts.insert(part);
    return parts;
}

// ---- opening ----

struct Opened {
    UniqueFd fd;
    uint64_t size_bytes = 0;
    std::string identity;
};

Error open_error(const std::string& subject, const std::string& path, int error) {
    if (error == EINVAL) {
        return {ErrorCode::kRefused, subject + ": its file system does no direct I/O",
                "put it on ext4, xfs or a partition"};
    }
    if (error == EROFS || error == EACCES) {
        return {ErrorCode::kRefused, subject + " is read-only", "make it writable (blockdev --setrw " + path + ")"};
    }
    if (error == ENOENT || error == ENXIO || error == ENODEV || error == ENOMEDIUM) {
        return {ErrorCode::kNotFound, subject + " does not exist",
                "connect or create it, or correct the configuration"};
    }
    return {ErrorCode::kFailed, subject + ": cannot open it: " + errno_text(error), errno_remedy(error, path)};
}

Result<Opened> open_device(const std::string& subject, const std::string& path, dev_t device) {
    Opened opened{UniqueFd(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC | O_EXCL)), 0, ""};
    if (!opened.fd.valid()) {
        if (errno == EBUSY) return tl::unexpected(busy(subject, path, device));
        return tl::unexpected(open_error(subject, path, errno));
    }
    int read_only = 0;
    if (ioctl(opened.fd.get(), BLKROGET, &read_only) == 0 && read_only != 0) {
        return tl::unexpected(open_error(subject, path, EROFS));
    }
    if (ioctl(opened.fd.get(), BLKGETSIZE64, &opened.size_bytes) != 0)
        return tl::unexpected(open_error(subject, path, errno));
    opened.identity = identity_of_device(device);
    return opened;
}

Result<Opened> open_file(const std::string& subject, const std::string& path, const struct stat& before) {
    Opened opened{UniqueFd(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)), 0, ""};
    struct stat file {};
    if (!opened.fd.valid() || fstat(opened.fd.get(), &file) != 0)
        return tl::unexpected(open_error(subject, path, errno));
    if (file.st_dev != before.st_dev || file.st_ino != before.st_ino)
        return fail(subject + " was replaced while it was opened");
    if (flock(opened.fd.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(ErrorCode::kRefused, subject + " is used by another program",
                    "end it (fuser -v " + path + "), then try again");
    }
    if (const auto loops = loops_on_file(file.st_dev, file.st_ino); !loops.empty()) {
        return fail(ErrorCode::kRefused, subject + " is attached to " + loops.front(),
                    "unmount " + loops.front() + " and detach it (losetup -d " + loops.front() + ")");
    }
    opened.size_bytes = static_cast<uint64_t>(file.st_size);
    opened.identity = "file=" + std::to_string(file.st_ino) + "+" + std::to_string(file.st_size);
    return opened;
}

Status check_size(const std::string& subject, uint64_t size_bytes) {
    if (size_bytes < kLeastBytes) {
        return fail(ErrorCode::kRefused, subject + " has " + std::to_string(size_bytes) + " bytes: too small",
                    "use one of at least 1 MiB (metadata: 16 MiB)");
    }
    if (size_bytes % kBlockBytes != 0) {
        return fail(ErrorCode::kRefused,
                    subject + " has " + std::to_string(size_bytes) + " bytes: not a multiple of 4096",
                    "resize it to " + std::to_string(size_bytes / kBlockBytes * kBlockBytes) +
                        " bytes, the same on both nodes");
    }
    return {};
}

// ---- blocks ----

struct Aligned {
    explicit Aligned(size_t length_bytes)
        : bytes(static_cast<uint8_t*>(std::aligned_alloc(kMetadataBlockBytes, length_bytes))) {}
    ~Aligned() { std::free(bytes); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;
    uint8_t* bytes;
};

class Window {
 public:
    Window(int fd, uint64_t device_bytes) : fd_(fd), device_bytes_(device_bytes) {}
    bool read(uint64_t offset, std::array<uint8_t, kMetadataBlockBytes>& into) {
        if (offset % kMetadataBlockBytes != 0 || offset + kMetadataBlockBytes > device_bytes_) return false;
        if (offset < from_ || offset + kMetadataBlockBytes > from_ + length_) fill(offset);
        if (length_ == 0) return false;
        std::memcpy(into.data(), memory_.bytes + (offset - from_), into.size());
        return true;
    }

 private:
    // The whole window; or, where the disk has a bad place, the one block that is wanted.
    void fill(uint64_t offset) {
        from_ = offset;
        for (const uint64_t wanted :
             {std::min<uint64_t>(kWindowBytes, device_bytes_ - offset), uint64_t{kMetadataBlockBytes}}) {
            const ssize_t got = pread(fd_, memory_.bytes, wanted, static_cast<off_t>(offset));
            length_ = got == static_cast<ssize_t>(wanted) ? wanted : 0;
            if (length_ != 0) return;
        }
    }
    int fd_;
    uint64_t device_bytes_;
    uint64_t from_ = 0;
    uint64_t length_ = 0;
    Aligned memory_{kWindowBytes};
};

}  // namespace

Result<BlockDevice> BlockDevice::open(const std::string& path, DeviceUse use) {
    const std::string subject = (use == DeviceUse::kData ? "data device " : "metadata device ") + path;
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return tl::unexpected(open_error(subject, path, errno));
    if (!S_ISBLK(found.st_mode) && !S_ISREG(found.st_mode)) {
        return fail(ErrorCode::kRefused, subject + " is neither a block device nor a regular file",
                    "correct the configuration");
    }
    auto opened = S_ISBLK(found.st_mode) ? open_device(subject, path, found.st_rdev) : open_file(subject, path, found);
    if (!opened) return tl::unexpected(opened.error());
    if (auto size = check_size(subject, opened->size_bytes); !size) return tl::unexpected(size.error());
    BlockDevice device;
    device.fd_ = std::move(opened->fd);
    device.size_bytes_ = opened->size_bytes;
    device.identity_ = std::move(opened->identity);
    device.subject_ = subject;
    return device;
}

BlockReader BlockDevice::reader() const {
    return [window = std::make_shared<Window>(fd(), size_bytes())](uint64_t offset, auto& bytes) {
        return window->read(offset, bytes);
    };
}

// Neighbours go in one request.
Status BlockDevice::write_blocks(const std::vector<BlockWrite>& blocks) const {
    const Aligned memory(kWindowBytes);
    for (size_t i = 0; i < blocks.size();) {
        const uint64_t offset = blocks[i].offset;
        size_t length = 0;
        for (; i < blocks.size() && length < kWindowBytes && blocks[i].offset == offset + length;
             ++i, length += kMetadataBlockBytes) {
            std::memcpy(memory.bytes + length, blocks[i].bytes.data(), kMetadataBlockBytes);
        }
        if (pwrite(fd(), memory.bytes, length, static_cast<off_t>(offset)) != static_cast<ssize_t>(length)) {
            return fail(subject_ + ": cannot write at byte " + std::to_string(offset) + ": " + errno_text(errno),
                        "replace it");
        }
    }
    if (fdatasync(fd()) != 0) return fail(subject_ + ": cannot flush it: " + errno_text(errno), "replace it");
    return {};
}

bool same_device(const std::string& made_with, const std::string& found) {
    if (made_with == kUnidentified || found == kUnidentified) return true;
    const auto known = parts_of(made_with);
    const auto parts = parts_of(found);
    return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return known.count(part) != 0; });
}

Status check_distinct(const std::string& data, const std::string& metadata) {
    struct stat a {
    }, b{};
    if (stat(data.c_str(), &a) != 0 || stat(metadata.c_str(), &b) != 0) return {};  // open() names what is missing
    const bool same = S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode) ? a.st_rdev == b.st_rdev
                                                               : a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    if (!same) return {};
    return fail(ErrorCode::kRefused, "data device " + data + " and metadata device " + metadata + " are the same",
                "give the metadata a partition or file of its own (16 MiB, and 32 MiB more for each TiB of data)");
}

}  // namespace kagami::mirror
