// How a pair of streams comes about. The dialler opens two connections and sends a preamble on each, with one random
// pair id; the acceptor answers both once it holds both, and counts them as connected; the dialler does when it has
// both answers. Preamble: 64 bytes {"KGMP", version, stream, answer, 0, pair id, name of the mirror, CRC32C}, the first
// bytes behind the TLS handshake (docs/formats/mirror-channel.md). Bounds: an attempt, and a connection that came in,
// has kJoinLimit for everything; at most kMaxArrivals of the latter, the oldest stranger gives way; only addresses of
// the peer are listened to.
#pragma once

#include <optional>
#include <random>

#include "common/time.h"
#include "mirror-driver/engine/frames.h"
#include "mirror-driver/io/channel.h"
#include "mirror-driver/io/channel/peer_stream.h"
#include "mirror-driver/io/channel/poller.h"

namespace kagami::mirror {

constexpr Duration kJoinLimit = 1s;
constexpr Duration kFirstBackOff = 50ms;
constexpr Duration kLongestBackOff = 1s;
constexpr size_t kMaxArrivals = 8;
constexpr size_t kPreambleBytes = 64;

struct Preamble {
    Uuid pair{};
    Channel channel = Channel::kBulk;
    bool answer = false;
    std::string name;
    bool operator==(const Preamble&) const = default;
};
using PreambleBytes = std::array<uint8_t, kPreambleBytes>;
PreambleBytes encode_preamble(const Preamble& preamble);
Result<Preamble> decode_preamble(const PreambleBytes& bytes);

struct Pair {
    std::unique_ptr<PeerStream> bulk;
    std::unique_ptr<PeerStream> control;
    size_t path = 0;
    uint32_t bulk_watched = 0;  // Poller::watch
    uint32_t control_watched = 0;
};

// One stream on its way to be half of a pair.
class Joining {
 public:
    enum class State : uint8_t { kUnderWay, kReady, kFailed };
    // A dialler's; the acceptor's learns its preamble from the peer.
    Joining(std::unique_ptr<PeerStream> stream, Side side, Preamble mine);
    State advance();
    State state() const { return state_; }
    bool established() const { return open_; }  // the certificates are checked
    bool answer();                              // the acceptor's word that the pair is complete
    void watch(const Poller& poller);
    const Preamble& preamble() const { return preamble_; }
    const std::string& why() const { return why_; }
    std::unique_ptr<PeerStream> take(uint32_t& watched);

    Instant deadline;
    size_t path = 0;

 private:
    State fail_with(std::string why);
    State exchange();
    State take_preamble();
    State overheard();

    std::unique_ptr<PeerStream> stream_;
    Side side_;
    Preamble preamble_;
    PreambleBytes out_{};
    PreambleBytes in_{};
    size_t written_ = 0;
    size_t filled_ = 0;
    bool open_ = false;
    State state_ = State::kUnderWay;
    std::string why_;
    uint32_t watched_ = 0;
};

struct JoinerSettings {
    const ChannelSettings* channel = nullptr;
    const TlsContext* tls = nullptr;
    const Poller* poller = nullptr;
};

class Joiner {
 public:
    virtual ~Joiner() = default;
    virtual std::optional<Pair> advance(Instant now) = 0;
    // The connection over this path has ended: go on from `from`. `path_failed`: try another one first.
    virtual void lost(size_t path, bool path_failed, Instant now, Instant from) = 0;
    virtual std::optional<Instant> wake_at() const = 0;
    virtual std::string state() const = 0;
};
std::unique_ptr<Joiner> make_dialler(const JoinerSettings& settings);
std::unique_ptr<Joiner> make_acceptor(const JoinerSettings& settings);

// ---- for both ----
std::string endpoint(const std::string& address, uint16_t port);  // "10.77.3.2:29011", "[fd00::1]:29011"
void prepare_socket(int fd);                                      // before listen() or connect()
std::unique_ptr<PeerStream> make_stream(UniqueFd socket, const TlsContext* tls, Side side, Channel channel);

}  // namespace kagami::mirror
