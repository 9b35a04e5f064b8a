#include "tests/support/node_init/watchdog.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace kagami::node_init {

namespace {
using namespace std::chrono_literals;

// A process that can run looks at the clock at least every kSlice; a longer step means it was frozen itself.
constexpr Clock::duration kSlice = 100ms;
constexpr Clock::duration kLongestStep = 2 * kSlice;
constexpr int64_t kLongestTimeoutMs = 3'600'000;

std::optional<std::chrono::milliseconds> timeout_in(std::string_view digits) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    if (value < 1 || value > kLongestTimeoutMs) return std::nullopt;
    return std::chrono::milliseconds(value);
}
}  // namespace

Watchdog::~Watchdog() {
    if (socket_ >= 0) ::close(socket_);
}

bool Watchdog::open(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    ::unlink(path.c_str());
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return false;
    const mode_t mask = ::umask(0177);
    const int bound = ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    ::umask(mask);
    return bound == 0;
}

std::optional<std::string> Watchdog::receive() {
    std::optional<std::string> strange;
    char buffer[64];
    ssize_t length = 0;
    while ((length = ::recv(socket_, buffer, sizeof(buffer), 0)) >= 0) {
        const std::string_view message(buffer, static_cast<size_t>(length));
        if (!handle(message)) strange = std::string(message);
    }
    return strange;
}

bool Watchdog::handle(std::string_view message) {
    constexpr std::string_view kArm = "arm ";
    if (message == "disarm") {
        armed_ = false;
        return true;
    }
    if (message.substr(0, kArm.size()) == kArm) {
        const auto timeout = timeout_in(message.substr(kArm.size()));
        if (!timeout) return false;
        armed_ = true;
        timeout_ = *timeout;
    } else if (message != "pet") {
        return false;
    }
    unpetted_ = Clock::duration::zero();
    counted_until_ = Clock::now();
    return true;
}

bool Watchdog::expired(Clock::time_point now) {
    if (!armed_) return false;
    unpetted_ += std::min(std::max(now - counted_until_, Clock::duration::zero()), kLongestStep);
    counted_until_ = now;
    return unpetted_ >= timeout_;
}

std::optional<Clock::time_point> Watchdog::wake_at() const {
    if (!armed_) return std::nullopt;
    return counted_until_ + std::min(kSlice, timeout_ - unpetted_);
}

}  // namespace kagami::node_init
