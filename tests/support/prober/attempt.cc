#include "tests/support/prober/attempt.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace kagami::prober {

namespace {
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: prober\r\nConnection: close\r\n\r\n";
constexpr size_t kLongestAnswer = 4096;
constexpr size_t kLongestName = 64;

bool in_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}
}  // namespace

Outcome understood(const std::string& response) {
    if (response.empty()) return {"", "closed without an answer"};
    if (response.rfind("HTTP/1.", 0) != 0 || response.size() < 12) return {"", "not an HTTP answer"};
    const std::string status = response.substr(9, 3);
    if (status != "200")
        return {"", std::all_of(status.begin(), status.end(), in_name) ? "status " + status : "no status"};
    const size_t head = response.find("\r\n\r\n");
    if (head == std::string::npos) return {"", "an incomplete answer"};
    const size_t end = response.find('\n', head + 4);
    const std::string name = response.substr(head + 4, end == std::string::npos ? end : end - head - 4);
    if (end == std::string::npos || name.empty() || name.size() > kLongestName ||
        !std::all_of(name.begin(), name.end(), in_name)) {
        return {"", "the body names no server"};
    }
    return {name, ""};
}

Attempt::Attempt(const Target& target, Time sent) : target_(target), sent_(sent) {
    socket_ = ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
        fail(std::strerror(errno));
        return;
    }
    // Closing forgets the connection at once: a hundred a second must not pile up in TIME_WAIT.
    const linger forget{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &forget, sizeof(forget));
    const int done = ::connect(socket_, reinterpret_cast<const sockaddr*>(&target.address), target.length);
    if (done != 0 && errno != EINPROGRESS) fail(std::strerror(errno));
}

Attempt::~Attempt() {
    if (socket_ >= 0) ::close(socket_);
}

void Attempt::on_ready() {
    if (state_ == State::kConnecting) on_connected();
    if (state_ == State::kReading) read();
}

void Attempt::on_connected() {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(std::strerror(error));
    const ssize_t written = ::send(socket_, kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
    if (written != static_cast<ssize_t>(kRequest.size())) return fail(std::strerror(errno));
    state_ = State::kReading;
}

void Attempt::read() {
    char block[1024];
    ssize_t count = 0;
    while ((count = ::recv(socket_, block, sizeof(block), 0)) > 0) {
        received_.append(block, static_cast<size_t>(count));
        if (received_.size() > kLongestAnswer) return fail("an answer of more than 4096 bytes");
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) return fail(std::strerror(errno));
    outcome_ = understood(received_);
    state_ = State::kDone;
}

void Attempt::fail(const std::string& error) {
    outcome_ = {"", error};
    state_ = State::kDone;
}

}  // namespace kagami::prober
