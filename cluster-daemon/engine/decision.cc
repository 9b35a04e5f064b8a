#include "cluster-daemon/engine/decision.h"

#include <algorithm>
#include <array>

#include "common/assert.h"

namespace kagami::engine {
namespace {

struct Row {
    Reason reason;
    const char* name;
    Level level;
};
constexpr auto kRows = std::to_array<Row>({
    {Reason::kContending, "contending", Level::kInfo},
    {Reason::kElected, "elected", Level::kInfo},
    {Reason::kSteppedDown, "stepped-down", Level::kInfo},
    {Reason::kLeaseLost, "lease-lost", Level::kWarning},
    {Reason::kLeaseGained, "lease-gained", Level::kInfo},
    {Reason::kPauseSuspected, "pause-suspected", Level::kWarning},
    {Reason::kHandedOver, "handed-over", Level::kInfo},
    {Reason::kStoreMismatch, "store-mismatch", Level::kError},
    {Reason::kVoterReplaced, "voter-replaced", Level::kInfo},
    {Reason::kDuplicateIncarnation, "duplicate-incarnation", Level::kError},
    {Reason::kTimingMismatch, "timing-mismatch", Level::kError},
    {Reason::kWitnessLost, "witness-lost", Level::kWarning},
    {Reason::kWitnessRestored, "witness-restored", Level::kInfo},
    {Reason::kQuorumLost, "quorum-lost", Level::kError},
    {Reason::kWaitingForStartup, "waiting-for-startup", Level::kInfo},
    {Reason::kStartupComplete, "startup-complete", Level::kInfo},
    {Reason::kNodeAdmitted, "node-admitted", Level::kInfo},
    {Reason::kNodeLost, "node-lost", Level::kWarning},
    {Reason::kNodeLeft, "node-left", Level::kInfo},
    {Reason::kNodeRebooted, "node-rebooted", Level::kWarning},
    {Reason::kNodeIsolated, "node-isolated", Level::kWarning},
    {Reason::kNodeReturned, "node-returned", Level::kInfo},
    {Reason::kPathLost, "path-lost", Level::kWarning},
    {Reason::kPathRestored, "path-restored", Level::kInfo},
    {Reason::kGuardLost, "guard-lost", Level::kError},
    {Reason::kGuardRestored, "guard-restored", Level::kInfo},
    {Reason::kConfirmedDown, "confirmed-down", Level::kInfo},
    {Reason::kGroupPlaced, "group-placed", Level::kInfo},
    {Reason::kGroupMoveStarted, "group-move-started", Level::kInfo},
    {Reason::kGroupFailover, "group-failover", Level::kWarning},
    {Reason::kGroupNoPlace, "group-no-place", Level::kError},
    {Reason::kGroupWaitingForProof, "group-waiting-for-proof", Level::kWarning},
    {Reason::kGroupStopWanted, "group-stop-wanted", Level::kInfo},
    {Reason::kGroupStopped, "group-stopped", Level::kInfo},
    {Reason::kGroupHeld, "group-held", Level::kInfo},
    {Reason::kGroupManual, "group-manual", Level::kInfo},
    {Reason::kGroupStormBrake, "group-storm-brake", Level::kError},
    {Reason::kGroupStopFailed, "group-stop-failed", Level::kError},
    {Reason::kStartRefused, "start-refused", Level::kWarning},
    {Reason::kStarting, "starting", Level::kInfo},
    {Reason::kActive, "active", Level::kInfo},
    {Reason::kStopping, "stopping", Level::kInfo},
    {Reason::kStopped, "stopped", Level::kInfo},
    {Reason::kActivationFailed, "activation-failed", Level::kError},
    {Reason::kDeactivationFailed, "deactivation-failed", Level::kError},
    {Reason::kRetrying, "retrying", Level::kWarning},
    {Reason::kRecoveryRestart, "recovery-restart", Level::kWarning},
    {Reason::kRecoveryFailover, "recovery-failover", Level::kWarning},
    {Reason::kFinalAction, "final-action", Level::kError},
    {Reason::kSuspended, "suspended", Level::kWarning},
    {Reason::kResumed, "resumed", Level::kInfo},
    {Reason::kKilled, "killed", Level::kWarning},
    {Reason::kAdopted, "adopted", Level::kInfo},
    {Reason::kMonitorError, "monitor-error", Level::kWarning},
    {Reason::kMonitorNormal, "monitor-normal", Level::kInfo},
    {Reason::kOperatorAccepted, "operator-accepted", Level::kInfo},
    {Reason::kOperatorRefused, "operator-refused", Level::kWarning},
    {Reason::kConfigApplied, "config-applied", Level::kInfo},
    {Reason::kConfigRefused, "config-refused", Level::kWarning},
    {Reason::kMirrorConstructed, "mirror-constructed", Level::kInfo},
    {Reason::kMirrorSolo, "mirror-solo", Level::kWarning},
    {Reason::kMirrorAdded, "mirror-added", Level::kInfo},
    {Reason::kMirrorSuspect, "mirror-suspect", Level::kWarning},
    {Reason::kMirrorFailed, "mirror-failed", Level::kError},
    {Reason::kMirrorTakenOver, "mirror-taken-over", Level::kWarning},
    {Reason::kMirrorForced, "mirror-forced", Level::kWarning},
    {Reason::kMirrorHold, "mirror-hold", Level::kInfo},
    {Reason::kMirrorDriverKilled, "mirror-driver-killed", Level::kWarning},
    {Reason::kMirrorAborted, "mirror-aborted", Level::kError},
});

const Row& row_of(Reason reason) {
    const auto* at = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.reason == reason; });
    KAGAMI_ASSERT(at != kRows.end(), "every reason has a row");
    return *at;
}

}  // namespace

const char* name_of(Reason reason) {
    return row_of(reason).name;
}
Level level_of(Reason reason) {
    return row_of(reason).level;
}

}  // namespace kagami::engine
