#include "mirror-driver/io/channel/peer_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common/assert.h"
#include "mirror-driver/io/channel/tls_context.h"

namespace kagami::mirror {
namespace {

constexpr size_t kRecordBytes = 16384;        // the largest plain text of a TLS record
constexpr size_t kSealedBytes = 16384 + 512;  // a sealed one, with room for a change of keys before it
constexpr size_t kDirectBytes = 8192;         // pieces from here on are sealed (or sent) from where they are
constexpr size_t kHandshakeBytes = 32768;     // what one side of a handshake may say at once
constexpr int kPortions = 4;                  // reads of the socket between two calls of grant()

}  // namespace

// A linear buffer: filled at the end, emptied from the front, rewound when it is empty.
struct PeerStream::Buffer {
    explicit Buffer(size_t capacity) : bytes(capacity) {}
    std::vector<uint8_t> bytes;
    size_t begin = 0;
    size_t end = 0;

    bool empty() const { return begin == end; }
    std::span<const uint8_t> content() const { return std::span(bytes).subspan(begin, end - begin); }
    std::span<uint8_t> room() { return std::span(bytes).subspan(end); }
    void consume(size_t count) {
        begin += count;
        if (begin == end) begin = end = 0;
    }
    size_t append(std::span<const uint8_t> more) {
        const size_t count = std::min(more.size(), bytes.size() - end);
        std::memcpy(bytes.data() + end, more.data(), count);
        end += count;
        return count;
    }
    size_t take(std::span<uint8_t> into) {
        const size_t count = std::min(into.size(), end - begin);
        std::memcpy(into.data(), bytes.data() + begin, count);
        consume(count);
        return count;
    }
};

// OpenSSL reads and writes through a BIO on the stream's own buffers.
struct PeerStream::Tls {
    std::unique_ptr<SSL, OpensslDeleter<SSL_free>> ssl;
    std::string refusal;  // of the certificate check

    static int bio_write(BIO* bio, const char* data, int length) {
        auto* const stream = static_cast<PeerStream*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const auto piece = std::span(reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(length));
        const size_t taken = stream->out_->append(piece);
        if (taken > 0) return static_cast<int>(taken);
        BIO_set_retry_write(bio);
        return -1;
    }
    static int bio_read(BIO* bio, char* data, int length) {
        auto* const stream = static_cast<PeerStream*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        const IoResult got = stream->fetch({reinterpret_cast<uint8_t*>(data), static_cast<size_t>(length)});
        if (got.state == IoState::kDone) return static_cast<int>(got.bytes);
        if (got.state == IoState::kBlocked) BIO_set_retry_read(bio);
        return got.state == IoState::kBlocked ? -1 : 0;
    }
    static long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
    static BIO_METHOD* method() {
        static BIO_METHOD* const made = [] {
            BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kagami stream");
            KAGAMI_ASSERT(fresh != nullptr && BIO_meth_set_write(fresh, bio_write) == 1 &&
                              BIO_meth_set_read(fresh, bio_read) == 1 && BIO_meth_set_ctrl(fresh, bio_control) == 1,
                          "a BIO method needs a few hundred bytes");
            return fresh;
        }();
        return made;
    }
    Tls(PeerStream* stream, const TlsContext& context, Side side) : ssl(SSL_new(context.impl().context.get())) {
        BIO* const bio = BIO_new(method());
        KAGAMI_ASSERT(ssl && bio != nullptr, "memory for a TLS connection");
        BIO_set_data(bio, stream);
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl.get(), bio, bio);
        SSL_set_app_data(ssl.get(), &refusal);
        side == Side::kDialler ? SSL_set_connect_state(ssl.get()) : SSL_set_accept_state(ssl.get());
    }
};

PeerStream::PeerStream(UniqueFd socket, const TlsContext* context, Side side, size_t buffer_bytes,
                       uint64_t records_per_key)
    : socket_(std::move(socket)),
      in_(std::make_unique<Buffer>(buffer_bytes)),
      out_(std::make_unique<Buffer>(std::max(buffer_bytes, kHandshakeBytes) + kSealedBytes)),
      stage_(std::make_unique<Buffer>(kRecordBytes)),
      tls_(context == nullptr ? nullptr : std::make_unique<Tls>(this, *context, side)),
      records_per_key_(records_per_key) {}

PeerStream::~PeerStream() = default;

IoResult PeerStream::end(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    phase_ = Phase::kEnded;
    return {IoState::kEnded, 0};
}

void PeerStream::note_error(int error_number) {
    if (why_.empty()) why_ = errno_text(error_number);
    constexpr std::array kOfTheNetwork{ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN};
    path_failed_ = path_failed_ || std::ranges::find(kOfTheNetwork, error_number) != kOfTheNetwork.end();
}

// ---- the way up ----

IoState PeerStream::establish() {
    if (phase_ == Phase::kConnecting) {
        if (const IoState connected = finish_connect(); connected != IoState::kDone) return connected;
    }
    if (phase_ == Phase::kHandshake) return handshake();
    return phase_ == Phase::kOpen ? IoState::kDone : IoState::kEnded;
}

IoState PeerStream::finish_connect() {
    pollfd ready{socket_.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 0) <= 0) return IoState::kBlocked;
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) note_error(error);
    if (error != 0) return end(why_).state;
    phase_ = tls_ ? Phase::kHandshake : Phase::kOpen;
    return IoState::kDone;
}

IoState PeerStream::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(tls_->ssl.get());
    if (result == 1) phase_ = Phase::kOpen;
    if (result != 1) tls_failed(result);
    // The last words go out in any case: they tell the peer why.
    while (!out_->empty()) {
        const IoResult sent = send_now(out_->content());
        if (sent.state != IoState::kDone) break;
        out_->consume(sent.bytes);
    }
    if (phase_ == Phase::kOpen) return IoState::kDone;
    return phase_ == Phase::kEnded ? IoState::kEnded : IoState::kBlocked;
}

void PeerStream::tls_failed(int result) {
    const int kind = SSL_get_error(tls_->ssl.get(), result);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return;
    const std::string text = tls_error_text();
    if (kind == SSL_ERROR_ZERO_RETURN) {
        end("closed by the peer");
    } else if (!tls_->refusal.empty()) {
        end(tls_->refusal);
    } else {
        end("TLS: " + (text.empty() ? std::string("broken off") : text));
    }
}

// ---- in ----

void PeerStream::grant() {
    portions_ = kPortions;
}

IoResult PeerStream::receive(std::span<uint8_t> into) {
    if (phase_ == Phase::kEnded) return {IoState::kEnded, 0};
    if (portions_ == 0) return {IoState::kBlocked, 0};
    --portions_;
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (got > 0 && static_cast<size_t>(got) < into.size()) portions_ = 0;  // that was all
    if (got > 0) return {IoState::kDone, static_cast<size_t>(got)};
    if (got == 0) return end("closed by the peer");
    portions_ = 0;
    if (errno == EAGAIN || errno == EINTR) return {IoState::kBlocked, 0};
    note_error(errno);
    return end(why_);
}

IoResult PeerStream::fetch(std::span<uint8_t> into) {
    if (in_->empty()) {
        const IoResult got = receive(in_->room());
        if (got.state != IoState::kDone) return got;
        in_->end = got.bytes;
    }
    return {IoState::kDone, in_->take(into)};
}

IoResult PeerStream::read(std::span<uint8_t> into) {
    if (phase_ != Phase::kOpen) return {phase_ == Phase::kEnded ? IoState::kEnded : IoState::kBlocked, 0};
    if (!tls_) return in_->empty() && into.size() >= kDirectBytes ? receive(into) : fetch(into);
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(tls_->ssl.get(), into.data(), into.size(), &got);
    if (result == 1) return {IoState::kDone, got};
    tls_failed(result);
    return {phase_ == Phase::kEnded ? IoState::kEnded : IoState::kBlocked, 0};
}

// ---- out ----

bool PeerStream::wants_to_send() const {
    return phase_ == Phase::kConnecting || blocked_;
}

IoResult PeerStream::send_now(std::span<const uint8_t> bytes) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    blocked_ = sent < 0 && (errno == EAGAIN || errno == EINTR);
    if (sent >= 0) return {IoState::kDone, static_cast<size_t>(sent)};
    if (blocked_) return {IoState::kBlocked, 0};
    note_error(errno);  // what the peer said before it left can still be read
    return {IoState::kEnded, 0};
}

IoState PeerStream::drain() {
    if (phase_ == Phase::kEnded) return IoState::kEnded;
    do {
        if (const IoState sealed = seal_stage(); sealed != IoState::kDone) return sealed;
        while (!out_->empty()) {
            const IoResult sent = send_now(out_->content());
            if (sent.state != IoState::kDone) return sent.state;
            out_->consume(sent.bytes);
        }
    } while (!stage_->empty());
    return IoState::kDone;
}

IoResult PeerStream::write(std::span<const uint8_t> bytes) {
    if (phase_ != Phase::kOpen) return {phase_ == Phase::kEnded ? IoState::kEnded : IoState::kBlocked, 0};
    if (bytes.size() < kDirectBytes) {
        if (stage_->room().empty()) {
            if (const IoState sealed = seal_stage(); sealed != IoState::kDone) return {sealed, 0};
        }
        return {IoState::kDone, stage_->append(bytes)};
    }
    if (const IoState sealed = seal_stage(); sealed != IoState::kDone) return {sealed, 0};
    return tls_ ? write_record(bytes.first(std::min(bytes.size(), kRecordBytes))) : write_plain(bytes);
}

// Moves what was gathered to the out buffer.
IoState PeerStream::seal_stage() {
    while (!stage_->empty()) {
        const IoResult moved = write_record(stage_->content());
        if (moved.state != IoState::kDone) return moved.state;
        stage_->consume(moved.bytes);
    }
    return IoState::kDone;
}

IoResult PeerStream::write_plain(std::span<const uint8_t> bytes) {
    const IoState drained = drain();
    return drained == IoState::kDone ? send_now(bytes) : IoResult{drained, 0};
}

IoResult PeerStream::write_record(std::span<const uint8_t> bytes) {
    while (out_->room().size() < kSealedBytes) {
        const IoResult sent = send_now(out_->content());
        if (sent.state != IoState::kDone) return sent;
        out_->consume(sent.bytes);
    }
    if (!tls_) return {IoState::kDone, out_->append(bytes)};
    if (!renew_key()) return {IoState::kEnded, 0};
    ERR_clear_error();
    size_t written = 0;
    const int result = SSL_write_ex(tls_->ssl.get(), bytes.data(), bytes.size(), &written);
    ++records_;
    if (result == 1) return {IoState::kDone, written};
    tls_failed(result);
    return {phase_ == Phase::kEnded ? IoState::kEnded : IoState::kBlocked, 0};
}

// AES-GCM may seal 2^24.5 records under one key (RFC 8446, 5.5), which a mirror sends in a day.
bool PeerStream::renew_key() {
    if (records_ < records_per_key_) return true;
    records_ = 0;
    if (SSL_key_update(tls_->ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1) return true;
    end("TLS: cannot change the key: " + tls_error_text());
    return false;
}

void PeerStream::close() {
    if (phase_ == Phase::kOpen && drain() == IoState::kDone && tls_) {
        ERR_clear_error();
        SSL_shutdown(tls_->ssl.get());
        drain();
    }
    end("closed");
    if (socket_.valid()) ::shutdown(socket_.get(), SHUT_WR);
    socket_.reset();
    ERR_clear_error();
}

}  // namespace kagami::mirror
