#include "cluster-daemon/engine/message_catalogue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/assert.h"

namespace kagami::engine {
namespace {

// One entry a message; see decision.h for what is in which block.
constexpr auto kMessages = std::to_array<MessageEntry>({
    {Reason::kContending, "KR-0100", "contending", Level::kInfo,
     "No leader is heard, and this node asks the voters for their promise.",
     "Nothing, if a leader follows (KR-0101). If this repeats, see `kagami paths`: the nodes do not reach each other "
     "or the witness."},
    {Reason::kElected, "KR-0101", "elected", Level::kInfo, "This node leads the cluster: it decides where groups run.",
     "Nothing."},
    {Reason::kSteppedDown, "KR-0102", "stepped-down", Level::kInfo, "This node leads no longer.",
     "Nothing, if another node leads now (`kagami status`)."},
    {Reason::kLeaseLost, "KR-0103", "lease-lost", Level::kWarning,
     "This node has no lease any more: its groups are suspended until it gets one.",
     "See `kagami paths`. If the leader runs on another node, repair the network between the two."},
    {Reason::kLeaseGained, "KR-0104", "lease-gained", Level::kInfo, "This node holds a lease and may run groups.",
     "Nothing."},
    {Reason::kPauseSuspected, "KR-0105", "pause-suspected", Level::kWarning,
     "The clocks of this node jumped: it was paused or stopped, so its lease does not count until it is renewed.",
     "If the node is a virtual machine, keep it from being paused (snapshots, live migration). Else look for what "
     "kept the processor from it."},
    {Reason::kHandedOver, "KR-0106", "handed-over", Level::kInfo,
     "The leadership is handed to another node without a gap.", "Nothing."},
    {Reason::kStoreMismatch, "KR-0107", "store-mismatch", Level::kError,
     "What a node or the witness remembers of the register is not what it confirmed before: its votes do not count.",
     "Find out whether its disk was restored from an image or exchanged. Where KR-0108 does not follow, repair the "
     "disk under /var/lib/kagami, or let the node join anew (`kagami token`, `kagami join`)."},
    {Reason::kVoterReplaced, "KR-0108", "voter-replaced", Level::kInfo,
     "A voter that had lost its memory votes again, under a new voter id.", "Nothing."},
    {Reason::kDuplicateIncarnation, "KR-0109", "duplicate-incarnation", Level::kError,
     "Two machines run under the identity of one node, so neither gets a lease.",
     "Stop the copy: look for a cloned machine or a restored image with the same keys."},
    {Reason::kTimingMismatch, "KR-0110", "timing-mismatch", Level::kError,
     "A node has other timing values than the cluster: it gets no lease.",
     "It takes the values over with the cluster's document. If it does not, see `kagami paths` and whether all nodes "
     "run the same version."},
    {Reason::kWitnessLost, "KR-0111", "witness-lost", Level::kWarning,
     "The witness does not answer, so its vote went to a node. The next failure may need a person.",
     "Repair the witness server or the network to it."},
    {Reason::kWitnessRestored, "KR-0112", "witness-restored", Level::kInfo, "The witness votes again.", "Nothing."},
    {Reason::kQuorumLost, "KR-0113", "quorum-lost", Level::kError,
     "This node leads and no majority answers it: it may run nothing until one does.",
     "See `kagami paths` and repair the network, or start the other nodes. If they are off and stay off: `kagami "
     "cluster start --alone --confirm-down NODE`."},
    {Reason::kWaitingForStartup, "KR-0114", "waiting-for-startup", Level::kInfo,
     "The node has booted and waits for the others before groups are started.",
     "Start the missing nodes. If they stay away: `kagami cluster start --now`, or without a majority `kagami "
     "cluster start --alone --confirm-down NODE`."},
    {Reason::kStartupComplete, "KR-0115", "startup-complete", Level::kInfo, "The node has joined the running cluster.",
     "Nothing."},
    {Reason::kNodeAdmitted, "KN-0200", "node-admitted", Level::kInfo, "A node is a member: groups may run on it.",
     "Nothing."},
    {Reason::kNodeLost, "KN-0201", "node-lost", Level::kWarning,
     "A node was not heard of until its lease had run out: its groups go elsewhere.",
     "Find out why it is away (power, network, `journalctl -u kagamid` there) and start it again."},
    {Reason::kNodeLeft, "KN-0202", "node-left", Level::kInfo, "A node has left the cluster in good order.", "Nothing."},
    {Reason::kNodeRebooted, "KN-0203", "node-rebooted", Level::kWarning,
     "A node came back in another boot than the one that was admitted: whatever it ran before has ended.",
     "If nobody rebooted it, read the log of its former boot (`journalctl -b -1`)."},
    {Reason::kNodeIsolated, "KN-0204", "node-isolated", Level::kWarning,
     "A node is there but is kept from running groups.",
     "Make sure that it is well, then `kagami node return NODE`. A node that was confirmed down and still runs must "
     "be rebooted first."},
    {Reason::kNodeReturned, "KN-0205", "node-returned", Level::kInfo, "A person let an isolated node run groups again.",
     "Nothing."},
    {Reason::kPathLost, "KN-0206", "path-lost", Level::kWarning, "Heartbeats do not arrive on one of the networks.",
     "See `kagami paths`: cable, switch, firewall (29002/udp), address."},
    {Reason::kPathRestored, "KN-0207", "path-restored", Level::kInfo, "Heartbeats arrive on the network again.",
     "Nothing."},
    {Reason::kGuardLost, "KN-0208", "guard-lost", Level::kError,
     "The guard of a node does not run: nothing may run there without it.",
     "On that node: `systemctl status kagami-guard`, `journalctl -u kagami-guard`."},
    {Reason::kGuardRestored, "KN-0209", "guard-restored", Level::kInfo, "The guard of the node runs again.",
     "Nothing."},
    {Reason::kConfirmedDown, "KN-0210", "confirmed-down", Level::kInfo,
     "A person gave the word that a node is off, and the cluster goes on without it.",
     "Keep it off, or let it reboot before it joins again."},
    {Reason::kNodeReserved, "KN-0211", "node-reserved", Level::kInfo,
     "A node is rebooted as planned, and its groups wait for it.",
     "Nothing, if it comes back in time. To start a group elsewhere at once: `kagami group start GROUP --to NODE`."},
    {Reason::kReservationOver, "KN-0212", "reservation-over", Level::kWarning,
     "A node has not come back from its planned reboot in time: its groups go elsewhere.",
     "Look at the node's console: why is it not back?"},
    {Reason::kNodeAdded, "KN-0213", "node-added", Level::kInfo, "The configuration has a new node.",
     "Let it join: `kagami token NODE` here, `kagami join` there."},
    {Reason::kNodeRemoved, "KN-0214", "node-removed", Level::kInfo, "A node is no longer configured: it votes no more.",
     "Nothing. Before its machine is used again, delete /etc/kagami and /var/lib/kagami there."},
    {Reason::kNodeDisarmed, "KN-0215", "node-disarmed", Level::kWarning,
     "The guard of a node covers nothing during its maintenance: should the node be lost, its groups wait for a "
     "person's word.",
     "End the maintenance as soon as the work is done: `kagami maintenance end --node NODE`."},
    {Reason::kNodeArmed, "KN-0216", "node-armed", Level::kInfo, "The guard of a node covers its groups again.",
     "Nothing."},
    {Reason::kNodeShort, "KN-0217", "node-short", Level::kWarning,
     "A node has less free memory or disk space than the configuration demands: its groups go to a node with more.",
     "Find what uses the memory or fills the disk there. The limits are minimum_memory and minimum_disk."},
    {Reason::kGroupPlaced, "KG-0300", "group-placed", Level::kInfo, "The leader has chosen a node for a group.",
     "Nothing."},
    {Reason::kGroupMoveStarted, "KG-0301", "group-move-started", Level::kInfo,
     "A group moves to another node because a person or a rule wants it.", "Nothing."},
    {Reason::kGroupFailover, "KG-0302", "group-failover", Level::kWarning,
     "A group goes to another node because its node or the group itself has failed.",
     "See `kagami why GROUP`, and repair what failed before the next failure finds no other node."},
    {Reason::kGroupNoPlace, "KG-0303", "group-no-place", Level::kError, "A group should run, and no node may take it.",
     "See `kagami why GROUP`: each node is named with what keeps it from taking the group."},
    {Reason::kGroupWaitingForProof, "KG-0304", "group-waiting-for-proof", Level::kWarning,
     "A group is not started elsewhere before it is proven that its last node has stopped it.",
     "Wait for the watchdog time, or start or reboot that node. If it is off: `kagami cluster start --alone "
     "--confirm-down NODE`."},
    {Reason::kGroupStopWanted, "KG-0305", "group-stop-wanted", Level::kInfo, "The leader wants a group stopped.",
     "Nothing."},
    {Reason::kGroupStopped, "KG-0306", "group-stopped", Level::kInfo, "A group is proven stopped.", "Nothing."},
    {Reason::kGroupHeld, "KG-0307", "group-held", Level::kInfo, "A group is stopped and is not started by itself.",
     "When it is wanted again: `kagami group start GROUP`."},
    {Reason::kGroupManual, "KG-0308", "group-manual", Level::kInfo,
     "A group would fail over, and its configuration leaves that to a person.",
     "`kagami group start GROUP`, or `kagami group move GROUP`."},
    {Reason::kGroupStormBrake, "KG-0309", "group-storm-brake", Level::kError,
     "A group has failed over as often as an hour allows: it stays where it is.",
     "Repair the cause (`kagami why GROUP`). The limit is failovers_per_hour."},
    {Reason::kGroupStopFailed, "KG-0310", "group-stop-failed", Level::kError,
     "A group could not be stopped, so it is started nowhere else.",
     "Stop by hand what is left of it on that node, or reboot the node."},
    {Reason::kResourceStopWanted, "KG-0311", "resource-stop-wanted", Level::kInfo,
     "A person stops a resource while its group goes on.",
     "When it is wanted again: `kagami resource start RESOURCE`."},
    {Reason::kResourceStartWanted, "KG-0312", "resource-start-wanted", Level::kInfo,
     "A person starts a resource that was stopped by a person.", "Nothing."},
    {Reason::kGroupHeldBack, "KG-0313", "group-held-back", Level::kError,
     "A group would go to another node, and failover is switched off.",
     "`kagami failover on`, or `kagami group move GROUP` (`kagami group start GROUP` when it does not run)."},
    {Reason::kGroupObserved, "KG-0314", "group-observed", Level::kWarning,
     "Something would have been done with a group, and is not, because of a maintenance.",
     "Nothing, if the maintenance is meant. Else `kagami maintenance end`."},
    {Reason::kGroupReserved, "KG-0315", "group-reserved", Level::kInfo,
     "A group waits for its node, which reboots as planned, and is not started elsewhere.",
     "Nothing. To have it elsewhere at once: `kagami group start GROUP --to NODE`."},
    {Reason::kFailoverLatched, "KG-0316", "failover-latched", Level::kWarning,
     "An automatic failover has switched failover off (failover_latch).",
     "Repair what failed, then `kagami failover on`."},
    {Reason::kGroupStartWaits, "KG-0317", "group-start-waits", Level::kInfo,
     "A group starts once the groups of its start_wait run.",
     "Nothing. If it waits too long, see `kagami why` of the groups it waits for."},
    {Reason::kGroupStartWaitOver, "KG-0318", "group-start-wait-over", Level::kError,
     "The groups of a start_wait did not run in time.",
     "See `kagami why` of the groups that are named, then `kagami group start GROUP`."},
    {Reason::kGroupStopWaits, "KG-0319", "group-stop-waits", Level::kInfo,
     "A group stops once the groups of its stop_wait are stopped.",
     "Nothing. If it waits too long, see `kagami why` of the groups it waits for."},
    {Reason::kGroupStopWaitOver, "KG-0320", "group-stop-wait-over", Level::kError,
     "The groups of a stop_wait were not stopped in time.",
     "See `kagami why` of the groups that are named, stop them, then give the command again."},
    {Reason::kGroupSharesNode, "KG-0321", "group-shares-node", Level::kWarning,
     "A group runs beside one that an exclusive rule keeps it away from, because no other node could take it.",
     "When another node is back: `kagami group move GROUP`."},
    {Reason::kGroupActiveElsewhere, "KG-0322", "group-active-elsewhere", Level::kError,
     "A group is not started, because a node that does not own it reports that it runs there.",
     "Stop it by hand on that node; it starts as soon as that node reports it stopped."},
    {Reason::kGroupActiveTwice, "KG-0323", "group-active-twice", Level::kError,
     "Two nodes report one group as active: the one that does not own it is told to stop it.",
     "Make sure that it ends on the node that is named, and check the group's data. See `kagami why GROUP`."},
    {Reason::kStartRefused, "KG-0400", "start-refused", Level::kWarning,
     "A node refused to start a group that the leader had given to it.",
     "The sentence names the reason. If the group does not start soon: `kagami why GROUP`."},
    {Reason::kStarting, "KG-0401", "starting", Level::kInfo, "A group is being started.", "Nothing."},
    {Reason::kActive, "KG-0402", "active", Level::kInfo, "A group is active: all its resources are up.", "Nothing."},
    {Reason::kStopping, "KG-0403", "stopping", Level::kInfo, "A group is being stopped.", "Nothing."},
    {Reason::kStopped, "KG-0404", "stopped", Level::kInfo, "All resources of a group were seen down on this node.",
     "Nothing."},
    {Reason::kActivationFailed, "KG-0405", "activation-failed", Level::kError, "A resource could not be started.",
     "The sentence gives the resource's own words; its log is /var/lib/kagami/log/GROUP.RESOURCE.log."},
    {Reason::kDeactivationFailed, "KG-0406", "deactivation-failed", Level::kError, "A resource could not be stopped.",
     "See what still runs or is still mounted, and the resource's log /var/lib/kagami/log/GROUP.RESOURCE.log."},
    {Reason::kRetrying, "KG-0407", "retrying", Level::kWarning,
     "Starting or stopping a resource failed and is tried again.",
     "Nothing now. If it goes wrong often, see /var/lib/kagami/log/GROUP.RESOURCE.log."},
    {Reason::kRecoveryRestart, "KG-0408", "recovery-restart", Level::kWarning,
     "A resource or a group is restarted where it runs, because a monitor or a probe found it broken.",
     "Find out why it broke: `kagami why GROUP`, and the log of the service."},
    {Reason::kRecoveryFailover, "KG-0409", "recovery-failover", Level::kWarning,
     "Restarts did not help, so a failover is asked for.",
     "Find out why it broke: `kagami why GROUP`, and the log of the service."},
    {Reason::kFinalAction, "KG-0410", "final-action", Level::kError,
     "Every other means is used up: the configured final action is carried out.",
     "See `kagami why GROUP` for what failed. After a group was stopped by it: `kagami group start GROUP`."},
    {Reason::kSuspended, "KG-0411", "suspended", Level::kWarning,
     "A group is frozen and its addresses are withdrawn: its node has no lease.",
     "See `kagami paths`. The group goes on by itself when the node gets a lease before anybody took it over."},
    {Reason::kResumed, "KG-0412", "resumed", Level::kInfo, "A suspended group goes on where it was.", "Nothing."},
    {Reason::kKilled, "KG-0413", "killed", Level::kWarning,
     "The guard has killed what ran of a group, because another node owns it or the suspension was too long.",
     "Nothing, if the group runs elsewhere (`kagami status`). See KG-0411 for why it was suspended."},
    {Reason::kAdopted, "KG-0414", "adopted", Level::kInfo,
     "A group was found running after the daemon restarted, and goes on.", "Nothing."},
    {Reason::kResourceStopped, "KG-0415", "resource-stopped", Level::kInfo,
     "A single resource is stopped while its group goes on; its monitors are off.",
     "Nothing. `kagami resource start RESOURCE` starts it again."},
    {Reason::kResourceStarted, "KG-0416", "resource-started", Level::kInfo,
     "A single resource runs again; its group ran all the time.", "Nothing."},
    {Reason::kScriptFailed, "KG-0417", "script-failed", Level::kWarning,
     "A person's script around a step of a resource, or the recovery script of a monitor, failed.",
     "Read the service log /var/lib/kagami/log/GROUP.RESOURCE.log. A script around a step makes the step fail; one "
     "before a recovery step or a final action does not stop that."},
    {Reason::kFinalActionSuppressed, "KG-0418", "final-action-suppressed", Level::kError,
     "A final action that would end this node is not taken: it is the last healthy node, or was ended too often.",
     "The sentence names the rule. Repair what failed. A count that is used up is reset by `kagami node "
     "clear-final-actions NODE`, or after final_action_reset of calm."},
    {Reason::kRecoveryObserved, "KG-0419", "recovery-observed", Level::kInfo,
     "A recovery on a node was due, but is left to the person who maintains the cluster, the node or the group.",
     "Nothing, or what the sentence tells. `kagami maintenance end` lets the cluster act again."},
    {Reason::kMonitorError, "KM-0500", "monitor-error", Level::kWarning, "A monitor reports an error.",
     "The sentence says what it saw. The recovery follows by itself, if the monitor has one (KG-0408 to KG-0410)."},
    {Reason::kMonitorNormal, "KM-0501", "monitor-normal", Level::kInfo, "A monitor is normal again.", "Nothing."},
    {Reason::kMonitorLate, "KM-0502", "monitor-late", Level::kWarning,
     "A check took more of its time-out than delay_warning allows.",
     "Look at the load of the node and of what is checked. If it is like that in busy times, raise the monitor's "
     "timeout, or `kagami timeout-ratio`."},
    {Reason::kOperatorAccepted, "KO-0600", "operator-accepted", Level::kInfo, "A person's command was accepted.",
     "Nothing."},
    {Reason::kOperatorRefused, "KO-0601", "operator-refused", Level::kWarning, "A person's command was refused.",
     "The sentence names the rule and what to do."},
    {Reason::kConfigApplied, "KO-0602", "config-applied", Level::kInfo, "A new configuration is in force.", "Nothing."},
    {Reason::kConfigRefused, "KO-0603", "config-refused", Level::kWarning, "A configuration was not taken into use.",
     "The sentence names the reason. `kagami config check FILE` finds what is wrong in the file."},
    {Reason::kFailoverSwitched, "KO-0604", "failover-switched", Level::kWarning,
     "Whether groups go to other nodes by themselves was switched.",
     "The sentence says how it stands. To let groups fail over: `kagami failover on`."},
    {Reason::kMaintenanceBegun, "KO-0605", "maintenance-begun", Level::kWarning,
     "A person works on it: nothing is decided by itself for it.",
     "End it when the work is done: `kagami maintenance end`."},
    {Reason::kMaintenanceEnded, "KO-0606", "maintenance-ended", Level::kInfo,
     "A maintenance was ended: things are decided by themselves again.", "Nothing."},
    {Reason::kMaintenanceExpired, "KO-0607", "maintenance-expired", Level::kWarning,
     "The time of a maintenance ran out: things are decided by themselves again.",
     "If the work goes on, begin it anew: `kagami maintenance begin`."},
    {Reason::kMonitorSuspended, "KO-0608", "monitor-suspended", Level::kWarning,
     "A person suspended monitors: what they watch may fail unseen.",
     "When they are wanted again: `kagami monitor resume`."},
    {Reason::kMonitorResumed, "KO-0609", "monitor-resumed", Level::kInfo, "A person let suspended monitors check again.",
     "Nothing."},
    {Reason::kDummyFailure, "KO-0610", "dummy-failure", Level::kWarning,
     "A person switched on or off that a monitor reports a failure, for a trial.",
     "After the trial: `kagami monitor unfail`."},
    {Reason::kCountersCleared, "KO-0611", "counters-cleared", Level::kInfo,
     "A person let counts of recoveries or of final actions begin anew.", "Nothing."},
    {Reason::kTimeoutRatio, "KO-0612", "timeout-ratio", Level::kInfo,
     "A person multiplied the time-outs for a while, or set them back.", "Nothing."},
    {Reason::kTimeoutRatioOver, "KO-0613", "timeout-ratio-over", Level::kInfo,
     "The time for which time-outs were multiplied is over.", "Nothing."},
    {Reason::kConfigChangeBegun, "KO-0614", "config-change-begun", Level::kInfo,
     "A new configuration stops groups first; they start again under it.", "Nothing."},
    {Reason::kConfigUnconfirmed, "KO-0615", "config-unconfirmed", Level::kWarning,
     "A new configuration is in force until its time runs out, unless a person confirms it.",
     "If all is well: `kagami config confirm`."},
    {Reason::kConfigConfirmed, "KO-0616", "config-confirmed", Level::kInfo, "A person confirmed a new configuration.",
     "Nothing."},
    {Reason::kConfigWentBack, "KO-0617", "config-went-back", Level::kWarning,
     "Nobody confirmed a new configuration in time: the former one is in force again.",
     "Find out why it was not confirmed. Its text is in `kagami config history`."},
    {Reason::kMirrorConstructed, "KD-0700", "mirror-constructed", Level::kInfo,
     "A mirror disk is set up for the first time.",
     "Nothing. Its first full copy may take a while (`kagami mirror status`)."},
    {Reason::kMirrorSolo, "KD-0701", "mirror-solo", Level::kWarning,
     "A mirror disk goes on with one copy; the other one is behind.",
     "See `kagami mirror status`: repair the other node, its disk, or the mirror network. The resync follows by "
     "itself."},
    {Reason::kMirrorAdded, "KD-0702", "mirror-added", Level::kInfo,
     "A copy has been brought up to date: the mirror disk is redundant again.", "Nothing."},
    {Reason::kMirrorSuspect, "KD-0703", "mirror-suspect", Level::kWarning,
     "A copy is not the disk that was attached before, or an older image of it.",
     "If the right disk was exchanged by mistake, attach it again. Else it is copied in full; with no other current "
     "copy, `kagami mirror force NAME --node NODE`."},
    {Reason::kMirrorFailed, "KD-0704", "mirror-failed", Level::kError, "The disk of a copy failed.",
     "Replace the disk, then `kagami mirror init NAME` on that node."},
    {Reason::kMirrorTakenOver, "KD-0705", "mirror-taken-over", Level::kWarning,
     "A mirror disk goes on with the copy of the node that took over; the copy of the former node is behind.",
     "Start the former node again: the resync follows by itself."},
    {Reason::kMirrorForced, "KD-0706", "mirror-forced", Level::kWarning,
     "A person declared one copy the latest; what only the others held is lost.",
     "Nothing. The full copy follows by itself (`kagami mirror status`)."},
    {Reason::kMirrorHold, "KD-0707", "mirror-hold", Level::kInfo,
     "A person asked for a resync, stopped one, or stopped or resumed replication.",
     "After a stop, when it is wanted again: `kagami mirror resync NAME`, or `kagami mirror rejoin NAME`."},
    {Reason::kMirrorDriverKilled, "KD-0708", "mirror-driver-killed", Level::kWarning,
     "The mirror driver gave no sign of life and was killed, to be started again.",
     "Nothing, if mirrors go on (`kagami mirror status`). Keep `journalctl -u kagami-mirrord` for a report."},
    {Reason::kMirrorAborted, "KD-0709", "mirror-aborted", Level::kError,
     "The mirror driver stayed away, so the I/O of a mirror disk was failed and its group is recovered.",
     "`journalctl -u kagami-mirrord`, then `systemctl restart kagami-mirrord`."},
});

// ---- what the compiler checks ----

constexpr size_t kReasonsBelow = 1000;

// The compiler writes a value without an enumerator as a cast: "(kagami::engine::Reason)7".
template <Reason reason>
constexpr bool is_named() {
    return std::string_view(__PRETTY_FUNCTION__).find("reason = (") == std::string_view::npos;
}
template <size_t... values>
constexpr std::array<bool, sizeof...(values)> named_reasons(std::index_sequence<values...> /*unused*/) {
    return {is_named<static_cast<Reason>(values)>()...};
}

constexpr bool every_reason_has_an_entry() {
    constexpr auto named = named_reasons(std::make_index_sequence<kReasonsBelow>());
    size_t expected = 0;
    for (const bool is : named) expected += is ? 1 : 0;
    for (const MessageEntry& entry : kMessages) {
        const auto value = static_cast<size_t>(entry.reason);
        if (value >= kReasonsBelow || !named.at(value)) return false;
    }
    return kMessages.size() == expected;
}
static_assert(every_reason_has_an_entry(), "a Reason of decision.h has no line in kMessages: add it at its place");

constexpr bool is_in_order() {
    for (size_t i = 1; i < kMessages.size(); ++i) {
        if (kMessages.at(i - 1).reason >= kMessages.at(i).reason) return false;
    }
    return true;
}
static_assert(is_in_order(), "kMessages is in the order of Reason, one line each");

constexpr bool code_fits(const MessageEntry& entry) {
    const std::string_view code = entry.code;
    if (code.size() != 7 || code[0] != 'K' || code[2] != '-') return false;
    size_t number = 0;
    for (const char c : code.substr(3)) {
        if (c < '0' || c > '9') return false;
        number = number * 10 + static_cast<size_t>(c - '0');
    }
    return number == static_cast<size_t>(entry.reason);
}
static_assert(
    std::all_of(kMessages.begin(), kMessages.end(), code_fits),
    "the number of an id is the value of its Reason: a new Reason goes to the end of its block in decision.h");

bool same_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view kPageHead = R"(# Messages

Every message of the cluster: a line of the log, a row of `kagami log`, an alert ([alerts.md](alerts.md)). `kagami explain ID` prints one of these. An id never changes its meaning. Messages that people make (`clplogcmd`) have the ids KU-0000 to KU-9999 and stand in no table.

Levels: **info** – the state has changed; **warning** – something is lost, and the next failure may not be survived; **error** – a person must act.

This page is written from the table in `cluster-daemon/engine/message_catalogue.cc`, by `KAGAMI_UPDATE=1 bin/unit_messages`; without that the test compares the two.
)";

const char* title_of(char letter) {
    switch (letter) {
        case 'R': return "KR: register and leases";
        case 'N': return "KN: nodes";
        case 'G': return "KG: groups and resources";
        case 'M': return "KM: monitors";
        case 'O': return "KO: operators and configuration";
        case 'D': return "KD: mirror disks";
    }
    return "others";
}

}  // namespace

std::span<const MessageEntry> messages() {
    return kMessages;
}

const MessageEntry& message_of(Reason reason) {
    const auto* at = std::lower_bound(kMessages.begin(), kMessages.end(), reason,
                                      [](const MessageEntry& entry, Reason wanted) { return entry.reason < wanted; });
    KAGAMI_ASSERT(at != kMessages.end() && at->reason == reason, "every reason has an entry");
    return *at;
}

const MessageEntry* find_message(std::string_view code_or_name) {
    const auto* at = std::find_if(kMessages.begin(), kMessages.end(), [&](const MessageEntry& entry) {
        return same_ignoring_case(entry.code, code_or_name) || same_ignoring_case(entry.name, code_or_name);
    });
    return at == kMessages.end() ? nullptr : at;
}

std::vector<std::string_view> message_words() {
    std::vector<std::string_view> words;
    for (const MessageEntry& entry : kMessages) {
        words.emplace_back(entry.code);
        words.emplace_back(entry.name);
    }
    return words;
}

const char* word(Level level) {
    switch (level) {
        case Level::kInfo: return "info";
        case Level::kWarning: return "warning";
        case Level::kError: return "error";
    }
    return "";
}

std::string catalogue_page() {
    std::string page(kPageHead);
    char letter = 0;
    for (const MessageEntry& entry : kMessages) {
        if (entry.code[1] != letter) {
            letter = entry.code[1];
            page += std::string("\n## ") + title_of(letter) + "\n\n";
            page += "| id | name | level | meaning | what to do |\n|---|---|---|---|---|\n";
        }
        page += std::string("| ") + entry.code + " | " + entry.name + " | " + word(entry.level) + " | " +
                entry.meaning + " | " + entry.remedy + " |\n";
    }
    return page;
}

}  // namespace kagami::engine
