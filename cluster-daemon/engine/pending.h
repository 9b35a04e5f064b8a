// What a group waits for, as the leader would decide it now: the state "waiting" of every display. Pure; any node can
// ask with what it knows itself, so it may differ for a moment from what the leader says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/engine/policy.h"

namespace kagami::engine {

struct Pending {
    enum class Kind : uint8_t {
        kStop,       // to stop, after other groups
        kStart,      // to start, after other groups
        kRestraint,  // a maintenance, a planned reboot, the failover switch
        kPlace,      // no node may take it
    };
    Kind kind = Kind::kPlace;
    std::string words;  // "waits for a place: node1: not heard; node2: isolated until it is returned"
};

// Nothing: the group runs, is on its way, or is not wanted.
std::optional<Pending> pending_of(const PolicyInput& input, const config::Group& group);

}  // namespace kagami::engine
