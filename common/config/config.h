// The cluster's configuration as plain values. Engines read only this; the TOML reader (reader.h) makes it and knows every default.
// Invariant: a Config that parse() returned has passed validate(): names unique and well-formed, references resolved, ranges kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    NodeId id;                                   // 1, 2, ... in order of the file
    std::string name;
    std::string comment;
    std::map<std::string, std::string> address;  // network name -> IP without prefix
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

// The words of cluster.toml, also used in status texts.
std::string_view word(ArbitrationOption option);
std::string_view word(FinalAction action);

struct Resource {
    std::string type;
    std::string name;
    std::string comment;
    std::vector<std::string> after;  // resolved: names in the same group that start before this one
    Duration activate_timeout = 60s;
    Duration deactivate_timeout = 60s;
    ActivationFailure on_activation_failure;
    DeactivationFailure on_deactivation_failure;
    std::map<NodeId, Values> values;  // per node, overrides and defaults applied
};

enum class StartAttribute { kAuto, kManual };
enum class FailoverAttribute { kAuto, kManual };
enum class ExclusionKind { kData, kStrict };

struct Group {
    std::string name;
    std::string comment;
    std::vector<NodeId> nodes;  // start-up and failover order
    StartAttribute start = StartAttribute::kAuto;
    FailoverAttribute failover = FailoverAttribute::kAuto;
    bool failback = false;
    ExclusionKind exclusion = ExclusionKind::kData;
    std::vector<Resource> resources;
};

struct MonitorRecovery {
    int script = 0;    // recovery script executions before the first restart
    int restart = 3;   // reactivations of the target
    int failover = 1;
    FinalAction final = FinalAction::kNone;
};

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
    MonitorRecovery on_error;
    std::map<NodeId, Values> values;
};

struct Config {
    std::string cluster_name;
    std::string comment;
    std::string profile = "lan";
    TimingInputs timing;
    Duration startup_wait = 5min;
    bool auto_return = true;
    int failovers_per_hour = 20;  // storm brake, a group and hour
    std::vector<Network> networks;
    std::vector<Node> nodes;
    Arbitration arbitration;
    std::vector<Group> groups;
    std::vector<Monitor> monitors;

    const Node* node(NodeId id) const;
    const Node* node(std::string_view name) const;
    const Group* group(std::string_view name) const;
    std::string node_name(NodeId id) const;  // "witness" for the witness; "node N" when unknown
};

}  // namespace kagami::config
