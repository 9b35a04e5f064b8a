// One replica of a mirror: write path, currency, handshake, resync, promotion and demotion. Pure and deterministic; it
// never sees bytes. Owned by one thread. Rules: protocol.md 9, mirror.md 5 and 6.
//
// Shell's contract (driver, simulator, tests alike):
//   - step() for every event, then take_output() once; carry it out in the order of the lists: metadata, data, frames,
//     disconnect, completions, released. (A disconnect comes before the completions, whose buffers may still be in the
//     queues of the connection.) The output's vectors are reused: swap them in and out, allocate nothing per request.
//   - one metadata batch at a time (MetadataBatch::serial); nothing of the next one is written before the flush of
//     this one was confirmed. A failed batch is MetadataDone{ok = false}: the replica stops being primary.
//   - one connection at a time; LinkUp(n) ends every earlier one. Frames of an ended connection are dropped.
//   - Lease: until when this node may acknowledge under the token (the guard's page). The engine itself withholds
//     completions of reads, writes and flushes past it; they go out when the lease comes back under the same token, or fail with
//     EIO once it halts.
// Memory: everything for kMaxRequests requests, the bitmaps and the log is allocated in the constructor.
//
// Modes of a primary: common/mirror.h. A write is completed when it is local and (the peer has it, or the mode is kSolo
// or kSyncing with its bit set); a flush likewise. Solo ends when the add is *proposed*.
// Invariants (asserted here and checked by the simulator): I4 to I9; no completion of a write without a token; bits are
// cleared only by a confirmed copy, or by an order that names the mirror.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "common/result.h"
#include "mirror-driver/engine/frames.h"
#include "mirror-driver/engine/handshake.h"
#include "mirror-driver/engine/metadata.h"

namespace kagami::mirror {

constexpr uint32_t kMaxRequests = 256;  // client requests under way
constexpr uint32_t kMaxForeign = 256;   // frames of the peer under way on this side
constexpr uint32_t kMaxCopies = 16;     // copies of a resync under way; at most half of the buffers

enum class Operation : uint8_t {
    kRead,
    kWrite,
    kZero,   // write zeroes, and discard: the blocks read as zeroes afterwards
    kFlush,
};

// ---- in ----
struct ClientRequest {
    RequestId id;
    Operation operation = Operation::kRead;
    Extent extent;  // aligned, inside the disk (checked by the front end)
    BufferId buffer = kNoBuffer;  // kRead: to be filled; kWrite: the data; stays the request's until its completion
};
struct IoDone {
    IoId id;
    int error = 0;                // errno
    BufferId buffer = kNoBuffer;  // of a read that asked for a buffer of the pool
};
struct MetadataDone {
    uint64_t serial = 0;
    bool ok = false;
};
struct LinkUp {
    ConnectionId connection;
};
struct LinkDown {
    ConnectionId connection;
    std::string why;
};
struct FrameReceived {
    ConnectionId connection;
    Frame frame;  // its payload buffer belongs to the engine until it is released
};
struct AuthorityIs {
    Authority authority;
};
struct Lease {
    Instant until;  // zero = none
};
struct Woken {};

enum class OrderKind : uint8_t {
    kPromote,    // under authority.token; done when the disk may be opened
    kDemote,     // nobody has it open any more: drain, flush both sides, clear primary indicated
    kFailAll,    // the front end is gone: whatever is under way fails, nothing new comes
    kResync,     // try now, whatever the back-off
    kDetach,     // the driver stops: clean only when secondary
};
struct Order {
    uint64_t id = 0;
    OrderKind kind = OrderKind::kPromote;
};

using Event = std::variant<ClientRequest, IoDone, MetadataDone, LinkUp, LinkDown, FrameReceived, AuthorityIs, Lease, Woken,
                           Order>;

// ---- out ----
struct DataIo {
    IoId id;
    Operation operation = Operation::kRead;
    Extent extent;
    BufferId buffer = kNoBuffer;  // kNoBuffer with kRead: take one of the pool's resync share, hand it back in IoDone
};
struct SendFrame {
    Frame frame;
    bool release = false;  // the payload goes back to the pool once it is sent (or the connection has ended)
};
struct Completion {
    RequestId id;
    int error = 0;
    BufferId data = kNoBuffer;  // of a read that the peer answered: the bytes lie here and not in the request's buffer;
                                // copy them (the buffer itself is in `released` of the same output)
};
struct OrderDone {
    uint64_t id = 0;
    Status status;
};
struct Disconnect {
    ConnectionId connection;
    std::string why;
    Duration back_off{};  // not again before
};

struct Output {
    std::optional<MetadataBatch> metadata;  // write it with context() and bitmap() as they are now
    std::vector<DataIo> data;
    std::vector<SendFrame> frames;
    std::optional<Disconnect> disconnect;
    std::vector<Completion> completions;
    std::vector<BufferId> released;  // payloads of received frames; carried out after the completions
    std::vector<OrderDone> orders;
    std::vector<std::string> notes;  // what changed and why: the driver's log
    bool report_changed = false;
    std::optional<Instant> wake_at;  // replaces the earlier one; nothing = no timer
    void clear();
};

struct Settings {
    Loaded loaded;
    NodeId self;
    NodeId peer;
    BootId boot{};
    Uuid instance{};
    uint64_t seed = 0;            // nonces, generations
    bool resume_primary = false;  // the front end's descriptor survived: go on as the primary of loaded.context.highest_token
    bool automatic_resync = true;
    std::string name;
    std::string peer_name;  // for sentences
};

struct Progress {  // of the resync under way
    Resync direction = Resync::kNone;
    bool full = false;
    uint64_t total_bytes = 0;
    uint64_t done_bytes = 0;
    Instant since;
    std::string stall;  // why it does not move; empty = it does
};
struct Counters {  // since the driver's start
    uint64_t reads = 0, writes = 0, flushes = 0;
    uint64_t read_bytes = 0, written_bytes = 0, sent_bytes = 0, received_bytes = 0, copied_bytes = 0;
    uint64_t log_transactions = 0, bitmap_pages = 0;
    Duration longest_stall{};  // of an acknowledgement
};

class Mirror {
 public:
    Mirror(Settings settings, Instant now);
    ~Mirror();
    Mirror(Mirror&&) noexcept;
    Mirror& operator=(Mirror&&) noexcept;

    void step(const Event& event, Instant now);
    void take_output(Output& into);  // swaps the vectors

    const Context& context() const;
    const Bitmap& bitmap() const;
    Report report() const;
    Progress progress() const;
    const Counters& counters() const;
    bool idle() const;  // nothing under way: no request, no I/O, no batch
    bool covered(const Extent& extent) const;  // by a bit, the log, or a full-sync flag: for checks of I8

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::mirror
