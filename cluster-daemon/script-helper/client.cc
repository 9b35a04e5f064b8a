#include "cluster-daemon/script-helper/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "common/host/boot_clock.h"
#include "common/host/packet_socket.h"

namespace kagami::script_helper {
namespace {

constexpr Duration kShortCall = 5s;
constexpr Duration kAnswerMargin = 2 * kTermGrace + 2s;  // the helper's own TERM and KILL come after the deadline
constexpr Duration kLongestCall = 48h;
constexpr int kRetryMilliseconds = 10;

bool readable_before(int fd, Instant give_up) {
    for (;;) {
        const int64_t left = milliseconds(give_up - host::boot_now() + 999999ns);
        if (left <= 0) return false;
        pollfd entry{fd, POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 60000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

// Nothing: the helper went away, or did not answer in time.
std::optional<Bytes> exchange(int fd, const Bytes& request, Instant give_up) {
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
    if (!readable_before(fd, give_up)) return std::nullopt;
    Bytes packet(kMaxMessageBytes);
    const ssize_t got = ::recv(fd, packet.data(), packet.size(), 0);
    if (got <= 0) return std::nullopt;
    packet.resize(static_cast<size_t>(got));
    const uint8_t received = 1;
    ::send(fd, &received, sizeof received, MSG_NOSIGNAL);
    return packet;
}

Instant bound(Instant deadline) {
    return std::min(deadline, host::boot_now() + kLongestCall);
}

Request request_for(Verb verb, const std::string& group, const std::string& resource, Instant deadline) {
    Request request{verb, {}, deadline};
    request.script.group = group;
    request.script.resource = resource;
    return request;
}

}  // namespace

Result<Reply> Client::call(Request request, Instant give_up) const {
    for (;;) {
        const auto packet = encode(request);
        if (!packet) return tl::unexpected(packet.error());
        if (const UniqueFd fd = host::connect_packets(socket_); fd.valid()) {
            if (const auto answer = exchange(fd.get(), *packet, give_up)) {
                auto reply = decode_reply(*answer);
                if (!reply) return reply;
                if (const std::optional<Error>& refused = reply->error) return tl::unexpected(*refused);
                return reply;
            }
            // It may have started: never a second time.
            if (request.verb == Verb::kRun) request.verb = Verb::kFetch;
        }
        if (host::boot_now() >= give_up)
            return fail(ErrorCode::kUnreachable, "the script helper does not answer at " + socket_,
                        "look at it: systemctl status kagami-script-helper");
        ::poll(nullptr, 0, kRetryMilliseconds);
    }
}

Result<host::ScriptResult> Client::run(const host::ScriptRequest& request, Instant deadline) {
    const Instant bounded = bound(deadline);
    const auto reply = call({Verb::kRun, request, bounded}, bounded + kAnswerMargin);
    if (!reply) return tl::unexpected(reply.error());
    return reply->result;
}

Result<std::vector<int>> Client::processes(const std::string& group, const std::string& resource) {
    auto reply = call(request_for(Verb::kProcesses, group, resource, {}), host::boot_now() + kShortCall);
    if (!reply) return tl::unexpected(reply.error());
    return std::move(reply->processes);
}

Status Client::kill_all(const std::string& group, const std::string& resource, Instant deadline) {
    const Instant bounded = bound(deadline);
    const auto reply = call(request_for(Verb::kKillAll, group, resource, bounded), bounded + kAnswerMargin);
    if (!reply) return tl::unexpected(reply.error());
    return {};
}

Result<host::Started> Client::started(const std::string& group, const std::string& resource) {
    const auto reply = call(request_for(Verb::kStarted, group, resource, {}), host::boot_now() + kShortCall);
    if (!reply) return tl::unexpected(reply.error());
    return reply->started;
}

Result<std::vector<Listed>> Client::list() {
    auto reply = call({Verb::kList, {}, {}}, host::boot_now() + kShortCall);
    if (!reply) return tl::unexpected(reply.error());
    return std::move(reply->list);
}

}  // namespace kagami::script_helper
