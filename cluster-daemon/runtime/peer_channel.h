// Engine messages between nodes (and witness): gRPC over mutual TLS 1.3, one stream in each direction.
//
// Each side opens its own stream to the other and sends on it only; what a node receives comes in on the other's
// stream. A stream counts as up when the peer has accepted it, on the first address, in order of preference, where that
// works; it stays there until it breaks.
//     waiting -> connecting -> up -> waiting (back-off, doubled up to a cap, after a whole round of addresses has
//     failed)
// Invariants: the sender named to on_message() is that of the certificate; a client speaks only to exactly the node
// that it meant; nothing is parsed before a certificate of this cluster with role node, witness or join was shown; of
// one peer only the newest incoming stream is read; a message is at most 1 MiB; send() never blocks: the oldest waiting
// message gives way and is counted. Delivery is in order and at most once; a message can be lost when a stream breaks.
// Left to others: what messages mean, which networks are alive (tell path_lost()), and heartbeats (datagram_channel.h).
// Built on gRPC's callback API: callbacks run on gRPC's threads, several at once for different peers, one at a time for
// one peer's messages; they must not block for long and must not destroy the PeerNetwork. Never fork() after start():
// gRPC does not survive it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/join_token.h"
#include "cluster-daemon/runtime/pki.h"
#include "common/codec.h"
#include "common/time.h"

namespace kagami::runtime {

constexpr size_t kPeerMessageLimitBytes = 1U << 20U;

struct PeerEntry {
    NodeId node;
    std::string name;
    std::vector<std::string> addresses;  // index = network, in order of preference; "" where the peer has none
    bool operator==(const PeerEntry&) const = default;
};

struct PeerTiming {
    Duration attempt_timeout = 1s;  // for one address, until the peer has accepted the stream
    Duration backoff_first = 50ms;
    Duration backoff_cap = 330ms;      // about T_renew
    Duration keepalive_interval = 1s;  // gRPC's client never pings more often than once a second
    Duration keepalive_timeout = 1s;   // about T_detect; path_lost() is faster
    Duration handshake_timeout = 3s;   // an incoming connection that has not shown a certificate by then is closed
};

struct PeerNetworkOptions {
    KeyMaterial keys;
    std::vector<PeerEntry> peers;
    std::vector<std::string> listen;  // cluster interfaces only: "10.77.1.1:29001"
    PeerTiming timing;
    size_t queue_limit_messages = 256;  // waiting for one peer
    size_t queue_limit_bytes = 8U << 20U;
    int descriptor_limit = 512;  // peer_acceptor.h
};

struct JoinAttempt {
    PeerIdentity becomes;
    std::string token_serial;  // the callee decides whether it was used before
    std::string csr_pem;
};
struct JoinAnswer {
    std::string certificate_pem;
    std::string ca_pem;
    Bytes bootstrap;
};
using JoinReplier = std::function<void(Result<JoinAnswer>)>;  // from any thread, once; later calls do nothing

struct PeerCallbacks {
    std::function<void(NodeId from, Bytes message)> on_message;
    std::function<void(NodeId peer, size_t network)> on_connected;
    std::function<void(NodeId peer, const std::string& why)> on_disconnected;
    std::function<void(const std::string& sentence)>
        on_refused;  // somebody came with a certificate that is not for this
    std::function<void(JoinAttempt attempt, JoinReplier reply)> on_join;  // empty: this node signs nothing
};

enum class PeerLinkState { kWaiting, kConnecting, kUp };

struct PeerStatus {
    NodeId node;
    std::string name;
    PeerLinkState outgoing = PeerLinkState::kWaiting;
    std::optional<size_t> network;  // of the outgoing stream, connecting or up
    bool incoming = false;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t dropped = 0;    // gave way in a full queue, or were lost with a stream
    uint64_t too_large = 0;  // refused by send()
    size_t waiting = 0;
    std::string last_error;
};

class PeerNetwork {
 public:
    // Sets environment variables that gRPC reads: call it while no other thread reads the environment.
    static Result<std::unique_ptr<PeerNetwork>> start(PeerNetworkOptions options, PeerCallbacks callbacks);
    ~PeerNetwork();  // ends all streams; no callback runs after it
    PeerNetwork(const PeerNetwork&) = delete;
    PeerNetwork& operator=(const PeerNetwork&) = delete;

    // False when the peer is not in the table or the message is too large (counted).
    bool send(NodeId to, Bytes message);
    // Heartbeats say that this network does not reach the peer: a stream on it is ended and the next network tried at
    // once.
    void path_lost(NodeId peer, size_t network);
    // Another table: new peers are dialled, changed addresses dialled instead of the old ones. Peers that are gone (or
    // have another name) are cut off without on_disconnected.
    void set_peers(std::vector<PeerEntry> peers);
    std::vector<PeerStatus> status() const;
    std::vector<std::string> listening() const;  // with the ports that the kernel chose for port 0
    uint64_t turned_away() const;                // connections above the limit

 private:
    class Impl;
    explicit PeerNetwork(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// The joiner's side: asks the token's addresses in turn, and checks that the answer is a certificate of this cluster
// for the CSR's key and for exactly the identity that the token promised.
Result<JoinAnswer> join_with_token(const JoinToken& token, const std::string& csr_pem, Duration timeout = 15s);

}  // namespace kagami::runtime
