#include "cluster-daemon/runtime/peer_acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>

#include "cluster-daemon/runtime/socket_address.h"

namespace kagami::runtime {
namespace {

constexpr int kBacklog = 64;
constexpr int kPauseMilliseconds = 100;

// The process or the machine is out of descriptors or memory: the connection stays in the backlog, and poll would spin
// on it.
bool out_of_resources(int error_number) {
    return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM;
}

}  // namespace

Result<std::unique_ptr<PeerAcceptor>> PeerAcceptor::listen(const std::vector<std::string>& addresses,
                                                           int descriptor_limit,
                                                           std::function<void(Accepted)> on_accepted) {
    std::unique_ptr<PeerAcceptor> acceptor(new PeerAcceptor);
    for (const std::string& address : addresses) {
        auto fd = open_bound_socket(SOCK_STREAM, address);
        if (!fd) return tl::unexpected(fd.error());
        if (::listen(fd->get(), kBacklog) != 0) return fail(address + ": cannot listen: " + errno_text(errno));
        acceptor->listeners_.push_back(std::move(*fd));
    }
    acceptor->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!acceptor->stop_.valid()) return fail("cannot make an eventfd: " + errno_text(errno));
    acceptor->descriptor_limit_ = descriptor_limit;
    acceptor->on_accepted_ = std::move(on_accepted);
    acceptor->thread_ = std::thread([raw = acceptor.get()] { raw->run(); });
    return acceptor;
}

PeerAcceptor::~PeerAcceptor() {
    if (!thread_.joinable()) return;
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
}

std::vector<std::string> PeerAcceptor::addresses() const {
    std::vector<std::string> result;
    for (const UniqueFd& listener : listeners_) result.push_back(bound_address(listener.get()));
    return result;
}

void PeerAcceptor::run() {
    std::vector<pollfd> waits{{stop_.get(), POLLIN, 0}};
    for (const UniqueFd& listener : listeners_) waits.push_back({listener.get(), POLLIN, 0});
    for (;;) {
        ::poll(waits.data(), waits.size(), -1);
        if ((waits[0].revents & POLLIN) != 0) return;
        for (size_t i = 1; i < waits.size(); ++i)
            if (waits[i].revents != 0) accept_from(waits[i].fd);
    }
}

void PeerAcceptor::accept_from(int listener_fd) {
    UniqueFd connection(::accept4(listener_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!connection.valid()) {
        pollfd stop{stop_.get(), POLLIN, 0};
        if (out_of_resources(errno)) ::poll(&stop, 1, kPauseMilliseconds);
        return;
    }
    if (connection.get() >= descriptor_limit_) {
        ++turned_away_;
        return;
    }
    const int on = 1;
    ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    on_accepted_({listener_fd, std::move(connection)});
}

}  // namespace kagami::runtime
