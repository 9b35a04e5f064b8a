#include "common/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "common/ids.h"

namespace kagami {
namespace {

struct SplitPath {
    std::string directory;
    std::string name;
};

SplitPath split(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

tl::unexpected<Error> file_error(const std::string& path, const char* what, int error_number) {
    const auto code = error_number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kFailed;
    return fail(code, path + ": cannot " + what + ": " + errno_text(error_number), errno_remedy(error_number, path));
}

std::string temporary_name(const std::string& name) {
    std::array<uint8_t, 8> random{};
    // A short read leaves zeros: O_EXCL still refuses a name that is taken.
    [[maybe_unused]] const ssize_t got = getrandom(random.data(), random.size(), 0);
    return "." + name + "." + to_hex(random.data(), random.size()) + ".tmp";
}

bool write_all(int fd, std::span<const uint8_t> content) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        content = content.subspan(static_cast<size_t>(written));
    }
    return true;
}

struct Failure {
    const char* what = nullptr;  // nullptr: nothing failed
    int error_number = 0;
};

Failure fill_temporary(int directory, const std::string& name, std::span<const uint8_t> content, mode_t mode) {
    const UniqueFd file(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return {"create a temporary file beside it", errno};
    if (::fchmod(file.get(), mode) != 0) return {"set the mode", errno};
    if (!write_all(file.get(), content)) return {"write", errno};
    if (::fsync(file.get()) != 0) return {"flush to the disk", errno};
    return {};
}

Status check_kind(const std::string& path, const struct stat& info, FileAccess access) {
    if (!S_ISREG(info.st_mode)) return fail(path + ": is not a regular file", "remove it and put the right file there");
    if (access == FileAccess::kAnyone) return {};
    if ((info.st_mode & 0077U) != 0)
        return fail(ErrorCode::kRefused, path + ": others than its owner may read or write it",
                    "check who had access to it, then: chmod 600 " + path);
    if (info.st_uid != ::geteuid() && info.st_uid != 0)
        return fail(ErrorCode::kRefused, path + ": belongs to another user",
                    "check where it comes from, then: chown root " + path);
    return {};
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int UniqueFd::release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
}

void UniqueFd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

std::string errno_text(int error_number) {
    return std::generic_category().message(error_number);
}

std::string errno_remedy(int error_number, const std::string& path) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT: return "free space on the file system of " + path + " and repeat";
        case EROFS:
            return "the file system of " + path +
                   " is read-only: look into the kernel log, repair it, mount it read-write";
        case EIO: return "the disk under " + path + " reports errors: look into the kernel log and replace it";
        case EACCES:
        case EPERM: return "run as root, and check the owner and mode of " + path;
        case ELOOP: return path + " is a symbolic link: remove it, links are not followed here";
        case ENOENT: return "check the path " + path;
        default: return "";
    }
}

Status write_file_atomically(const std::string& path, std::span<const uint8_t> content, mode_t mode) {
    const SplitPath parts = split(path);
    const UniqueFd directory(::open(parts.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return file_error(parts.directory, "open the directory", errno);
    const std::string temporary = temporary_name(parts.name);
    Failure failure = fill_temporary(directory.get(), temporary, content, mode);
    if (failure.what == nullptr &&
        ::renameat(directory.get(), temporary.c_str(), directory.get(), parts.name.c_str()) != 0)
        failure = {"rename the new file into place", errno};
    if (failure.what != nullptr) {
        ::unlinkat(directory.get(), temporary.c_str(), 0);
        return file_error(path, failure.what, failure.error_number);
    }
    if (::fsync(directory.get()) != 0) return file_error(parts.directory, "flush the directory to the disk", errno);
    return {};
}

Status write_file_atomically(const std::string& path, std::string_view content, mode_t mode) {
    return write_file_atomically(path, std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()),
                                 mode);
}

Result<std::string> read_file(const std::string& path, size_t limit_bytes, FileAccess access) {
    // O_NONBLOCK: a FIFO in the file's place must not hang us.
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) return file_error(path, "open", errno);
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return file_error(path, "look at", errno);
    if (const Status kind = check_kind(path, info, access); !kind) return tl::unexpected(kind.error());
    std::string content;
    std::array<char, 16384> piece{};
    while (content.size() <= limit_bytes) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error(path, "read", errno);
        if (got == 0) return content;
        content.append(piece.data(), static_cast<size_t>(got));
    }
    return fail(path + ": is larger than " + std::to_string(limit_bytes) + " bytes", "put the right file there");
}

Status make_private_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    if (errno != EEXIST) return file_error(path, "make the directory", errno);
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return file_error(path, "look at", errno);
    if (!S_ISDIR(info.st_mode)) return fail(path + ": is not a directory", "remove it and repeat");
    if ((info.st_mode & 0077U) != 0)
        return fail(ErrorCode::kRefused, path + ": others than its owner may enter it", "chmod 700 " + path);
    return {};
}

}  // namespace kagami
