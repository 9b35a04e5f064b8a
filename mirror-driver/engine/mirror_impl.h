// What the parts of the engine share: one struct, whose members and functions are grouped by the file that owns them.
//   mirror.cc         events in, settle(), output, timers, report
//   attach.cc         nonces, the register's word about this copy
//   link.cc           connection, handshake, pings, frames to their owners
//   primary.cc        modes, solo grant, halt
//   orders.cc         promotion, demotion and the other orders
//   requests.cc       client requests: log, local I/O, peer, completion
//   rounds.cc         flushes of both sides, for clients and for the log
//   repairs.cc        reads that the local disk cannot answer
//   foreign.cc        frames of the primary on the secondary
//   resync_source.cc, resync_target.cc
//
// Event handlers note facts; settle() then moves every part on until nothing changes, so that a condition is looked at
// in one place whatever made it true.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "common/assert.h"
#include "mirror-driver/engine/activity_log.h"
#include "mirror-driver/engine/intervals.h"
#include "mirror-driver/engine/metadata_queue.h"
#include "mirror-driver/engine/mirror.h"

namespace kagami::mirror {

constexpr Duration kDetectUnknown = 2s;      // before the register has told T_detect
constexpr Duration kGreetingLimit = 5s;      // for a handshake
constexpr Duration kPeerWorkLimit = 20s;     // for the peer's disk: a write, a flush, the marks of a resync
constexpr Duration kSyncingWriteLimit = 3s;  // ... while nobody needs the peer: a slow target is no reason to wait
constexpr Duration kPromoteLimit = 5s;       // for the conditions of a promotion that come by themselves
constexpr Duration kReportCounts = 1s;       // between reports that differ only in what is left to copy
constexpr int kEvenPatience = 3;                // T_detect that writes wait for an even resync
constexpr Duration kRetryBackOff = 200ms;
constexpr Duration kErrorBackOff = 2s;
constexpr Duration kRefusedBackOff = 10s;
constexpr uint32_t kForeignSlots = 2 * (kMaxRequests + kMaxCopies) + 64;  // with what an older connection left behind
constexpr uint64_t kCopyBytes = uint64_t{256} << 10U;  // of one copy: its interval holds back clients
constexpr uint64_t kZeroChunkBytes = 8 * kHotExtentBytes;
constexpr uint32_t kDirtyWindow = 32;  // kDirty frames without acknowledgement
constexpr uint64_t kDirtyRunBytes = uint64_t{1} << 30U;
constexpr uint64_t kManyDirtyBlocks = 65536;  // from here on they are told in whole hot extents

// Whose I/O or frame it is: part of every IoId and Seq, so that an answer finds its owner without a search.
enum class Owner : uint8_t { kNone, kClient, kForeign, kCopy, kFlush, kPromotion, kEnd, kDirty };

constexpr uint64_t kOwnerShift = 12;
constexpr uint64_t kIndexMask = (uint64_t{1} << kOwnerShift) - 1;

struct Request {  // of a client
    enum class Stage : uint8_t {
        kFree,
        kGate,      // the mode does not allow it: holds nothing, so that a resync may copy its blocks
        kInterval,  // somebody else is at these blocks
        kLog,       // its extents are not hot yet
        kHeld,      // the mode has changed meanwhile
        kIo,        // under way, here and at the peer
        kReady,     // done; the lease, or a lost peer, holds it back
        kRepairInterval,
        kRepairAsk,
        kRepairWrite,
    };
    enum class Far : uint8_t { kNone, kSent, kAcked };
    Stage stage = Stage::kFree;
    Operation operation = Operation::kRead;
    RequestId id;
    Extent extent;     // of the part under way
    uint64_t end = 0;  // of the whole; a long zero goes in parts
    BufferId buffer = kNoBuffer;
    BufferId repaired = kNoBuffer;  // the peer's answer to a read
    IoId io;
    bool local = false;  // local I/O under way
    bool pinned = false;
    bool interval = false;
    int error = 0;
    Far far = Far::kNone;
    Seq seq = 0;
    Instant sent;
    Instant arrived;
    uint64_t local_round = 0;  // kFlush: the rounds that it waits for
    uint64_t far_round = 0;
};

struct Foreign {  // a frame of the primary, on the secondary
    enum class Stage : uint8_t { kFree, kInterval, kBehind, kIo };
    Stage stage = Stage::kFree;
    FrameType type = FrameType::kWrite;
    ConnectionId connection;
    uint64_t arrival = 0;
    Seq seq = 0;
    Extent extent;
    BufferId payload = kNoBuffer;
    IoId io;
};

struct Copy {
    enum class Stage : uint8_t { kFree, kInterval, kReading, kSent };
    Stage stage = Stage::kFree;
    bool dropped = false;  // its resync ended while it was being read
    Extent extent;
    IoId io;
    Seq seq = 0;
    Instant sent;
};

struct Link {
    ConnectionId id;
    bool up = false;
    Instant since;
    Instant heard;
    Instant pinged;
    uint64_t frames = 0;
    std::optional<Hello> mine;
    std::optional<Hello> theirs;
    std::optional<HandshakeDecision> decision;
    std::optional<HandshakeDecision> their_verdict;
    Barrier before_verdict;
    bool verdict_sent = false;
    bool established = false;
    bool sending = false;  // primary: writes go to the peer
};

struct Rounds {  // flushes, one at a time and place; a round started later covers more
    bool local_under_way = false;
    bool far_under_way = false;
    uint64_t local_started = 0;
    uint64_t local_done = 0;
    uint64_t far_started = 0;
    uint64_t far_done = 0;
    IoId io;
    Seq seq = 0;
    Instant far_since;
};

struct Source {
    enum class Phase : uint8_t { kOff, kWaiting, kAwaitReady, kMarking, kCopying, kEnding, kAdding };
    Phase phase = Phase::kOff;
    Outcome kind = Outcome::kEven;
    Barrier marked;
    uint64_t cursor = 0;
    uint32_t copies = 0;  // under way
    Seq end = 0;
    uint64_t add_round = 0;  // the flush of the target that the wish to add it waits for
    Instant since;  // of the resync
    Instant phase_since;
    uint64_t total_bytes = 0;
    bool asked = false;  // a person wants it although automatic resync is off
};

struct Target {
    enum class Phase : uint8_t { kOff, kMarking, kTelling, kRunning, kEnding };
    Phase phase = Phase::kOff;
    bool even = false;
    bool full = false;
    Barrier marked;
    uint64_t cursor = 0;
    uint32_t unanswered = 0;
    Seq end = 0;
    Instant since;
    uint64_t copied_bytes = 0;
};

enum class AttachStep : uint8_t { kStart, kWritingNext, kAsking, kWritingOwn, kSettling, kSettled };

struct Promotion {
    enum class Step : uint8_t { kConditions, kDraining, kFlushing, kWriting };
    Order order;
    Step step = Step::kConditions;
    Instant limit;
    Token token;
    IoId io;
    Barrier written;
};
struct Demotion {
    enum class Step : uint8_t { kDraining, kFlushing, kPages, kContext };
    Order order;
    Step step = Step::kDraining;
    uint64_t local_round = 0;
    uint64_t far_round = 0;
    Barrier written;
};

struct Mirror::Impl {
    Impl(Settings given, Instant at);

    // ---- mirror.cc ----
    void step(const Event& event, Instant at);
    void settle();
    void handle(const ClientRequest& event);
    void handle(const IoDone& event);
    void handle(const MetadataDone& event);
    void handle(const LinkUp& event);
    void handle(const LinkDown& event);
    void handle(const FrameReceived& event);
    void handle(const AuthorityIs& event);
    void handle(const Lease& event);
    void handle(const Woken& event);
    void handle(const Order& event);
    void settle_open();
    void drain_granted();
    void hand_out_batch();
    void metadata_failed();
    std::optional<Instant> next_timer() const;
    IoId next_io(Owner owner, size_t index);
    void local_io(IoId id, Operation operation, const Extent& extent, BufferId buffer);
    uint64_t random();
    Duration detect() const;
    Report report() const;
    std::string message() const;
    Wish wish() const;
    Progress progress() const;
    bool idle() const;
    bool covered(const Extent& extent) const;
    void note(std::string text) { out.notes.push_back(std::move(text)); }
    void changed() { again = true; }
    void notice_report();
    Extent whole_disk() const { return {0, ctx.size_bytes}; }

    // ---- attach.cc ----
    void settle_attach();
    void settle_record();
    bool record_known() const { return authority_known && authority.record.uuid == ctx.mirror; }
    const RecordReplica* own_entry() const;
    bool nonce_in_record() const;
    Standing standing() const { return authority.record.standing(settings.self); }
    Standing peer_standing() const { return authority.record.standing(settings.peer); }
    bool sole_current() const;
    void adopt(const Generation& generation, Cause cause);

    // ---- link.cc ----
    void settle_link();
    bool may_greet() const;
    Hello make_hello() const;
    void settle_verdict();
    void take_up(const HandshakeDecision& decision);
    void notice_new_record();
    void disconnect(const std::string& why, Duration back_off);
    void connection_ended(bool peer_left);
    void check_limits();
    void ping();
    void on_hello(const Frame& frame);
    void on_verdict(const Frame& frame);
    void on_role(const Frame& frame);
    void on_ack(const Frame& frame);
    void on_data_frame(const Frame& frame);
    Seq send(Frame frame, Owner owner = Owner::kNone, size_t index = 0, bool release = false);
    void answer(FrameType type, Seq seq, int error = 0);
    void release(BufferId buffer);

    // ---- primary.cc ----
    bool promoted() const { return token > Token{}; }
    void settle_primary();
    void check_register();
    bool solo_due() const;
    void wish_solo();
    void begin_grant(const Generation& generation, Cause cause);
    void enter_connected();
    void stall(bool at_once);
    void halt(const std::string& why);
    void disk_failed(const std::string& what, int error);
    bool may_issue() const;
    bool alone() const { return mode == Mode::kSolo || mode == Mode::kSyncing; }
    bool with_peer() const { return mode == Mode::kConnected || mode == Mode::kJoining || mode == Mode::kSyncing; }

    // ---- orders.cc ----
    void settle_promotion();
    std::optional<Error> promotion_obstacle(bool& passes) const;
    void begin_promotion();
    void write_promotion();
    void finish_promotion();
    void promotion_failed(Error error);
    void settle_demotion();
    void demotion_rounds();
    bool nothing_in_doubt() const;
    void finish_demotion();
    void settle_other_orders();
    void done(const Order& order, Status status = {});

    // ---- requests.cc ----
    bool doomed() const { return mode == Mode::kHalted || failing.has_value() || !promoted(); }
    void advance(size_t index);
    void advance_all();
    void part_begins(size_t index);
    void interval_granted(size_t index);
    bool enter_log(Request& request);
    void issue(size_t index);
    void send_write(size_t index);
    void settle_write(size_t index);
    void settle_flush(size_t index);
    void part_ended(size_t index);
    void give_back(size_t index);
    void complete(size_t index);
    void client_io_done(size_t index, const IoDone& event);
    void read_ended(size_t index);
    void local_write_failed(Request& request, int error);
    void client_acked(size_t index, const Frame& frame);
    void resend();
    void forget_peer();  // of every request: the connection ended
    // ---- rounds.cc: flushes ----
    void start_rounds();
    void feed_log();
    void local_round_done(int error);
    void fail_flushes();
    void flush_has_failed(int error);
    void settle_failed_flush();
    void far_round_done();
    // ---- repairs.cc: reads that this disk cannot answer ----
    void repair(size_t index);
    void repair_granted(size_t index);
    void repair_failed(size_t index);
    void repair_ended(size_t index);
    void on_read_reply(const Frame& frame);

    // ---- foreign.cc ----
    bool acting_as_target() const;
    bool acceptable(const Frame& frame);
    void take_foreign(const Frame& frame);
    void start_foreign(size_t index);
    void start_behind();
    void foreign_io_done(size_t index, const IoDone& event);
    void foreign_read_done(const Foreign& foreign, const IoDone& event);
    void free_foreign(size_t index);
    void drop_waiting_foreign();
    uint32_t foreign_under_way() const { return kForeignSlots - static_cast<uint32_t>(free_foreign_.size()); }

    // ---- resync_source.cc ----
    bool source_active() const {
        return source.phase != Source::Phase::kOff && source.phase != Source::Phase::kWaiting;
    }
    void begin_source(Outcome kind);
    void send_begin();
    void settle_source();
    void start_copying();
    void fill_copies();
    void start_copy(size_t index);
    void copy_read(size_t index, const IoDone& event);
    void copy_acked(size_t index, const Frame& frame);
    void free_copy(size_t index);
    void end_source();
    void source_end_acked(const Frame& frame);
    void source_finished();
    void abort_source();
    void on_dirty(const Frame& frame);
    void on_resync_ready();

    // ---- resync_target.cc ----
    void on_resync_begin(const Frame& frame);
    void settle_target();
    void tell_dirty();
    void target_flushed(Seq seq);
    void on_current(const Frame& frame);

    // ---- what it is ----
    Settings settings;  // without `loaded`
    Instant now;
    Context ctx;
    Bitmap bits;
    Bitmap todo;  // of the resync under way; never written to the disk
    ActivityLog log;
    MetadataQueue meta;
    Intervals intervals;
    MetadataBatch spare;  // whose vectors are reused
    Output out;
    Counters counters;
    uint64_t random_state = 0;
    uint64_t io_count = 0;
    bool again = false;  // settle once more
    bool pump = false;   // look at every request once more
    bool crashed_primary = false;
    bool opened = false;  // the bits of a former life are durable
    Barrier open_barrier;
    bool broken = false;  // the metadata cannot be written
    std::string problem;  // Report::message

    AttachStep attach = AttachStep::kStart;
    Barrier attach_barrier;
    bool attached = false;
    bool authority_known = false;
    Authority authority;
    Generation completed;  // what a resync that ended here aimed at; the register may not know yet

    Link link;

    Token token;  // promoted under; zero = secondary
    Mode mode = Mode::kIdle;
    Instant lost;              // the peer, or the promotion
    bool at_once = false;      // the solo wish need not wait
    bool resumed = false;      // goes on as the primary of a former life of this process
    std::optional<Wish> solo;  // reported
    bool granting = false;     // chosen, not yet durable here
    Barrier grant_barrier;
    Instant lease;
    std::optional<Promotion> promotion;
    std::optional<Demotion> demotion;
    std::optional<Order> failing;
    std::optional<Order> detaching;

    std::array<Request, kMaxRequests> requests;
    std::vector<uint16_t> free_requests_;
    std::vector<uint16_t> active_;  // in order of arrival
    std::vector<uint16_t> walk_;    // scratch
    Rounds rounds;
    bool flush_failed = false;  // for good: no later flush counts (protocol.md A3)
    bool local_wanted = false;
    bool far_wanted = false;

    std::array<Foreign, kForeignSlots> foreign;
    std::vector<uint16_t> free_foreign_;
    uint64_t arrivals = 0;
    uint32_t behind = 0;  // flushes that wait for earlier frames

    std::array<Copy, kMaxCopies> copies;
    Source source;
    Target target;

    struct Reported {  // what a report said last: cheap to compare
        Role role = Role::kDetached;
        DiskState disk = DiskState::kNone;
        Mode mode = Mode::kIdle;
        Token token;
        Nonce nonce;
        Nonce next_nonce;
        Generation generation;
        bool connected = false;
        Resync resync = Resync::kNone;
        uint8_t percent = 0;
        uint64_t dirty_bytes = 0;
        WishKind wish = WishKind::kNone;
        Generation wished;
        size_t problem = 0;
        bool operator==(const Reported&) const = default;
    };
    Reported summary() const;
    Reported reported;
    bool reported_once = false;
    Instant reported_at;
    std::optional<Instant> report_due;  // for what only counts
};

}  // namespace kagami::mirror
