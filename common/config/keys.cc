#include "common/config/keys.h"

#include <array>
#include <cmath>

namespace kagami::config {
namespace {

using K = KeyKind;
constexpr double kHour = 3600;

constexpr std::array<std::string_view, 5> kProfiles = {"fast", "lan", "vm", "san", "test"};
constexpr std::array<std::string_view, 3> kUses = {"control", "heartbeat", "mirror"};
constexpr std::array<std::string_view, 5> kOptions = {"witness", "fencing", "tie", "manual", "ping"};
constexpr std::array<std::string_view, 3> kWitnessKinds = {"server", "etcd", "disk"};
constexpr std::array<std::string_view, 2> kAutoManual = {"auto", "manual"};
constexpr std::array<std::string_view, 2> kExclusions = {"data", "strict"};
constexpr std::array<std::string_view, 6> kActivationActions = {
    "no-operation", "no-operation-stop-here",    "stop-group",
    "stop-cluster", "stop-cluster-and-shutdown", "stop-cluster-and-reboot"};
constexpr std::array<std::string_view, 5> kDeactivationActions = {
    "no-operation", "no-operation-stop-here", "stop-cluster", "stop-cluster-and-shutdown", "stop-cluster-and-reboot"};
constexpr std::array<std::string_view, 5> kMonitorActions = {"no-operation", "stop-group", "stop-cluster",
                                                             "stop-cluster-and-shutdown", "stop-cluster-and-reboot"};

constexpr Key kRoot[] = {
    {"cluster", K::kTable, true, "", 0, 0, "The cluster as a whole."},
    {"network", K::kTableList, true, "", 0, 0, "Heartbeat and control paths, in order of preference."},
    {"node", K::kTableList, true, "", 0, 0, "The servers, 2 to 32."},
    {"arbitration", K::kTable, false, "", 0, 0, "What decides when the nodes lose each other."},
    {"group", K::kTableList, false, "", 0, 0, "What runs on one node at a time and moves as a whole."},
    {"monitor", K::kTableList, false, "", 0, 0, "What is watched, and what happens on an error."},
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
};
constexpr Key kNetwork[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the network."},
    {"use", K::kChoiceList, false, "control, heartbeat", 0, 0, "What the network carries.", kUses},
};
constexpr Key kNode[] = {
    {"name", K::kName, true, "", 0, 0, "Name of the node."},
    {"comment", K::kString, false, "", 0, 0, "Free text, shown by clpstat."},
    {"address", K::kAddresses, true, "", 0, 0, "The node's IP address on each network: { net1 = \"10.77.1.1\" }."},
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
    {"failover", K::kChoice, false, "auto", 0, 0, "Fails over by itself, or by a person.", kAutoManual},
    {"failback", K::kChoice, false, "manual", 0, 0, "auto: moves to a node earlier in the order when that returns.",
     kAutoManual},
    {"exclusion", K::kChoice, false, "data", 0, 0,
     "strict: waits until the former owner is certainly dead, not only suspended.", kExclusions},
    {"resource", K::kTableList, false, "", 0, 0, "The group's resources."},
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
    {"on_error", K::kTable, false, "", 0, 0, "Recovery: script, then restart, then failover, then the final action."},
    {"node", K::kTable, false, "", 0, 0, "Parameters that differ on a node."},
};
constexpr Key kOnError[] = {
    {"script", K::kInteger, false, "0", 0, 99, "Runs of the recovery script before the first restart."},
    {"restart", K::kInteger, false, "3", 0, 99, "Restarts of the target."},
    {"failover", K::kInteger, false, "1", 0, 99, "Failovers to the next node."},
    {"final", K::kChoice, false, "no-operation", 0, 0, "What is done when that did not help.", kMonitorActions},
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
            &group_section(),
            &resource_section(),
            &activation_failure_section(),
            &deactivation_failure_section(),
            &monitor_section(),
            &on_error_section()};
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
