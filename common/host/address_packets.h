// The link-layer packets around a floating address: does somebody else have it, and "it is here now".
// IPv4: ARP probe and announcement (RFC 5227). IPv6: neighbour solicitation as in duplicate address detection and
// unsolicited advertisement (RFC 4861). An interface without link-layer addresses (loopback, tunnels) has neither:
// nobody answers, nobody is told.
#pragma once

#include <optional>
#include <string>

#include "common/host/ip_address.h"
#include "common/host/netlink.h"
#include "common/time.h"

namespace kagami::host {

// Asks twice within the wait and listens until its end. The MAC address that claims it, or nothing.
Result<std::optional<std::string>> probe_address(const LinkDetails& link, const IpAddress& ip, Duration wait);
// One volley: for IPv4 the request and the reply form, because some switches and hosts heed only one of them.
Status announce_address(const LinkDetails& link, const IpAddress& ip);

}  // namespace kagami::host
