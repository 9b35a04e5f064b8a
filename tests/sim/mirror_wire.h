// The peer channel between the two drivers of one mirror, as mirror-driver/io/channel.h promises it: a connection is
// two ordered streams (bulk, control) that nothing orders against each other; a newer connection ends the older one; no
// frame of an older one is ever delivered. Modelled: latency and jitter; cuts of the mirror network in one or both
// directions, during which frames wait as TCP's do and after which each end gives the connection up at a moment of its
// own (half-open connections); resets; the end of a process and of a machine. Not modelled: bytes (the frames go over
// as values), TLS.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "mirror-driver/engine/frames.h"
#include "tests/sim/block_disk.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"

namespace kagami::sim {

using Side = size_t;  // 0, 1: which end of a mirror
constexpr Side other(Side side) {
    return 1 - side;
}
using Payload = std::shared_ptr<const Contents>;

class MirrorWire {
 public:
    struct Hooks {
        std::function<void(Side at, mirror::ConnectionId)> up;
        std::function<void(Side at, mirror::ConnectionId, const std::string& why)> down;
        std::function<void(Side at, mirror::ConnectionId, const mirror::Frame&, const Payload&)> frame;
        std::function<bool(Side from)> open;  // do packets of that side get through?
    };
    struct Pace {
        Duration delay = 200us;
        Duration jitter = 500us;
        Duration breaks_after = 500ms;
        Duration connects_after = 20ms;
    };
    MirrorWire(Queue& queue, Random& random, Hooks hooks);

    void set_pace(Pace pace) { pace_ = pace; }
    void process_started(Side side);
    void process_ended(Side side, bool silent);
    void send(Side from, const mirror::Frame& frame, Payload payload);
    void disconnect(Side side, mirror::ConnectionId connection, Duration back_off);
    void reset();                                           // a fault: both ends lose the connection
    void review();                                          // after cuts
    void forge(Side to, const mirror::Frame& frame);        // mutation: the peer never said that
    void deliver_old_frames(bool on) { old_frames_ = on; }  // mutation

 private:
    struct Parcel {
        uint64_t connection = 0;
        Moment arrives{};
        mirror::Frame frame;
        Payload payload;
    };
    struct Stream {
        std::deque<Parcel> parcels;
        Moment last_arrival{};
        uint64_t turn = 0;
    };
    struct End {
        bool ready = false;       // its driver listens
        uint64_t connection = 0;  // as it believes
        uint64_t highest = 0;     // connections below are void here
        Moment not_before{};
        uint64_t life = 0;
        Stream streams[2];  // towards it, by channel
    };
    void pump(Side to, size_t channel);
    void arm(Side to, size_t channel);
    void deliver_late(Side to, const Parcel& parcel);
    void come_up(Side side, uint64_t connection);
    void lose(Side side, uint64_t connection, const std::string& why);
    void lose_later(Side side, uint64_t connection, Duration delay, const std::string& why);
    void try_connect();
    void connect();
    bool both_open() const { return hooks_.open(0) && hooks_.open(1); }

    Queue& queue_;
    Random& random_;
    Hooks hooks_;
    Pace pace_;
    End ends_[2];
    uint64_t connections_ = 0;
    bool connecting_ = false;
    bool was_open_ = true;
    bool old_frames_ = false;
};

}  // namespace kagami::sim
