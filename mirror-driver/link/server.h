// The driver's end of mirror.sock. One thread; callbacks come from advance().
#pragma once

#include <functional>
#include <memory>

#include "mirror-driver/link/messages.h"

namespace kagami::mirror_link {

class Server {
 public:
    struct Handlers {
        std::function<void(const Welcome&)> welcome;
        std::function<void(const Configure&)> configure;
        std::function<void(const mirror::Authority&)> authority;
        std::function<void(const Ask&, std::function<void(Answer)> answer)> ask;  // answer: from this thread, once
        std::function<void()> daemon_gone;
    };
    static Result<std::unique_ptr<Server>> listen(const std::string& path, Handlers handlers);
    ~Server();

    void send(const mirror::Report& report);  // to the daemon; kept and sent again after a reconnect
    int descriptor() const;                   // readable: call advance() (an epoll of everything inside)
    void advance();

 private:
    struct Impl;
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror_link
