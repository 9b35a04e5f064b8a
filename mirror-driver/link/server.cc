#include "mirror-driver/link/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <set>

#include "common/host/event_loop.h"
#include "common/host/packet_socket.h"

namespace kagami::mirror_link {
namespace {

constexpr size_t kMaxConnections = 64;
constexpr size_t kMaxUnsentAnswers = 256;  // one that does not read them is dropped

enum class Sent { kYes, kLater, kNever };

Sent send_packet(int fd, const Message& message) {
    const Bytes packet = encode(message);
    if (::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return Sent::kYes;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? Sent::kLater : Sent::kNever;
}

}  // namespace

struct Server::Impl {
    using Id = uint64_t;
    struct Connection {
        UniqueFd fd;
        std::deque<Answer> answers;
        bool waits_for_room = false;
    };

    explicit Impl(Handlers given) : handlers(std::move(given)) {}
    void on_connect();
    void on_event(Id id);
    bool receive(Id id);
    bool take(Id id, const Message& message);
    bool take_from_daemon(const Message& message);
    void welcome(Id id, const Welcome& message);
    void ask(Id id, const Ask& message);
    void answer(Id id, Answer answer);
    bool flush(Id id);
    void watch(Id id);
    void drop(Id id);

    Handlers handlers;
    host::EventLoop loop;
    UniqueFd lock;
    UniqueFd listener;
    std::map<Id, Connection> connections;
    Id last_id = 0;
    Id daemon = 0;  // 0 = none
    std::map<std::string, mirror::Report> reports;
    std::set<std::string> unsent;  // to the daemon
    Bytes packet = Bytes(kMaxMessageBytes + 1);
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // answers may be kept longer than the server
};

void Server::Impl::on_connect() {
    UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    // Above the limit the newcomer is turned away: left in the queue it would keep us awake.
    if (!fd.valid() || !host::peer_is_root(fd.get()) || connections.size() >= kMaxConnections) return;
    const Id id = ++last_id;
    connections[id].fd = std::move(fd);
    watch(id);
}

void Server::Impl::watch(Id id) {
    const Connection& connection = connections.at(id);
    const uint32_t events = EPOLLIN | (connection.waits_for_room ? uint32_t{EPOLLOUT} : 0);
    loop.watch(connection.fd.get(), events, [this, id] { on_event(id); });
}

void Server::Impl::on_event(Id id) {
    if (connections.at(id).waits_for_room && !flush(id)) return drop(id);
    if (!receive(id)) drop(id);
}

bool Server::Impl::receive(Id id) {
    const auto at = connections.find(id);
    if (at == connections.end()) return true;
    const ssize_t got = ::recv(at->second.fd.get(), packet.data(), packet.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    const auto message = decode_message({packet.data(), static_cast<size_t>(got)});
    return message && take(id, *message);
}

bool Server::Impl::take(Id id, const Message& message) {
    if (const auto* wanted = std::get_if<Ask>(&message)) return ask(id, *wanted), true;
    if (const auto* first = std::get_if<Welcome>(&message)) return welcome(id, *first), true;
    return id == daemon && take_from_daemon(message);
}

bool Server::Impl::take_from_daemon(const Message& message) {
    if (const auto* authority = std::get_if<mirror::Authority>(&message)) return handlers.authority(*authority), true;
    const auto* configure = std::get_if<Configure>(&message);
    if (configure == nullptr) return false;
    std::set<std::string> names;
    for (const MirrorConfig& config : configure->mirrors) names.insert(config.name);
    std::erase_if(reports, [&](const auto& report) { return !names.contains(report.first); });
    std::erase_if(unsent, [&](const std::string& name) { return !names.contains(name); });
    handlers.configure(*configure);
    return true;
}

// What is queued of the former daemon is of no use to anybody: its connection ends.
void Server::Impl::welcome(Id id, const Welcome& message) {
    const Id former = daemon;
    daemon = id;
    if (former != 0 && former != id) drop(former);
    for (const auto& [name, report] : reports) unsent.insert(name);
    handlers.welcome(message);
    if (daemon == id && !flush(id)) drop(id);
}

void Server::Impl::ask(Id id, const Ask& message) {
    handlers.ask(message, [this, id, ask_id = message.id, still = std::weak_ptr<bool>(alive)](Answer given) {
        if (still.expired()) return;
        given.id = ask_id;
        answer(id, std::move(given));
    });
}

void Server::Impl::answer(Id id, Answer answer) {
    const auto at = connections.find(id);
    if (at == connections.end()) return;
    at->second.answers.push_back(std::move(answer));
    // Not dropped from here: the caller may be a handler of this very connection. Its next event does it.
    if (at->second.answers.size() > kMaxUnsentAnswers || !flush(id)) ::shutdown(at->second.fd.get(), SHUT_RDWR);
}

bool Server::Impl::flush(Id id) {
    Connection& connection = connections.at(id);
    Sent sent = Sent::kYes;
    while (!connection.answers.empty() && sent == Sent::kYes) {
        sent = send_packet(connection.fd.get(), connection.answers.front());
        if (sent == Sent::kYes) connection.answers.pop_front();
    }
    while (id == daemon && !unsent.empty() && sent == Sent::kYes) {
        sent = send_packet(connection.fd.get(), reports.at(*unsent.begin()));
        if (sent == Sent::kYes) unsent.erase(unsent.begin());
    }
    const bool waits = sent == Sent::kLater;
    if (std::exchange(connection.waits_for_room, waits) != waits) watch(id);
    return sent != Sent::kNever;
}

void Server::Impl::drop(Id id) {
    const auto at = connections.find(id);
    if (at == connections.end()) return;
    loop.forget(at->second.fd.get());
    connections.erase(at);
    if (id != daemon) return;
    daemon = 0;
    unsent.clear();
    handlers.daemon_gone();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(const std::string& path, Handlers handlers) {
    auto impl = std::make_unique<Impl>(std::move(handlers));
    if (Status made = host::make_trusted_directory(host::parent_directory(path)); !made)
        return tl::unexpected(made.error());
    auto lock = host::lock_for_process(path + ".lock", "mirror driver");
    if (!lock) return tl::unexpected(lock.error());
    impl->lock = std::move(*lock);
    auto listener = host::listen_packets(path);
    if (!listener) return tl::unexpected(listener.error());
    impl->listener = std::move(*listener);
    impl->loop.watch(impl->listener.get(), EPOLLIN, [raw = impl.get()] { raw->on_connect(); });
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::send(const mirror::Report& report) {
    impl_->reports[report.mirror] = report;
    if (impl_->daemon == 0) return;
    impl_->unsent.insert(report.mirror);
    // Not dropped from here, as with answers.
    if (!impl_->flush(impl_->daemon)) ::shutdown(impl_->connections.at(impl_->daemon).fd.get(), SHUT_RDWR);
}

int Server::descriptor() const {
    return impl_->loop.descriptor();
}

void Server::advance() {
    impl_->loop.run_ready();
}

}  // namespace kagami::mirror_link
