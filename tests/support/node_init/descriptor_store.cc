#include "tests/support/node_init/descriptor_store.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/support/node_init/supervisor.h"

namespace kagami::node_init {

namespace {

constexpr int kFirst = 3;               // SD_LISTEN_FDS_START
constexpr size_t kMostAttached = 253;   // SCM_MAX_FD
constexpr size_t kLongestMessage = 4096;

bool same_file(int a, int b) {
    return ::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_FILE, a, b) == 0;
}

bool valid_name(std::string_view name) {
    const auto fits = [](char c) { return c >= ' ' && c < 127 && c != ':'; };
    return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), fits);
}

// The value of KEY in lines of KEY=VALUE; empty when it is not there.
std::string_view value_of(std::string_view message, std::string_view key) {
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        message.remove_prefix(std::min(message.size(), line.size() + 1));
        if (line.substr(0, key.size()) == key && line.substr(key.size(), 1) == "=") return line.substr(key.size() + 1);
    }
    return {};
}

struct Received {
    ssize_t length = -1;
    pid_t sender = -1;
    std::vector<int> attached;
};

Received receive_one(int socket, char (&text)[kLongestMessage]) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMostAttached * sizeof(int))];
    iovec part{text, sizeof(text)};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    Received received;
    received.length = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received.length < 0) return received;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        const size_t bytes = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_type == SCM_CREDENTIALS && bytes == sizeof(ucred)) {
            ucred who{};
            std::memcpy(&who, CMSG_DATA(c), sizeof(who));
            received.sender = who.pid;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            received.attached.resize(bytes / sizeof(int));
            std::memcpy(received.attached.data(), CMSG_DATA(c), received.attached.size() * sizeof(int));
        }
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) received.length = 0;  // half a message says nothing
    return received;
}

}  // namespace

DescriptorStore::~DescriptorStore() {
    if (socket_ >= 0) ::close(socket_);
    while (!kept_.empty()) drop(std::string(kept_.begin()->first));
}

bool DescriptorStore::open(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    path_ = path;
    std::memcpy(address.sun_path, path.data(), path.size());
    ::unlink(path.c_str());
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    if (socket_ < 0 || ::setsockopt(socket_, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) != 0) return false;
    const mode_t mask = ::umask(0177);
    const int bound = ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    ::umask(mask);
    return bound == 0;
}

void DescriptorStore::receive(const std::function<std::optional<std::string>(pid_t)>& program_of) {
    char text[kLongestMessage];
    for (;;) {
        Received received = receive_one(socket_, text);
        if (received.length < 0) return;
        const auto program = program_of(received.sender);
        if (program) handle(*program, {text, static_cast<size_t>(received.length)}, received.attached);
        if (!program) say("notification of process " + std::to_string(received.sender) + ", which is no program, ignored");
        for (const int descriptor : received.attached) ::close(descriptor);  // what is kept is no longer in the list
    }
}

void DescriptorStore::handle(const std::string& program, std::string_view message, std::vector<int>& attached) {
    const std::string_view given = value_of(message, "FDNAME");
    const std::string name = valid_name(given) ? std::string(given) : std::string();
    if (value_of(message, "FDSTOREREMOVE") == "1" && !name.empty()) remove(program, name);
    if (value_of(message, "FDSTORE") == "1") keep(program, name.empty() ? "stored" : name, attached);
}

void DescriptorStore::keep(const std::string& program, const std::string& name, std::vector<int>& attached) {
    std::vector<Kept>& known = kept_[program];
    std::vector<int> rest;
    for (const int descriptor : attached) {
        const bool known_already = std::any_of(known.begin(), known.end(),
                                               [&](const Kept& k) { return same_file(k.descriptor, descriptor); });
        if (known_already || known.size() >= kMost) {
            if (!known_already) say(program + ": descriptor " + name + " not kept: there are " + std::to_string(kMost));
            rest.push_back(descriptor);
            continue;
        }
        known.push_back({name, descriptor});
        say(program + ": descriptor " + name + " kept");
    }
    attached = std::move(rest);
}

void DescriptorStore::remove(const std::string& program, const std::string& name) {
    std::erase_if(kept_[program], [&](const Kept& kept) {
        if (kept.name != name) return false;
        ::close(kept.descriptor);
        say(program + ": descriptor " + name + " given up");
        return true;
    });
}

void DescriptorStore::drop(const std::string& program) {
    for (const Kept& kept : of(program)) ::close(kept.descriptor);
    kept_.erase(program);
}

const std::vector<DescriptorStore::Kept>& DescriptorStore::of(const std::string& program) const {
    static const std::vector<Kept> kNone;
    const auto at = kept_.find(program);
    return at == kept_.end() ? kNone : at->second;
}

bool DescriptorStore::hand_over(const std::string& program) const {
    if (!path_.empty() && ::setenv("NOTIFY_SOCKET", path_.c_str(), 1) != 0) return false;
    const std::vector<Kept>& kept = of(program);
    if (kept.empty()) return true;
    const int count = static_cast<int>(kept.size());
    std::vector<int> aside;  // first out of the way of the numbers that they get
    for (const Kept& one : kept) {
        aside.push_back(::fcntl(one.descriptor, F_DUPFD_CLOEXEC, kFirst + count));
        if (aside.back() < 0) return false;
    }
    std::string names;
    for (int i = 0; i < count; ++i) {
        const auto place = static_cast<size_t>(i);
        if (::dup2(aside[place], kFirst + i) < 0) return false;  // without close-on-exec
        names += (i == 0 ? "" : ":") + kept[place].name;
    }
    return ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1) == 0 &&
           ::setenv("LISTEN_FDNAMES", names.c_str(), 1) == 0 &&
           ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1) == 0;
}

}  // namespace kagami::node_init
