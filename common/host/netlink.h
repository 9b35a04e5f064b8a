// Questions to the kernel's routing netlink through libmnl. Every call has a socket of its own, so all of it is
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "common/files.h"
#include "common/host/host.h"
#include "common/host/ip_address.h"
#include "common/result.h"

struct nlmsghdr;

namespace kagami::host {

struct LinkDetails {
    Link link;
    bool broadcast = false;  // has ARP and neighbour discovery
    std::array<uint8_t, 6> mac{};
};

Result<std::vector<LinkDetails>> netlink_links();
Result<std::vector<Address>> netlink_addresses();
enum class AddressChange { kAdd, kRemove };
// Success when it was so already.
Status netlink_change_address(AddressChange change, const IpAddress& ip, int prefix_bits, int link_index);
// A subscription to every change of links and addresses; readable when there was one.
Result<UniqueFd> netlink_subscribe();
// Empties it. Losses (ENOBUFS) count as a change as well, so there is nothing to tell.
void netlink_drain(int fd);

}  // namespace kagami::host
