// What goes into the engine and what comes out. The caller (runtime, simulator, golden runner) feeds events and carries
// out the output: make `persist` durable, send what waited for it, run what waited for it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/engine/messages.h"
#include "common/time.h"

namespace kagami::engine {

// ---- durable ----
enum class RunMark : uint8_t { kNone, kStarting, kActive, kStopping };  // what may have effects here in this boot
struct LocalGroup {
    Token max_token;  // highest token seen: no older start is ever honoured (I3)
    Token running;    // token of the mark
    RunMark mark = RunMark::kNone;
    bool operator==(const LocalGroup&) const = default;
};
struct DurableState {  // one record, written as a whole (docs/formats/voter-store.md)
    VoterId voter;
    Nonce nonce;
    Nonce next_nonce;
    Epoch promised;
    Version accepted;
    Bytes document;  // accepted document
    Duration
        silence{};  // how long it grants nothing new after a restart: the longest T_grant it may still have promised
    BootId boot{};  // boot in which `groups` was written: marks of another boot are void
    std::map<std::string, LocalGroup> groups;
    uint32_t final_actions = 0;          // that ended this node, since it last was calm for final_action_reset
    uint32_t final_actions_cleared = 0;  // a person's resets that were obeyed (NodeEntry::final_actions_cleared)
    bool operator==(const DurableState&) const = default;
};
Bytes encode(const DurableState& state);
Result<DurableState> decode_durable_state(std::span<const uint8_t> bytes);

// ---- in ----
struct Received {
    NodeId from;
    Message message;
};
struct Woken {};  // wake_at was reached (or any earlier moment: harmless)
struct Persisted {
    uint64_t serial = 0;
};  // Output::persist of this serial and all earlier ones are durable
struct PeerConnected {
    NodeId peer;
    bool connected = false;
};  // gRPC channel, for displays and resends

enum class ResourceAction : uint8_t { kActivate, kDeactivate, kProbe };
enum class ScriptMoment : uint8_t {  // ResourceScripts
    kBeforeActivation,
    kAfterActivation,
    kBeforeDeactivation,
    kAfterDeactivation,
    kBeforeFinal,
};
enum class ProbeResult : uint8_t { kActive, kInactive, kPartial };
struct ResourceDone {
    uint64_t operation = 0;
    bool ok = false;
    ProbeResult probe = ProbeResult::kInactive;  // of kProbe
    std::string message;
};
struct MonitorDone {
    uint64_t operation = 0;
    MonitorState state = MonitorState::kUnknown;  // kNormal, kCaution, kError
    bool timed_out = false;
    std::string message;
};
struct MonitorStirred {
    std::string monitor;
};  // a subscription says: check now
struct ScriptDone {
    uint64_t operation = 0;
    bool ok = false;
    std::string message;
};  // recovery scripts

enum class GuardGroupState : uint8_t { kRunning, kSuspended, kResumed, kKilled, kKillFailed };
struct GuardObserved {  // whenever the guard's report page changed, or its alive stamp went stale
    bool alive = false;
    bool armed = false;            // a watchdog stands behind it
    bool pause_suspected = false;  // clock gap found since the last lease
    std::vector<std::tuple<std::string, Token, GuardGroupState>> groups;
};
struct Asked {
    OperatorRequest request;
};  // from this node's control socket
struct MirrorReported {
    mirror::Report report;
};  // by this node's mirror driver, on every change; a driver that went away: role kDetached, disk kNone
struct MachineMeasured {
    uint64_t memory_free_mib = 0;  // available to programs
    uint64_t disk_free_mib = 0;    // on the file system of the durable state
};  // every few seconds
struct PathsSeen {
    std::vector<PathReport> bad;
};  // whenever the bad ones of this node change
struct ConfigStored {
    Hash hash{};
};  // the runtime has unpacked the configuration in force

using Event = std::variant<Received, Woken, Persisted, PeerConnected, ResourceDone, MonitorDone, MonitorStirred,
                           ScriptDone, GuardObserved, Asked, MirrorReported, MachineMeasured, PathsSeen, ConfigStored>;

// ---- out ----
struct Envelope {
    NodeId to;
    Message message;
    uint64_t after_persist = 0;  // hold back until that serial is durable; 0 = at once
};
struct Persist {
    uint64_t serial = 0;  // grows by one
    DurableState state;
};

struct RunResource {
    uint64_t operation = 0;
    std::string group;
    std::string resource;
    ResourceAction action = ResourceAction::kProbe;
    Duration timeout{};
    bool failover = false;  // CLP_EVENT
    bool proven_stopped = false;
    StopReason stop_reason = StopReason::kGroupStop;
    uint8_t last_action = 0;
    NodeId previous;
    bool disk_failed = false;  // CLP_DISK
};
struct CheckMonitor {
    uint64_t operation = 0;
    std::string monitor;
    Duration timeout{};
    std::map<std::string, MonitorState> others{};  // of a type that looks at them (mtw)
};
struct WatchMonitor {
    std::string monitor;
    bool on = false;
};  // subscribe / unsubscribe
enum class RecoveryMoment : uint8_t { kRecovery, kRestart, kFailover, kFinalAction };  // CLP_ACTION
struct RunRecoveryScript {
    uint64_t operation = 0;
    std::string monitor;
    uint32_t count = 0;
    RecoveryMoment moment = RecoveryMoment::kRecovery;
    uint32_t restarts = 0;   // so far
    uint32_t failovers = 0;  // so far
    Duration timeout = 30s;
};
struct RunResourceScript {  // answered by ScriptDone
    uint64_t operation = 0;
    std::string group;
    std::string resource;
    ScriptMoment moment = ScriptMoment::kBeforeActivation;
    bool deactivating = false;  // the step it belongs to; of kBeforeFinal: the one that failed
    Duration timeout{};
    bool failover = false;
    StopReason stop_reason = StopReason::kGroupStop;
    uint8_t last_action = 0;
    NodeId previous;
    bool disk_failed = false;  // CLP_DISK
};
enum class Verdict : uint8_t { kNone, kResume, kKill };
struct GuardedGroup {
    std::string group;
    Token token;
    bool strict = false;
    Verdict verdict = Verdict::kNone;
    bool operator==(const GuardedGroup&) const = default;
};
struct SetGuard {           // published to the guard's page; the runtime adds cgroups, addresses and mounts
    Instant deadline;       // end of the lease; epoch start (Instant{}) = no lease
    Instant lease_sent_at;  // when the renewal behind the lease was sent
    bool armed = false;
    bool unmanaged = false;  // a person runs this node by hand: the guard lets go of what runs
    std::vector<GuardedGroup> groups;
    bool operator==(const SetGuard&) const = default;
};
enum class SystemAction : uint8_t {
    kStopDaemon,
    kHalt,
    kReboot,
    kSysrqPanic,  // this and the next ones end the machine at once, without stopping anything
    kReset,
    kBmcReset,
    kBmcPowerOff,
    kBmcPowerCycle,
    kBmcNmi,
};
struct ActOnSystem {
    SystemAction action = SystemAction::kStopDaemon;
    std::string why;
};
struct Answer {
    OperatorReply reply;
};  // to this node's control socket
struct SetMirror {  // to this node's mirror driver, on every change
    mirror::Authority authority;
};
struct StoreConfig {
    Hash hash{};
    Bytes packed;
    uint64_t version = 0;
};  // unpack the configuration in force to active/

using Command = std::variant<RunResource, CheckMonitor, WatchMonitor, RunRecoveryScript, RunResourceScript, SetGuard, ActOnSystem, Answer,
                             SetMirror, StoreConfig>;
struct HeldCommand {
    Command command;
    uint64_t after_persist = 0;
};

struct Output {
    std::optional<Persist> persist;
    std::vector<Envelope> messages;
    std::vector<HeldCommand> commands;
    std::vector<Decision> decisions;
    std::optional<Instant> wake_at;
};

}  // namespace kagami::engine
