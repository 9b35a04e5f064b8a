#include "cluster-daemon/runtime/alerts/system_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cluster-daemon/runtime/alerts/texts.h"
#include "common/files.h"
#include "common/host/boot_clock.h"

namespace kagami::runtime::alerts {
namespace {

constexpr const char* kIdentifier = "kagami";

int priority_of(config::AlertLevel level) {
    switch (level) {
        case config::AlertLevel::kInfo: return LOG_INFO;
        case config::AlertLevel::kWarning: return LOG_WARNING;
        case config::AlertLevel::kError: return LOG_ERR;
    }
    return LOG_INFO;
}

// systemd's native protocol: a field a line; none of ours holds a line's end.
std::string journal_datagram(const Alert& alert, const Origin& origin) {
    return fmt::format(
        "MESSAGE={}\nPRIORITY={}\nSYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={}\nSYSLOG_PID={}\n"
        "KAGAMI_MESSAGE={}\nKAGAMI_NAME={}\nKAGAMI_OBJECT={}\nKAGAMI_NODE={}\nKAGAMI_CLUSTER={}\n",
        line_of(alert), priority_of(alert.level), LOG_DAEMON >> 3, kIdentifier, ::getpid(), alert.code, alert.name,
        alert.subject, origin.node, origin.cluster);
}

// RFC 3164, as /dev/log expects it: local time, no host name.
std::string syslog_datagram(const Alert& alert) {
    const std::tm time = fmt::localtime(static_cast<std::time_t>(alert.unix_ms / 1000));
    return fmt::format("<{}>{:%b %e %H:%M:%S} {}[{}]: {}", LOG_DAEMON | priority_of(alert.level), time, kIdentifier,
                       ::getpid(), line_of(alert));
}

}  // namespace

SystemLog::SystemLog(SystemLogPaths paths) : paths_(std::move(paths)) {}

bool SystemLog::write(const Alert& alert, const Origin& origin) {
    const Sent journal = send(paths_.journal, journal_datagram(alert, origin));
    if (journal != Sent::kNobody) return journal == Sent::kYes;
    return send(paths_.syslog, syslog_datagram(alert)) == Sent::kYes;
}

SystemLog::Sent SystemLog::send(const std::string& path, const std::string& datagram) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) return Sent::kNobody;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return Sent::kNobody;
    if (::send(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) return Sent::kYes;
    if (errno != EAGAIN) return Sent::kNobody;
    if (host::boot_now() < patient_from_) return Sent::kBusy;
    pollfd writable{socket.get(), POLLOUT, 0};
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
    if (::poll(&writable, 1, static_cast<int>(patience.count())) == 1 &&
        ::send(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0)
        return Sent::kYes;
    patient_from_ = host::boot_now() + kImpatience;
    return Sent::kBusy;
}

}  // namespace kagami::runtime::alerts
