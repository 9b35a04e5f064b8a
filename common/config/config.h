// The cluster's configuration as plain values. Engines read only this; the TOML reader (reader.h) makes it and knows every default.
// Invariant: a Config that parse() returned has passed validate(): names unique and well-formed, references resolved, ranges kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/alerts.h"
#include "common/config/parameter.h"
#include "common/ids.h"
#include "common/time.h"

namespace kagami::config {

struct Network {
    std::string name;
    bool control = true;    // gRPC
    bool heartbeat = true;  // UDP
    bool mirror = false;
};

struct Node {
    NodeId id;                                   // its `id`; default: 1, 2, ... in order of the file
    std::string name;
    std::string comment;
    std::map<std::string, std::string> address;  // network name -> IP without prefix
};

// A site or a storage unit: nodes between which a group moves more readily than to others.
struct ServerGroup {
    std::string name;
    std::vector<NodeId> nodes;  // in order of preference
};

enum class ArbitrationOption { kWitness, kFencing, kTie, kManual, kPing };

struct Arbitration {
    ArbitrationOption option = ArbitrationOption::kTie;
    std::map<std::string, std::string> witness_address;  // network name (or "" for any) -> IP; empty without a witness server
};

// The two inputs of all timing (protocol.md 4) and the hardware's constants.
struct TimingInputs {
    Duration hold = 2s;
    Duration watchdog = 5s;
    Duration reset = 1s;   // T_rst
    Duration io = 0s;      // T_io
    bool operator==(const TimingInputs&) const = default;
};

enum class FinalAction {
    kNone,             // "no-operation": go on with the next resource
    kStay,             // "no-operation-stop-here": do not (de)activate the next one
    kStopGroup,        // "stop-group"
    kStopCluster,      // "stop-cluster"
    kStopAndShutdown,  // "stop-cluster-and-shutdown"
    kStopAndReboot,    // "stop-cluster-and-reboot"
    kSysrqPanic,       // "sysrq-panic": the kernel crashes at once (and leaves a dump where one is set up)
    kReset,            // "reset": the machine is reset at once
    kBmcReset,         // "bmc-reset", and the next three: through the machine's own service processor
    kBmcPowerOff,      // "bmc-power-off"
    kBmcPowerCycle,    // "bmc-power-cycle"
    kBmcNmi,           // "bmc-nmi"
    kStopResource,     // "stop-resource": monitors only
};

struct ActivationFailure {
    int retry = 0;
    int failover = 1;  // failovers to the next server
    FinalAction final = FinalAction::kStay;
};
struct DeactivationFailure {
    int retry = 0;
    FinalAction final = FinalAction::kStopAndShutdown;
};

// Scripts of a person around the steps of a resource; names as for `kScript`, empty = none.
struct ResourceScripts {
    std::string before_activation;
    std::string after_activation;
    std::string before_deactivation;
    std::string after_deactivation;
    std::string before_final;  // before the final action of a failure
    Duration timeout = 30s;    // of each
};

struct Resource {
    std::string type;
    std::string name;
    std::string comment;
    std::vector<std::string> after;  // resolved: names in the same group that start before this one
    Duration activate_timeout = 60s;
    Duration deactivate_timeout = 60s;
    ActivationFailure on_activation_failure;
    DeactivationFailure on_deactivation_failure;
    ResourceScripts scripts;
    std::map<NodeId, Values> values;  // per node, overrides and defaults applied
};

enum class GroupKind { kFailover, kManagement };  // management: carries the console's address
enum class StartAttribute { kAuto, kManual };
enum class FailoverAttribute {
    kAuto,     // in the order of the servers
    kDynamic,  // to the healthiest, by the monitors
    kManual,
};
enum class ServerGroupPolicy {
    kNone,
    kPrefer,         // first within the server group where it ran
    kManualBetween,  // by itself only within it
};
enum class ExclusionKind { kData, kStrict };
enum class WaitOutcome { kCancel, kGoOn };

struct StartWait {  // before the group starts, these have to run
    std::vector<std::string> groups;
    bool same_node = false;  // they count only where this group shall start
    Duration timeout = 30min;
    WaitOutcome on_timeout = WaitOutcome::kCancel;
};
struct StopWait {  // before the group stops, these have to be stopped
    std::vector<std::string> groups;
    bool at_cluster_stop = true;
    bool at_node_stop = false;
    bool at_group_stop = false;
    Duration timeout = 30min;
    WaitOutcome on_timeout = WaitOutcome::kCancel;
};

struct Group {
    std::string name;
    std::string comment;
    std::vector<NodeId> nodes;  // start-up and failover order
    StartAttribute start = StartAttribute::kAuto;
    FailoverAttribute failover = FailoverAttribute::kAuto;
    bool failback = false;
    GroupKind kind = GroupKind::kFailover;
    bool forced_failover = false;  // of kDynamic: even to a node with errors when there is no healthy one
    bool smart_failover = false;   // of kDynamic: among equally healthy ones, where most memory is free
    std::vector<std::string> server_groups;  // those it uses; `nodes` holds their nodes; empty = none
    ServerGroupPolicy server_group_policy = ServerGroupPolicy::kNone;
    StartWait start_wait;
    StopWait stop_wait;
    bool check_both_active = true;  // before it starts: does another node report that it runs?
    ExclusionKind exclusion = ExclusionKind::kData;
    std::vector<Resource> resources;
};

// Groups that keep away from each other's nodes.
struct ExclusiveRule {
    std::string name;
    bool absolute = false;  // never on one node; else only as long as there is another one
    std::vector<std::string> groups;
};

struct MonitorRecovery {
    int script = 0;    // recovery script executions before the first restart
    int restart = 3;   // reactivations of the target
    int failover = 1;
    FinalAction final = FinalAction::kNone;
    bool script_before_restart = false;  // runs the recovery script before each such step, too
    bool script_before_failover = false;
    bool script_before_final = false;
    Duration script_timeout = 30s;
    bool operator==(const MonitorRecovery&) const = default;
};

enum class RecoveryTarget { kResource, kGroup, kAllGroups };

struct Monitor {
    std::string type;
    std::string name;
    std::string comment;
    std::string target;        // resource, or empty
    std::string target_group;  // group of the target; empty = all groups of the node
    bool only_while_active = false;
    Duration interval = 60s;
    Duration timeout = 60s;
    Duration start_wait = 0s;
    int retry = 0;
    bool retry_on_timeout = true;    // else a check that times out is an error at once
    bool recover_on_timeout = true;  // else it is an error without a recovery
    int delay_warning = 80;          // a check that takes longer than so many per cent of the time-out is told; 0 = never
    int nice = 0;                    // of programs that the monitor runs
    RecoveryTarget recovery_target = RecoveryTarget::kGroup;
    MonitorRecovery on_error;
    std::map<NodeId, Values> values;  // of the nodes that run it
    bool operator==(const Monitor&) const = default;
};

// The words of cluster.toml, also used in status texts.
std::string_view word(ArbitrationOption option);
std::string_view word(FailoverAttribute failover);
std::string_view word(ServerGroupPolicy policy);
std::string_view word(RecoveryTarget target);
std::string_view word(WaitOutcome outcome);
std::string_view word(FinalAction action);

struct Config {
    std::string cluster_name;
    std::string comment;
    std::string profile = "lan";
    TimingInputs timing;
    Duration startup_wait = 5min;
    bool auto_return = true;
    int failovers_per_hour = 20;  // storm brake, a group and hour
    bool failover_latch = false;  // an automatic failover switches failover off until a person switches it on again
    bool last_node_survives = true;  // a final action that ends the node is not taken on the last healthy one
    int final_action_limit = 3;      // such final actions in a row, without `final_action_reset` of calm between them
    Duration final_action_reset = 1h;
    uint64_t minimum_memory_mib = 0;  // free; below it the node's groups fail over; 0 = not watched
    uint64_t minimum_disk_mib = 0;    // free on the file system of /var/lib/kagami
    std::vector<Network> networks;
    std::vector<Node> nodes;
    Arbitration arbitration;
    std::vector<ServerGroup> server_groups;
    std::vector<ExclusiveRule> exclusive_rules;
    std::vector<Group> groups;
    std::vector<Monitor> monitors;
    Alerts alerts;

    const Node* node(NodeId id) const;
    const Node* node(std::string_view name) const;
    const Group* group(std::string_view name) const;
    const ServerGroup* server_group(std::string_view name) const;
    const Monitor* monitor(std::string_view name) const;
    std::string node_name(NodeId id) const;  // "witness" for the witness; "node N" when unknown
};

}  // namespace kagami::config
