// A pair of streams that is up: frames in and out until one of the streams ends. Owned by the channel; never throws
// itself away in a handler: retire() ends it, its owner destroys it later.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "mirror-driver/io/channel/frame_reader.h"
#include "mirror-driver/io/channel/frame_writer.h"
#include "mirror-driver/io/channel/joiner.h"

namespace kagami::mirror {

class Connection {
 public:
    using Deliver = std::function<void(ConnectionId, Frame&)>;
    Connection(ConnectionId id, Pair pair, uint64_t size_bytes, Buffers& buffers, const Poller& poller);

    void send(Frame&& frame, bool release);
    void flush(uint32_t awake);  // `awake`: streams that can take more now
    void receive(const Deliver& deliver);
    void buffers_released();
    // Sends what the control stream still has, says good-bye, forgets the queues. Nothing happens afterwards.
    void retire(const std::string& why);

    bool ended() const { return ended_; }
    const std::string& why() const { return why_; }
    bool path_failed() const { return path_failed_; }
    ConnectionId id() const { return id_; }
    size_t path() const { return path_; }
    uint64_t sent_bytes() const { return bulk_.writer->bytes() + control_.writer->bytes(); }
    uint64_t received_bytes() const { return received_bytes_; }

 private:
    struct Half {
        std::unique_ptr<PeerStream> stream;
        std::unique_ptr<FrameReader> reader;
        std::unique_ptr<FrameWriter> writer;
        uint32_t awake = 0;
        uint32_t watched = 0;
        bool starved = false;
        bool unsendable = false;  // the peer is gone; what it said before is still being read
    };
    Half make_half(Channel channel, std::unique_ptr<PeerStream> stream, uint32_t watched, uint64_t size_bytes);
    void push_out(Half& half, bool writable);
    void take_in(Half& half, const Deliver& deliver);
    void deliver_one(Half& half, const Deliver& deliver);
    void end(const std::string& why, bool path_failed);
    void watch(Half& half);

    ConnectionId id_;
    size_t path_;
    Buffers& buffers_;
    const Poller& poller_;
    Half bulk_;
    Half control_;
    bool ended_ = false;
    bool path_failed_ = false;
    std::string why_;
    uint64_t received_bytes_ = 0;
};

}  // namespace kagami::mirror
