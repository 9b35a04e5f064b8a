// Waits for a condition with a deadline, looking every few milliseconds. The only pause that tests may take.
#pragma once

#include <poll.h>

#include <chrono>

namespace kagami::testing {

template <typename Condition>
bool wait_until(Condition&& condition, std::chrono::milliseconds at_most = std::chrono::seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        ::poll(nullptr, 0, 3);
    }
    return true;
}

}  // namespace kagami::testing
