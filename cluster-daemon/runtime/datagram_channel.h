// Heartbeats and renewals between nodes: small authenticated UDP datagrams, each sent on every cluster network at once;
// the first copy that arrives is delivered, later ones only count. docs/formats/datagram.md has the bytes.
//
// Each ordered pair of nodes has its own random key. The receiver makes it (make_key) and hands it to the sender over
// the peer channel, a new one whenever the two connect after a start. A new receive key is pending until the first
// datagram under it; the key in use stays valid until then, so that a hand-over that got lost does not silence the
// sender. Invariants: nothing is parsed before size, addressee and HMAC are right; no datagram is delivered twice, nor
// across a restart of either side (new keys); nothing is ever answered here, so nobody can be made to send more than he
// is sent; sizes are fixed before any read. Left to others: what payloads mean, when to send, and handing over keys.
// One thread uses an object: the one that polls descriptors(). Stamps are CLOCK_BOOTTIME of this machine and come from
// the caller; those of the peer are only echoed, never compared with ours.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/socket_address.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/time.h"

namespace kagami::runtime {

constexpr size_t kDatagramPayloadLimitBytes =
    1380;  // with our header and those of UDP and IPv6 still below an MTU of 1500
constexpr size_t kDatagramNetworkLimit = 8;

// The key of one ordered pair (sender, receiver). A secret.
struct PairKey {
    uint64_t id = 0;
    std::array<uint8_t, 32> secret{};
    bool operator==(const PairKey&) const = default;
};
Result<PairKey> make_key();

// Which counters were seen: a sliding window of 256 below the highest. Counters start at 1.
class ReplayWindow {
 public:
    static constexpr uint64_t kSize = 256;
    // New, and not so old that it has left the window.
    bool fresh(uint64_t counter) const;
    void mark(uint64_t counter);
    bool seen(uint64_t counter) const;
    uint64_t first() const { return first_; }
    uint64_t highest() const { return highest_; }

 private:
    std::bitset<kSize> bits_;
    uint64_t highest_ = 0;  // 0: nothing yet
    uint64_t first_ = 0;    // the lowest ever seen
};

struct PathStatus {
    std::optional<Instant> last_seen;  // of the last valid datagram
    std::optional<Duration> rtt;       // of the last one that echoed a stamp of ours
    uint64_t received = 0;
    uint64_t sent = 0;
    uint64_t send_errors = 0;
    // Of the last datagrams that the peer sent, as known from all networks together (at most 256), how many came over
    // this one.
    uint64_t recent_expected = 0;
    uint64_t recent_received = 0;
};

// Why datagrams were thrown away, for the whole channel.
struct DatagramRefusals {
    uint64_t malformed = 0;  // shorter than a header, or of another length than it says
    uint64_t oversized = 0;
    uint64_t unknown = 0;   // other magic or version, not for us, or from nobody in the table
    uint64_t no_key = 0;    // under a key that we do not hold
    uint64_t forged = 0;    // the HMAC is wrong, or it came on another network than it says
    uint64_t replayed = 0;  // a counter that this path has seen, or that is too old
    bool operator==(const DatagramRefusals&) const = default;
};

struct DatagramPeer {
    NodeId node;
    std::vector<std::string> addresses;  // index = network; "" where the peer has none
    bool operator==(const DatagramPeer&) const = default;
};

class DatagramChannel {
 public:
    // `listen`: this node's address on each network, in the same order on all nodes; "" where it has none.
    static Result<DatagramChannel> open(NodeId self, const std::vector<std::string>& listen);

    // Keys and statistics of peers that stay are kept.
    Status set_peers(const std::vector<DatagramPeer>& peers);
    void install_send_key(NodeId to, const PairKey& key);
    void install_receive_key(NodeId from, const PairKey& key);

    // On every network that both have. Without a send key, or above the limit, nothing is sent and false returned.
    bool send(NodeId to, std::span<const uint8_t> payload, Instant now);
    // Takes what waits in the sockets, up to a bound so that a flood cannot hold the caller; false: more may wait.
    using Deliver = std::function<void(NodeId from, size_t network, std::span<const uint8_t> payload)>;
    bool receive_all(Instant now, const Deliver& deliver);

    std::vector<int> descriptors() const;              // to poll for reading
    std::vector<std::string> bound() const;            // index = network, with the ports chosen for port 0
    std::vector<PathStatus> paths(NodeId peer) const;  // index = network
    const DatagramRefusals& refusals() const { return refusals_; }

 private:
    struct ReceiveKey {
        PairKey key;
        std::array<ReplayWindow, kDatagramNetworkLimit> per_path;
        ReplayWindow any_path;
    };
    struct Path {
        std::optional<SocketAddress> address;
        PathStatus status;
        int64_t peer_stamp_ns = 0;  // of the last valid datagram, to be echoed; 0: none
    };
    struct Peer {
        std::vector<Path> paths;
        std::optional<PairKey> send_key;
        uint64_t next_counter = 1;
        std::optional<ReceiveKey> in_use;
        std::optional<ReceiveKey> pending;
    };
    struct Header;

    DatagramChannel() = default;
    bool receive_from(size_t network, Instant now, const Deliver& deliver);
    void take(std::span<const uint8_t> datagram, size_t network, Instant now, const Deliver& deliver);
    // The key in use after a pending one was proven right.
    ReceiveKey& proven_key(Peer& peer, uint64_t key_id);
    void note(Peer& peer, size_t network, const Header& header, Instant now);

    NodeId self_;
    std::vector<UniqueFd> sockets_;  // index = network; invalid where this node has no address
    std::map<NodeId, Peer> peers_;
    DatagramRefusals refusals_;
};

}  // namespace kagami::runtime
