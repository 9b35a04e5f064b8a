// What the document says to all parts of the local manager: maintenance, time-outs in busy times, resources that a
// person has stopped. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "cluster-daemon/engine/local_manager.h"

namespace kagami::engine {

// Under what maintenance the group is on this node: "the cluster", "node1", "group web"; nothing: under none. Of an
// empty name: of the node or the cluster. What is under maintenance is left alone by every automatism.
std::optional<std::string> maintained(const LocalInput& input, const std::string& group);

// A time-out of a monitor, resource or script: longer in busy times (TimeoutRatio).
Duration stretched(Duration timeout, const Document& document);

const std::string& script_of(const config::ResourceScripts& scripts, ScriptMoment moment);
const char* words(ScriptMoment moment);  // "before the activation"

std::string node_name(const LocalInput& input);
std::string because(const std::string& message);  // ": " and the message; empty without one

}  // namespace kagami::engine
