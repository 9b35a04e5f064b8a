// Numeric socket addresses as text ("10.77.1.1:29001", "[fd00::1]:29001") and sockets bound to them. Names are never
// resolved here: a name service must not stand between a node and its peers. A socket is bound with IP_FREEBIND: when
// the interface is down or its address missing at the start, the socket is bound all the same and works as soon as the
// address is there.
#pragma once

#include <sys/socket.h>

#include <string>

#include "common/files.h"
#include "common/result.h"

namespace kagami::runtime {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length_bytes = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<SocketAddress> parse_socket_address(const std::string& text);
std::string to_text(const SocketAddress& address);
// A non-blocking socket (SOCK_STREAM or SOCK_DGRAM) bound to the address alone.
Result<UniqueFd> open_bound_socket(int type, const std::string& address);
// Where a socket is bound, with the port that the kernel chose for port 0.
std::string bound_address(int fd);

}  // namespace kagami::runtime
