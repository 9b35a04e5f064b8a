#include "common/host/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

namespace kagami::host {
namespace {

struct CloseSocket {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;
using OnMessage = std::function<void(const nlmsghdr*)>;

constexpr size_t kRequestBytes = 512;
constexpr size_t kReceiveBytes = 32768;

int call_back(const nlmsghdr* message, void* data) {
    (*static_cast<const OnMessage*>(data))(message);
    return MNL_CB_OK;
}

// Sends one request and hands every answer over; errno of the refusal, or 0.
int ask(nlmsghdr* request, const OnMessage& on_message) {
    const Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
    request->nlmsg_seq = 1;
    if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return errno;
    std::vector<char> buffer(kReceiveBytes);
    for (;;) {
        const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        OnMessage handler = on_message;
        const int more = mnl_cb_run(buffer.data(), static_cast<size_t>(got), 1, mnl_socket_get_portid(socket.get()),
                                    call_back, &handler);
        if (more == MNL_CB_ERROR) return errno;
        if (more == MNL_CB_STOP) return 0;
    }
}

using Attributes = std::map<uint16_t, const nlattr*>;

int collect(const nlattr* attribute, void* data) {
    (*static_cast<Attributes*>(data))[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
}

template <typename Header>
Attributes attributes_of(const nlmsghdr* message) {
    Attributes found;
    mnl_attr_parse(message, sizeof(Header), collect, &found);
    return found;
}

// A dump during which the kernel's tables changed is repeated (EINTR: NLM_F_DUMP_INTR).
Status dump(uint16_t type, unsigned char family, const OnMessage& on_message,
            const std::function<void()>& begin_again) {
    for (int attempt = 0; attempt < 10; ++attempt) {
        begin_again();
        std::array<char, kRequestBytes> buffer{};
        nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
        request->nlmsg_type = type;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        mnl_nlmsg_put_extra_header(request, sizeof(rtgenmsg));
        static_cast<rtgenmsg*>(mnl_nlmsg_get_payload(request))->rtgen_family = family;
        const int error_number = ask(request, on_message);
        if (error_number == 0) return {};
        if (error_number != EINTR)
            return fail("cannot ask the kernel for its network interfaces: " + errno_text(error_number));
    }
    return fail("the kernel's network tables change too fast to be read",
                "look for something that adds and removes addresses all the time");
}

LinkDetails read_link(const nlmsghdr* message) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes = attributes_of<ifinfomsg>(message);
    LinkDetails details;
    details.link.index = info->ifi_index;
    details.link.up = (info->ifi_flags & IFF_UP) != 0;
    details.link.carrier = (info->ifi_flags & IFF_LOWER_UP) != 0;
    details.broadcast = (info->ifi_flags & IFF_BROADCAST) != 0 && (info->ifi_flags & IFF_NOARP) == 0;
    if (const auto name = attributes.find(IFLA_IFNAME); name != attributes.end())
        details.link.name = mnl_attr_get_str(name->second);
    const auto mac = attributes.find(IFLA_ADDRESS);
    if (mac != attributes.end() && mnl_attr_get_payload_len(mac->second) == details.mac.size()) {
        std::memcpy(details.mac.data(), mnl_attr_get_payload(mac->second), details.mac.size());
    } else {
        details.broadcast = false;
    }
    return details;
}

struct ReadAddress {
    int link_index = 0;
    Address address;
};

std::optional<ReadAddress> read_address(const nlmsghdr* message) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes = attributes_of<ifaddrmsg>(message);
    auto bytes = attributes.find(IFA_LOCAL);  // of a point-to-point link IFA_ADDRESS is the other end
    if (bytes == attributes.end()) bytes = attributes.find(IFA_ADDRESS);
    IpAddress ip;
    ip.v6 = info->ifa_family == AF_INET6;
    if (bytes == attributes.end() || mnl_attr_get_payload_len(bytes->second) != ip.view().size()) return std::nullopt;
    std::memcpy(ip.bytes.data(), mnl_attr_get_payload(bytes->second), ip.view().size());
    return ReadAddress{static_cast<int>(info->ifa_index), {to_string(ip), info->ifa_prefixlen, ""}};
}

void put_change(nlmsghdr* request, const IpAddress& ip, int prefix_bits, int link_index, AddressChange change) {
    auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg)));
    info->ifa_family = ip.v6 ? AF_INET6 : AF_INET;
    info->ifa_prefixlen = static_cast<unsigned char>(prefix_bits);
    info->ifa_scope = link_local(ip) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    info->ifa_index = static_cast<unsigned>(link_index);
    mnl_attr_put(request, IFA_LOCAL, ip.view().size(), ip.bytes.data());
    mnl_attr_put(request, IFA_ADDRESS, ip.view().size(), ip.bytes.data());
    if (!ip.v6 || change == AddressChange::kRemove) return;
    // Usable at once; and "deprecated", so that the node's own connections never leave from an address that may move
    // away.
    mnl_attr_put_u32(request, IFA_FLAGS, IFA_F_NODAD);
    const ifa_cacheinfo lifetimes{0, 0xffffffffU, 0, 0};
    mnl_attr_put(request, IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
}

}  // namespace

Result<std::vector<LinkDetails>> netlink_links() {
    std::vector<LinkDetails> links;
    const Status dumped = dump(
        RTM_GETLINK, AF_UNSPEC, [&](const nlmsghdr* message) { links.push_back(read_link(message)); },
        [&] { links.clear(); });
    if (!dumped) return tl::unexpected(dumped.error());
    return links;
}

Result<std::vector<Address>> netlink_addresses() {
    std::vector<ReadAddress> read;
    const auto on_message = [&](const nlmsghdr* message) {
        if (auto address = read_address(message)) read.push_back(std::move(*address));
    };
    if (Status dumped = dump(RTM_GETADDR, AF_UNSPEC, on_message, [&] { read.clear(); }); !dumped)
        return tl::unexpected(dumped.error());
    const auto links = netlink_links();
    if (!links) return tl::unexpected(links.error());
    std::vector<Address> addresses;
    for (auto& [index, address] : read) {
        const auto link = std::find_if(links->begin(), links->end(),
                                       [wanted = index](const auto& l) { return l.link.index == wanted; });
        if (link == links->end()) continue;  // it went between the two questions
        address.interface = link->link.name;
        addresses.push_back(std::move(address));
    }
    return addresses;
}

Status netlink_change_address(AddressChange change, const IpAddress& ip, int prefix_bits, int link_index) {
    const bool add = change == AddressChange::kAdd;
    std::array<char, kRequestBytes> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
    request->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
    put_change(request, ip, prefix_bits, link_index, change);
    const int error_number = ask(request, [](const nlmsghdr*) {});
    if (error_number == 0 || (add && error_number == EEXIST)) return {};
    if (!add && (error_number == EADDRNOTAVAIL || error_number == ENODEV)) return {};
    return fail(std::string("the kernel refuses to ") + (add ? "add " : "remove ") + to_string(ip) + ": " +
                    errno_text(error_number),
                error_number == EPERM ? "run as root" : "look at the interface with ip address show");
}

Result<UniqueFd> netlink_subscribe() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail("cannot subscribe to changes of the network: " + errno_text(errno));
    return fd;
}

void netlink_drain(int fd) {
    std::vector<char> buffer(kReceiveBytes);
    for (;;) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != ENOBUFS && errno != EINTR)) return;
    }
}

}  // namespace kagami::host
