#include "common/config/config.h"

#include <algorithm>

namespace kagami::config {

const Node* Config::node(NodeId id) const {
    const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.id == id; });
    return at == nodes.end() ? nullptr : &*at;
}

const Node* Config::node(std::string_view name) const {
    const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; });
    return at == nodes.end() ? nullptr : &*at;
}

const Group* Config::group(std::string_view name) const {
    const auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
    return at == groups.end() ? nullptr : &*at;
}

const ServerGroup* Config::server_group(std::string_view name) const {
    const auto at =
        std::find_if(server_groups.begin(), server_groups.end(), [&](const ServerGroup& g) { return g.name == name; });
    return at == server_groups.end() ? nullptr : &*at;
}

const Monitor* Config::monitor(std::string_view name) const {
    const auto at = std::find_if(monitors.begin(), monitors.end(), [&](const Monitor& m) { return m.name == name; });
    return at == monitors.end() ? nullptr : &*at;
}

std::string Config::node_name(NodeId id) const {
    const Node* found = node(id);
    return found != nullptr ? found->name : to_string(id);
}

std::string_view word(ArbitrationOption option) {
    switch (option) {
        case ArbitrationOption::kWitness: return "witness";
        case ArbitrationOption::kFencing: return "fencing";
        case ArbitrationOption::kTie: return "tie";
        case ArbitrationOption::kManual: return "manual";
        case ArbitrationOption::kPing: return "ping";
    }
    return "";
}

std::string_view word(FailoverAttribute failover) {
    switch (failover) {
        case FailoverAttribute::kAuto: return "auto";
        case FailoverAttribute::kDynamic: return "dynamic";
        case FailoverAttribute::kManual: return "manual";
    }
    return "";
}

std::string_view word(ServerGroupPolicy policy) {
    switch (policy) {
        case ServerGroupPolicy::kNone: return "none";
        case ServerGroupPolicy::kPrefer: return "prefer";
        case ServerGroupPolicy::kManualBetween: return "manual-between";
    }
    return "";
}

std::string_view word(RecoveryTarget target) {
    switch (target) {
        case RecoveryTarget::kResource: return "resource";
        case RecoveryTarget::kGroup: return "group";
        case RecoveryTarget::kAllGroups: return "all-groups";
    }
    return "";
}

std::string_view word(WaitOutcome outcome) {
    switch (outcome) {
        case WaitOutcome::kCancel: return "cancel";
        case WaitOutcome::kGoOn: return "go-on";
    }
    return "";
}

std::string_view word(FinalAction action) {
    switch (action) {
        case FinalAction::kNone: return "no-operation";
        case FinalAction::kStay: return "no-operation-stop-here";
        case FinalAction::kStopGroup: return "stop-group";
        case FinalAction::kStopCluster: return "stop-cluster";
        case FinalAction::kStopAndShutdown: return "stop-cluster-and-shutdown";
        case FinalAction::kStopAndReboot: return "stop-cluster-and-reboot";
        case FinalAction::kSysrqPanic: return "sysrq-panic";
        case FinalAction::kReset: return "reset";
        case FinalAction::kBmcReset: return "bmc-reset";
        case FinalAction::kBmcPowerOff: return "bmc-power-off";
        case FinalAction::kBmcPowerCycle: return "bmc-power-cycle";
        case FinalAction::kBmcNmi: return "bmc-nmi";
        case FinalAction::kStopResource: return "stop-resource";
    }
    return "";
}

}  // namespace kagami::config
