// What keeps the leader from doing something by itself that the configuration would have it do: a maintenance, a
// planned reboot, the failover switch. Persons are never bound by it. Pure: the document alone decides, so every node
// can tell. Rules: maintenance of the cluster, of the group, or of the node where the group is or was: nothing at all;
//        a reserved node: its groups wait for it; the switch: nothing goes elsewhere, starts on the same node go on.
#pragma once

#include <optional>
#include <string>

#include "cluster-daemon/engine/decision.h"
#include "cluster-daemon/engine/document.h"
#include "common/config/config.h"

namespace kagami::engine {

enum class Automatic : uint8_t {
    kStart,      // on the node where it is or was, or, when it was nowhere, on any
    kElsewhere,  // anywhere else: failover, failback, because a node leaves or is short of memory
};

struct Restraint {
    Reason reason = Reason::kGroupObserved;  // ... kGroupReserved, kGroupHeldBack
    std::string words;                       // "failover is switched off (by root on node1)"
    std::string remedy;                      // "`kagami failover on`"
};

// Where it is, or was while it is still wanted: going anywhere else is a failover. kNobody: nowhere.
NodeId home_of(const GroupEntry& entry);

std::optional<Restraint> restraint_of(const Document& document, const config::Config& config, const std::string& group,
                                      Automatic what);
// A node on which somebody works takes no group by itself.
std::optional<Restraint> restraint_of(const Document& document, const config::Config& config, NodeId node);

}  // namespace kagami::engine
