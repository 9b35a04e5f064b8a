// The epoll descriptor of a peer channel: level-triggered, with a bell for what no socket announces.
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/files.h"

namespace kagami::mirror {

// Whose descriptor it is: bits of what collect() returns.
enum Awake : uint32_t {
    kAwakeBulk = 1,
    kAwakeControl = 2,
    kAwakeJoiner = 4,
    kAwakeBell = 8,
    kAwakeBulkOut = 16,
    kAwakeControlOut = 32,
};

class Poller {
 public:
    static Result<Poller> make() {
        Poller poller;
        poller.epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
        poller.bell_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!poller.epoll_.valid() || !poller.bell_.valid())
            return fail("the peer channel cannot poll: " + errno_text(errno), "raise the limit of open files");
        uint32_t unused = 0;
        poller.watch(poller.bell_.get(), kAwakeBell, EPOLLIN, unused);
        return poller;
    }
    int descriptor() const { return epoll_.get(); }
    void ring() const { ::eventfd_write(bell_.get(), 1); }

    // `watched`: what was asked for last, 0 = not watched yet; kept by its owner, so that nothing happens
    // when nothing changes. A descriptor once watched stays so (with an empty mask) until it is closed.
    void watch(int fd, uint32_t awake, uint32_t mask, uint32_t& watched) const {
        const uint32_t wanted = mask | kKnown | awake << kTagShift;
        if (wanted == watched) return;
        epoll_event event{};
        event.events = mask;
        event.data.u32 = awake;
        ::epoll_ctl(epoll_.get(), watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
        watched = wanted;
    }
    uint32_t collect() const {
        std::array<epoll_event, 16> events{};
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
        uint32_t awake = 0;
        for (int i = 0; i < count; ++i) awake |= meaning(events[static_cast<size_t>(i)]);
        eventfd_t rung = 0;
        if ((awake & kAwakeBell) != 0) ::eventfd_read(bell_.get(), &rung);
        return awake;
    }

 private:
    static constexpr uint32_t kKnown = 1U << 27U;  // no event of epoll has this bit, nor those of the tag
    static constexpr uint32_t kTagShift = 16;
    static uint32_t meaning(const epoll_event& event) {
        const uint32_t awake = event.data.u32;
        if ((event.events & EPOLLOUT) == 0) return awake;
        if (awake == kAwakeBulk) return event.events == EPOLLOUT ? kAwakeBulkOut : awake | kAwakeBulkOut;
        if (awake == kAwakeControl) return event.events == EPOLLOUT ? kAwakeControlOut : awake | kAwakeControlOut;
        return awake;
    }
    UniqueFd epoll_;
    UniqueFd bell_;
};

}  // namespace kagami::mirror
