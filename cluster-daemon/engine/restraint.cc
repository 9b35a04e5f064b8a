#include "cluster-daemon/engine/restraint.h"

namespace kagami::engine {
namespace {

bool is_on(const Maintenance& maintenance) {
    return maintenance.kind != MaintenanceKind::kNone;
}

Restraint observed(const std::string& what, const std::string& option) {
    return {Reason::kGroupObserved, what + " is under maintenance", "`kagami maintenance end" + option + "`"};
}

Restraint switched_off(const FailoverSwitch& failover) {
    const std::string since = failover.latched ? " since an automatic failover" : "";
    const std::string why = failover.why.empty() ? "" : " (" + failover.why + ")";
    return {Reason::kGroupHeldBack, "failover is switched off" + since + why, "`kagami failover on`"};
}

}  // namespace

NodeId home_of(const GroupEntry& entry) {
    if (entry.owner) return entry.owner->node;
    return entry.goal == Goal::kStarted ? entry.last_owner : kNobody;
}

std::optional<Restraint> restraint_of(const Document& document, const config::Config& config, NodeId node) {
    if (!is_on(document.node(node).maintenance)) return std::nullopt;
    const std::string name = config.node_name(node);
    return observed(name, " --node " + name);
}

std::optional<Restraint> restraint_of(const Document& document, const config::Config& config, const std::string& group,
                                      Automatic what) {
    if (is_on(document.maintenance)) return observed("the cluster", "");
    const auto at = document.groups.find(group);
    if (at == document.groups.end()) return std::nullopt;
    if (is_on(at->second.maintenance)) return observed("group " + group, " --group " + group);
    const NodeId home = home_of(at->second);
    if (home == kNobody) return std::nullopt;
    if (std::optional<Restraint> found = restraint_of(document, config, home); found) return found;
    if (what == Automatic::kStart) return std::nullopt;
    if (document.node(home).reserved_minutes > 0)
        return Restraint{Reason::kGroupReserved,
                         "it waits for " + config.node_name(home) + ", which reboots as planned",
                         "`kagami group start " + group + " --to NODE`"};
    if (!document.failover.on) return switched_off(document.failover);
    return std::nullopt;
}

}  // namespace kagami::engine
