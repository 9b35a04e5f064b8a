#include "common/config/keys.h"

#include <array>
#include <cmath>

#include "common/config/keys_alerts.h"

namespace kagami::config {
namespace {

using K = KeyKind;
constexpr double kHour = 3600;

constexpr std::array<std::string_view, 5> kProfiles = {"fast", "lan", "vm", "san", "test"};
constexpr std::array<std::string_view, 3> kUses = {"control", "heartbeat", "mirror"};
constexpr std::array<std::string_view, 5> kOptions = {"witness", "fencing", "tie", "manual", "ping"};
constexpr std::array<std::string_view, 3> kWitnessKinds = {"server", "etcd", "disk"};
constexpr std::array<std::string_view, 2> kAutoManual = {"auto", "manual"};
constexpr std::array<std::string_view, 3> kFailovers = {"auto", "dynamic", "manual"};
constexpr std::array<std::string_view, 2> kGroupKinds = {"failover", "management"};
constexpr std::array<std::string_view, 3> kServerGroupPolicies = {"none", "prefer", "manual-between"};
constexpr std::array<std::string_view, 2> kWaitOutcomes = {"cancel", "go-on"};
constexpr std::array<std::string_view, 2> kExclusiveKinds = {"normal", "absolute"};
constexpr std::array<std::string_view, 3> kRecoveryTargets = {"resource", "group", "all-groups"};
constexpr std::array<std::string_view, 3> kStops = {"cluster-stop", "node-stop", "group-stop"};
constexpr std::array<std::string_view, 2> kExclusions = {"data", "strict"};
constexpr std::array<std::string_view, 12> kActivationActions = {
    "no-operation", "no-operation-stop-here",    "stop-group",
    "stop-cluster", "stop-cluster-and-shutdown", "stop-cluster-and-reboot",
    "sysrq-panic",  "reset",                     "bmc-reset",
    "bmc-power-off", "bmc-power-cycle",          "bmc-nmi"};
constexpr std::array<std::string_view, 11> kDeactivationActions = {
    "no-operation",  "no-operation-stop-here", "stop-cluster", "stop-cluster-and-shutdown", "stop-cluster-and-reboot",
    "sysrq-panic",   "reset",                  "bmc-reset",    "bmc-power-off",             "bmc-power-cycle",
    "bmc-nmi"};
constexpr std::array<std::string_view, 12> kMonitorActions = {
    "no-operation", "stop-resource",          "stop-group",    "stop-cluster", "stop-cluster-and-shutdown",
    "stop-cluster-and-reboot", "sysrq-panic", "reset",         "bmc-reset",    "bmc-power-off",
    "bmc-power-cycle",         "bmc-nmi"};

constexpr Key kRoot[] = {
    {"cluster", K::kTable, true, "", 0, 0, "The cluster as a whole."},
    {"network", K::kTableList, true, "", 0, 0, "Heartbeat and control paths, in order of preference."},
    {"node", K::kTableList, true, "", 0, 0, "The servers, 2 to 32."},
    {"arbitration", K::kTable, false, "", 0, 0, "What decides when the nodes lose each other."},
    {"server_group", K::kTableList, false, "", 0, 0, "Sites or storage units: nodes that belong together."},
    {"exclusive_rule", K::kTableList, false, "", 0, 0, "Groups that keep away from each other's nodes."},
    {"group", K::kTableList, false, "", 0, 0, "What runs on one node at a time and moves as a whole."},
    {"monitor", K::kTableList, false, "", 0, 0, "What is watched, and what happens on an error."},
    {"alerts", K::kTable, false, "", 0, 0, "Where messages of the cluster are sent."},
};
constexpr Key kCluster[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the cluster."},
    {"comment", K::kString, false, "", 0, 0, "Free text."},
    {"profile", K::kChoice, false, "lan", 0, 0,
     "Timing: lan on hardware, vm under a hypervisor, san with a slow disk witness.", kProfiles},
    {"lease", K::kDuration, false, "", 0.2, 600,
     "T_hold, in place of the profile's: how long a node may serve without a renewal."},
    {"watchdog", K::kDuration, false, "", 0.2, 600, "T_wd, in place of the profile's: the watchdog's time-out."},
    {"reset", K::kDuration, false, "", 0, 600,
     "T_rst, in place of the profile's: how long the hardware takes to reset."},
    {"io", K::kDuration, false, "", 0, 600,
     "T_io, in place of the profile's: how late a write may still land after a reset."},
    {"startup_wait", K::kDuration, false, "5min", 0, 24 * kHour,
     "How long a starting cluster waits for all its nodes."},
    {"auto_return", K::kBoolean, false, "true", 0, 0,
     "A node that crashed returns by itself; else it waits for `kagami node return`."},
    {"failovers_per_hour", K::kInteger, false, "20", 1, 1000, "Storm brake: failovers of one group within an hour."},
    {"failover_latch", K::kBoolean, false, "false", 0, 0,
     "An automatic failover switches failover off until `kagami failover on`."},
    {"last_node_survives", K::kBoolean, false, "true", 0, 0,
     "A final action that ends the node is not taken on the last healthy node."},
    {"final_action_limit", K::kInteger, false, "3", 0, 99,
     "Final actions that end a node, in a row; past it they are not taken. 0 = no limit."},
    {"final_action_reset", K::kDuration, false, "1h", 60, 24 * kHour,
     "A node that ran so long without one starts to count anew."},
    {"minimum_memory", K::kInteger, false, "0", 0, 1e9,
     "MiB of free memory below which a node's groups fail over; 0 = not watched."},
    {"minimum_disk", K::kInteger, false, "0", 0, 1e9,
     "MiB free on the file system of /var/lib/kagami below which a node's groups fail over; 0 = not watched."},
};
constexpr Key kNetwork[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the network."},
    {"use", K::kChoiceList, false, "control, heartbeat", 0, 0, "What the network carries.", kUses},
};
constexpr Key kNode[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the node."},
    {"id", K::kInteger, false, "", 1, 32,
     "Its number, which it keeps for good; default: its position among the nodes. Give it before a node is removed."},
    {"comment", K::kString, false, "", 0, 0, "Free text, shown by clpstat."},
    {"address", K::kAddresses, true, "", 0, 0, "The node's IP address on each network: { net1 = \"10.77.1.1\" }."},
};
constexpr Key kServerGroup[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the server group."},
    {"nodes", K::kNameList, true, "", 0, 0, "Its nodes, in order of preference."},
};
constexpr Key kExclusiveRule[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the rule."},
    {"kind", K::kChoice, false, "normal", 0, 0,
     "absolute: never on one node; normal: only when there is no other node.", kExclusiveKinds},
    {"groups", K::kNameList, true, "", 0, 0, "The groups that it keeps apart."},
};
constexpr Key kArbitration[] = {
    {"option", K::kChoice, false, "", 0, 0, "Default: witness when a witness is listed, else tie.", kOptions},
    {"witness", K::kTableList, false, "", 0, 0, "The witness: { kind = \"server\", address = \"10.77.1.9\" }."},
};
constexpr Key kWitness[] = {
    {"kind", K::kChoice, false, "server", 0, 0, "server = kagami-witness on a third machine.", kWitnessKinds},
    {"address", K::kAddresses, true, "", 0, 0, "Its IP address, or one for each network: { net1 = \"10.77.1.9\" }."},
};
constexpr Key kGroup[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the group."},
    {"comment", K::kString, false, "", 0, 0, "Free text."},
    {"nodes", K::kNameList, false, "", 0, 0,
     "Start-up and failover order; default: every node, in the order of the file."},
    {"start", K::kChoice, false, "auto", 0, 0, "Starts with the cluster, or by a person.", kAutoManual},
    {"failover", K::kChoice, false, "auto", 0, 0,
     "auto: by itself, in the order of the nodes; dynamic: by itself, to the healthiest node; manual: by a person.",
     kFailovers},
    {"kind", K::kChoice, false, "failover", 0, 0, "management: carries the address of the console.", kGroupKinds},
    {"forced_failover", K::kBoolean, false, "false", 0, 0,
     "With failover = dynamic: even to a node whose monitors report errors, when there is no healthy one."},
    {"smart_failover", K::kBoolean, false, "false", 0, 0,
     "With failover = dynamic: among equally healthy nodes, to the one with the most free memory."},
    {"server_groups", K::kNameList, false, "", 0, 0,
     "Server groups that it uses, in order; replaces `nodes`."},
    {"server_group_policy", K::kChoice, false, "none", 0, 0,
     "prefer: first to nodes of the same server group; manual-between: by itself only to those.",
     kServerGroupPolicies},
    {"start_wait", K::kTable, false, "", 0, 0, "Groups that have to run before this one starts."},
    {"stop_wait", K::kTable, false, "", 0, 0, "Groups that have to be stopped before this one stops."},
    {"check_both_active", K::kBoolean, false, "true", 0, 0,
     "Does not start while another node reports that the group runs there."},
    {"failback", K::kChoice, false, "manual", 0, 0, "auto: moves to a node earlier in the order when that returns.",
     kAutoManual},
    {"exclusion", K::kChoice, false, "data", 0, 0,
     "strict: waits until the former owner is certainly dead, not only suspended.", kExclusions},
    {"resource", K::kTableList, false, "", 0, 0, "The group's resources."},
};
constexpr Key kStartWait[] = {
    {"groups", K::kNameList, true, "", 0, 0, "The groups."},
    {"same_node", K::kBoolean, false, "false", 0, 0, "They count only on the node where this group starts."},
    {"timeout", K::kDuration, false, "30min", 0, 9999, "How long it waits."},
    {"on_timeout", K::kChoice, false, "cancel", 0, 0, "The start is cancelled, or goes on.", kWaitOutcomes},
};
constexpr Key kStopWait[] = {
    {"groups", K::kNameList, true, "", 0, 0, "The groups."},
    {"at", K::kChoiceList, false, "cluster-stop", 0, 0, "The stops at which it waits.", kStops},
    {"timeout", K::kDuration, false, "30min", 0, 9999, "How long it waits."},
    {"on_timeout", K::kChoice, false, "cancel", 0, 0, "The stop is cancelled, or goes on.", kWaitOutcomes},
};
constexpr Key kResourceScripts[] = {
    {"before_activation", K::kScript, false, "", 0, 0, "Runs before the resource is activated; its failure counts."},
    {"after_activation", K::kScript, false, "", 0, 0, "Runs after it is active."},
    {"before_deactivation", K::kScript, false, "", 0, 0, "Runs before it is deactivated."},
    {"after_deactivation", K::kScript, false, "", 0, 0, "Runs after it is inactive."},
    {"before_final", K::kScript, false, "", 0, 0, "Runs before the final action of a failure."},
    {"timeout", K::kDuration, false, "30s", 1, 9999, "Limit of each."},
};
constexpr Key kResource[] = {
    {"type", K::kString, true, "", 0, 0, "The resource's type."},
    {"name", K::kName, true, "", 0, 0, "Name of the resource, once in the cluster."},
    {"comment", K::kString, false, "", 0, 0, "Free text, shown by clpstat."},
    {"after", K::kNameList, false, "", 0, 0, "Resources of the group that start before this one; default: by type."},
    {"activate_timeout", K::kDuration, false, "", 0.1, 24 * kHour,
     "Default: 60s, or start_timeout + 10s where the type has it."},
    {"deactivate_timeout", K::kDuration, false, "", 0.1, 24 * kHour,
     "Default: 60s, or stop_timeout + 10s where the type has it."},
    {"on_activation_failure", K::kTable, false, "", 0, 0, "Retry, then failover, then the final action."},
    {"on_deactivation_failure", K::kTable, false, "", 0, 0, "Retry, then the final action."},
    {"scripts", K::kTable, false, "", 0, 0, "Scripts around its activation and deactivation."},
    {"node", K::kTable, false, "", 0, 0, "Parameters that differ on a node: node.node2 = { data = \"/dev/sdc1\" }."},
};
constexpr Key kActivationFailure[] = {
    {"retry", K::kInteger, false, "0", 0, 99, "Further attempts on the same node."},
    {"failover", K::kInteger, false, "1", 0, 99, "Failovers to the next node."},
    {"final", K::kChoice, false, "no-operation-stop-here", 0, 0, "What is done when that did not help.",
     kActivationActions},
};
constexpr Key kDeactivationFailure[] = {
    {"retry", K::kInteger, false, "0", 0, 99, "Further attempts."},
    {"final", K::kChoice, false, "stop-cluster-and-shutdown", 0, 0, "What is done when that did not help.",
     kDeactivationActions},
};
constexpr Key kMonitor[] = {
    {"type", K::kString, true, "", 0, 0, "The monitor's type."},
    {"name", K::kName, true, "", 0, 0, "Name of the monitor."},
    {"comment", K::kString, false, "", 0, 0, "Free text."},
    {"target", K::kName, false, "", 0, 0,
     "The resource that is watched and recovered; without it the monitor always runs."},
    {"group", K::kName, false, "", 0, 0,
     "The group that is recovered; default: the target's, else every group of the node."},
    {"interval", K::kDuration, false, "60s", 0.1, 999, "Time between two checks."},
    {"timeout", K::kDuration, false, "60s", 0.1, 9999, "Limit of one check."},
    {"start_wait", K::kDuration, false, "0s", 0, 9999, "Wait before the first check."},
    {"retry", K::kInteger, false, "0", 0, 99, "Further failed checks before it is an error."},
    {"retry_on_timeout", K::kBoolean, false, "true", 0, 0,
     "false: a check that times out is an error without further checks."},
    {"recover_on_timeout", K::kBoolean, false, "true", 0, 0,
     "false: an error by a time-out is shown, but nothing is recovered."},
    {"delay_warning", K::kInteger, false, "80", 0, 100,
     "Per cent of the time-out after which a check is told as late; 0 = never."},
    {"nice", K::kInteger, false, "0", -20, 19, "Priority of programs that the monitor runs."},
    {"nodes", K::kNameList, false, "", 0, 0, "The nodes that run it; default: every node."},
    {"recover", K::kChoice, false, "", 0, 0,
     "What restarts and fails over; default: the target, else the group, else all groups of the node.",
     kRecoveryTargets},
    {"on_error", K::kTable, false, "", 0, 0, "Recovery: script, then restart, then failover, then the final action."},
    {"node", K::kTable, false, "", 0, 0, "Parameters that differ on a node."},
};
constexpr Key kOnError[] = {
    {"script", K::kInteger, false, "0", 0, 99, "Runs of the recovery script before the first restart."},
    {"restart", K::kInteger, false, "3", 0, 99, "Restarts of the target."},
    {"failover", K::kInteger, false, "1", 0, 99, "Failovers to the next node."},
    {"final", K::kChoice, false, "no-operation", 0, 0, "What is done when that did not help.", kMonitorActions},
    {"script_before_restart", K::kBoolean, false, "false", 0, 0, "Runs recovery.sh before each restart, too."},
    {"script_before_failover", K::kBoolean, false, "false", 0, 0, "Runs recovery.sh before each failover, too."},
    {"script_before_final", K::kBoolean, false, "false", 0, 0, "Runs recovery.sh before the final action, too."},
    {"script_timeout", K::kDuration, false, "30s", 1, 9999, "Limit of recovery.sh."},
};

KeyKind kind_of(ParameterKind kind) {
    switch (kind) {
        case ParameterKind::kString: return K::kString;
        case ParameterKind::kInteger: return K::kInteger;
        case ParameterKind::kBoolean: return K::kBoolean;
        case ParameterKind::kDuration: return K::kDuration;
        case ParameterKind::kStringList: return K::kStringList;
        case ParameterKind::kPath: return K::kPath;
        case ParameterKind::kScript: return K::kScript;
    }
    return K::kString;
}

std::string bound_text(const Key& key, double bound) {
    if (key.kind != K::kDuration) return std::to_string(static_cast<int64_t>(bound));
    return format_duration(Duration(std::llround(bound * 1e9)));
}

}  // namespace

std::span<const Key> root_keys() {
    return kRoot;
}

const Section& cluster_section() {
    static constexpr Section section{"[cluster]", "The cluster as a whole.", kCluster};
    return section;
}
const Section& network_section() {
    static constexpr Section section{"[[network]]", "A heartbeat and control path; the first is preferred.", kNetwork};
    return section;
}
const Section& node_section() {
    static constexpr Section section{"[[node]]", "A server.", kNode};
    return section;
}
const Section& server_group_section() {
    static constexpr Section section{"[[server_group]]", "Nodes that belong together: a site, a storage unit.",
                                     kServerGroup};
    return section;
}
const Section& exclusive_rule_section() {
    static constexpr Section section{"[[exclusive_rule]]", "Groups that keep away from each other's nodes.",
                                     kExclusiveRule};
    return section;
}
const Section& start_wait_section() {
    static constexpr Section section{"start_wait", "Groups that have to run before this one starts.", kStartWait};
    return section;
}
const Section& stop_wait_section() {
    static constexpr Section section{"stop_wait", "Groups that have to be stopped before this one stops.", kStopWait};
    return section;
}
const Section& resource_scripts_section() {
    static constexpr Section section{"scripts", "Scripts around the steps of a resource.", kResourceScripts};
    return section;
}
const Section& arbitration_section() {
    static constexpr Section section{"[arbitration]", "What decides when the nodes lose each other.", kArbitration};
    return section;
}
const Section& witness_section() {
    static constexpr Section section{"arbitration.witness", "The third voter.", kWitness};
    return section;
}
const Section& group_section() {
    static constexpr Section section{"[[group]]", "What runs on one node at a time and moves as a whole.", kGroup};
    return section;
}
const Section& resource_section() {
    static constexpr Section section{"[[group.resource]]", "A resource; further keys by its type.", kResource};
    return section;
}
const Section& activation_failure_section() {
    static constexpr Section section{"on_activation_failure", "When a resource does not start.", kActivationFailure};
    return section;
}
const Section& deactivation_failure_section() {
    static constexpr Section section{"on_deactivation_failure", "When a resource does not stop.", kDeactivationFailure};
    return section;
}
const Section& monitor_section() {
    static constexpr Section section{"[[monitor]]", "A monitor; further keys by its type.", kMonitor};
    return section;
}
const Section& on_error_section() {
    static constexpr Section section{"on_error", "Recovery when a monitor finds an error.", kOnError};
    return section;
}

std::vector<const Section*> sections() {
    return {&cluster_section(),
            &network_section(),
            &node_section(),
            &arbitration_section(),
            &witness_section(),
            &server_group_section(),
            &exclusive_rule_section(),
            &group_section(),
            &start_wait_section(),
            &stop_wait_section(),
            &resource_section(),
            &resource_scripts_section(),
            &activation_failure_section(),
            &deactivation_failure_section(),
            &monitor_section(),
            &on_error_section(),
            &alerts_section(),
            &alerts_mail_section(),
            &alerts_webhook_section(),
            &alerts_route_section()};
}

std::vector<Key> keys_of(std::span<const Parameter> parameters) {
    std::vector<Key> keys;
    for (const Parameter& p : parameters) {
        keys.push_back(
            {p.name, kind_of(p.kind), p.required, p.default_text, p.minimum, p.maximum, p.help, {}, p.check});
    }
    return keys;
}

std::string_view kind_words(KeyKind kind) {
    switch (kind) {
        case K::kString: return "a string";
        case K::kName: return "a name";
        case K::kInteger: return "an integer";
        case K::kBoolean: return "true or false";
        case K::kDuration: return "a duration such as \"2s\"";
        case K::kChoice: return "a word";
        case K::kChoiceList: return "a list of words";
        case K::kNameList: return "a list of names";
        case K::kStringList: return "a list of strings";
        case K::kAddress: return "an IP address";
        case K::kPath: return "an absolute path";
        case K::kScript: return "a script";
        case K::kAddresses: return "an IP address, or one for each network";
        case K::kTable: return "a table";
        case K::kTableList: return "a list of tables";
    }
    return "";
}

std::string range_text(const Key& key) {
    std::string words;
    for (const std::string_view choice : key.choices) words += (words.empty() ? "" : " | ") + std::string(choice);
    if (!words.empty() || (key.minimum == 0 && key.maximum == 0)) return words;
    return bound_text(key, key.minimum) + " to " + bound_text(key, key.maximum);
}

}  // namespace kagami::config
