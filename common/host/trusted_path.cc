#include "common/host/trusted_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/files.h"

namespace kagami::host {
namespace {

enum class Wanted { kDirectory, kProgram };

Status check_part(const std::string& part, const struct stat& info, Wanted wanted) {
    if (S_ISLNK(info.st_mode))
        return fail(ErrorCode::kRefused, part + ": is a symbolic link",
                    "name the real path (readlink -f " + part + "): links are not followed");
    if (wanted == Wanted::kDirectory && !S_ISDIR(info.st_mode))
        return fail(ErrorCode::kRefused, part + ": is not a directory", "check the path");
    if (wanted == Wanted::kProgram && !S_ISREG(info.st_mode))
        return fail(ErrorCode::kRefused, part + ": is not a regular file", "put a script or program there");
    if (info.st_uid != 0)
        return fail(ErrorCode::kRefused, part + ": belongs to user " + std::to_string(info.st_uid) + ", not to root",
                    "check what it contains, then: chown root " + part);
    if ((info.st_mode & 0022U) != 0)
        return fail(ErrorCode::kRefused, part + ": others than root may write it",
                    "check what it contains, then: chmod go-w " + part);
    if (wanted == Wanted::kProgram && (info.st_mode & 0100U) == 0)
        return fail(ErrorCode::kRefused, part + ": is not executable", "chmod u+x " + part);
    return {};
}

Status check(const std::string& path, Wanted wanted) {
    if (path.empty() || path.front() != '/' || path.find('\0') != std::string::npos)
        return fail(ErrorCode::kUsage, "\"" + path + "\" is not an absolute path", "write the path from / on");
    UniqueFd at(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat top{};
    if (!at.valid() || ::fstat(at.get(), &top) != 0) return fail("/: cannot look at it: " + errno_text(errno));
    if (Status good = check_part("/", top, Wanted::kDirectory); !good) return good;
    for (size_t begin = 1; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        const std::string part = path.substr(0, end);
        if (name.empty() || name == "." || name == "..")
            return fail(ErrorCode::kUsage, "\"" + path + "\" is not a plain path",
                        "write it without \"//\", \".\", \"..\" and a trailing \"/\"");
        UniqueFd next(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat info{};
        if (!next.valid() || ::fstat(next.get(), &info) != 0) {
            if (errno == ENOENT)
                return fail(ErrorCode::kNotFound, part + ": does not exist", "put it there, or correct the path");
            return fail(part + ": cannot look at it: " + errno_text(errno), errno_remedy(errno, part));
        }
        if (Status good = check_part(part, info, end == path.size() ? wanted : Wanted::kDirectory); !good) return good;
        at = std::move(next);
        begin = end + 1;
    }
    return {};
}

}  // namespace

Status check_trusted_program(const std::string& path) {
    return check(path, Wanted::kProgram);
}
Status check_trusted_directory(const std::string& path) {
    return check(path, Wanted::kDirectory);
}

}  // namespace kagami::host
