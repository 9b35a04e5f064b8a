#include "common/host/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/assert.h"
#include "common/host/boot_clock.h"

namespace kagami::host {

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    KAGAMI_ASSERT(epoll_.valid(), "epoll is always available to a process that just started");
}

void EventLoop::watch(int fd, uint32_t events, Callback callback) {
    epoll_event event{};
    event.events = events;
    const uint32_t generation = ++last_generation_;
    event.data.u64 = static_cast<uint64_t>(generation) << 32U | static_cast<uint32_t>(fd);
    const bool known = watchers_.contains(fd);
    KAGAMI_ASSERT(::epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0,
                  "a descriptor that cannot be watched");
    watchers_[fd] = {generation, std::make_shared<Callback>(std::move(callback))};
}

void EventLoop::forget(int fd) {
    if (watchers_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::Timer EventLoop::at(Instant when, Callback callback) {
    timers_.emplace(when, Pending{++last_timer_, std::move(callback)});
    return last_timer_;
}

void EventLoop::cancel(Timer timer) {
    const auto found =
        std::find_if(timers_.begin(), timers_.end(), [&](const auto& t) { return t.second.timer == timer; });
    if (found != timers_.end()) timers_.erase(found);
}

int EventLoop::wait_milliseconds() const {
    if (timers_.empty()) return -1;
    const Duration left = timers_.begin()->first - boot_now();
    // Rounded up, so that a timer is due when we wake; capped, so that the suspended time of BOOTTIME is noticed.
    return static_cast<int>(std::clamp<int64_t>(milliseconds(left + 999999ns), 0, 60000));
}

void EventLoop::fire_timers() {
    const Instant now = boot_now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        const Callback callback = std::move(timers_.begin()->second.callback);
        timers_.erase(timers_.begin());
        callback();
    }
}

void EventLoop::run_once() {
    run_for(wait_milliseconds());
}

void EventLoop::run_ready() {
    run_for(0);
}

void EventLoop::run_for(int limit_milliseconds) {
    std::array<epoll_event, 32> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), limit_milliseconds);
    KAGAMI_ASSERT(count >= 0 || errno == EINTR, "epoll_wait failed");
    for (int i = 0; i < count; ++i) {
        const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
        const auto found = watchers_.find(static_cast<int>(tag & 0xffffffffU));
        if (found == watchers_.end() || found->second.generation != tag >> 32U)
            continue;                                  // an earlier callback forgot it
        const auto callback = found->second.callback;  // it may forget itself while it runs
        (*callback)();
    }
    fire_timers();
}

}  // namespace kagami::host
