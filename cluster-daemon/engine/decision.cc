#include "cluster-daemon/engine/decision.h"

namespace kagami::engine {

const char* name_of(Reason reason) {
    switch (reason) {
        case Reason::kContending: return "contending";
        case Reason::kElected: return "elected";
        case Reason::kSteppedDown: return "stepped-down";
        case Reason::kLeaseLost: return "lease-lost";
        case Reason::kLeaseGained: return "lease-gained";
        case Reason::kPauseSuspected: return "pause-suspected";
        case Reason::kHandedOver: return "handed-over";
        case Reason::kStoreMismatch: return "store-mismatch";
        case Reason::kVoterReplaced: return "voter-replaced";
        case Reason::kDuplicateIncarnation: return "duplicate-incarnation";
        case Reason::kTimingMismatch: return "timing-mismatch";
        case Reason::kWitnessLost: return "witness-lost";
        case Reason::kWitnessRestored: return "witness-restored";
        case Reason::kQuorumLost: return "quorum-lost";
        case Reason::kWaitingForStartup: return "waiting-for-startup";
        case Reason::kStartupComplete: return "startup-complete";
        case Reason::kNodeAdmitted: return "node-admitted";
        case Reason::kNodeLost: return "node-lost";
        case Reason::kNodeLeft: return "node-left";
        case Reason::kNodeRebooted: return "node-rebooted";
        case Reason::kNodeIsolated: return "node-isolated";
        case Reason::kNodeReturned: return "node-returned";
        case Reason::kPathLost: return "path-lost";
        case Reason::kPathRestored: return "path-restored";
        case Reason::kGuardLost: return "guard-lost";
        case Reason::kGuardRestored: return "guard-restored";
        case Reason::kConfirmedDown: return "confirmed-down";
        case Reason::kGroupPlaced: return "group-placed";
        case Reason::kGroupMoveStarted: return "group-move-started";
        case Reason::kGroupFailover: return "group-failover";
        case Reason::kGroupNoPlace: return "group-no-place";
        case Reason::kGroupWaitingForProof: return "group-waiting-for-proof";
        case Reason::kGroupStopWanted: return "group-stop-wanted";
        case Reason::kGroupStopped: return "group-stopped";
        case Reason::kGroupHeld: return "group-held";
        case Reason::kGroupManual: return "group-manual";
        case Reason::kGroupStormBrake: return "group-storm-brake";
        case Reason::kGroupStopFailed: return "group-stop-failed";
        case Reason::kStartRefused: return "start-refused";
        case Reason::kStarting: return "starting";
        case Reason::kActive: return "active";
        case Reason::kStopping: return "stopping";
        case Reason::kStopped: return "stopped";
        case Reason::kActivationFailed: return "activation-failed";
        case Reason::kDeactivationFailed: return "deactivation-failed";
        case Reason::kRetrying: return "retrying";
        case Reason::kRecoveryRestart: return "recovery-restart";
        case Reason::kRecoveryFailover: return "recovery-failover";
        case Reason::kFinalAction: return "final-action";
        case Reason::kSuspended: return "suspended";
        case Reason::kResumed: return "resumed";
        case Reason::kKilled: return "killed";
        case Reason::kAdopted: return "adopted";
        case Reason::kMonitorError: return "monitor-error";
        case Reason::kMonitorNormal: return "monitor-normal";
        case Reason::kOperatorAccepted: return "operator-accepted";
        case Reason::kOperatorRefused: return "operator-refused";
        case Reason::kConfigApplied: return "config-applied";
        case Reason::kConfigRefused: return "config-refused";
    }
    return "unknown";
}

Level level_of(Reason reason) {
    switch (reason) {
        case Reason::kContending:
        case Reason::kElected:
        case Reason::kSteppedDown:
        case Reason::kLeaseGained:
        case Reason::kHandedOver:
        case Reason::kVoterReplaced:
        case Reason::kWitnessRestored:
        case Reason::kWaitingForStartup:
        case Reason::kStartupComplete:
        case Reason::kNodeAdmitted:
        case Reason::kNodeLeft:
        case Reason::kNodeReturned:
        case Reason::kPathRestored:
        case Reason::kGuardRestored:
        case Reason::kConfirmedDown:
        case Reason::kGroupPlaced:
        case Reason::kGroupMoveStarted:
        case Reason::kGroupStopWanted:
        case Reason::kGroupStopped:
        case Reason::kGroupHeld:
        case Reason::kGroupManual:
        case Reason::kStarting:
        case Reason::kActive:
        case Reason::kStopping:
        case Reason::kStopped:
        case Reason::kResumed:
        case Reason::kAdopted:
        case Reason::kMonitorNormal:
        case Reason::kOperatorAccepted:
        case Reason::kConfigApplied: return Level::kInfo;
        case Reason::kLeaseLost:
        case Reason::kPauseSuspected:
        case Reason::kWitnessLost:
        case Reason::kNodeLost:
        case Reason::kNodeRebooted:
        case Reason::kNodeIsolated:
        case Reason::kPathLost:
        case Reason::kGroupFailover:
        case Reason::kGroupWaitingForProof:
        case Reason::kStartRefused:
        case Reason::kRetrying:
        case Reason::kRecoveryRestart:
        case Reason::kRecoveryFailover:
        case Reason::kSuspended:
        case Reason::kKilled:
        case Reason::kMonitorError:
        case Reason::kOperatorRefused:
        case Reason::kConfigRefused: return Level::kWarning;
        case Reason::kStoreMismatch:
        case Reason::kDuplicateIncarnation:
        case Reason::kTimingMismatch:
        case Reason::kQuorumLost:
        case Reason::kGuardLost:
        case Reason::kGroupNoPlace:
        case Reason::kGroupStormBrake:
        case Reason::kGroupStopFailed:
        case Reason::kActivationFailed:
        case Reason::kDeactivationFailed:
        case Reason::kFinalAction: return Level::kError;
    }
    return Level::kError;
}

}  // namespace kagami::engine
