// What the engine decided and why: one row of the history, one line of the log, one sentence of `kagami why`.
#pragma once

#include <string>
#include <vector>

#include "common/ids.h"

namespace kagami::engine {

enum class Level : uint8_t { kInfo, kWarning, kError };  // state changed; redundancy lost; a person must act

enum class Reason : uint16_t {
    // register and leases
    kContending = 100,
    kElected,
    kSteppedDown,
    kLeaseLost,
    kLeaseGained,
    kPauseSuspected,
    kHandedOver,
    kStoreMismatch,
    kVoterReplaced,
    kDuplicateIncarnation,
    kTimingMismatch,
    kWitnessLost,
    kWitnessRestored,
    kQuorumLost,
    kWaitingForStartup,
    kStartupComplete,
    // nodes
    kNodeAdmitted = 200,
    kNodeLost,
    kNodeLeft,
    kNodeRebooted,
    kNodeIsolated,
    kNodeReturned,
    kPathLost,
    kPathRestored,
    kGuardLost,
    kGuardRestored,
    kConfirmedDown,
    kNodeReserved,
    kReservationOver,
    kNodeAdded,
    kNodeRemoved,
    kNodeDisarmed,
    kNodeArmed,
    kNodeShort,
    // groups, decided by the leader
    kGroupPlaced = 300,
    kGroupMoveStarted,
    kGroupFailover,
    kGroupNoPlace,
    kGroupWaitingForProof,
    kGroupStopWanted,
    kGroupStopped,
    kGroupHeld,
    kGroupManual,
    kGroupStormBrake,
    kGroupStopFailed,
    kResourceStopWanted,
    kResourceStartWanted,
    kGroupHeldBack,
    kGroupObserved,
    kGroupReserved,
    kFailoverLatched,
    kGroupStartWaits,
    kGroupStartWaitOver,
    kGroupStopWaits,
    kGroupStopWaitOver,
    kGroupSharesNode,
    kGroupActiveElsewhere,
    kGroupActiveTwice,
    // groups, on their node
    kStartRefused = 400,
    kStarting,
    kActive,
    kStopping,
    kStopped,
    kActivationFailed,
    kDeactivationFailed,
    kRetrying,
    kRecoveryRestart,
    kRecoveryFailover,
    kFinalAction,
    kSuspended,
    kResumed,
    kKilled,
    kAdopted,
    kResourceStopped,
    kResourceStarted,
    kScriptFailed,
    kFinalActionSuppressed,
    kRecoveryObserved,
    // monitors
    kMonitorError = 500,
    kMonitorNormal,
    kMonitorLate,
    // operators and configuration
    kOperatorAccepted = 600,
    kOperatorRefused,
    kConfigApplied,
    kConfigRefused,
    kFailoverSwitched,
    kMaintenanceBegun,
    kMaintenanceEnded,
    kMaintenanceExpired,
    kMonitorSuspended,
    kMonitorResumed,
    kDummyFailure,
    kCountersCleared,
    kTimeoutRatio,
    kTimeoutRatioOver,
    kConfigChangeBegun,
    kConfigUnconfirmed,
    kConfigConfirmed,
    kConfigWentBack,
    // mirrors
    kMirrorConstructed = 700,
    kMirrorSolo,
    kMirrorAdded,
    kMirrorSuspect,
    kMirrorFailed,
    kMirrorTakenOver,
    kMirrorForced,
    kMirrorHold,
    kMirrorDriverKilled,
    kMirrorAborted,
};
const char* name_of(Reason reason);  // "group-failover"
Level level_of(Reason reason);

struct Decision {
    Reason reason = Reason::kContending;
    std::string subject;   // "group web", "node node2", "cluster"
    std::string sentence;  // one sentence in plain English that stands alone
    std::vector<std::string>
        rejected;  // candidates that were looked at, each with its reason: "node2: isolated until returned"
};

}  // namespace kagami::engine
