// The one replicated document (protocol.md 3): who votes, who is a member, who owns each group, and the configuration
// in force. It is replaced as a whole by compare-and-swap; canonical bytes, each naming the sha256 of its predecessor.
// Invariants: total voter weight is odd in each set; a group has at most one owner incarnation; equal versions mean
// equal bytes (I2).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/codec.h"
#include "common/config/config.h"
#include "common/ids.h"
#include "common/mirror.h"
#include "common/result.h"

namespace kagami::engine {

constexpr size_t kMaxDocumentBytes = size_t{256} * 1024;

// A voter that lost its store comes back under the next generation, never under the same id (I13).
struct VoterId {
    NodeId node;
    uint16_t generation = 0;
    auto operator<=>(const VoterId&) const = default;
};

struct Voter {
    VoterId id;
    uint16_t weight = 1;
    Nonce nonce;       // a promise counts only when the voter's nonce is this one ...
    Nonce next_nonce;  // ... or the announced next one
    bool operator==(const Voter&) const = default;
};

enum class NodeState : uint8_t {
    kAbsent,  // configured, never admitted
    kMember,  // admitted in this incarnation
    kLeft,    // left cleanly
    kLost,    // its promises ran out (P4 recorded)
    kFenced,  // verified off (P3) or a person's word (P5)
};

// What a node does once its groups are gone: intent of `node shutdown` and `cluster stop`. Set while it is a member,
// kept when it is kLeft (so that it knows how to end), cleared at its next admission. A node whose entry becomes kLeft
// in its incarnation acts on it.
enum class Leaving : uint8_t { kNo, kStopDaemon, kHalt, kReboot };

enum class MaintenanceKind : uint8_t {
    kNone,
    kObserve,    // leases and guard go on; nothing is decided by itself: no failover, no recovery by monitors
    kUnmanaged,  // of a node: in addition its guard is disarmed, its services run on whatever becomes of the daemon
};
// A person works on it. Whoever leads counts the minutes; at 0 it ends with an alarm.
struct Maintenance {
    MaintenanceKind kind = MaintenanceKind::kNone;
    uint32_t minutes_left = 0;
    bool operator==(const Maintenance&) const = default;
};

struct NodeEntry {
    NodeState state = NodeState::kAbsent;
    BootId boot{};             // of the incarnation that was last admitted
    bool armed = false;        // its guard was armed at admission
    bool isolated = false;     // runs no groups until returned by a person (auto_return = false)
    uint32_t leave_order = 0;  // 1 = left first; 0 = has not left
    Leaving leaving = Leaving::kNo;
    Maintenance maintenance;
    uint32_t reserved_minutes = 0;  // a planned reboot: its groups wait for it that long
    uint32_t final_actions_cleared = 0;  // counts a person's resets of the node's count of final actions
    bool operator==(const NodeEntry&) const = default;
};

// What the document wants of a group.
enum class Goal : uint8_t {
    kStopped,  // nobody runs it
    kStarted,  // its owner runs it
};

struct GroupEntry {
    std::optional<Incarnation> owner;  // may have effects; empty = proven stopped everywhere
    Token token;  // of the newest assignment; kept when the owner is cleared. The policy leaves Token{} beside an
                  // owner that it has just chosen: the register replaces it by the version it proposes
    Goal goal = Goal::kStopped;
    NodeId target;               // stopping in order to move there; kNobody = no move under way
    NodeId last_owner;           // where it last ran
    bool held = false;           // stopped by a person: not started by itself
    bool crashed = false;        // its last owner ended without reporting it stopped: whoever starts it next takes its
                                 // mirrors over
    bool stop_failed = false;    // STOP_FAILED: never started elsewhere without a proof
    std::set<NodeId> failed_on;  // activation or monitor failures since it last was healthy or a person acted
    uint32_t failovers = 0;      // used up of the failover threshold since then
    std::set<std::string> stopped_resources;  // by a person, while the group runs
    Maintenance maintenance;
    uint32_t storm = 0;  // failovers of about the last hour: the leader takes one off every hour / failovers_per_hour
    bool operator==(const GroupEntry&) const = default;
};

// Whether groups go elsewhere by themselves (reference system 3).
struct FailoverSwitch {
    bool on = true;
    bool latched = false;  // switched off by an automatic failover (failover_latch), not by a person
    std::string why;       // "by root on node1", "group web failed over from node1 to node2"
    bool operator==(const FailoverSwitch&) const = default;
};

// What persons set of a monitor.
struct MonitorEntry {
    std::set<NodeId> suspended;      // it does not check there
    std::set<NodeId> dummy_failure;  // it reports an error there, whatever it finds (verification)
    uint32_t cleared = 0;            // counts a person's resets of its recovery counters
    bool operator==(const MonitorEntry&) const = default;
};

struct TimeoutRatio {  // of monitors, resources and scripts; for busy times
    uint32_t ratio = 1;
    uint32_t minutes_left = 0;  // 0 = none is set
    bool operator==(const TimeoutRatio&) const = default;
};

struct ConfigEntry {
    uint64_t version = 0;
    Hash hash{};   // sha256 of packed
    Bytes packed;  // config::Bundle, packed
    bool operator==(const ConfigEntry&) const = default;
};

// A configuration that a person has yet to confirm: else `previous` comes back.
struct Unconfirmed {
    ConfigEntry previous;
    uint32_t seconds_left = 0;  // counted by whoever leads
    bool operator==(const Unconfirmed&) const = default;
};

// A change of configuration that a person asked for and that has to stop groups first. It is installed as a whole once
// they have stopped, or not at all.
struct PendingChange {
    ConfigEntry wanted;  // its version counts from the installation on
    std::string person;
    std::set<std::string> stops;  // groups that stop for it
    std::set<std::string> ran;    // those of them that start again, where they ran
    uint32_t confirm_within = 0;  // seconds; 0 = at once
    bool goes_back = false;       // nobody confirmed the present one
    bool installed = false;       // `wanted` is in force (and its bytes are gone from here): the groups start again
    bool operator==(const PendingChange&) const = default;
};

// Written by the last leaver: it alone may start without the others (start-up condition c).
struct LastStanding {
    NodeId node;
    Epoch epoch;
    bool operator==(const LastStanding&) const = default;
};

struct Document {
    Uuid cluster{};
    Version version;
    Hash previous{};  // sha256 of the predecessor's bytes
    uint32_t feature_level = 1;
    Incarnation leader;         // who proposed it
    std::vector<Voter> voters;  // sorted by id
    std::vector<Voter>
        previous_voters;  // not empty while a change of voters is not known to be chosen: both sets must agree
    config::TimingInputs timing;
    ConfigEntry config;
    std::map<NodeId, NodeEntry> nodes;
    std::map<std::string, GroupEntry> groups;
    std::map<std::string, mirror::Record> mirrors;  // by name of the md resource
    std::optional<LastStanding> last_standing;
    FailoverSwitch failover;
    Maintenance maintenance;  // of the whole cluster
    TimeoutRatio timeout_ratio;
    std::map<std::string, MonitorEntry> monitors;
    std::optional<Unconfirmed> unconfirmed;
    std::optional<PendingChange> pending;
    NodeId leader_wish;  // a person's: it leads as long as it can, whoever owns the most groups; kNobody = none
    bool cluster_stopped = false;  // a person stopped the cluster; cleared at the next start

    bool operator==(const Document&) const = default;

    const NodeEntry& node(NodeId id) const;  // kAbsent entry when unknown
    const Voter* voter(NodeId node) const;
    bool names(const Incarnation& who) const;  // member in exactly this incarnation
};

Bytes encode(const Document& document);
Result<Document> decode_document(std::span<const uint8_t> bytes);
Hash hash_of(const Document& document);

// Majority of weight among `who` in the document's voter set, and in the previous set while there is one.
bool is_quorum(const Document& document, const std::set<VoterId>& who);
bool is_quorum(const std::vector<Voter>& voters, const std::set<VoterId>& who);

// The voters of these nodes: of one set, or of both sets of the document.
std::set<VoterId> ids_of(const std::vector<Voter>& voters, const std::set<NodeId>& nodes);
std::set<VoterId> ids_of(const Document& document, const std::set<NodeId>& nodes);

// The first document of a new cluster: version (0,0), all configured nodes absent, groups stopped. The same on every
// node.
Document genesis(const Uuid& cluster, const config::Config& config, Bytes packed_bundle);

// The voter set a configuration asks for: a weight each; two nodes alone: 2 on the tie holder; an even number with a
// witness: one more.
std::vector<Voter> initial_voters(const config::Config& config);

}  // namespace kagami::engine
