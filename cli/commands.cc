#include <array>

#include "cli/verbs.h"

namespace kagami::cli {
namespace {

using V = ValueKind;

constexpr Option kInitOptions[] = {
    {"--config", V::kText, "FILE", "The configuration; default: /etc/kagami/cluster.toml."},
    {"--node", V::kText, "NODE", "Which node this machine is; default: by its host name."},
};
constexpr Option kTokenOptions[] = {
    {"--valid", V::kDuration, "DURATION", "How long the token can be used; default and most: \"1h\"."},
};
constexpr Option kStatusOptions[] = {
    {"-w,--watch", V::kFlag, "", "Show every change at once, until interrupted."},
    {"--check", V::kFlag, "", "Exit with 8 when something is not as it should be, naming it on stderr."},
};
constexpr Option kPathsOptions[] = {
    {"--matrix", V::kFlag, "", "A square for each network, from the line's node to the column's."},
};
constexpr Option kWhyOptions[] = {{"-n,--limit", V::kNumber, "N", "The newest N decisions; default: 10."}};
constexpr Option kLogOptions[] = {
    {"-n,--limit", V::kNumber, "N", "The newest N entries; default: 200."},
    {"--since", V::kDuration, "DURATION", "Not older than this, such as \"1h\"."},
    {"--level", V::kText, "INFO|WARN|ERROR", "Of this level and above; default: INFO."},
    {"-f,--follow", V::kFlag, "", "Go on with new entries, until interrupted."},
};
constexpr Option kSimulateOptions[] = {
    {"--status", V::kText, "FILE", "Ask about a saved `kagami status --json` instead of the running cluster."},
    {"--config", V::kText, "FILE",
     "With --status: the configuration that was in force; default: that of this machine."},
};
constexpr Option kAcceptOptions[] = {
    {"--nodes", V::kTexts, "NODE", "The two nodes, the home of A and T first: given twice. Required."},
    {"--through", V::kText, "COMMAND", "Runs a command on {node}; default: \"ssh root@{node}\"."},
    {"--boot", V::kText, "COMMAND", "Switches {node} on; default: it asks you to do it."},
    {"--check", V::kText, "COMMAND", "Checks your data after each step; {step} is its number, {node} its node."},
    {"--group-a", V::kText, "GROUP", "The group whose primary is the first node; default: A."},
    {"--group-b", V::kText, "GROUP", "The group whose primary is the second node; default: B."},
    {"--management", V::kText, "GROUP", "The management group; default: T."},
    {"--variant", V::kText, "automatic|manual",
     "manual: auto_return = false, and A and B with start = \"manual\"; default: automatic."},
    {"--first", V::kText, "NODE", "The node that goes down first in steps 4 to 9; default: the second."},
    {"--limit", V::kDuration, "DURATION", "How long a step may take; default: \"5min\"."},
    {"--report", V::kText, "FILE", "Writes the report there as JSON, too."},
    {"--plan", V::kFlag, "", "Only show the steps and what is expected after each."},
    {"--json", V::kFlag, "", "The report as JSON."},
    {"--yes", V::kFlag, "", "Do not ask."},
};
constexpr Option kGroupStartOptions[] = {{"--to", V::kText, "NODE", "Where; default: by the failover order."}};
constexpr Option kGroupMoveOptions[] = {
    {"--to", V::kText, "NODE", "Where to; default: the next of the failover order."}};
constexpr Option kMonitorOptions[] = {{"--node", V::kText, "NODE", "Only on this node; default: on every node."}};
constexpr Option kNodeShutdownOptions[] = {
    {"--reboot", V::kFlag, "", "Reboot the node instead of switching it off."},
    {"--service-only", V::kFlag, "", "Leave the cluster, but keep the operating system running."},
};
constexpr Option kNodeRebootOptions[] = {
    {"--reserve", V::kDuration, "DURATION", "Its groups wait so long for it, such as \"10min\"; default: they move."},
};
constexpr Option kClusterStartOptions[] = {
    {"--now", V::kFlag, "", "Do not wait for the missing nodes (needs a majority)."},
    {"--alone", V::kFlag, "", "Start without a majority. Needs --confirm-down for the others."},
    {"--confirm-down", V::kTexts, "NODE", "You have seen that this node is off. May be given several times."},
};
constexpr Option kClusterShutdownOptions[] = {
    {"--reboot", V::kFlag, "", "Reboot the nodes instead of switching them off."},
};
constexpr Option kMaintenanceBeginOptions[] = {
    {"--node", V::kText, "NODE", "Of this node; default: of the whole cluster."},
    {"--group", V::kText, "GROUP", "Of this group."},
    {"--kind", V::kText, "observe|unmanaged", "Default: observe. unmanaged: only with --node."},
    {"--for", V::kDuration, "DURATION", "When it ends by itself, such as \"30min\". Required."},
};
constexpr Option kMaintenanceEndOptions[] = {
    {"--node", V::kText, "NODE", "Of this node; default: of the whole cluster."},
    {"--group", V::kText, "GROUP", "Of this group."},
};
constexpr Option kRatioOptions[] = {
    {"--for", V::kDuration, "DURATION", "When it ends by itself, such as \"2h\". Required."},
};
constexpr Option kMirrorStatusOptions[] = {
    {"-w,--watch", V::kFlag, "", "Show every change at once, until interrupted."},
};
constexpr Option kMirrorResyncOptions[] = {
    {"--full", V::kFlag, "", "Copy every block, not only those that differ."},
};
constexpr Option kMirrorForceOptions[] = {
    {"--node", V::kText, "NODE", "Whose copy is declared the latest. Required."},
};
constexpr Option kMirrorInitOptions[] = {
    {"--use-data", V::kFlag, "", "What is on the data device shall be mirrored."},
    {"--wipe", V::kFlag, "", "What is on the data device is given up."},
    {"--yes", V::kText, "NAME", "Do not ask; NAME is what the question asks to type."},
};
constexpr Option kMirrorFileOptions[] = {
    {"--node", V::kText, "NODE", "Which node this machine is; default: by its host name."},
};
constexpr Option kConfigDiffOptions[] = {
    {"--against", V::kText, "FILE", "Compare with this file; default: the configuration in force."},
};
constexpr Option kConfigApplyOptions[] = {
    {"--without", V::kTexts, "NODE", "Do not need this node's confirmation. May be given several times."},
    {"--comment", V::kText, "TEXT", "Kept in the history."},
    {"--confirm-within", V::kDuration, "DURATION",
     "Go back to the present configuration unless `kagami config confirm` comes in time, such as \"2min\"."},
};
constexpr Option kConfigShowOptions[] = {
    {"--version", V::kNumber, "VERSION", "An older version; default: the one in force."},
    {"--defaults", V::kFlag, "", "Instead: every key with its default, range and meaning."},
};
constexpr Option kConfigHistoryOptions[] = {{"-n,--limit", V::kNumber, "N", "The newest N versions; default: 20."}};
constexpr Option kNotifyOptions[] = {
    {"--level", V::kText, "INFO|WARN|ERROR", "Default: INFO."},
    {"--id", V::kNumber, "N", "A number of your own, 0 to 9999, that the message carries (KU-N)."},
    {"--to", V::kTexts, "alert|syslog|mail|webhook", "Where to; may be given several times. Default: as routed."},
};
constexpr Option kCollectOptions[] = {
    {"-o,--output", V::kText, "DIR", "Where the archive is written; default: the present directory."},
    {"--with-scripts", V::kFlag, "", "With the contents of the stored scripts. Look whether they hold passwords."},
};
constexpr Option kManOptions[] = {{"--all", V::kText, "DIR", "Write all pages as files into DIR."}};

constexpr Command kSettingUp[] = {
    {"init", "", "Make a new cluster from a configuration, with this machine as its first node.",
     "Creates the cluster's certificate authority, this node's certificate and the first document, and prints the "
     "cluster's uuid. Needs no daemon, and replaces nothing that is there.",
     Effect::kSetsUp, kInitOptions, run_init},
    {"token", "NODE", "Make a one-time token with which a machine joins as NODE, or as \"witness\".",
     "The token is a secret. It is printed to stdout; hand it to `kagami join -` on the machine. Only on the node "
     "where `kagami init` was run.",
     Effect::kSetsUp, kTokenOptions, run_token},
    {"join",
     "FILE",
     "Join a cluster with the token in FILE; \"-\" reads it from stdin.",
     "Needs no daemon, and replaces nothing that is there.",
     Effect::kSetsUp,
     {},
     run_join},
};

constexpr Command kLooking[] = {
    {"status", "", "Show nodes, groups, resources, monitors and what needs attention.", "", Effect::kReads,
     kStatusOptions, run_status},
    {"paths", "", "Show the heartbeat paths between the nodes.",
     "Each direction by itself: state, round-trip time, loss.", Effect::kReads, kPathsOptions, run_paths},
    {"why", "NAME", "Explain the state of a node, group, resource or monitor.",
     "With the newest decisions about it, and of a group each node and why it could or could not run there. "
     "\"cluster\" asks about the cluster as a whole.",
     Effect::kReads, kWhyOptions, run_why},
    {"log", "[NAME]", "Show the cluster's events, of all or of one object.", "", Effect::kReads, kLogOptions, run_log},
    {"leader",
     "",
     "Show which node leads the cluster.",
     "Exits with 5 when none is known.",
     Effect::kReads,
     {},
     run_leader},
    {"statistics",
     "",
     "Show how long starts, stops and checks took on this node.",
     "Since the start of its daemon.",
     Effect::kReads,
     {},
     run_statistics},
    {"doctor",
     "",
     "Look for what is not as it should be, on this node and as far as it knows of the others.",
     "Exits with 8 when it finds something. Without a daemon it looks at this machine's files and exits with 7.",
     Effect::kReads,
     {},
     run_doctor},
    {"accept", "", "Put a two-node cluster to the test: twenty operations, and where its groups must be after each.",
     "Run it on a third machine, before going live and after a recovery: both nodes are shut down and booted several "
     "times. Two groups, A with its primary on the first node and B on the second, and a management group T are "
     "needed.",
     Effect::kSetsUp, kAcceptOptions, run_accept},
    {"simulate", "EVENT...", "Say what the cluster would do; nothing changes.",
     "EVENT: \"power-off NODE\", \"shutdown NODE\", \"reboot NODE\", \"cut NODE NODE\", \"cut NODE all\", "
     "\"move GROUP [NODE]\", \"stop GROUP\", \"kill-resource RESOURCE\"; several with a comma between; \"witness\" may "
     "stand for a NODE that is powered off or cut. The answer: "
     "where each group goes, after how long, why, the risk for data, and what keeps it from going well.",
     Effect::kReads, kSimulateOptions, run_simulate},
    {"explain",
     "[CODE...]",
     "Explain a message by its id or name, or an exit status; without CODE: list them.",
     "CODE: \"KG-0302\", \"group-failover\", \"exit 4\". Needs no daemon.",
     Effect::kReads,
     {},
     run_explain},
};

constexpr Command kGroups[] = {
    {"group start", "GROUP", "Start a group.", "", Effect::kChanges, kGroupStartOptions, run_group_start},
    {"group stop",
     "GROUP",
     "Stop a group; it stays stopped until it is started again.",
     "",
     Effect::kDestroys,
     {},
     run_group_stop},
    {"group move", "GROUP", "Move a group to another node.", "The service pauses while it stops here and starts there.",
     Effect::kChanges, kGroupMoveOptions, run_group_move},
    {"resource start",
     "RESOURCE",
     "Start a resource that was stopped while its group runs.",
     "With --force also what it depends on.",
     Effect::kChanges,
     {},
     run_resource_start},
    {"resource stop",
     "RESOURCE",
     "Stop a resource; the rest of its group goes on.",
     "Its monitors are off meanwhile. With --force also what depends on it.",
     Effect::kDestroys,
     {},
     run_resource_stop},
};

constexpr Command kMonitors[] = {
    {"monitor suspend", "[MONITOR]", "Suspend a monitor, or all: it checks nothing and recovers nothing.", "",
     Effect::kChanges, kMonitorOptions, run_monitor_suspend},
    {"monitor resume", "[MONITOR]", "Let a suspended monitor, or all, go on.", "", Effect::kChanges, kMonitorOptions,
     run_monitor_resume},
    {"monitor fail", "MONITOR", "Verification: the monitor reports an error whatever it finds.",
     "Its recovery runs as configured: restarts, failover, final action.", Effect::kDestroys, kMonitorOptions,
     run_monitor_fail},
    {"monitor unfail", "[MONITOR]", "End `monitor fail`, of one or of all.", "", Effect::kChanges, kMonitorOptions,
     run_monitor_unfail},
    {"monitor clear", "[MONITOR]", "Set the recovery counters of a monitor, or of all, to zero.", "", Effect::kChanges,
     kMonitorOptions, run_monitor_clear},
};

constexpr Command kNodes[] = {
    {"node shutdown", "[NODE]", "Take a node out cleanly and switch it off; default: this node.",
     "Its groups move to other nodes first.", Effect::kDestroys, kNodeShutdownOptions, run_node_shutdown},
    {"node reboot", "[NODE]", "Take a node out cleanly and reboot it; default: this node.",
     "With --reserve its groups stop and wait for it; `group start --to` starts one elsewhere all the same.",
     Effect::kDestroys, kNodeRebootOptions, run_node_reboot},
    {"node return",
     "[NODE]",
     "Let an isolated node run groups again; default: this node.",
     "Cancels a shutdown that is under way.",
     Effect::kChanges,
     {},
     run_node_return},
    {"node clear-final-actions",
     "[NODE]",
     "Set the count of final actions that ended a node to zero; default: of every node.",
     "",
     Effect::kChanges,
     {},
     run_clear_final_actions},
    {"leader move",
     "[NODE]",
     "Hand the leader's role to another node; groups stay where they are.",
     "Default: whichever node suits.",
     Effect::kChanges,
     {},
     run_leader_move},
    {"cluster start", "", "Start the groups of the whole cluster.",
     "--alone starts without a majority, on your word that each node named is off. If it is not, two sides run.",
     Effect::kDestroys, kClusterStartOptions, run_cluster_start},
    {"cluster stop",
     "",
     "Stop all groups, and the cluster service on all nodes.",
     "",
     Effect::kDestroys,
     {},
     run_cluster_stop},
    {"cluster shutdown", "", "Stop all groups, and switch all nodes off.", "", Effect::kDestroys,
     kClusterShutdownOptions, run_cluster_shutdown},
};

constexpr Command kOperations[] = {
    {"failover status",
     "",
     "Show whether failover is switched on, and how each group fails over.",
     "",
     Effect::kReads,
     {},
     run_failover_status},
    {"failover on",
     "",
     "Let groups go to other nodes by themselves again.",
     "Refused while a path between the nodes is bad.",
     Effect::kChanges,
     {},
     run_failover_on},
    {"failover off",
     "",
     "Nothing goes to another node by itself any more.",
     "Restarts on the same node go on, and persons may start, stop and move.",
     Effect::kDestroys,
     {},
     run_failover_off},
    {"failover force",
     "",
     "The leader hands its role to another node now, and its groups move there.",
     "Refused while a copy of a mirror disk is under way, or a configuration waits to be confirmed.",
     Effect::kDestroys,
     {},
     run_failover_force},
    {"maintenance begin", "", "Decide nothing automatically for the cluster, a node or a group.",
     "observe: no restart, failover, failback or final action; what would have been done is said. unmanaged (a node): "
     "also the guard lets go, so that services go on even when the cluster service or the network is away.",
     Effect::kDestroys, kMaintenanceBeginOptions, run_maintenance_begin},
    {"maintenance end", "", "End a maintenance.", "", Effect::kChanges, kMaintenanceEndOptions, run_maintenance_end},
    {"timeout-ratio set", "N", "Make the time-outs of monitors, resources and scripts N times as long.",
     "N: 1 to 10000.", Effect::kChanges, kRatioOptions, run_ratio_set},
    {"timeout-ratio reset", "", "Let the time-outs be as configured.", "", Effect::kChanges, {}, run_ratio_reset},
    {"timeout-ratio show", "", "Show the ratio in force.", "", Effect::kReads, {}, run_ratio_show},
};

constexpr Command kMirrors[] = {
    {"mirror status", "[MIRROR]", "Show the copies of mirror disks, of all or of one.",
     "A column for each node: colour and word, role, what the cluster says of the copy, its disk, generation, "
     "connection and what is still to be copied. GREEN Normal: holds every acknowledged write. YELLOW Recovering: is "
     "being copied to. RED Abnormal: behind, failed, or another disk than before. ORANGE Uncertain: not known yet to "
     "be the latest. GRAY Unknown: its node or mirror driver is away. No Construction: never held data.",
     Effect::kReads, kMirrorStatusOptions, run_mirror_status},
    {"mirror resync", "MIRROR", "Bring the other copy of a mirror disk up to date, and go on by itself after a cancel.",
     "The service goes on meanwhile.", Effect::kOverwrites, kMirrorResyncOptions, run_mirror_resync},
    {"mirror force", "MIRROR", "Declare the copy of a node the latest, and overwrite the others with it.",
     "For when no copy is current any more. What the others have and this copy has not is lost.", Effect::kOverwrites,
     kMirrorForceOptions, run_mirror_force},
    {"mirror cancel",
     "MIRROR",
     "Stop the resync under way; none begins until `mirror resync`.",
     "",
     Effect::kChanges,
     {},
     run_mirror_cancel},
    {"mirror break",
     "MIRROR",
     "Stop replicating until `mirror rejoin`.",
     "The copy in use goes on alone; the other one keeps the present state.",
     Effect::kDestroys,
     {},
     run_mirror_break},
    {"mirror rejoin", "MIRROR", "Replicate again after `mirror break`.", "", Effect::kChanges, {}, run_mirror_rejoin},
    {"mirror init", "MIRROR", "Make new metadata for this node's copy of a mirror disk.",
     "After a disk was replaced or repaired, or before the first start when there are data on it. Refused while the "
     "mirror driver has the disk. A full copy follows.",
     Effect::kSetsUp, kMirrorInitOptions, run_mirror_init},
    {"mirror dump", "MIRROR", "Print the metadata of this node's copy of a mirror disk; needs no daemon.",
     "MIRROR may be the path of a metadata device.", Effect::kSetsUp, kMirrorFileOptions, run_mirror_dump},
    {"mirror check", "MIRROR", "Check the metadata of this node's copy of a mirror disk; needs no daemon.",
     "MIRROR may be the path of a metadata device. Exit status 0: sound, 8: usable with remarks, 1: not usable.",
     Effect::kSetsUp, kMirrorFileOptions, run_mirror_check},
};

constexpr Command kConfiguration[] = {
    {"config check",
     "[FILE]",
     "Check a configuration; needs no daemon.",
     "Reports every problem with its place. Default: /etc/kagami/cluster.toml.",
     Effect::kSetsUp,
     {},
     run_config_check},
    {"config diff", "[FILE]", "Show what a configuration would change; needs no daemon.",
     "Default: /etc/kagami/cluster.toml.", Effect::kReads, kConfigDiffOptions, run_config_diff},
    {"config plan",
     "[FILE]",
     "Ask the cluster what a configuration would change, and what that restarts.",
     "Nothing changes. Default: /etc/kagami/cluster.toml.",
     Effect::kReads,
     {},
     run_config_plan},
    {"config apply", "[FILE]", "Put a configuration in force on all nodes.",
     "Says first what it restarts: groups that it concerns stop, and start again under it. What would restart the "
     "whole cluster (timing, networks, voters) is refused while it runs. Default: /etc/kagami/cluster.toml.",
     Effect::kDestroys, kConfigApplyOptions, run_config_apply},
    {"config confirm",
     "",
     "Keep the configuration that was applied with --confirm-within.",
     "",
     Effect::kChanges,
     {},
     run_config_confirm},
    {"config rollback", "VERSION", "Put an older configuration in force again.",
     "`config history` lists them. It becomes a new version; /etc/kagami/cluster.toml stays as it is.",
     Effect::kDestroys, kConfigApplyOptions, run_config_rollback},
    {"config show", "", "Print the configuration in force, or an older one.", "", Effect::kReads, kConfigShowOptions,
     run_config_show},
    {"config history", "", "List the configurations that were in force.", "", Effect::kReads, kConfigHistoryOptions,
     run_config_history},
};

constexpr Command kRecords[] = {
    {"notify", "TEXT...", "Send a message of your own the way of the cluster's alerts.", "", Effect::kSetsUp,
     kNotifyOptions, run_notify},
    {"logs collect", "", "Collect this node's records into one archive, for whoever helps you.",
     "Status, events, journal, service logs, the configuration without its passwords, and facts of the kernel. Never "
     "keys. Works without a daemon, with what is there then. Prints the archive's name.",
     Effect::kSetsUp, kCollectOptions, run_logs_collect},
};

constexpr std::array<Chapter, 9> kChapters = {{{"Setting up", kSettingUp},
                                               {"Looking", kLooking},
                                               {"Groups and resources", kGroups},
                                               {"Monitors", kMonitors},
                                               {"Nodes and the cluster", kNodes},
                                               {"Failover and maintenance", kOperations},
                                               {"Mirror disks", kMirrors},
                                               {"Configuration", kConfiguration},
                                               {"Records", kRecords}}};

constexpr Command kHidden[] = {
    {"completion", "bash|zsh", "Print the completion of a shell.", "", Effect::kSetsUp, {}, run_completion},
    {"man", "[kagami.1|cluster.toml.5|cli.md]", "Print a page of the manual; default: kagami.1.",
     "cli.md is docs/cli.md.", Effect::kSetsUp, kManOptions, run_man},
    {"names",
     "NODE|GROUP|RESOURCE|MONITOR|MIRROR|VERSION|NAME",
     "Print the names of a kind, for completion; at most a second, and nothing without a daemon.",
     "",
     Effect::kSetsUp,
     {},
     run_names},
};

constexpr std::array<ExitCode, 9> kExitCodes = {
    {{0, "Done.", "Nothing."},
     {1, "It was tried and did not work.", "Read the message; `kagami why NAME` tells more."},
     {2, "The command or a configuration is wrong, or a confirmation is needed and there is no terminal to ask on.",
      "See `kagami COMMAND --help`; a script that means it gives --yes."},
     {3, "What was named does not exist.", "`kagami status` lists the names."},
     {4, "A safety rule forbids it now.",
      "The message names the rule and what to do; where it names --force, that overrides it."},
     {5, "No majority answers, so nothing can be decided.",
      "See `kagami paths`; repair the network, or start the other nodes."},
     {6, "It was not done within the time-out, and may still go on.", "`kagami status --watch` shows it."},
     {7, "The cluster daemon of this node does not answer.",
      "`systemctl start kagamid`; then see `journalctl -u kagamid` and `kagami doctor`."},
     {8, "Degraded: something is not as it should be (status --check, doctor, mirror check).",
      "The output names it."}}};

}  // namespace

std::span<const Chapter> chapters() {
    return kChapters;
}
std::span<const Command> hidden_commands() {
    return kHidden;
}
std::span<const ExitCode> exit_codes() {
    return kExitCodes;
}

}  // namespace kagami::cli
