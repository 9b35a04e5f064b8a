// The simulated hardware watchdog of a node container: a Unix datagram socket instead of /dev/watchdog.
//
// Messages: "arm MILLISECONDS" (starts the countdown; again: a new time-out), "pet" (starts it anew), "disarm".
// States: disarmed -> armed -> expired. Closing the client's socket does not disarm, like a device with "nowayout".
// The countdown counts the time in which process 1 itself could run: when the whole node is frozen (a paused virtual
// machine), its watchdog is paused with it, and a node that wakes is not reset before it could pet.
// What happens at expiry (the loss of power) is the caller's.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kagami::node_init {

using Clock = std::chrono::steady_clock;

class Watchdog {
 public:
    Watchdog() = default;
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    // Creates the socket, mode 0600. False: errno says why.
    bool open(const std::string& path);
    int descriptor() const { return socket_; }

    // Takes all waiting messages. Returns the last one that was not understood.
    std::optional<std::string> receive();
    bool handle(std::string_view message);

    // To be called whenever process 1 has woken. True: nobody petted in time.
    bool expired(Clock::time_point now);
    // When expired() wants to be called at the latest; nothing while disarmed.
    std::optional<Clock::time_point> wake_at() const;
    bool armed() const { return armed_; }

 private:
    int socket_ = -1;
    bool armed_ = false;
    Clock::duration timeout_{};
    Clock::duration unpetted_{};
    Clock::time_point counted_until_;
};

}  // namespace kagami::node_init
