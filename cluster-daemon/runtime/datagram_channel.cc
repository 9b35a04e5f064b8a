#include "cluster-daemon/runtime/datagram_channel.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/assert.h"
#include "common/hash.h"

namespace kagami::runtime {
namespace {

constexpr uint32_t kMagic = 0x3144474bU;  // "KGD1"
constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderBytes = 52;
constexpr size_t kTagBytes = 16;
constexpr size_t kDatagramLimitBytes = kHeaderBytes + kDatagramPayloadLimitBytes + kTagBytes;
constexpr int kReceiveBound = 256;  // datagrams of one network taken in one call
constexpr Duration kPlausibleRtt = 60s;

using Tag = std::array<uint8_t, kTagBytes>;

Tag tag_of(const PairKey& key, std::span<const uint8_t> header_and_payload) {
    const Hash whole = hmac_sha256(key.secret, header_and_payload);
    Tag tag{};
    std::copy_n(whole.begin(), tag.size(), tag.begin());
    return tag;
}

int64_t nanoseconds(Instant stamp) {
    return stamp.time_since_epoch().count();
}

}  // namespace

struct DatagramChannel::Header {
    uint32_t magic = kMagic;
    uint8_t version = kVersion;
    uint8_t network = 0;
    NodeId sender;
    NodeId receiver;
    uint16_t payload_bytes = 0;
    uint64_t key_id = 0;
    uint64_t counter = 0;
    int64_t stamp_ns = 0;  // the sender's clock
    int64_t echo_ns = 0;   // the receiver's own last stamp on this network; 0: none
    int64_t hold_ns = 0;   // how long the sender had it

    void write(ByteWriter& out) const {
        out.u32(magic);
        out.u8(version);
        out.u8(network);
        out.u16(sender.value);
        out.u16(receiver.value);
        out.u16(payload_bytes);
        out.u64(key_id);
        out.u64(counter);
        out.i64(stamp_ns);
        out.i64(echo_ns);
        out.i64(hold_ns);
    }
    static Header read(std::span<const uint8_t> bytes) {
        ByteReader in(bytes);
        Header header;
        header.magic = in.u32();
        header.version = in.u8();
        header.network = in.u8();
        header.sender.value = in.u16();
        header.receiver.value = in.u16();
        header.payload_bytes = in.u16();
        header.key_id = in.u64();
        header.counter = in.u64();
        header.stamp_ns = in.i64();
        header.echo_ns = in.i64();
        header.hold_ns = in.i64();
        KAGAMI_ASSERT(in.finished(), "the caller gave exactly one header");
        return header;
    }
};

// ---- ReplayWindow ----

bool ReplayWindow::seen(uint64_t counter) const {
    if (counter == 0 || counter > highest_ || highest_ - counter >= kSize) return false;
    return bits_[counter % kSize];
}

bool ReplayWindow::fresh(uint64_t counter) const {
    if (counter == 0 || (counter < highest_ && highest_ - counter >= kSize)) return false;
    return !seen(counter);
}

void ReplayWindow::mark(uint64_t counter) {
    if (counter > highest_) {
        if (counter - highest_ >= kSize)
            bits_.reset();
        else
            for (uint64_t skipped = highest_ + 1; skipped < counter; ++skipped) bits_.reset(skipped % kSize);
        highest_ = counter;
    }
    bits_.set(counter % kSize);
    if (first_ == 0 || counter < first_) first_ = counter;
}

// ---- DatagramChannel ----

Result<PairKey> make_key() {
    PairKey key;
    if (getrandom(key.secret.data(), key.secret.size(), 0) != static_cast<ssize_t>(key.secret.size()) ||
        getrandom(&key.id, sizeof key.id, 0) != static_cast<ssize_t>(sizeof key.id))
        return fail("cannot get random bytes for a heartbeat key: " + errno_text(errno));
    return key;
}

Result<DatagramChannel> DatagramChannel::open(NodeId self, const std::vector<std::string>& listen) {
    if (listen.size() > kDatagramNetworkLimit) return fail(ErrorCode::kUsage, "more than 8 networks for heartbeats");
    DatagramChannel channel;
    channel.self_ = self;
    for (const std::string& address : listen) {
        channel.sockets_.emplace_back();
        if (address.empty()) continue;
        auto fd = open_bound_socket(SOCK_DGRAM, address);
        if (!fd) return tl::unexpected(fd.error());
        channel.sockets_.back() = std::move(*fd);
    }
    return channel;
}

Status DatagramChannel::set_peers(const std::vector<DatagramPeer>& peers) {
    std::map<NodeId, Peer> next;
    for (const DatagramPeer& entry : peers) {
        if (entry.node == self_) continue;
        const auto known = peers_.find(entry.node);
        Peer peer = known == peers_.end() ? Peer{} : known->second;
        peer.paths.resize(sockets_.size());
        for (size_t network = 0; network < peer.paths.size(); ++network) {
            peer.paths[network].address.reset();
            if (network >= entry.addresses.size() || entry.addresses[network].empty()) continue;
            const auto address = parse_socket_address(entry.addresses[network]);
            if (!address) return tl::unexpected(address.error());
            peer.paths[network].address = *address;
        }
        next.emplace(entry.node, std::move(peer));
    }
    peers_ = std::move(next);
    return {};
}

void DatagramChannel::install_send_key(NodeId to, const PairKey& key) {
    const auto peer = peers_.find(to);
    if (peer == peers_.end() || peer->second.send_key == key) return;
    peer->second.send_key = key;
    peer->second.next_counter = 1;
}

void DatagramChannel::install_receive_key(NodeId from, const PairKey& key) {
    const auto peer = peers_.find(from);
    if (peer == peers_.end()) return;
    // A key that is known already keeps its windows: forgetting them would let old datagrams in again.
    for (const auto* known : {&peer->second.in_use, &peer->second.pending})
        if (*known && (*known)->key.id == key.id) return;
    peer->second.pending = ReceiveKey{key, {}, {}};
}

bool DatagramChannel::send(NodeId to, std::span<const uint8_t> payload, Instant now) {
    const auto found = peers_.find(to);
    if (found == peers_.end() || !found->second.send_key || payload.size() > kDatagramPayloadLimitBytes) return false;
    Peer& peer = found->second;
    const uint64_t counter = peer.next_counter++;
    bool sent = false;
    for (size_t network = 0; network < peer.paths.size(); ++network) {
        Path& path = peer.paths[network];
        if (!path.address || !sockets_[network].valid()) continue;
        Header header;
        header.network = static_cast<uint8_t>(network);
        header.sender = self_;
        header.receiver = to;
        header.payload_bytes = static_cast<uint16_t>(payload.size());
        header.key_id = peer.send_key->id;
        header.counter = counter;
        header.stamp_ns = nanoseconds(now);
        header.echo_ns = path.peer_stamp_ns;
        if (path.status.last_seen) header.hold_ns = (now - *path.status.last_seen).count();
        ByteWriter out;
        header.write(out);
        out.raw(payload);
        const Tag tag = tag_of(*peer.send_key, out.view());
        out.raw(tag);
        const Bytes& datagram = out.view();
        const ssize_t done = ::sendto(sockets_[network].get(), datagram.data(), datagram.size(),
                                      MSG_DONTWAIT | MSG_NOSIGNAL, path.address->get(), path.address->length_bytes);
        ++(done < 0 ? path.status.send_errors : path.status.sent);
        sent = sent || done >= 0;
    }
    return sent;
}

bool DatagramChannel::receive_all(Instant now, const Deliver& deliver) {
    bool drained = true;
    for (size_t network = 0; network < sockets_.size(); ++network)
        if (sockets_[network].valid()) drained = receive_from(network, now, deliver) && drained;
    return drained;
}

bool DatagramChannel::receive_from(size_t network, Instant now, const Deliver& deliver) {
    std::array<uint8_t, kDatagramLimitBytes> buffer{};
    for (int taken = 0; taken < kReceiveBound; ++taken) {
        // MSG_TRUNC: the true length of a datagram that does not fit.
        const ssize_t length = ::recv(sockets_[network].get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return true;
        if (static_cast<size_t>(length) > buffer.size()) {
            ++refusals_.oversized;
            continue;
        }
        take(std::span(buffer).first(static_cast<size_t>(length)), network, now, deliver);
    }
    return false;
}

void DatagramChannel::take(std::span<const uint8_t> datagram, size_t network, Instant now, const Deliver& deliver) {
    const auto refuse = [](uint64_t& counter) { ++counter; };
    if (datagram.size() < kHeaderBytes + kTagBytes) return refuse(refusals_.malformed);
    const Header header = Header::read(datagram.first(kHeaderBytes));
    const auto found = peers_.find(header.sender);
    if (header.magic != kMagic || header.version != kVersion || header.receiver != self_ || found == peers_.end())
        return refuse(refusals_.unknown);
    if (datagram.size() != kHeaderBytes + header.payload_bytes + kTagBytes) return refuse(refusals_.malformed);
    Peer& peer = found->second;
    const ReceiveKey* key = nullptr;
    for (const auto* candidate : {&peer.in_use, &peer.pending})
        if (*candidate && (*candidate)->key.id == header.key_id) key = &**candidate;
    if (key == nullptr) return refuse(refusals_.no_key);
    const Tag expected = tag_of(key->key, datagram.first(datagram.size() - kTagBytes));
    if (!equal_constant_time(expected, datagram.last(kTagBytes)) || header.network != network)
        return refuse(refusals_.forged);
    if (!key->per_path[network].fresh(header.counter)) return refuse(refusals_.replayed);

    ReceiveKey& proven = proven_key(peer, header.key_id);
    proven.per_path[network].mark(header.counter);
    note(peer, network, header, now);
    if (!proven.any_path.fresh(header.counter)) return;  // another network was faster
    proven.any_path.mark(header.counter);
    deliver(header.sender, network, datagram.subspan(kHeaderBytes, header.payload_bytes));
}

DatagramChannel::ReceiveKey& DatagramChannel::proven_key(Peer& peer, uint64_t key_id) {
    if (peer.pending && peer.pending->key.id == key_id) {
        peer.in_use = std::move(peer.pending);
        peer.pending.reset();
    }
    return *peer.in_use;
}

void DatagramChannel::note(Peer& peer, size_t network, const Header& header, Instant now) {
    Path& path = peer.paths[network];
    path.status.last_seen = now;
    ++path.status.received;
    path.peer_stamp_ns = header.stamp_ns;
    if (header.echo_ns <= 0 || header.hold_ns < 0 || header.echo_ns > nanoseconds(now)) return;
    const Duration rtt{nanoseconds(now) - header.echo_ns - std::min(header.hold_ns, nanoseconds(now))};
    if (rtt >= Duration::zero() && rtt < kPlausibleRtt) path.status.rtt = rtt;
}

std::vector<int> DatagramChannel::descriptors() const {
    std::vector<int> result;
    for (const UniqueFd& fd : sockets_)
        if (fd.valid()) result.push_back(fd.get());
    return result;
}

std::vector<std::string> DatagramChannel::bound() const {
    std::vector<std::string> result;
    for (const UniqueFd& fd : sockets_) result.push_back(fd.valid() ? bound_address(fd.get()) : "");
    return result;
}

std::vector<PathStatus> DatagramChannel::paths(NodeId node) const {
    std::vector<PathStatus> result;
    const auto found = peers_.find(node);
    if (found == peers_.end()) return result;
    const Peer& peer = found->second;
    for (size_t network = 0; network < peer.paths.size(); ++network) {
        PathStatus status = peer.paths[network].status;
        if (peer.in_use && peer.in_use->any_path.highest() > 0) {
            const ReplayWindow& all = peer.in_use->any_path;
            status.recent_expected = std::min(all.highest() - all.first() + 1, ReplayWindow::kSize);
            for (uint64_t i = 0; i < status.recent_expected; ++i)
                status.recent_received += peer.in_use->per_path[network].seen(all.highest() - i) ? 1 : 0;
        }
        result.push_back(status);
    }
    return result;
}

}  // namespace kagami::runtime
