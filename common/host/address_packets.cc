#include "common/host/address_packets.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "common/host/boot_clock.h"
#include "common/ids.h"

namespace kagami::host {
namespace {

using Mac = std::array<uint8_t, 6>;
using Packet = std::vector<uint8_t>;
constexpr Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr Mac kAllNodesMac = {0x33, 0x33, 0, 0, 0, 1};
constexpr IpAddress kAllNodes = {true, {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr IpAddress kUnspecified = {true, {}};

std::string mac_text(const uint8_t* mac) {
    std::string text = to_hex(mac, 6);
    for (const size_t colon : {2U, 5U, 8U, 11U, 14U}) text.insert(colon, 1, ':');
    return text;
}

sockaddr_ll link_address(const LinkDetails& link, uint16_t protocol, const Mac& mac) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = link.link.index;
    address.sll_halen = static_cast<unsigned char>(mac.size());
    std::copy(mac.begin(), mac.end(), address.sll_addr);
    return address;
}

// IPv6 sockets see ICMPv6 only, so that a busy interface cannot drown the answer.
void only_icmp6(int fd) {
    std::array<sock_filter, 4> code = {{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(ip6_hdr, ip6_nxt)),
                                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 1),
                                        BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)}};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

Result<UniqueFd> packet_socket(const LinkDetails& link, uint16_t protocol) {
    UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.valid() && protocol == ETH_P_IPV6) only_icmp6(fd.get());
    const sockaddr_ll address = link_address(link, protocol, {});
    if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail("cannot send packets on " + link.link.name + ": " + errno_text(errno),
                    errno == EPERM ? "run as root" : "look at the interface");
    return fd;
}

Status send_packet(int fd, const LinkDetails& link, uint16_t protocol, const Mac& to, const Packet& packet) {
    const sockaddr_ll address = link_address(link, protocol, to);
    if (::sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0)
        return {};
    return fail("cannot send on " + link.link.name + ": " + errno_text(errno),
                "check that the interface is up: ip link show " + link.link.name);
}

// ---- ARP

Packet arp(uint16_t operation, const Mac& sender, const std::array<uint8_t, 4>& sender_ip, const Mac& target,
           const IpAddress& target_ip) {
    ether_arp body{};
    body.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
    body.ea_hdr.ar_pro = htons(ETH_P_IP);
    body.ea_hdr.ar_hln = 6;
    body.ea_hdr.ar_pln = 4;
    body.ea_hdr.ar_op = htons(operation);
    std::copy(sender.begin(), sender.end(), body.arp_sha);
    std::copy(sender_ip.begin(), sender_ip.end(), body.arp_spa);
    std::copy(target.begin(), target.end(), body.arp_tha);
    std::copy_n(target_ip.bytes.begin(), 4, body.arp_tpa);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&body);
    return {bytes, bytes + sizeof body};
}

std::optional<std::string> arp_claim(std::span<const uint8_t> packet, const Mac& own, const IpAddress& ip) {
    ether_arp body{};
    if (packet.size() < sizeof body) return std::nullopt;
    std::memcpy(&body, packet.data(), sizeof body);
    if (std::equal(own.begin(), own.end(), body.arp_sha)) return std::nullopt;
    const bool has_it = std::equal(ip.bytes.begin(), ip.bytes.begin() + 4, body.arp_spa);
    const bool probes_it = std::all_of(body.arp_spa, body.arp_spa + 4, [](uint8_t byte) { return byte == 0; }) &&
                           ntohs(body.ea_hdr.ar_op) == ARPOP_REQUEST &&
                           std::equal(ip.bytes.begin(), ip.bytes.begin() + 4, body.arp_tpa);
    return has_it || probes_it ? std::optional(mac_text(body.arp_sha)) : std::nullopt;
}

// ---- neighbour discovery: NS and NA have the same layout (4 bytes ICMPv6 header, 4 bytes flags, target, options)

struct Neighbour {
    ip6_hdr ip;
    uint8_t type;
    uint8_t code;
    uint16_t checksum;
    uint32_t flags;
    uint8_t target[16];
} __attribute__((packed));

uint16_t icmp6_checksum(const Packet& packet) {
    const size_t body = packet.size() - sizeof(ip6_hdr);
    uint32_t sum = static_cast<uint32_t>(body) + IPPROTO_ICMPV6;  // the pseudo header: addresses, length, protocol
    for (size_t i = offsetof(ip6_hdr, ip6_src); i + 1 < packet.size(); i += 2)
        sum += static_cast<uint32_t>(packet[i] << 8U | packet[i + 1]);
    while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
    return static_cast<uint16_t>(~sum);
}

Packet neighbour(uint8_t type, const IpAddress& from, const IpAddress& to, uint32_t flags, const IpAddress& target,
                 const Mac* own) {
    Neighbour header{};
    const size_t option_bytes = own != nullptr ? 8 : 0;
    header.ip.ip6_vfc = 0x60;
    header.ip.ip6_plen = htons(static_cast<uint16_t>(sizeof header - sizeof header.ip + option_bytes));
    header.ip.ip6_nxt = IPPROTO_ICMPV6;
    header.ip.ip6_hlim = 255;
    std::memcpy(&header.ip.ip6_src, from.bytes.data(), 16);
    std::memcpy(&header.ip.ip6_dst, to.bytes.data(), 16);
    header.type = type;
    header.flags = htonl(flags);
    std::memcpy(header.target, target.bytes.data(), 16);
    Packet packet(sizeof header + option_bytes);
    std::memcpy(packet.data(), &header, sizeof header);
    if (own != nullptr) {
        packet[sizeof header] = ND_OPT_TARGET_LINKADDR;
        packet[sizeof header + 1] = 1;  // in units of 8 bytes
        std::copy(own->begin(), own->end(), packet.begin() + static_cast<long>(sizeof header) + 2);
    }
    const uint16_t sum = icmp6_checksum(packet);
    packet[offsetof(Neighbour, checksum)] = static_cast<uint8_t>(sum >> 8U);
    packet[offsetof(Neighbour, checksum) + 1] = static_cast<uint8_t>(sum & 0xffU);
    return packet;
}

std::optional<std::string> neighbour_claim(std::span<const uint8_t> packet, const sockaddr_ll& from, const Mac& own,
                                           const IpAddress& ip) {
    Neighbour header{};
    if (packet.size() < sizeof header || std::equal(own.begin(), own.end(), from.sll_addr)) return std::nullopt;
    std::memcpy(&header, packet.data(), sizeof header);
    if (header.code != 0 || header.ip.ip6_hlim != 255 || !std::equal(ip.bytes.begin(), ip.bytes.end(), header.target))
        return std::nullopt;
    const bool has_it = header.type == ND_NEIGHBOR_ADVERT;
    const bool probes_it =
        header.type == ND_NEIGHBOR_SOLICIT && std::memcmp(&header.ip.ip6_src, kUnspecified.bytes.data(), 16) == 0;
    return has_it || probes_it ? std::optional(mac_text(from.sll_addr)) : std::nullopt;
}

Packet solicitation(const IpAddress& ip, IpAddress& group, Mac& group_mac) {
    group = {true, {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ip.bytes[13], ip.bytes[14], ip.bytes[15]}};
    group_mac = {0x33, 0x33, 0xff, ip.bytes[13], ip.bytes[14], ip.bytes[15]};
    return neighbour(ND_NEIGHBOR_SOLICIT, kUnspecified, group, 0, ip, nullptr);
}

// ---- both

std::optional<std::string> next_claim(int fd, const Mac& own, const IpAddress& ip) {
    std::array<uint8_t, 1500> buffer{};
    sockaddr_ll from{};
    socklen_t from_size = sizeof from;
    for (;;) {
        const ssize_t got =
            ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_size);
        if (got < 0) return std::nullopt;
        const std::span packet(buffer.data(), static_cast<size_t>(got));
        auto claim = ip.v6 ? neighbour_claim(packet, from, own, ip) : arp_claim(packet, own, ip);
        if (claim) return claim;
    }
}

std::optional<std::string> listen_until(int fd, Instant end, const Mac& own, const IpAddress& ip) {
    for (;;) {
        const Duration left = end - boot_now();
        if (left <= 0ns) return std::nullopt;
        pollfd entry{fd, POLLIN, 0};
        const timespec wait{left / 1s, (left % 1s).count()};
        if (::ppoll(&entry, 1, &wait, nullptr) <= 0) continue;
        if (auto claim = next_claim(fd, own, ip)) return claim;
    }
}

}  // namespace

Result<std::optional<std::string>> probe_address(const LinkDetails& link, const IpAddress& ip, Duration wait) {
    if (!link.broadcast) return std::optional<std::string>();
    const uint16_t protocol = ip.v6 ? ETH_P_IPV6 : ETH_P_ARP;
    const auto fd = packet_socket(link, protocol);
    if (!fd) return tl::unexpected(fd.error());
    IpAddress group;
    Mac to = kBroadcast;
    const Packet question = ip.v6 ? solicitation(ip, group, to) : arp(ARPOP_REQUEST, link.mac, {}, {}, ip);
    const Instant begin = boot_now();
    for (const Instant end : {begin + wait / 2, begin + wait}) {
        if (Status sent = send_packet(fd->get(), link, protocol, to, question); !sent)
            return tl::unexpected(sent.error());
        if (auto claim = listen_until(fd->get(), end, link.mac, ip)) return claim;
    }
    return std::optional<std::string>();
}

Status announce_address(const LinkDetails& link, const IpAddress& ip) {
    if (!link.broadcast) return {};
    const uint16_t protocol = ip.v6 ? ETH_P_IPV6 : ETH_P_ARP;
    const auto fd = packet_socket(link, protocol);
    if (!fd) return tl::unexpected(fd.error());
    if (ip.v6) {
        const Packet advert = neighbour(ND_NEIGHBOR_ADVERT, ip, kAllNodes, 0x20000000U /* override */, ip, &link.mac);
        return send_packet(fd->get(), link, protocol, kAllNodesMac, advert);
    }
    const std::array<uint8_t, 4> sender = {ip.bytes[0], ip.bytes[1], ip.bytes[2], ip.bytes[3]};
    Status sent = send_packet(fd->get(), link, protocol, kBroadcast, arp(ARPOP_REQUEST, link.mac, sender, {}, ip));
    if (!sent) return sent;
    return send_packet(fd->get(), link, protocol, kBroadcast, arp(ARPOP_REPLY, link.mac, sender, kBroadcast, ip));
}

}  // namespace kagami::host
