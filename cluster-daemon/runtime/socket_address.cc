#include "cluster-daemon/runtime/socket_address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace kagami::runtime {
namespace {

bool set_flag(int fd, int level, int option) {
    const int on = 1;
    return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

bool prepare(int fd, int family, int type) {
    // A stream listener must be able to start again while old connections linger; a datagram port must have one owner.
    if (type == SOCK_STREAM && !set_flag(fd, SOL_SOCKET, SO_REUSEADDR)) return false;
    if (family == AF_INET6) return set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY) && set_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND);
    return set_flag(fd, IPPROTO_IP, IP_FREEBIND);
}

std::string bind_remedy(int error_number) {
    if (error_number == EADDRINUSE) return "stop the other program that uses this address and port (see `ss -tulpn`)";
    return "check the address in the configuration";
}

}  // namespace

Result<SocketAddress> parse_socket_address(const std::string& text) {
    const auto refused = [&] {
        return fail(ErrorCode::kUsage, "\"" + text + "\" is not a numeric address with a port",
                    "write it as 10.77.1.1:29001 or [fd00::1]:29001");
    };
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0) return refused();
    std::string host = text.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string::npos) {
        return refused();
    }
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found) != 0) return refused();
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    SocketAddress address;
    address.length_bytes = found->ai_addrlen;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    return address;
}

std::string to_text(const SocketAddress& address) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(address.get(), address.length_bytes, host.data(), host.size(), port.data(), port.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "unknown address";
    const std::string name = address.storage.ss_family == AF_INET6 ? "[" + std::string(host.data()) + "]" : host.data();
    return name + ":" + port.data();
}

Result<UniqueFd> open_bound_socket(int type, const std::string& text) {
    const auto address = parse_socket_address(text);
    if (!address) return tl::unexpected(address.error());
    UniqueFd fd(::socket(address->storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid() || !prepare(fd.get(), address->storage.ss_family, type))
        return fail(text + ": cannot make a socket: " + errno_text(errno));
    if (::bind(fd.get(), address->get(), address->length_bytes) != 0)
        return fail(text + ": cannot bind to this address: " + errno_text(errno), bind_remedy(errno));
    return fd;
}

std::string bound_address(int fd) {
    SocketAddress address;
    address.length_bytes = sizeof address.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length_bytes) != 0)
        return "unknown address";
    return to_text(address);
}

}  // namespace kagami::runtime
