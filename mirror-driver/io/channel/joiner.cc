#include "mirror-driver/io/channel/joiner.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/hash.h"

namespace kagami::mirror {
namespace {

constexpr std::array<uint8_t, 4> kMagic{'K', 'G', 'M', 'P'};
constexpr uint8_t kVersion = 1;
constexpr size_t kNameBytes = 32;
constexpr size_t kChecked = kPreambleBytes - 4;
constexpr int kSocketBytes = 1 << 20;
constexpr unsigned kUnansweredMs = 5000;  // far above any detection time of the engine, which decides before

void set_buffer(int fd, int forced, int plain) {
    // Above the system's limit only with CAP_NET_ADMIN.
    if (::setsockopt(fd, SOL_SOCKET, forced, &kSocketBytes, sizeof kSocketBytes) != 0)
        ::setsockopt(fd, SOL_SOCKET, plain, &kSocketBytes, sizeof kSocketBytes);
}

}  // namespace

PreambleBytes encode_preamble(const Preamble& preamble) {
    ByteWriter out;
    out.raw(kMagic);
    out.u8(kVersion);
    out.u8(static_cast<uint8_t>(preamble.channel));
    out.boolean(preamble.answer);
    out.u8(0);
    out.raw(preamble.pair);
    Bytes name(preamble.name.begin(), preamble.name.end());
    name.resize(kNameBytes);
    out.raw(name);
    out.u32(0);
    PreambleBytes bytes{};
    std::copy(out.view().begin(), out.view().end(), bytes.begin());
    ByteWriter checksum;
    checksum.u32(kagami::crc32c(std::span<const uint8_t>(bytes).first(kChecked)));
    std::copy(checksum.view().begin(), checksum.view().end(), bytes.begin() + kChecked);
    return bytes;
}

Result<Preamble> decode_preamble(const PreambleBytes& bytes) {
    ByteReader in(bytes);
    std::array<uint8_t, 4> magic{};
    in.raw(magic);
    const uint8_t version = in.u8();
    const uint8_t channel = in.u8();
    Preamble preamble;
    preamble.channel = static_cast<Channel>(channel);
    preamble.answer = in.boolean();
    const uint8_t reserved = in.u8();
    in.raw(preamble.pair);
    std::array<uint8_t, kNameBytes> name{};
    in.raw(name);
    in.u32();
    if (magic != kMagic) return fail("the peer does not speak the mirror's protocol");
    if (version != kVersion)
        return fail("the peer speaks version " + std::to_string(version) + " of the mirror's protocol, not " +
                        std::to_string(kVersion),
                    "run the same version of Kagami on both nodes");
    const uint32_t checksum = in.u32();
    const auto length = static_cast<size_t>(std::find(name.begin(), name.end(), 0) - name.begin());
    preamble.name.assign(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(length));
    if (!in.finished() || reserved != 0 || channel > static_cast<uint8_t>(Channel::kControl) ||
        checksum != kagami::crc32c(std::span<const uint8_t>(bytes).first(kChecked)) || !valid_name(preamble.name))
        return fail("the peer's first bytes are damaged");
    return preamble;
}

// ---- one stream ----

Joining::Joining(std::unique_ptr<PeerStream> stream, Side side, Preamble mine)
    : stream_(std::move(stream)), side_(side), preamble_(std::move(mine)), out_(encode_preamble(preamble_)) {
    if (side_ == Side::kAcceptor) written_ = out_.size();
}

Joining::State Joining::fail_with(std::string why) {
    why_ = std::move(why);
    return state_ = State::kFailed;
}

Joining::State Joining::advance() {
    if (state_ == State::kReady) return overheard();
    if (state_ == State::kFailed) return state_;
    stream_->grant();
    if (!open_) {
        const IoState established = stream_->establish();
        if (established == IoState::kEnded) return fail_with(stream_->why());
        if (established == IoState::kBlocked) return state_;
        open_ = true;
        stream_->grant();
    }
    return exchange();
}

Joining::State Joining::exchange() {
    while (written_ < out_.size()) {
        const IoResult sent = stream_->write(std::span<const uint8_t>(out_).subspan(written_));
        if (sent.state == IoState::kEnded) return fail_with(stream_->why());
        if (sent.state == IoState::kBlocked) break;
        written_ += sent.bytes;
    }
    stream_->drain();
    while (filled_ < in_.size()) {
        const IoResult got = stream_->read(std::span(in_).subspan(filled_));
        if (got.state == IoState::kEnded) return fail_with(stream_->why());
        if (got.state == IoState::kBlocked) return state_;
        filled_ += got.bytes;
    }
    return take_preamble() == State::kReady ? overheard() : state_;
}

Joining::State Joining::take_preamble() {
    auto theirs = decode_preamble(in_);
    if (!theirs) return fail_with(theirs.error().message);
    if (theirs->name != preamble_.name)
        return fail_with("the peer means mirror " + theirs->name + ", this port is that of mirror " + preamble_.name);
    if (theirs->answer != (side_ == Side::kDialler)) return fail_with("the peer answers where it has to ask");
    if (side_ == Side::kDialler && (theirs->pair != preamble_.pair || theirs->channel != preamble_.channel))
        return fail_with("the peer answers another connection");
    preamble_ = std::move(*theirs);
    return state_ = State::kReady;
}

// The acceptor's half waits for the other one: nothing may come before the answer but an end.
Joining::State Joining::overheard() {
    if (side_ == Side::kDialler) return state_;
    uint8_t early = 0;
    stream_->grant();
    const IoResult got = stream_->read({&early, 1});
    if (got.state == IoState::kBlocked) return state_;
    return fail_with(got.state == IoState::kDone ? "the peer spoke before it was answered" : stream_->why());
}

bool Joining::answer() {
    Preamble mine = preamble_;
    mine.answer = true;
    const PreambleBytes bytes = encode_preamble(mine);
    const IoResult sent = stream_->write(bytes);
    return sent.bytes == bytes.size() && stream_->drain() == IoState::kDone;
}

void Joining::watch(const Poller& poller) {
    // A dialler's half that has its answer may hold frames already; they are read once the pair is complete.
    const uint32_t in = side_ == Side::kDialler && state_ == State::kReady ? 0U : static_cast<uint32_t>(EPOLLIN);
    const uint32_t out = stream_->wants_to_send() ? static_cast<uint32_t>(EPOLLOUT) : 0U;
    poller.watch(stream_->descriptor(), kAwakeJoiner, in | out, watched_);
}

std::unique_ptr<PeerStream> Joining::take(uint32_t& watched) {
    watched = watched_;
    return std::move(stream_);
}

// ---- for both ----

std::string endpoint(const std::string& address, uint16_t port) {
    const bool v6 = address.find(':') != std::string::npos;
    return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

void prepare_socket(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnansweredMs, sizeof kUnansweredMs);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
}

std::unique_ptr<PeerStream> make_stream(UniqueFd socket, const TlsContext* tls, Side side, Channel channel) {
    const size_t bytes = channel == Channel::kBulk ? PeerStream::kLargeBuffer : PeerStream::kSmallBuffer;
    return std::make_unique<PeerStream>(std::move(socket), tls, side, bytes);
}

}  // namespace kagami::mirror
