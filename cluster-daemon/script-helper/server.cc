#include "cluster-daemon/script-helper/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "common/host/boot_clock.h"
#include "common/host/packet_socket.h"
#include "common/ids.h"

namespace kagami::script_helper {
namespace {

constexpr Duration kRotateEvery = 2s;

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      runs_(
          loop_,
          {options_.cgroup_root, options_.log_directory, host::parent_directory(options_.socket) + "/helper", options_.log_limit_bytes},
          [this](Asker asker, const Reply& reply) { respond(asker, reply); }),
      kills_(loop_, options_.cgroup_root, [this](Asker asker, const Reply& reply) { respond(asker, reply); }) {}

Status Server::prepare() {
    const std::string run_directory = host::parent_directory(options_.socket);
    for (const std::string& directory :
         {run_directory, run_directory + "/helper", host::parent_directory(options_.log_directory), options_.log_directory}) {
        if (Status made = host::make_trusted_directory(directory); !made) return made;
    }
    if (Status locked = take_lock(run_directory); !locked) return locked;
    runs_.adopt();
    return listen();
}

Status Server::take_lock(const std::string& directory) {
    auto lock = host::lock_for_process(directory + "/helper.lock", "script helper");
    if (!lock) return tl::unexpected(lock.error());
    lock_ = std::move(*lock);
    return {};
}

Status Server::listen() {
    auto listener = host::listen_packets(options_.socket);
    if (!listener) return tl::unexpected(listener.error());
    listener_ = std::move(*listener);
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
    const bool root = host::peer_is_root(fd.get());
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
