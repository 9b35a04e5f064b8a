// One question of the prober: a new TCP connection, GET /, the answer up to the end of the connection.
//
// States: connecting -> reading -> done. The socket never blocks; the caller waits for readiness and ends what takes
// too long by destroying it. A good answer has status 200 and names its server in the first line of the body.
#pragma once

#include <sys/socket.h>

#include <string>

#include "tests/support/prober/observer.h"

namespace kagami::prober {

struct Target {
    std::string name;
    sockaddr_storage address{};
    socklen_t length = 0;
};

struct Outcome {
    std::string server;  // empty: no good answer
    std::string error;
};

class Attempt {
 public:
    enum class State { kConnecting, kReading, kDone };

    Attempt(const Target& target, Time sent);
    ~Attempt();
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    void on_ready();

    int descriptor() const { return socket_; }
    State state() const { return state_; }
    const Outcome& outcome() const { return outcome_; }
    const Target& target() const { return target_; }
    Time sent() const { return sent_; }

 private:
    void on_connected();
    void read();
    void fail(const std::string& error);

    const Target& target_;
    Time sent_;
    int socket_ = -1;
    State state_ = State::kConnecting;
    std::string received_;
    Outcome outcome_;
};

// What a whole HTTP answer says.
Outcome understood(const std::string& response);

}  // namespace kagami::prober
