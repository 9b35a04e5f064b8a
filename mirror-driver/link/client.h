// The daemon's end of mirror.sock. A thread of its own keeps the connection: it connects whenever there is something to
// configure, again at once when the connection ends (then with a small, growing pause), and tells the driver the whole
// mind anew each time: Welcome, Configure, every Authority, every question without an answer.
// Thread-safe. Handlers run on the client's thread and must be short. All questions may be asked twice (the driver's
// answer to a repeated promotion is that of the first), so a driver that is restarted in between costs only time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "mirror-driver/link/messages.h"

namespace kagami::mirror_link {

class Client {
 public:
    struct Handlers {
        std::function<void(const mirror::Report&)> report;
        std::function<void(bool connected)> connected;  // at every change, and at the first that fails
    };
    Client(std::string socket, Welcome welcome, Handlers handlers);
    ~Client();  // questions fail with kUnreachable

    void configure(const Configure& configure);  // Authorities of mirrors that are not in it are forgotten
    void tell(const mirror::Authority& authority);
    // The driver's word, good or bad, or kUnreachable (no driver until the deadline) or kTimedOut (it did not answer).
    // While it answers "not yet" it is asked again; what it said last is the answer then.
    Result<Answer> ask(Verb verb, const std::string& mirror, Instant deadline);
    // Asks kStatus without waiting. Called back on the client's thread when an answer comes, however late and from
    // whichever driver: the question stands until then.
    void ask_for_life(const std::string& mirror, std::function<void(const Answer&)> answered);
    // Every other question about the mirror that has no answer yet fails with kUnreachable.
    void abandon(const std::string& mirror);

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror_link
