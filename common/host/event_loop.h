// One thread that waits for file descriptors and timers and calls back: epoll and nothing else. The script helper is
// built on it, and so is the event thread of LinuxHost (event_thread.h). Not thread-safe: everything happens on the
// thread that runs it. Callbacks may watch, forget, set and cancel anything, themselves too. It costs nothing while
// nothing happens (no periodic wake-up).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "common/files.h"
#include "common/time.h"

namespace kagami::host {

class EventLoop {
 public:
    using Callback = std::function<void()>;
    using Timer = uint64_t;  // 0 is no timer

    EventLoop();
    // Calls back while the descriptor is ready for `events` (EPOLLIN, EPOLLPRI ...), hung up or failed. One watcher a
    // descriptor; forget it before closing.
    void watch(int fd, uint32_t events, Callback callback);
    void forget(int fd);
    Timer at(Instant when, Callback callback);
    void cancel(Timer timer);
    // Waits for something to happen, at most until the next timer, and handles it.
    void run_once();
    // For a loop inside another one: readable while a watched descriptor is ready (timers: ask run_ready in time), and
    // what handles that without waiting.
    int descriptor() const { return epoll_.get(); }
    void run_ready();

 private:
    void run_for(int limit_milliseconds);
    int wait_milliseconds() const;
    void fire_timers();

    struct Pending {
        Timer timer = 0;
        Callback callback;
    };
    UniqueFd epoll_;
    struct Watcher {
        uint32_t generation = 0;  // an event of a closed descriptor must not reach its successor of the same number
        std::shared_ptr<Callback> callback;
    };
    std::map<int, Watcher> watchers_;
    uint32_t last_generation_ = 0;
    std::multimap<Instant, Pending> timers_;
    Timer last_timer_ = 0;
};

}  // namespace kagami::host
