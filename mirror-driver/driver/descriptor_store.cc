#include "mirror-driver/driver/descriptor_store.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace kagami::mirror {
namespace {

constexpr int kFirstDescriptor = 3;
constexpr int kMostDescriptors = 256;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

std::map<std::string, UniqueFd> handed_over() {
    std::map<std::string, UniqueFd> found;
    const std::string pid = variable("LISTEN_PID");
    const int count = std::atoi(variable("LISTEN_FDS").c_str());
    if ((!pid.empty() && pid != std::to_string(getpid())) || count <= 0 || count > kMostDescriptors) return found;
    std::istringstream names(variable("LISTEN_FDNAMES"));
    for (int fd = kFirstDescriptor; fd < kFirstDescriptor + count; ++fd) {
        std::string name;
        std::getline(names, name, ':');
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) continue;
        found[name] = UniqueFd(fd);  // keep() sees to it that there is one of a name
    }
    return found;
}

}  // namespace

DescriptorStore DescriptorStore::from_environment() {
    DescriptorStore store;
    store.address_ = variable("NOTIFY_SOCKET");
    store.kept_ = handed_over();
    for (const char* name : {"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
    return store;
}

Status DescriptorStore::keep(const std::string& name, int descriptor) const {
    // What is stored under the name would stay otherwise, and which of the two is newer nobody could tell.
    if (auto forgotten = forget(name); !forgotten) return forgotten;
    return send("FDSTORE=1\nFDNAME=" + name + "\nFDPOLL=0", descriptor);
}

Status DescriptorStore::forget(const std::string& name) const {
    return send("FDSTOREREMOVE=1\nFDNAME=" + name, -1);
}

Status DescriptorStore::ready() const {
    return available() ? send("READY=1", -1) : Status{};
}

Status DescriptorStore::send(const std::string& text, int descriptor) const {
    const auto refused = [&](const std::string& why) {
        return fail("the service manager's descriptor store: " + why, "run kagami-mirrord under its systemd unit");
    };
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (address_.empty() || address_.size() >= sizeof to.sun_path) return refused("there is none ($NOTIFY_SOCKET)");
    std::memcpy(to.sun_path, address_.data(), address_.size());
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
    const UniqueFd socket_fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval limit{1, 0};
    setsockopt(socket_fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    iovec body{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    message.msg_iov = &body;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
    }
    if (sendmsg(socket_fd.get(), &message, MSG_NOSIGNAL) < 0) return refused(errno_text(errno));
    return {};
}

}  // namespace kagami::mirror
