#include "common/host/packet_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "common/host/trusted_path.h"

namespace kagami::host {
namespace {

// Only a socket of our own user may be replaced: it is what a killed process leaves.
Status clear_socket(const std::string& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid())
        return fail(ErrorCode::kRefused, path + ": something that is not our socket stands in its place",
                    "look who put it there, remove it, and start again");
    ::unlink(path.c_str());
    return {};
}

std::optional<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return std::nullopt;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

UniqueFd new_socket() {
    return UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

std::string parent_directory(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

Status make_trusted_directory(const std::string& path) {
    if (Status above = check_trusted_directory(parent_directory(path)); !above) return above;
    if (Status made = make_private_directory(path); !made) return made;
    return check_trusted_directory(path);
}

Result<UniqueFd> listen_packets(const std::string& path) {
    const auto address = address_of(path);
    if (!address)
        return fail(ErrorCode::kUsage, path + ": the path is too long for a socket", "choose one below 108 characters");
    if (Status cleared = clear_socket(path); !cleared) return tl::unexpected(cleared.error());
    UniqueFd fd = new_socket();
    const bool bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
    if (!bound || ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 128) != 0)
        return fail(path + ": cannot listen: " + errno_text(errno), errno_remedy(errno, path));
    return fd;
}

Result<UniqueFd> lock_for_process(const std::string& path, const std::string& who) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail(path + ": cannot open: " + errno_text(errno), errno_remedy(errno, path));
    // A record lock and no flock: a child that is not yet past exec (its cgroup may be frozen) would hold that on after
    // our death.
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (::fcntl(fd.get(), F_SETLK, &whole) == 0) return fd;
    return fail(ErrorCode::kRefused, path + ": another " + who + " is running",
                "one is enough; stop it if it should be replaced");
}

UniqueFd connect_packets(const std::string& path) {
    const auto address = address_of(path);
    if (!address) return {};
    UniqueFd fd = new_socket();
    if (fd.valid() && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return fd;
    return {};
}

bool peer_is_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

}  // namespace kagami::host
