// One TCP connection to the peer's driver, with TLS 1.3 on it: connect, handshake, then bytes both ways.
// States: connecting -> handshake -> open; any -> ended (why() says it, once and for all).
// The peer's certificate is checked inside the handshake, by the cluster's own rules (runtime/pki.h): an open stream
// belongs to the expected node of the expected cluster. Small pieces are gathered into records of 16 KiB, records into
// fixed buffers, so that a system call carries many; read() takes a bounded amount of the socket between two calls of
// grant(), so that one stream cannot keep its thread. Memory is allocated when the stream is made, in the handshake and
// at a change of keys; besides, OpenSSL 3.0 takes four pieces of at most 40 bytes for each record and gives them back
// at once, which the C library serves from the thread's own cache (tests/component/mirror_channel/allocation_test.cc
// watches). Errors: an IoResult of kEnded. Leaves to others: deadlines, polling.
#pragma once

#include <memory>
#include <string>

#include "common/files.h"
#include "common/ids.h"
#include "mirror-driver/io/channel/byte_stream.h"

namespace kagami::mirror {

// Keys and rules of one mirror's streams. Shared by them; must outlive them.
class TlsContext {
 public:
    // `pki_directory`: ca.crt, node.crt, node.key. The other side must be node `peer` of `cluster`.
    static Result<std::unique_ptr<TlsContext>> load(const std::string& pki_directory, const Uuid& cluster, NodeId self,
                                                    NodeId peer);
    ~TlsContext();
    // Files that changed since count for the handshakes that follow; while they cannot be used, the former do.
    void refresh();
    struct Impl;
    const Impl& impl() const { return *impl_; }

 private:
    explicit TlsContext(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

enum class Side : uint8_t { kDialler, kAcceptor };

class PeerStream : public ByteStream {
 public:
    static constexpr size_t kLargeBuffer = size_t{256} << 10U;  // of a stream that carries data
    static constexpr size_t kSmallBuffer = size_t{64} << 10U;
    static constexpr uint64_t kRecordsPerKey = uint64_t{1} << 23U;

    // `socket` is non-blocking, and connected or connecting; without a context the bytes are sent as they are.
    PeerStream(UniqueFd socket, const TlsContext* context, Side side, size_t buffer_bytes,
               uint64_t records_per_key = kRecordsPerKey);
    ~PeerStream() override;
    PeerStream(const PeerStream&) = delete;
    PeerStream& operator=(const PeerStream&) = delete;

    // Connect and handshake; kDone = open.
    IoState establish();
    IoResult read(std::span<uint8_t> into) override;
    IoResult write(std::span<const uint8_t> bytes) override;
    IoState drain();  // sends what was written; kDone = all of it
    void grant();     // reading may take the next portion from the socket
    void close();     // says good-bye if the socket takes it

    int descriptor() const { return socket_.get(); }
    bool wants_to_send() const;  // poll for writing
    const std::string& why() const { return why_; }
    bool path_failed() const { return path_failed_; }  // the network did, as far as one can tell, not the peer
    uint64_t records() const { return records_; }      // sent under the key in use; only TLS counts

 private:
    struct Tls;
    struct Buffer;
    enum class Phase : uint8_t { kConnecting, kHandshake, kOpen, kEnded };

    IoState finish_connect();
    IoState handshake();
    IoResult end(std::string why);
    void note_error(int error_number);
    IoResult receive(std::span<uint8_t> into);
    IoResult fetch(std::span<uint8_t> into);
    IoResult send_now(std::span<const uint8_t> bytes);
    IoResult write_plain(std::span<const uint8_t> bytes);
    IoResult write_record(std::span<const uint8_t> bytes);
    IoState seal_stage();
    bool renew_key();
    void tls_failed(int result);

    UniqueFd socket_;
    Phase phase_ = Phase::kConnecting;
    std::string why_;
    std::unique_ptr<Buffer> in_;
    std::unique_ptr<Buffer> out_;
    std::unique_ptr<Buffer> stage_;  // plain text of the record being gathered
    std::unique_ptr<Tls> tls_;
    int portions_ = 1;  // reads of the socket that are still granted
    bool blocked_ = false;
    bool path_failed_ = false;
    uint64_t records_per_key_;
    uint64_t records_ = 0;
};

}  // namespace kagami::mirror
