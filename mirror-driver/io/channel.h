// The connection to the peer's driver: two TLS 1.3 streams (bulk, control) over TCP on a mirror network, dialled by the
// lower node id, accepted by the higher one; mutual certificates of the cluster, the peer's node id must be the one that is
// configured. Non-blocking, on the mirror's thread; nothing is allocated per frame on the way of data (payloads are
// received straight into pool buffers; queues are fixed).
// Paths are tried in their order of priority and switched when one fails. Both streams of a pair carry the same random
// pair id in their first bytes; only a complete pair counts as a connection. A new pair replaces an older one; frames of
// the older one are dropped. Broken bytes, wrong checksums, frames out of range: the connection ends, with the reason.
// Leaves to others: what frames mean, pings, when a silent peer is lost (engine).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mirror-driver/engine/frames.h"
#include "mirror-driver/io/buffers.h"
#include "mirror-driver/link/messages.h"

namespace kagami::mirror {

struct ChannelSettings {
    std::string name;  // of the mirror
    Uuid cluster{};
    NodeId self;
    NodeId peer;
    uint16_t port = 0;
    std::vector<mirror_link::Path> paths;
    std::string pki_directory;
    uint64_t size_bytes = 0;
    bool tls = true;  // false: for speed comparisons in tests only; never reachable from a configuration
};

class Channel {
 public:
    struct Handlers {
        std::function<void(ConnectionId connection, const std::string& network)> up;
        std::function<void(ConnectionId connection, const std::string& why)> down;
        std::function<void(ConnectionId connection, Frame& frame)> frame;  // may move from it; owns its payload buffer
    };
    static Result<std::unique_ptr<Channel>> open(ChannelSettings settings, Buffers& buffers, Handlers handlers);
    ~Channel();

    void send(Frame frame, bool release_payload);  // of the connection that is up; dropped (and released) without one
    void disconnect(ConnectionId connection, const std::string& why, Duration back_off);
    int descriptor() const;  // an epoll of everything inside: readable = call advance()
    void advance(Instant now);
    std::optional<Instant> wake_at() const;
    void buffers_released();  // receiving may have waited for one
    std::string state() const;  // for a person: "connected over mirror", "node2 does not answer on 10.77.3.2:29011: …"
    uint64_t sent_bytes() const;
    uint64_t received_bytes() const;

 private:
    struct Impl;
    explicit Channel(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror
