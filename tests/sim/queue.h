// The agenda of the simulated world: what happens when, in true time; equal times in the order in which they were
// entered.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "tests/sim/moment.h"

namespace kagami::sim {

class Queue {
 public:
    using Action = std::function<void()>;

    Moment now() const { return now_; }
    void at(Moment when, Action action) {
        heap_.push_back({std::max(when, now_), ++entered_, std::move(action)});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }
    void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
    Moment next() const { return heap_.empty() ? Moment::max() : heap_.front().when; }
    // Runs the earliest entry; the caller checked that there is one.
    void run_one() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Entry entry = std::move(heap_.back());
        heap_.pop_back();
        now_ = entry.when;
        entry.action();
    }
    void run_until(Moment end) {
        while (!stopped_ && next() <= end) run_one();
        if (!stopped_) now_ = std::max(now_, end);
    }
    void stop() { stopped_ = true; }
    bool stopped() const { return stopped_; }

 private:
    struct Entry {
        Moment when;
        uint64_t number = 0;
        Action action;
    };
    static bool later(const Entry& a, const Entry& b) {
        return std::pair(a.when, a.number) > std::pair(b.when, b.number);
    }

    std::vector<Entry> heap_;
    Moment now_{};
    uint64_t entered_ = 0;
    bool stopped_ = false;
};

}  // namespace kagami::sim
