#include "common/host/linux_network.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/host/address_packets.h"
#include "common/host/boot_clock.h"
#include "common/host/netlink.h"
#include "common/host/ping.h"

namespace kagami::host {
namespace {

struct Place {
    LinkDetails link;
    IpAddress ip;
};

Result<Place> find_place(const Address& address) {
    const auto ip = parse_ip(address.text);
    if (!ip) return fail(ErrorCode::kUsage, "\"" + address.text + "\" is not an IPv4 or IPv6 address");
    const auto links = netlink_links();
    if (!links) return tl::unexpected(links.error());
    const auto found =
        std::find_if(links->begin(), links->end(), [&](const auto& l) { return l.link.name == address.interface; });
    if (found == links->end())
        return fail(ErrorCode::kNotFound,
                    address.text + ": there is no interface " + address.interface + " on this node",
                    "correct the interface in the configuration, or set it up (ip link show)");
    return Place{*found, *ip};
}

// On this node now, and still with the same interface?
bool present(const Address& address) {
    const auto addresses = netlink_addresses();
    return addresses && std::any_of(addresses->begin(), addresses->end(), [&](const Address& known) {
               return known.text == address.text && known.interface == address.interface;
           });
}

}  // namespace

Result<std::vector<Link>> LinuxNetwork::links() {
    const auto details = netlink_links();
    if (!details) return tl::unexpected(details.error());
    std::vector<Link> links;
    for (const auto& one : *details) links.push_back(one.link);
    return links;
}

Result<std::vector<Address>> LinuxNetwork::addresses() {
    return netlink_addresses();
}

Result<std::string> LinuxNetwork::interface_for(const Address& address) {
    const auto wanted = parse_ip(address.text);
    const auto known = netlink_addresses();
    if (!known) return tl::unexpected(known.error());
    for (const Address& own : *known) {
        const auto ip = parse_ip(own.text);
        if (!wanted || !ip) continue;
        if (own.text == address.text) return own.interface;
        const bool usable = link_local(*ip) ==
                            link_local(*wanted);  // every interface has a link-local one: it says nothing about others
        if (usable && same_subnet(*ip, *wanted, own.prefix_bits)) return own.interface;
    }
    return fail(ErrorCode::kNotFound, address.text + ": no interface of this node has an address in its network",
                "give the node an address there, or name the interface in the resource (interface = \"...\")");
}

Status LinuxNetwork::add_address(const Address& address) {
    const auto place = find_place(address);
    if (!place) return tl::unexpected(place.error());
    return netlink_change_address(AddressChange::kAdd, place->ip, address.prefix_bits, place->link.link.index);
}

Status LinuxNetwork::remove_address(const Address& address) {
    {
        const std::scoped_lock lock(announced_->mutex);
        announced_->texts.erase(address.text);
    }
    const auto place = find_place(address);
    // With the interface its addresses have gone too.
    if (!place && place.error().code == ErrorCode::kNotFound) return {};
    if (!place) return tl::unexpected(place.error());
    return netlink_change_address(AddressChange::kRemove, place->ip, address.prefix_bits, place->link.link.index);
}

Result<std::optional<std::string>> LinuxNetwork::probe_duplicate(const Address& address, Duration wait) {
    const auto place = find_place(address);
    if (!place) return tl::unexpected(place.error());
    return probe_address(place->link, place->ip, wait);
}

Status LinuxNetwork::announce(const Address& address) {
    const auto place = find_place(address);
    if (!place) return tl::unexpected(place.error());
    {
        const std::scoped_lock lock(announced_->mutex);
        announced_->texts.insert(address.text);
    }
    for (const Duration later : {Duration(100ms), Duration(1s)}) {
        thread_.post_at(boot_now() + later, [announced = announced_, address, place = *place] {
            // Held while sending: remove_address waits, and no volley leaves after it.
            const std::scoped_lock lock(announced->mutex);
            if (announced->texts.contains(address.text) && present(address))
                (void)announce_address(place.link, place.ip);
        });
    }
    return announce_address(place->link, place->ip);
}

Result<bool> LinuxNetwork::announce_again(const Address& address) {
    const auto place = find_place(address);
    if (!place && place.error().code == ErrorCode::kNotFound) return false;
    if (!place) return tl::unexpected(place.error());
    const std::scoped_lock lock(announced_->mutex);  // remove_address waits
    if (!present(address)) return false;
    if (Status told = announce_address(place->link, place->ip); !told) return tl::unexpected(told.error());
    return true;
}

Result<std::optional<bool>> LinuxNetwork::ethtool_link(const std::string& interface) {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return fail("cannot ask interface " + interface + ": " + errno_text(errno));
    ethtool_value value{};
    value.cmd = ETHTOOL_GLINK;
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (::ioctl(fd.get(), SIOCETHTOOL, &request) == 0) return value.data != 0;
    if (errno == EOPNOTSUPP) return std::optional<bool>();
    if (errno == ENODEV)
        return fail(ErrorCode::kNotFound, "there is no interface " + interface + " on this node");
    return fail("cannot ask the driver of interface " + interface + ": " + errno_text(errno));
}

Result<bool> LinuxNetwork::ping(const std::string& address, Duration wait) {
    return ping_address(address, wait);
}

std::shared_ptr<void> LinuxNetwork::on_change(std::function<void()> callback) {
    auto subscription = netlink_subscribe();
    // Without netlink nothing else of this class works either, and that is told; here the watched descriptor is simply
    // missing.
    UniqueFd fd = subscription ? std::move(*subscription) : UniqueFd();
    return thread_.watch(std::move(fd), EPOLLIN, [callback = std::move(callback)](int ready) {
        netlink_drain(ready);
        callback();
    });
}

}  // namespace kagami::host
