// Nodes with less free memory or disk space than minimum_memory and minimum_disk demand: their groups go to a node that
// has a quarter more than that, so that they do not come back at once. A group never goes for this to a node with any
// drawback, and never when there is none better: a service on a node that is short is better than none.
#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {
namespace {

constexpr Duration kShortAfter = 10s;  // a moment of need moves nothing

}  // namespace

void Plan::note_shortage() {
    for (const config::Node& node : input_.config->nodes) {
        const std::string shortage = is_heard(node.id) ? shortage_of(input_, node.id) : "";
        if (shortage.empty()) {
            memory_.short_since.erase(node.id);
            continue;
        }
        const Instant from = memory_.short_since.try_emplace(node.id, input_.now).first->second + kShortAfter;
        if (input_.now < from) {
            consider(from);
            continue;
        }
        say_once("short" + node.name, Reason::kNodeShort, "node " + node.name,
                 node.name + " is short: " + shortage +
                     ". Its groups go to a node with more. Find out what uses it, or lower the limit.");
    }
}

void Plan::leave_short_node(const config::Group& group, GroupEntry& entry) {
    const NodeId from = owner_of(entry).node;
    const auto since = memory_.short_since.find(from);
    if (since == memory_.short_since.end() || input_.now < since->second + kShortAfter) return;
    if (group.failover == config::FailoverAttribute::kManual) return;
    const std::string cause = "on " + name_of(from) + ", " + shortage_of(input_, from);
    if (may_decide(group, Automatic::kElsewhere)) {
        restrained(group, entry, Automatic::kElsewhere, would_go(group, entry, "move", cause));
        return;
    }
    const Placement placement = place(input_, next_, group, from, Asker::kImprovement);
    if (placement.node == kNobody)
        return say_once("place" + group.name, Reason::kGroupNoPlace, "group " + group.name,
                        "Group " + group.name + " stays on " + name_of(from) +
                            ", which is short of memory or disk space: there is no better node.",
                        placement.rejected);
    if (!may_fail_over(group, entry, from, placement.node)) return;
    note_failover(group, from, placement.node);
    begin_move(group, entry, placement.node, Reason::kGroupFailover, cause, placement.rejected);
}

}  // namespace kagami::engine
