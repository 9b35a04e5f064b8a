// The store of one voter: a write becomes durable after a while; a crash loses what is not durable (or, as real disks
// do, keeps a write that nobody had confirmed). Writes are taken one at a time; while one is under way only the newest
// further one waits. An image of an older state can be taken and put back (A3 holds for the disk itself; the restore is
// a person's doing).
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "cluster-daemon/engine/io.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"

namespace kagami::sim {

struct DiskSpeed {
    Duration fastest = 200us;
    Duration slowest = 3ms;
};

class Disk {
 public:
    using OnDurable =
        std::function<void(const engine::DurableState&)>;  // everything that became durable, confirmed or not
    using OnConfirmed = std::function<void(uint64_t serial)>;

    Disk(Queue& queue, Random& random, OnDurable on_durable, OnConfirmed on_confirmed);

    void set_speed(DiskSpeed speed) { speed_ = speed; }
    void lie(bool on) { lies_ = on; }  // confirms at once, writes later (mutation)
    void write(uint64_t serial, engine::DurableState state);
    void lose_unwritten(bool last_write_made_it);  // the process or the machine ended
    const engine::DurableState& durable() const { return durable_; }
    // Put back another content while nobody uses the store: an older image, a fresh one.
    void replace(engine::DurableState state) { durable_ = std::move(state); }
    // The newest image taken at or before `at`.
    std::optional<engine::DurableState> image(Moment at) const;

 private:
    struct Write {
        uint64_t serial = 0;
        engine::DurableState state;
    };
    void begin();
    void finish(uint64_t life);
    void settle(const engine::DurableState& state);

    Queue& queue_;
    Random& random_;
    OnDurable on_durable_;
    OnConfirmed on_confirmed_;
    DiskSpeed speed_;
    engine::DurableState durable_;
    std::optional<Write> under_way_;
    std::optional<Write> waiting_;
    std::deque<std::pair<Moment, engine::DurableState>> images_;
    uint64_t life_ = 0;
    bool lies_ = false;
};

}  // namespace kagami::sim
