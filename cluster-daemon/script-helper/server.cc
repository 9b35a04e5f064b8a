#include "cluster-daemon/script-helper/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/host/boot_clock.h"
#include "common/host/trusted_path.h"
#include "common/ids.h"

namespace kagami::script_helper {
namespace {

constexpr Duration kRotateEvery = 2s;

std::string parent(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

Status make_trusted_directory(const std::string& path) {
    if (Status above = host::check_trusted_directory(parent(path)); !above) return above;
    if (Status made = make_private_directory(path); !made) return made;
    return host::check_trusted_directory(path);
}

// Only a socket of root's may be replaced: it is what a killed helper leaves.
Status clear_socket(const std::string& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid())
        return fail(ErrorCode::kRefused, path + ": something that is not our socket stands in its place",
                    "look who put it there, remove it, and start again");
    ::unlink(path.c_str());
    return {};
}

bool peer_is_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      runs_(
          loop_,
          {options_.cgroup_root, options_.log_directory, parent(options_.socket) + "/helper", options_.log_limit_bytes},
          [this](Asker asker, const Reply& reply) { respond(asker, reply); }),
      kills_(loop_, options_.cgroup_root, [this](Asker asker, const Reply& reply) { respond(asker, reply); }) {}

Status Server::prepare() {
    const std::string run_directory = parent(options_.socket);
    for (const std::string& directory :
         {run_directory, run_directory + "/helper", parent(options_.log_directory), options_.log_directory}) {
        if (Status made = make_trusted_directory(directory); !made) return made;
    }
    if (Status locked = take_lock(run_directory); !locked) return locked;
    runs_.adopt();
    return listen();
}

Status Server::take_lock(const std::string& directory) {
    const std::string path = directory + "/helper.lock";
    lock_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock_.valid()) return fail(path + ": cannot open: " + errno_text(errno), errno_remedy(errno, path));
    // A record lock and no flock: a child that is not yet past exec (its cgroup may be frozen) would hold that on after
    // our death.
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (::fcntl(lock_.get(), F_SETLK, &whole) == 0) return {};
    return fail(ErrorCode::kRefused, path + ": another script helper is running",
                "one is enough; stop it if it should be replaced");
}

Status Server::listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (options_.socket.size() >= sizeof address.sun_path)
        return fail(ErrorCode::kUsage, options_.socket + ": the path is too long for a socket",
                    "choose one below 108 characters");
    std::memcpy(address.sun_path, options_.socket.c_str(), options_.socket.size() + 1);
    if (Status cleared = clear_socket(options_.socket); !cleared) return cleared;
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool bound = ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (!bound || ::chmod(options_.socket.c_str(), 0600) != 0 || ::listen(listener_.get(), 128) != 0)
        return fail(options_.socket + ": cannot listen: " + errno_text(errno), errno_remedy(errno, options_.socket));
    watch_listener();
    return {};
}

void Server::watch_listener() {
    loop_.watch(listener_.get(), EPOLLIN, [this] { on_connect(); });
}

void Server::on_connect() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    const Asker id = ++last_asker_;
    const bool root = peer_is_root(fd.get());
    loop_.watch(fd.get(), EPOLLIN, [this, id] { on_packet(id); });
    connections_[id].fd = std::move(fd);
    if (!root) {
        respond(id, error_reply({ErrorCode::kRefused, "only root may use the script helper", ""}));
        return drop(id);
    }
    // The others wait in the socket's queue.
    if (connections_.size() >= kMaxConnections) loop_.forget(listener_.get());
}

void Server::on_packet(Asker id) {
    Connection& connection = connections_.at(id);
    std::array<uint8_t, kMaxMessageBytes + 1> packet;
    const ssize_t got = ::recv(connection.fd.get(), packet.data(), packet.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (connection.answered) {
        if (got > 0) runs_.acknowledge(id);
        return drop(id);
    }
    if (got <= 0 || connection.asked) return drop(id);
    connection.asked = true;
    const auto request = decode_request({packet.data(), static_cast<size_t>(got)});
    if (!request) return respond(id, error_reply(request.error()));
    dispatch(*request, id);
}

void Server::dispatch(const Request& request, Asker asker) {
    const auto& script = request.script;
    if (request.verb != Verb::kList && (!valid_name(script.group) || !valid_name(script.resource)))
        return respond(asker, error_reply({ErrorCode::kUsage, "the name of a group or resource is not valid", ""}));
    switch (request.verb) {
        case Verb::kRun:
        case Verb::kFetch: return runs_.run(request, asker);
        case Verb::kProcesses: {
            Reply reply;
            const host::Cgroup cgroup(options_.cgroup_root, script.group, script.resource);
            for (const auto& process : cgroup.processes()) reply.processes.push_back(process.pid);
            return respond(asker, reply);
        }
        case Verb::kKillAll: {
            runs_.discard(script.group, script.resource);
            return kills_.start(request, asker);
        }
        case Verb::kStarted: {
            Reply reply;
            reply.started = runs_.started(script.group, script.resource);
            return respond(asker, reply);
        }
        case Verb::kList: {
            Reply reply;
            reply.list = runs_.list();
            return respond(asker, reply);
        }
    }
}

void Server::respond(Asker asker, const Reply& reply) {
    const auto found = connections_.find(asker);
    if (found == connections_.end()) return;
    found->second.answered = true;
    const Bytes packet = encode(reply);
    // A client that is gone, or does not read, asks again.
    [[maybe_unused]] const ssize_t sent =
        ::send(found->second.fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Server::drop(Asker id) {
    loop_.forget(connections_.at(id).fd.get());
    connections_.erase(id);
    runs_.detach(id);
    kills_.detach(id);
    if (connections_.size() == kMaxConnections - 1) watch_listener();
}

void Server::rotate_logs() {
    ServiceLogs(options_.log_directory, options_.log_limit_bytes).rotate_large();
    loop_.at(host::boot_now() + kRotateEvery, [this] { rotate_logs(); });
}

void Server::serve() {
    rotate_logs();
    for (;;) loop_.run_once();
}

}  // namespace kagami::script_helper
