#include "common/host/ping.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "common/files.h"
#include "common/host/boot_clock.h"
#include "common/host/ip_address.h"

namespace kagami::host {
namespace {

constexpr int kQuestions = 3;
constexpr uint8_t kEchoRequest4 = 8;
constexpr uint8_t kEchoReply4 = 0;

using Echo = std::array<uint8_t, 24>;  // type, code, checksum, 20 bytes that name this very question

uint16_t checksum(std::span<const uint8_t> bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i] << 8U | bytes[i + 1]);
    while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
    return static_cast<uint16_t>(~sum);
}

Result<Echo> make_question(bool v6) {
    Echo echo{};
    if (::getrandom(echo.data() + 4, echo.size() - 4, 0) != static_cast<ssize_t>(echo.size() - 4))
        return fail("no random numbers for a ping");
    echo[0] = v6 ? static_cast<uint8_t>(ICMP6_ECHO_REQUEST) : kEchoRequest4;
    if (!v6) {  // of ICMPv6 the kernel computes it
        const uint16_t sum = checksum(echo);
        echo[2] = static_cast<uint8_t>(sum >> 8U);
        echo[3] = static_cast<uint8_t>(sum & 0xffU);
    }
    return echo;
}

// Raw sockets, because unprivileged ICMP sockets are off in a fresh network namespace (net.ipv4.ping_group_range).
Result<UniqueFd> open_connected(const IpAddress& ip, const std::string& text) {
    const int protocol = ip.v6 ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
    UniqueFd fd(::socket(ip.v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (ip.v6) {
        auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
        address->sin6_family = AF_INET6;
        std::memcpy(&address->sin6_addr, ip.bytes.data(), 16);
        size = sizeof *address;
    } else {
        auto* address = reinterpret_cast<sockaddr_in*>(&storage);
        address->sin_family = AF_INET;
        std::memcpy(&address->sin_addr, ip.bytes.data(), 4);
        size = sizeof *address;
    }
    if (!fd.valid()) return fail("cannot ping " + text + ": " + errno_text(errno), errno == EPERM ? "run as root" : "");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
        return fail("cannot ping " + text + ": " + errno_text(errno),
                    "check the routes of this node: ip route get " + text);
    return fd;
}

bool is_answer(std::span<const uint8_t> packet, const Echo& question, bool v6) {
    if (!v6) {  // the IPv4 header comes along
        if (packet.empty()) return false;
        const size_t header_bytes = static_cast<size_t>(packet[0] & 15U) * 4;
        if (packet.size() < header_bytes) return false;
        packet = packet.subspan(header_bytes);
    }
    const uint8_t wanted = v6 ? static_cast<uint8_t>(ICMP6_ECHO_REPLY) : kEchoReply4;
    return packet.size() >= question.size() && packet[0] == wanted &&
           std::memcmp(packet.data() + 4, question.data() + 4, question.size() - 4) == 0;
}

bool answered_before(int fd, Instant end, const Echo& question, bool v6) {
    std::array<uint8_t, 2048> buffer{};
    for (;;) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got > 0 && is_answer({buffer.data(), static_cast<size_t>(got)}, question, v6)) return true;
        if (got > 0) continue;
        const Duration left = end - boot_now();
        if (left <= 0ns) return false;
        pollfd entry{fd, POLLIN, 0};
        const timespec wait{left / 1s, (left % 1s).count()};
        ::ppoll(&entry, 1, &wait, nullptr);
    }
}

}  // namespace

Result<bool> ping_address(const std::string& address, Duration wait) {
    const auto ip = parse_ip(address);
    if (!ip)
        return fail(ErrorCode::kUsage, "\"" + address + "\" is not an IPv4 or IPv6 address",
                    "write an address without a prefix");
    const auto question = make_question(ip->v6);
    if (!question) return tl::unexpected(question.error());
    const auto fd = open_connected(*ip, address);
    if (!fd) return tl::unexpected(fd.error());
    const Instant begin = boot_now();
    for (int i = 1; i <= kQuestions; ++i) {
        // An unreachable neighbour makes send fail: that is no answer, not an error.
        ::send(fd->get(), question->data(), question->size(), MSG_NOSIGNAL);
        if (answered_before(fd->get(), begin + wait * i / kQuestions, *question, ip->v6)) return true;
    }
    return false;
}

}  // namespace kagami::host
