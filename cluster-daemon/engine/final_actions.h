// Final actions that end this node, on its own decision: asked for by a group or a monitor whose recovery is used up.
//
// Suppressed, with a decision that names the rule: under maintenance; on the last healthy node (last_node_survives);
// when the node was ended so often already (final_action_limit) without a calm time between (final_action_reset).
// Invariants: the count is durable before the action (the caller holds the commands of a step until `durable` is
//             written), so that a node that reboots again and again ends up standing still; one action a life of the
//             daemon.
// Two kinds:  those that end the machine at once, without stopping anything (ActOnSystem now), and those for which the
//             node first leaves the cluster (leaving(); local_manager.cc acts when the document says LEFT).
// Leaves to others: which failure wants which action (group_machine.h, monitor_machine.h), the action itself (the
//             runtime's executor).
#pragma once

#include <optional>
#include <string>

#include "cluster-daemon/engine/local_manager.h"

namespace kagami::engine {

// What an action does to the machine; nothing: it concerns the group or the resource alone.
std::optional<SystemAction> system_action(config::FinalAction action);
bool ends_at_once(SystemAction action);

class FinalActions {
 public:
    void restore(const LocalCounts& counts) { counts_ = counts; }
    const LocalCounts& counts() const { return counts_; }

    // Why it would not be taken now; empty: it would be.
    std::string refusal(config::FinalAction action, const std::string& group, const LocalInput& input) const;
    // Takes it or says why not. `subject`: of the decision. `cause`: "resource nginx: start.sh failed".
    void ask(config::FinalAction action, const std::string& group, const std::string& cause, const LocalInput& input,
             LocalOutput& out);
    // Resets by a person and by calm; may set out.wake_at.
    void advance(const LocalInput& input, LocalOutput& out);

    // The node shall leave the cluster and then do this.
    std::optional<SystemAction> leaving() const { return leaving_; }
    bool at_once() const { return at_once_; }  // the machine is being ended
    std::optional<Instant> wake_at() const { return calm_at_; }

 private:
    LocalCounts counts_;
    std::optional<SystemAction> leaving_;
    bool at_once_ = false;
    std::optional<Instant> calm_at_;
};

}  // namespace kagami::engine
