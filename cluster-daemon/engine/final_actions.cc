#include "cluster-daemon/engine/final_actions.h"

#include <algorithm>

#include "cluster-daemon/engine/local_rules.h"

namespace kagami::engine {
namespace {

// Another node that could run this one's groups.
bool another_is_healthy(const LocalInput& input) {
    return std::any_of(input.healthy.begin(), input.healthy.end(), [&](NodeId node) {
        const NodeEntry& entry = input.document->node(node);
        return node != input.self.node && entry.state == NodeState::kMember && entry.leaving == Leaving::kNo &&
               !entry.isolated && entry.maintenance.kind == MaintenanceKind::kNone;
    });
}

}  // namespace

std::optional<SystemAction> system_action(config::FinalAction action) {
    switch (action) {
        case config::FinalAction::kNone:
        case config::FinalAction::kStay:
        case config::FinalAction::kStopResource:
        case config::FinalAction::kStopGroup: return std::nullopt;
        case config::FinalAction::kStopCluster: return SystemAction::kStopDaemon;
        case config::FinalAction::kStopAndShutdown: return SystemAction::kHalt;
        case config::FinalAction::kStopAndReboot: return SystemAction::kReboot;
        case config::FinalAction::kSysrqPanic: return SystemAction::kSysrqPanic;
        case config::FinalAction::kReset: return SystemAction::kReset;
        case config::FinalAction::kBmcReset: return SystemAction::kBmcReset;
        case config::FinalAction::kBmcPowerOff: return SystemAction::kBmcPowerOff;
        case config::FinalAction::kBmcPowerCycle: return SystemAction::kBmcPowerCycle;
        case config::FinalAction::kBmcNmi: return SystemAction::kBmcNmi;
    }
    return std::nullopt;
}

bool ends_at_once(SystemAction action) {
    switch (action) {
        case SystemAction::kStopDaemon:
        case SystemAction::kHalt:
        case SystemAction::kReboot: return false;
        case SystemAction::kSysrqPanic:
        case SystemAction::kReset:
        case SystemAction::kBmcReset:
        case SystemAction::kBmcPowerOff:
        case SystemAction::kBmcPowerCycle:
        case SystemAction::kBmcNmi: return true;
    }
    return false;
}

std::string FinalActions::refusal(config::FinalAction action, const std::string& group, const LocalInput& input) const {
    if (!system_action(action)) return "";
    if (const auto scope = maintained(input, group)) return *scope + " is under maintenance";
    if (input.config == nullptr) return "the configuration in force is not known here";
    if (input.config->last_node_survives && !another_is_healthy(input))
        return "no other node is healthy (last_node_survives)";
    const auto limit = static_cast<uint32_t>(std::max(0, input.config->final_action_limit));
    if (limit > 0 && counts_.final_actions >= limit)
        return "it was ended in this way " + std::to_string(counts_.final_actions) +
               " times in a row (final_action_limit = " + std::to_string(limit) + ")";
    return "";
}

void FinalActions::ask(config::FinalAction action, const std::string& group, const std::string& cause,
                       const LocalInput& input, LocalOutput& out) {
    const std::optional<SystemAction> wanted = system_action(action);
    if (!wanted || leaving_ || at_once_) return;
    const std::string name(config::word(action));
    if (const std::string why = refusal(action, group, input); !why.empty()) {
        const Reason reason = maintained(input, group) ? Reason::kRecoveryObserved : Reason::kFinalActionSuppressed;
        const std::string what = reason == Reason::kRecoveryObserved ? " would be taken on " : " is not taken on ";
        out.decisions.push_back({reason,
                                 "node " + node_name(input),
                                 "Final action " + name + what + node_name(input) + " (" + cause + "): " + why + ".",
                                 {}});
        return;
    }
    ++counts_.final_actions;
    out.durable_changed = true;
    calm_at_.reset();
    if (!ends_at_once(*wanted)) {
        leaving_ = wanted;
        return;
    }
    at_once_ = true;
    out.commands.emplace_back(ActOnSystem{*wanted, cause + "; final action: " + name});
}

void FinalActions::advance(const LocalInput& input, LocalOutput& out) {
    const uint32_t cleared = input.document->node(input.self.node).final_actions_cleared;
    if (cleared != counts_.final_actions_cleared) {  // smaller: the node was configured anew
        if (cleared > counts_.final_actions_cleared) counts_.final_actions = 0;
        counts_.final_actions_cleared = cleared;
        out.durable_changed = true;
    }
    if (counts_.final_actions == 0 || leaving_ || at_once_ || input.config == nullptr) return calm_at_.reset();
    if (!calm_at_) calm_at_ = input.now + input.config->final_action_reset;
    if (input.now < *calm_at_) return;
    calm_at_.reset();
    counts_.final_actions = 0;
    out.durable_changed = true;
}

}  // namespace kagami::engine
