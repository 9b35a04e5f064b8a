// Work for another thread: posted from anywhere, done in order by the thread that owns the box, which waits on its
// descriptor among others. For state changes, never on the way of data: a letter allocates.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <tuple>
#include <vector>

#include "common/files.h"

namespace kagami::mirror {

class Mailbox {
 public:
    using Letter = std::function<void()>;
    Mailbox() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void post(Letter letter) {
        {
            const std::lock_guard lock(mutex_);
            letters_.push_back(std::move(letter));
        }
        ring();
    }
    void ring() const {  // wakes the owner without a letter
        const uint64_t one = 1;
        std::ignore = ::write(event_.get(), &one, sizeof one);
    }
    int descriptor() const { return event_.get(); }

    void work() {
        uint64_t count = 0;
        std::ignore = ::read(event_.get(), &count, sizeof count);
        std::vector<Letter> now;
        {
            const std::lock_guard lock(mutex_);
            now.swap(letters_);
        }
        for (auto& letter : now) letter();
    }

 private:
    UniqueFd event_;
    std::mutex mutex_;
    std::vector<Letter> letters_;
};

}  // namespace kagami::mirror
