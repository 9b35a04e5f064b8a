// The durable record as the engine's parts see it: they change it in memory at once, and whatever must not be seen
// before the change is durable carries the serial of that change. All changes of one step leave in one Persist.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "cluster-daemon/engine/io.h"

namespace kagami::engine {

class Ledger {
 public:
    explicit Ledger(DurableState state) : state_(std::move(state)), durable_promise_(state_.promised) {}

    const DurableState& state() const { return state_; }
    // For a change; it becomes durable with serial().
    DurableState& change() {
        dirty_ = true;
        return state_;
    }
    // Serial of the newest change, 0 before the first.
    uint64_t serial() const { return dirty_ ? emitted_ + 1 : emitted_; }
    bool is_durable(uint64_t serial) const { return serial <= durable_; }
    // What an envelope that depends on the change `serial` carries: 0 when it is durable already.
    uint64_t wait_for(uint64_t serial) const { return is_durable(serial) ? 0 : serial; }

    // The promised epoch that no crash can take back.
    Epoch durable_promise() const { return durable_promise_; }

    void on_persisted(uint64_t serial) {
        durable_ = std::max(durable_, std::min(serial, emitted_));
        for (; !promises_.empty() && promises_.front().first <= durable_; promises_.pop_front())
            durable_promise_ = promises_.front().second;
    }
    std::optional<Persist> take() {
        if (!dirty_) return std::nullopt;
        dirty_ = false;
        promises_.emplace_back(++emitted_, state_.promised);
        return Persist{emitted_, state_};
    }

 private:
    DurableState state_;
    uint64_t emitted_ = 0;
    uint64_t durable_ = 0;
    bool dirty_ = false;
    Epoch durable_promise_;
    std::deque<std::pair<uint64_t, Epoch>> promises_;  // of the writes under way
};

}  // namespace kagami::engine
