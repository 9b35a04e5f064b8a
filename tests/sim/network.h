// The networks between nodes and witness. Every ordered pair has `paths` independent paths, each with its delay, loss
// and cuts. Datagrams go over all paths at once, the first copy counts (a later one arrives now and then: duplication,
// reordering). A stream joins two processes: first in, first out, over the first path that is open both ways; it breaks
// some time after the last such path was cut, or when a process ends, and what was under way then is lost. Both sides
// are told.
#pragma once

#include <functional>
#include <vector>

#include "common/codec.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"

namespace kagami::sim {

struct PathQuality {
    Duration delay = 100us;
    Duration jitter = 100us;
    double loss = 0;
    double duplicates = 0;
    bool cut = false;
};

class Network {
 public:
    struct Hooks {
        std::function<void(size_t from, size_t to, const Bytes& message)> deliver;
        std::function<void(size_t at, size_t peer, bool connected)> connected;
        std::function<bool(size_t endpoint)> process_up;
    };
    Network(Queue& queue, Random& random, size_t endpoints, size_t paths, Hooks hooks);

    size_t paths() const { return paths_; }
    PathQuality& quality(size_t from, size_t to, size_t path) {
        return paths_between_[(from * endpoints_ + to) * paths_ + path];
    }
    void for_all(const std::function<void(PathQuality&)>& change);
    void cut(size_t from, size_t to, bool on);                // all paths, one direction
    void cut_path(size_t a, size_t b, size_t path, bool on);  // one path, both directions
    bool open(size_t from, size_t to) const;
    void set_stream_patience(Duration breaks_after, Duration connects_after);

    void send_datagram(size_t from, size_t to, Bytes message);
    void send_stream(size_t from, size_t to, Bytes message);
    void review();  // after cuts
    void process_started(size_t endpoint);
    // Its connections carry nothing from now on. Silent: the machine is gone as well, nobody resets them.
    void process_ended(size_t endpoint, bool silent);

 private:
    struct Stream {
        bool up = false;
        bool changing = false;
        uint64_t number = 0;          // of the connection: what an older one carried is lost
        Moment last_arrival[2] = {};  // towards the higher, towards the lower endpoint
    };
    Stream& stream(size_t a, size_t b) { return streams_[std::min(a, b) * endpoints_ + std::max(a, b)]; }
    bool possible(size_t a, size_t b) const;
    void review(size_t a, size_t b);
    void change(size_t a, size_t b, bool up);
    const PathQuality& at(size_t from, size_t to, size_t path) const {
        return paths_between_[(from * endpoints_ + to) * paths_ + path];
    }

    Queue& queue_;
    Random& random_;
    size_t endpoints_;
    size_t paths_;
    Hooks hooks_;
    std::vector<PathQuality> paths_between_;
    std::vector<Stream> streams_;
    Duration breaks_after_ = 200ms;
    Duration connects_after_ = 20ms;
};

}  // namespace kagami::sim
