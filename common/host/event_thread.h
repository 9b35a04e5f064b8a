// An event loop on a thread of its own, for LinuxHost: subscriptions that call back at once, and timers.
// A subscription lives as long as its handle. Once the handle's destruction has returned, its callback neither runs nor
// will run (a handle destroyed by its own callback excepted), so a callback must not wait for anything that the
// destroyer holds, and must be short.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/host/event_loop.h"

namespace kagami::host {

class EventThread {
 public:
    EventThread();
    ~EventThread();
    EventThread(const EventThread&) = delete;
    // Takes the descriptor over and calls back on the thread while it is ready.
    std::shared_ptr<void> watch(UniqueFd fd, uint32_t events, std::function<void(int fd)> callback);
    // As watch, but calls back only the first time.
    std::shared_ptr<void> watch_once(UniqueFd fd, uint32_t events, std::function<void()> callback);
    // Runs on the thread as soon as possible, or at the instant.
    void post(std::function<void(EventLoop&)> task);
    void post_at(Instant when, std::function<void()> task);

 private:
    struct Watch;
    void release(const std::shared_ptr<Watch>& watch);
    void post_and_wait(const std::function<void(EventLoop&)>& task);
    void run_posted();

    EventLoop loop_;
    UniqueFd wake_;
    std::mutex mutex_;
    std::vector<std::function<void(EventLoop&)>> posted_;  // guarded by mutex_
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace kagami::host
