// What nodes and the witness say to each other. One canonical codec (messages.cc) for UDP and gRPC alike; every list
// and string is bounded and checked before anything is allocated. The sender's identity comes from the channel
// (certificate or key), never from here.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cluster-daemon/engine/document.h"
#include "common/ids.h"
#include "common/time.h"

namespace kagami::engine {

constexpr size_t kMaxMessageBytes = size_t{512} * 1024;
constexpr size_t kMaxDatagramBytes = 1400;

// Every T_renew to every peer, on all networks. A trigger and a source for displays, never a proof (but the boot id
// proves P2).
struct Heartbeat {
    Incarnation incarnation;
    bool joining = true;  // not yet admitted in this incarnation
    bool guard_alive = false;
    bool leaving = false;
    Epoch epoch;      // promised
    NodeId leader;    // whom it follows now; kNobody
    Version version;  // newest accepted document
    Hash timing_digest{};
    VoterId voter;
    Nonce nonce;
    Nonce next_nonce;    // made durable at this boot, waits to be admitted
    uint32_t heard = 0;  // bit n = hears node n+1 now
    bool hears_witness = false;
    bool operator==(const Heartbeat&) const = default;
};

struct PreVote {  // would you promise? nothing durable
    Epoch epoch;
    Incarnation candidate;
    bool hand_over = false;
    bool operator==(const PreVote&) const = default;
};
struct PreVoteReply {
    Epoch epoch;
    bool granted = false;
    Epoch promised;
    Duration lease_left{};  // how long the voter still refuses
    bool operator==(const PreVoteReply&) const = default;
};

struct Prepare {
    Epoch epoch;
    Incarnation candidate;
    bool hand_over =
        false;  // the present leader asked for it (HandOver); valid only where the voter's leader released its promise
    bool operator==(const Prepare&) const = default;
};
struct PrepareReply {
    Epoch epoch;
    bool promised_it = false;
    Epoch promised;  // on refusal: what it promised to somebody else
    Duration lease_left{};
    VoterId voter;
    Nonce nonce;
    Version accepted;
    Bytes document;  // the accepted document; empty on refusal
    bool operator==(const PrepareReply&) const = default;
};

struct Accept {
    Version version;
    Bytes document;
    Hash timing_digest{};
    bool operator==(const Accept&) const = default;
};
struct AcceptReply {
    Version version;
    bool accepted = false;  // durable
    Epoch promised;
    VoterId voter;
    Nonce nonce;
    bool operator==(const AcceptReply&) const = default;
};

struct Renew {
    Epoch epoch;
    uint64_t stamp = 0;  // the leader's BOOTTIME ns at sending; echoed, never compared elsewhere
    Hash timing_digest{};
    Version chosen;  // newest document known to be chosen
    bool operator==(const Renew&) const = default;
};
struct RenewAck {
    Epoch epoch;
    uint64_t stamp = 0;
    bool acknowledged = false;
    Epoch promised;
    Version newest;  // newest document that the voter has accepted
    VoterId voter;
    Nonce nonce;
    bool operator==(const RenewAck&) const = default;
};

struct LeaseRequest {    // a follower asks the leader for its node lease
    uint64_t stamp = 0;  // the follower's BOOTTIME ns at sending
    Incarnation incarnation;
    Hash timing_digest{};
    bool operator==(const LeaseRequest&) const = default;
};
struct LeaseGrant {
    uint64_t stamp = 0;
    Epoch epoch;
    Duration length{};  // from the stamp: min(T_hold, what is left of the leader's own lease)
    Version newest;     // newest document accepted or proposed by the leader: the local one must be at least this
    bool operator==(const LeaseGrant&) const = default;
};

struct HandOver {  // leader -> node that shall lead; the leader has stopped deciding, its run lease goes on
    Epoch epoch;
    NodeId to;
    bool operator==(const HandOver&) const = default;
};
struct Release {  // leader -> voters: `to` may prepare although my promise still stands
    Epoch epoch;
    NodeId to;
    bool operator==(const Release&) const = default;
};

struct FetchDocument {
    Version have;
    bool operator==(const FetchDocument&) const = default;
};
struct DocumentIs {  // the sender's accepted document, for nodes that are behind: the same as a late copy of its Accept
    Bytes document;
    bool operator==(const DocumentIs&) const = default;
};

enum class StopReason : uint8_t {  // CLP_FACTOR of expresscluster.md 2.4
    kGroupStop,
    kGroupMove,
    kGroupFailover,
    kServerShutdown,
    kClusterShutdown,
    kResourceRestart,
    kGroupRestart,
};
struct StartGroup {  // repeated until the report of the node matches
    std::string group;
    Token token;
    bool failover = false;        // CLP_EVENT FAILOVER instead of START
    bool proven_stopped = false;  // proof P1 about the former owner
    NodeId previous;              // CLP_SERVER_PREV
    bool operator==(const StartGroup&) const = default;
};
struct StopGroup {
    std::string group;
    Token token;
    StopReason reason = StopReason::kGroupStop;
    uint8_t last_action = 0;  // 0 none, 1 halt, 2 reboot (CLP_LASTACTION)
    bool operator==(const StopGroup&) const = default;
};

enum class GroupState : uint8_t { kStopped, kStarting, kActive, kStopping, kStopFailed, kStartFailed, kSuspended };
enum class ResourceState : uint8_t {
    kUnknown,
    kOffline,
    kOnlinePending,
    kOnline,
    kOfflinePending,
    kOnlineFailure,
    kOfflineFailure
};
enum class MonitorState : uint8_t { kUnused, kOffline, kNormal, kCaution, kError, kSuspended, kUnknown };

struct ResourceReport {
    std::string name;
    ResourceState state = ResourceState::kUnknown;
    std::string message;
    bool operator==(const ResourceReport&) const = default;
};
struct GroupReport {
    std::string group;
    GroupState state = GroupState::kStopped;
    Token token;                  // highest seen; kStopped with token t = STOPPED(t): proof P1
    bool wants_failover = false;  // recovery on this node is used up; the policy may move it
    bool failed = false;          // final state of an activation failure (no more recovery)
    std::string cause;            // sentence for people: "resource nginx: start.sh exited with status 1"
    std::vector<ResourceReport> resources;
    bool operator==(const GroupReport&) const = default;
};
struct MonitorReport {
    std::string name;
    MonitorState state = MonitorState::kUnused;
    std::string message;
    uint32_t restarts = 0;
    uint32_t failovers = 0;
    uint32_t scripts = 0;
    bool late = false;  // the last check took longer than `delay_warning` of its time-out
    bool operator==(const MonitorReport&) const = default;
};
struct PathReport {  // a path from the reporting node on which nothing arrives
    NodeId peer;
    std::string network;
    bool control = false;  // gRPC; else heartbeats
    bool operator==(const PathReport&) const = default;
};
struct NodeReport {  // node -> leader (and kept by all for status), on change and every 10 T_renew
    Incarnation incarnation;
    uint64_t serial = 0;  // grows; an older one is ignored
    Version version;      // document it acts on
    bool guard_armed = false;
    bool guarded = false;         // its guard covers what runs there: not while, or just after, it was unmanaged
    bool leaving = false;
    std::vector<GroupReport> groups;
    std::vector<MonitorReport> monitors;
    std::vector<mirror::Report> mirrors;  // of this node's driver
    uint32_t final_actions = 0;           // DurableState::final_actions
    uint64_t memory_free_mib = 0;         // coarse_mib(); 0 = not measured
    uint64_t disk_free_mib = 0;           // likewise
    std::vector<PathReport> bad_paths;
    bool operator==(const NodeReport&) const = default;
};

// A person's command, forwarded to the leader ("Relay").
enum class OperatorVerb : uint8_t {
    kGroupStart,
    kGroupStop,
    kGroupMove,
    kNodeShutdown,
    kNodeReturn,
    kClusterStart,
    kClusterStop,
    kConfigApply,
    kConfirmDown,
    kMirrorForce,   // subject: mirror; node: whose copy is declared the latest; the others become suspect
    kMirrorResync,  // subject: mirror: end a hold of kind kCancelled, try now; force: a full copy to the peer
    kMirrorCancel,  // subject: mirror: stop the resync, none by itself
    kMirrorBreak,   // subject: mirror: stop replicating
    kMirrorRejoin,  // subject: mirror: replicate again
    kResourceStart,         // subject: resource; force: also what it comes after
    kResourceStop,          // subject: resource; force: also what comes after it
    kMonitorSuspend,        // subject: monitor, or empty = all; node: where, or kNobody = everywhere; likewise the next four
    kMonitorResume,
    kMonitorDummyOn,        // verification: report an error
    kMonitorDummyOff,
    kMonitorClear,          // reset its recovery counters
    kFailoverOn,            // refused while a path is bad
    kFailoverOff,
    kFailoverForce,         // the leader's role and its groups go to another node now; refused while a copy is under way
    kMaintenanceBegin,      // scope and subject: of what; maintenance: its kind; minutes
    kMaintenanceEnd,
    kLeaderMove,            // node: to whom, or kNobody = whoever suits
    kTimeoutRatio,          // amount: the ratio; minutes; 1 = back to normal
    kFinalActionsClear,     // node, or kNobody = all
    kConfigConfirm,
};
enum class MaintenanceScope : uint8_t { kCluster, kNode, kGroup };
struct OperatorRequest {
    uint64_t id = 0;  // unique per origin node
    OperatorVerb verb = OperatorVerb::kGroupStart;
    std::string subject;  // group or node name
    NodeId node;          // target node, or kNobody = the policy chooses
    Bytes bundle;         // kConfigApply: packed bundle
    Hash expected{};      // kConfigApply: hash of the configuration it was made from; zeros = whatever is in force
    std::string person;   // for the audit record
    bool reboot = false;  // kNodeShutdown: reboot the OS; kClusterStop likewise
    bool halt = false;    // kNodeShutdown / kClusterStop: also shut the OS down
    bool force = false;   // kClusterStart: without waiting; kConfigApply: whatever is in force
    bool alone = false;   // kClusterStart: without the nodes that were confirmed down, even without a majority
    bool dry_run = false;  // say what would happen, change nothing
    uint32_t minutes = 0;  // kMaintenanceBegin, kTimeoutRatio: how long; kNodeShutdown with reboot: its groups wait
    uint32_t amount = 0;   // kTimeoutRatio; kConfigApply: seconds within which it must be confirmed, 0 = at once
    MaintenanceKind maintenance = MaintenanceKind::kNone;
    MaintenanceScope scope = MaintenanceScope::kCluster;
    bool operator==(const OperatorRequest&) const = default;
};
enum class OperatorOutcome : uint8_t { kAccepted, kDone, kRefused, kFailed };
struct OperatorReply {  // kAccepted may be followed by kDone or kFailed
    uint64_t id = 0;
    OperatorOutcome outcome = OperatorOutcome::kRefused;
    uint8_t code = 0;  // ErrorCode
    std::string message;
    std::string remedy;
    bool operator==(const OperatorReply&) const = default;
};

using Message = std::variant<Heartbeat, PreVote, PreVoteReply, Prepare, PrepareReply, Accept, AcceptReply, Renew,
                             RenewAck, LeaseRequest, LeaseGrant, HandOver, Release, FetchDocument, DocumentIs,
                             StartGroup, StopGroup, NodeReport, OperatorRequest, OperatorReply>;

Bytes encode(const Message& message);
Result<Message> decode_message(std::span<const uint8_t> bytes);
const char* name_of(const Message& message);  // "Renew", for logs and transcripts
// What a sender is entitled to say, checked before anything else is looked at. A node may say everything. The witness is
// a voter and nothing more: it tells that it lives, answers with its vote and passes documents on. It never contends,
// leads, gives leases or orders, and no person commands the cluster through it.
bool may_send(NodeId from, const Message& message);

// Rounded down to four leading binary digits: small movements are no news. What is compared with it is rounded likewise.
uint64_t coarse_mib(uint64_t value);
bool is_datagram(const Message& message);  // Heartbeat, Renew, RenewAck, LeaseRequest, LeaseGrant: UDP; the rest: gRPC

}  // namespace kagami::engine
