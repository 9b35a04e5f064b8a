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

std::string_view word(FinalAction action) {
    switch (action) {
        case FinalAction::kNone: return "no-operation";
        case FinalAction::kStay: return "no-operation-stop-here";
        case FinalAction::kStopGroup: return "stop-group";
        case FinalAction::kStopCluster: return "stop-cluster";
        case FinalAction::kStopAndShutdown: return "stop-cluster-and-shutdown";
        case FinalAction::kStopAndReboot: return "stop-cluster-and-reboot";
    }
    return "";
}

}  // namespace kagami::config
