// What the cluster's register and the mirror driver say to each other about one mirror: plain values, used by both
// engines, by the socket between kagamid and kagami-mirrord, and by status displays. Source: protocol.md 9, mirror.md 6.
//
// The document holds a Record per mirror. The driver holds a replica and asks for changes with a Wish inside its
// Report; the leader's policy answers a wish only by changing the document (level-triggered: a wish is repeated until
// the chosen record shows it, or shows that it can never come true).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/ids.h"
#include "common/time.h"

namespace kagami::mirror {

// One lineage of the data. The counter is for people; equality of both parts is what counts. counter 0 = none.
struct Generation {
    uint64_t counter = 0;
    Uuid random{};
    auto operator<=>(const Generation&) const = default;
    bool none() const { return counter == 0; }
};
std::string to_string(const Generation& generation);  // "7:3f9a02c1"

// What the register says of one replica. Only kCurrent may be promoted, or be the source of a resync.
enum class Standing : uint8_t {
    kUnbuilt,  // never held data of this mirror
    kCurrent,  // holds every acknowledged write
    kStale,    // a write was, or may have been, acknowledged without it; a bitmap resync may bring it back
    kSuspect,  // its disk is not the one that was last attached, or failed: only a full copy brings it back
};
struct RecordReplica {
    Nonce nonce;       // of the attached disk ...
    Nonce next_nonce;  // ... or the one that its driver is about to write; 0 = none. A disk that holds neither is
                       // another disk, or an older image of it
    Standing standing = Standing::kUnbuilt;
    bool operator==(const RecordReplica&) const = default;
};
// A person's standing order against resynchronising.
enum class Hold : uint8_t {
    kNone,
    kCancelled,  // `mirror cancel`: no automatic resync until `mirror resync`
    kBroken,     // `mirror break`: no replication at all until `mirror rejoin`
};
struct Record {  // an entry of the document
    Uuid uuid{};
    Generation generation;  // of the current copies; none() = never constructed
    std::map<NodeId, RecordReplica> replicas;
    Hold hold = Hold::kNone;
    bool operator==(const Record&) const = default;

    Standing standing(NodeId node) const;
    size_t current_count() const;
};

// What a driver wants of the register. kSolo and kAdd are a compare-and-swap: refused (that is: never fulfilled) unless
// `base` is the record's generation, the group's owner is the reporter's incarnation under `token`, and its copy is
// current and on a disk that the record knows. The others are about the reporter's own disk: nonces say which that is.
enum class WishKind : uint8_t {
    kNone,
    kAttach,   // admit my disk: it holds nonce or next_nonce of the report, and next_nonce will be its nonce
    kSettle,   // the disk's nonce is now what the record calls next_nonce: forget the older one
    kSolo,     // I am primary and have lost my peer: make me the only current copy, of generation `next`  [token]
    kAdd,      // I am primary, the peer's copy is complete and durable: it is current again  [token]; the peer's own
               // report must agree: consistent, of this generation, on a known disk
    kGiveUp,   // my disk failed: I am not current any more (granted only while another copy is)
};
struct Wish {
    WishKind kind = WishKind::kNone;
    Token token{};
    Generation base{};
    Generation next{};  // kSolo: drawn by the driver
    NodeId peer{};      // kAdd
    bool operator==(const Wish&) const = default;
};

enum class Role : uint8_t { kDetached, kSecondary, kPrimary };
enum class DiskState : uint8_t {
    kNone,          // not attached; the message says why
    kNew,           // attached, never constructed
    kConsistent,    // holds a consistent image of its generation
    kInconsistent,  // target of an unfinished resync, or waits for a full copy
    kFailed,        // I/O errors
};
// Of the primary; kIdle on a secondary.
enum class Mode : uint8_t {
    kIdle,
    kConnected,  // every acknowledgement needs the peer
    kStalled,    // peer lost: nothing is acknowledged until the solo grant is chosen
    kSolo,       // acknowledges alone
    kSyncing,    // alone, copying to the peer
    kJoining,    // copied; the add is proposed: the peer is needed again
    kHalted,     // the register refused: no acknowledgement, ever, for this token
};
enum class Resync : uint8_t { kNone, kSource, kTarget };

// What a node tells of its replica, to the leader and to displays.
struct Report {
    std::string mirror;
    Role role = Role::kDetached;
    DiskState disk = DiskState::kNone;
    Mode mode = Mode::kIdle;
    Token token;  // promoted under; zero = not promoted
    Nonce nonce;
    Nonce next_nonce;
    Generation generation;
    uint64_t size_bytes = 0;  // of the data, as the mirror exports it; 0 = unknown
    bool connected = false;   // handshake with the peer done
    Resync resync = Resync::kNone;
    uint8_t percent = 0;       // of the resync under way
    uint64_t dirty_bytes = 0;  // still to copy, rounded up to MiB so that a report does not change with every write
    Wish wish;
    std::string message;  // what is wrong, for a person: "node2: data device /dev/sdb1 is mounted"; empty = nothing
    bool operator==(const Report&) const = default;
};

// What the daemon tells its driver: the chosen record and what it means here.
struct Authority {
    std::string mirror;
    Record record;
    Version version;           // of the chosen document it comes from
    bool member = false;       // that document names this incarnation as a member
    bool fresh = false;        // ... and a lease says that the document is the newest
    Token token;               // this incarnation owns the mirror's group under this token and shall run it; zero = not
    Duration detect{};         // T_detect: how long a peer may be silent
    bool operator==(const Authority&) const = default;
};

const char* word(Standing standing);  // "current"
const char* word(Mode mode);
const char* word(DiskState disk);
const char* word(Role role);

}  // namespace kagami::mirror
