// A new configuration: what it may not change while the cluster runs, and what it changes in the document.
#include <algorithm>
#include <set>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"
#include "common/config/diff.h"
#include "common/hash.h"

namespace kagami::engine {

Status Plan::accept_config(const config::Config& wanted, const OperatorRequest& request) {
    std::set<std::string> running;
    for (const config::Change& change : config::diff(*input_.config, wanted)) {
        if (change.restarts == config::RestartScope::kCluster)
            return fail(ErrorCode::kRefused, change.path + " cannot be changed while the cluster runs",
                        "stop the cluster, and initialise it with the new configuration");
        if (change.restarts != config::RestartScope::kGroup) continue;
        const auto at = next_.groups.find(change.restarts_name);
        if (at != next_.groups.end() && (at->second.owner || at->second.goal == Goal::kStarted))
            running.insert(change.restarts_name);
    }
    if (!running.empty()) {
        std::string names;
        for (const std::string& name : running) names += (names.empty() ? "" : ", ") + name;
        return fail(ErrorCode::kRefused, "the change removes or restarts what runs: group " + names,
                    "stop with `kagami group stop` what the change names, then apply it");
    }
    if (const Status kept = keeps_current_copies(wanted); !kept) return kept;
    if (request.force) return {};
    for (const config::Node& node : input_.config->nodes)
        if (next_.node(node.id).state != NodeState::kMember || !is_heard(node.id))
            return fail(ErrorCode::kRefused,
                        node.name + " is not in the cluster and could not take the new configuration",
                        "bring it back, or apply with --without " + node.name);
    return {};
}

// A mirror may go as a whole; it may not lose the only copy that counts.
Status Plan::keeps_current_copies(const config::Config& wanted) const {
    for (const config::Group& group : wanted.groups) {
        for (const std::string& name : mirrors_of(group)) {
            const auto at = next_.mirrors.find(name);
            if (at == next_.mirrors.end() || at->second.generation.none()) continue;
            const bool kept = std::any_of(group.nodes.begin(), group.nodes.end(), [&](NodeId node) {
                return at->second.standing(node) == mirror::Standing::kCurrent;
            });
            if (!kept)
                return fail(ErrorCode::kRefused, "the change takes the only current copy of mirror " + name + " away",
                            "let another copy become current first, or remove the mirror as a whole");
        }
    }
    return {};
}

void Plan::install_config(const config::Config& wanted, const OperatorRequest& request) {
    ++next_.config.version;
    next_.config.packed = request.bundle;
    next_.config.hash = sha256(request.bundle);
    for (const config::Group& group : wanted.groups) next_.groups.try_emplace(group.name);
    std::erase_if(next_.groups, [&](const auto& item) { return wanted.group(item.first) == nullptr; });
    say(Reason::kConfigApplied, "cluster",
        "Configuration " + std::to_string(next_.config.version) + " was applied by " + request.person + ".");
}

}  // namespace kagami::engine
