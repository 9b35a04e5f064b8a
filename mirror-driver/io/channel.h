// The connection to the peer's driver: two TLS 1.3 streams (bulk, control) over TCP on a mirror network, dialled by the
// lower node id, accepted by the higher one; mutual certificates of the cluster, the peer's node id must be the one
// that is configured. Non-blocking, on the mirror's thread; nothing is allocated per frame on the way of data (payloads
// are received straight into pool buffers of Use::kPeer; queues are fixed). Paths are tried in their order of priority
// and switched when one fails; a connection stays on its path until it breaks. Both streams of a pair carry the same
// random pair id in their first bytes; only a complete pair counts as a connection. A new pair replaces an older one;
// frames of the older one are dropped. Broken bytes, wrong checksums, frames out of range: the connection ends, with
// the reason. Listens only while it exists; nothing is parsed before mutual TLS is done.
//
// Contract: handlers are called from advance() alone, and may call everything here but advance() and the destructor.
// Every up(n) is followed by exactly one down(n), also after disconnect(n); nothing of n is delivered after
// disconnect(n). send() only queues: call flush() once a batch is queued (advance() ends with it too). A payload that
// is not to be released must stay as it is until the frame was sent (the peer's answer shows it) or its connection has
// ended: disconnect() forgets the queue before it returns, a broken connection before down() is called. When no buffer
// is free, the bulk stream waits (control goes on) until buffers_released() says that one came back. Leaves to others:
// what frames mean, pings, when a silent peer is lost (engine).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/time.h"
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

class PeerChannel {
 public:
    struct Handlers {
        std::function<void(ConnectionId connection, const std::string& network)> up;
        std::function<void(ConnectionId connection, const std::string& why)> down;
        std::function<void(ConnectionId connection, Frame& frame)> frame;  // may move from it; owns its payload buffer
    };
    // Fails on what waiting cannot cure: unreadable or foreign certificates, addresses that are none. An address or a
    // port that cannot be used now is tried again; state() says so.
    static Result<std::unique_ptr<PeerChannel>> open(ChannelSettings settings, Buffers& buffers, Handlers handlers);
    ~PeerChannel();

    // Of the connection that is up; dropped (and released) without one.
    void send(Frame frame, bool release_payload);
    void flush();
    void disconnect(ConnectionId connection, const std::string& why, Duration back_off);
    int descriptor() const;  // an epoll of everything inside: readable = call advance()
    void advance(Instant now);
    std::optional<Instant> wake_at() const;  // then call advance(), too
    void buffers_released();                 // receiving may have waited for one
    std::string state() const;  // for a person: "connected over mirror", "node 2 does not answer on 10.77.3.2:29011: …"
    uint64_t sent_bytes() const;  // of frames, since the start
    uint64_t received_bytes() const;

 private:
    struct Impl;
    explicit PeerChannel(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror
