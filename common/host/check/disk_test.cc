#include "common/host/check/disk_test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "common/files.h"

namespace kagami::host {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20U;
constexpr size_t kBlockBytes = 4096;
constexpr std::string_view kMark = "made by kagami to test this disk\n";
constexpr const char* kUseRead = "use method = \"read\"";

tl::unexpected<Error> failure(const std::string& object, const std::string& what, int error_number) {
    return fail(error_number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailed,
                object + ": cannot " + what + ": " + errno_text(error_number), errno_remedy(error_number, object));
}

struct Opened {
    UniqueFd fd;
    bool no_room = false;  // it could not be made
    struct stat about{};
};

bool no_room(int error_number) {
    return error_number == ENOSPC || error_number == EDQUOT;
}

Result<Opened> open_object(const DiskTest& test, int flags) {
    Opened opened;
    opened.fd = UniqueFd(::open(test.object.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600));
    opened.no_room = !opened.fd.valid() && no_room(errno);
    if (opened.no_room) return opened;
    if (!opened.fd.valid()) {
        if (errno == EINVAL && (flags & O_DIRECT) != 0)
            return fail(ErrorCode::kUsage, test.object + ": its file system does not know direct reads", kUseRead);
        return failure(test.object, "open", errno);
    }
    if (::fstat(opened.fd.get(), &opened.about) != 0) return failure(test.object, "look at it", errno);
    const bool block = S_ISBLK(opened.about.st_mode);
    if (test.method == DiskMethod::kWrite && !S_ISREG(opened.about.st_mode))
        return fail(ErrorCode::kUsage, test.object + " is not a regular file",
                    "let `object` name a file that does not exist yet on the file system to be watched");
    if (test.method == DiskMethod::kTestUnitReady && !block)
        return fail(ErrorCode::kUsage, test.object + " is not a block device",
                    "name the device, or use another method");
    if (!block && !S_ISREG(opened.about.st_mode))
        return fail(ErrorCode::kUsage, test.object + " is neither a block device nor a regular file",
                    "name the device, or a file on it");
    return opened;
}

Result<bool> test_unit_ready(const DiskTest& test) {
    const auto opened = open_object(test, O_RDONLY);
    if (!opened) return tl::unexpected(opened.error());
    std::array<uint8_t, 6> command{};  // TEST UNIT READY is all zeros
    std::array<uint8_t, 32> sense{};
    sg_io_hdr_t request{};
    request.interface_id = 'S';
    request.dxfer_direction = SG_DXFER_NONE;
    request.cmdp = command.data();
    request.cmd_len = command.size();
    request.sbp = sense.data();
    request.mx_sb_len = sense.size();
    request.timeout = 30000;  // milliseconds
    if (::ioctl(opened->fd.get(), SG_IO, &request) != 0) {
        if (errno == ENOTTY || errno == EINVAL || errno == ENOTSUP)
            return fail(ErrorCode::kUsage, test.object + " is not a SCSI disk, and knows no TEST UNIT READY",
                        "use method = \"read-direct\"");
        return failure(test.object, "send TEST UNIT READY", errno);
    }
    if ((request.info & SG_INFO_OK_MASK) == SG_INFO_OK) return true;
    return fail(test.object + " is not ready: SCSI status " + std::to_string(request.status) + ", sense key " +
                    std::to_string(sense[2] & 15U),
                "look into the kernel's log (dmesg) and at the disk, its cable and its controller");
}

using Block = std::unique_ptr<uint8_t, decltype(&std::free)>;

Result<bool> read_object(const DiskTest& test) {
    const bool direct = test.method == DiskMethod::kReadDirect;
    const auto opened = open_object(test, direct ? O_RDONLY | O_DIRECT : O_RDONLY);
    if (!opened) return tl::unexpected(opened.error());
    const int fd = opened->fd.get();
    uint64_t left = test.bytes;
    if (direct) left = (left + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    if (!direct) ::posix_fadvise(fd, 0, static_cast<off_t>(left), POSIX_FADV_DONTNEED);
    const Block block(static_cast<uint8_t*>(std::aligned_alloc(kBlockBytes, kPieceBytes)), &std::free);
    if (!block) return fail("no memory to read " + test.object);
    uint64_t done = 0;
    while (left > 0) {
        const ssize_t got = ::pread(fd, block.get(), std::min<uint64_t>(left, kPieceBytes), static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure(test.object, "read", errno);
        if (got == 0) break;
        done += static_cast<uint64_t>(got);
        left -= std::min<uint64_t>(left, static_cast<uint64_t>(got));
    }
    if (done == 0)
        return fail(ErrorCode::kUsage, test.object + " is empty, there is nothing to read",
                    "name a device or a file with content");
    return true;
}

bool ours(int fd, off_t size) {
    std::array<char, kMark.size()> head{};
    if (size == 0) return true;
    const ssize_t got = ::pread(fd, head.data(), head.size(), 0);
    // One that was killed may have left the beginning of the mark only.
    return got > 0 && kMark.starts_with(std::string_view(head.data(), static_cast<size_t>(got)));
}

// The errno of what failed, or 0.
int fill(int fd, uint64_t bytes) {
    static const std::array<uint8_t, kPieceBytes> zeros{};
    if (::ftruncate(fd, 0) != 0) return errno;
    uint64_t done = 0;
    while (done < std::max<uint64_t>(bytes, kMark.size())) {
        const uint64_t left = std::max<uint64_t>(bytes, kMark.size()) - done;
        const void* from = done < kMark.size() ? static_cast<const void*>(kMark.data() + done) : zeros.data();
        const uint64_t piece = done < kMark.size() ? kMark.size() - done : std::min<uint64_t>(left, zeros.size());
        const ssize_t written = ::pwrite(fd, from, piece, static_cast<off_t>(done));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        done += static_cast<uint64_t>(written);
    }
    return ::fdatasync(fd) == 0 ? 0 : errno;
}

Result<bool> write_object(const DiskTest& test) {
    const auto opened = open_object(test, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!opened) return tl::unexpected(opened.error());
    if (opened->no_room) return false;
    if (!ours(opened->fd.get(), opened->about.st_size))
        return fail(ErrorCode::kUsage, test.object + " exists and was not made by this monitor: it is left as it is",
                    "let `object` name a file that does not exist");
    const int error_number = fill(opened->fd.get(), test.bytes);
    ::unlink(test.object.c_str());
    if (no_room(error_number)) return false;
    if (error_number != 0) return failure(test.object, "write", error_number);
    return true;
}

}  // namespace

Result<bool> test_disk(const DiskTest& test) {
    switch (test.method) {
        case DiskMethod::kTestUnitReady: return test_unit_ready(test);
        case DiskMethod::kRead:
        case DiskMethod::kReadDirect: return read_object(test);
        case DiskMethod::kWrite: return write_object(test);
    }
    return fail(ErrorCode::kUsage, "unknown method");
}

Result<uint64_t> free_bytes(const std::string& path) {
    struct statvfs about{};
    if (::statvfs(path.c_str(), &about) != 0) return failure(path, "ask for the free space of its file system", errno);
    return uint64_t{about.f_bavail} * about.f_frsize;
}

}  // namespace kagami::host
