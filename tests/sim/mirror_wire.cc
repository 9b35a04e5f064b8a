#include "tests/sim/mirror_wire.h"

#include <utility>

namespace kagami::sim {

using mirror::ConnectionId;

MirrorWire::MirrorWire(Queue& queue, Random& random, Hooks hooks)
    : queue_(queue), random_(random), hooks_(std::move(hooks)) {}

void MirrorWire::process_started(Side side) {
    ends_[side].ready = true;
    ++ends_[side].life;
    try_connect();
}

// The other end meets a reset where packets get through, else its keepalive runs out.
void MirrorWire::process_ended(Side side, bool silent) {
    End& end = ends_[side];
    const uint64_t connection = std::exchange(end.connection, 0);
    end.ready = false;
    ++end.life;
    end.highest = connections_;
    end.not_before = {};
    for (Stream& stream : end.streams) stream.parcels.clear();
    if (connection == 0) return;
    const bool told = both_open() && !silent;
    lose_later(other(side), connection, told ? pace_.delay : pace_.breaks_after,
               told ? "the peer's driver has ended" : "the connection timed out");
}

void MirrorWire::send(Side from, const mirror::Frame& frame, Payload payload) {
    const End& end = ends_[from];
    if (end.connection == 0) return;
    const size_t channel = channel_of(frame.type) == mirror::Channel::kBulk ? 0 : 1;
    Stream& stream = ends_[other(from)].streams[channel];
    const Moment arrives = queue_.now() + pace_.delay + random_.between(Duration::zero(), pace_.jitter);
    stream.last_arrival = std::max(stream.last_arrival + 1us, arrives);
    stream.parcels.push_back({end.connection, stream.last_arrival, frame, std::move(payload)});
    if (stream.parcels.size() == 1) arm(other(from), channel);
}

void MirrorWire::forge(Side to, const mirror::Frame& frame) {
    queue_.after(pace_.delay, [this, to, frame, connection = ends_[to].connection] {
        if (connection != 0 && ends_[to].connection == connection)
            hooks_.frame(to, ConnectionId{connection}, frame, nullptr);
    });
}

void MirrorWire::arm(Side to, size_t channel) {
    Stream& stream = ends_[to].streams[channel];
    if (stream.parcels.empty()) return;
    queue_.at(stream.parcels.front().arrives, [this, to, channel, turn = ++stream.turn] {
        if (ends_[to].streams[channel].turn == turn) pump(to, channel);
    });
}

// A frame waits for its connection to come up here, and while there is no way.
void MirrorWire::pump(Side to, size_t channel) {
    End& end = ends_[to];
    Stream& stream = end.streams[channel];
    while (!stream.parcels.empty()) {
        if (stream.parcels.front().arrives > queue_.now()) return arm(to, channel);
        if (!hooks_.open(other(to)) || !end.ready) return;
        const uint64_t connection = stream.parcels.front().connection;
        if (connection > end.connection && connection > end.highest) return;
        const Parcel parcel = std::move(stream.parcels.front());
        stream.parcels.pop_front();
        if (connection != end.connection) {
            if (old_frames_ && channel == 0) deliver_late(to, parcel);
            continue;
        }
        const uint64_t life = end.life;
        hooks_.frame(to, ConnectionId{end.connection}, parcel.frame, parcel.payload);
        if (life != end.life) return;
    }
}

// A mutation: long after its connection has ended.
void MirrorWire::deliver_late(Side to, const Parcel& parcel) {
    queue_.after(1s, [this, to, parcel, life = ends_[to].life] {
        const End& end = ends_[to];
        if (end.connection != 0 && end.life == life)
            hooks_.frame(to, ConnectionId{end.connection}, parcel.frame, parcel.payload);
    });
}

void MirrorWire::come_up(Side side, uint64_t connection) {
    End& end = ends_[side];
    if (!end.ready || connection <= end.highest) return;
    end.connection = end.highest = connection;
    hooks_.up(side, ConnectionId{connection});
    for (size_t channel = 0; channel < 2; ++channel) pump(side, channel);
}

void MirrorWire::lose(Side side, uint64_t connection, const std::string& why) {
    End& end = ends_[side];
    if (end.connection != connection) return;
    end.connection = 0;
    if (end.ready) hooks_.down(side, ConnectionId{connection}, why);
    try_connect();
}

void MirrorWire::lose_later(Side side, uint64_t connection, Duration delay, const std::string& why) {
    queue_.after(delay + random_.between(Duration::zero(), delay / 2),
                 [this, side, connection, why, life = ends_[side].life] {
                     if (ends_[side].life == life) lose(side, connection, why);
                 });
}

void MirrorWire::disconnect(Side side, ConnectionId connection, Duration back_off) {
    End& end = ends_[side];
    end.not_before = queue_.now() + back_off;
    if (connection.value == 0 || end.connection != connection.value) return;
    end.connection = 0;
    lose_later(other(side), connection.value, both_open() ? pace_.delay + pace_.jitter : pace_.breaks_after,
               "the peer has closed the connection");
    try_connect();
}

void MirrorWire::reset() {
    for (const Side side : {Side{0}, Side{1}}) {
        if (ends_[side].connection != 0) lose_later(side, ends_[side].connection, pace_.delay, "connection reset");
    }
}

void MirrorWire::review() {
    const bool open_now = both_open();
    for (const Side side : {Side{0}, Side{1}}) {
        for (size_t channel = 0; channel < 2; ++channel) arm(side, channel);
        if (open_now || !was_open_ || ends_[side].connection == 0) continue;
        const Duration patience = pace_.breaks_after + random_.between(Duration::zero(), pace_.breaks_after);
        queue_.after(patience, [this, side, connection = ends_[side].connection] {
            if (!both_open()) lose(side, connection, "the connection timed out");
        });
    }
    was_open_ = open_now;
    try_connect();
}

void MirrorWire::try_connect() {
    const bool wanted = ends_[0].connection == 0 || ends_[1].connection == 0;
    if (connecting_ || !wanted || !ends_[0].ready || !ends_[1].ready || !both_open()) return;
    connecting_ = true;
    const Moment patient = std::max({queue_.now(), ends_[0].not_before, ends_[1].not_before});
    queue_.at(patient + pace_.connects_after + random_.between(Duration::zero(), pace_.connects_after), [this] {
        connecting_ = false;
        connect();
    });
}

void MirrorWire::connect() {
    if (!ends_[0].ready || !ends_[1].ready || !both_open()) return;
    if (ends_[0].connection != 0 && ends_[1].connection != 0) return;
    const uint64_t number = ++connections_;
    for (const Side side : {Side{0}, Side{1}}) {
        queue_.after(pace_.delay + random_.between(Duration::zero(), pace_.jitter),
                     [this, side, number, life = ends_[side].life] {
                         if (ends_[side].life == life) come_up(side, number);
                     });
    }
    // An end that died meanwhile leaves the other alone with it.
    queue_.after(2 * (pace_.delay + pace_.jitter) + 1ms, [this, number] {
        const bool first = ends_[0].connection == number;
        if (first != (ends_[1].connection == number) && connections_ == number)
            lose_later(first ? 0 : 1, number, pace_.breaks_after, "the peer is gone");
        try_connect();
    });
}

}  // namespace kagami::sim
