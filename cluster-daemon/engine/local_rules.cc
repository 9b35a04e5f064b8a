#include "cluster-daemon/engine/local_rules.h"

namespace kagami::engine {
namespace {

bool under(const Maintenance& maintenance) {
    return maintenance.kind != MaintenanceKind::kNone;
}

}  // namespace

std::optional<std::string> maintained(const LocalInput& input, const std::string& group) {
    if (under(input.document->maintenance)) return "the cluster";
    if (under(input.document->node(input.self.node).maintenance) || input.unmanaged) return node_name(input);
    const auto entry = input.document->groups.find(group);
    if (entry != input.document->groups.end() && under(entry->second.maintenance)) return "group " + group;
    return std::nullopt;
}

Duration stretched(Duration timeout, const Document& document) {
    const TimeoutRatio& busy = document.timeout_ratio;
    return busy.minutes_left > 0 && busy.ratio > 1 ? timeout * busy.ratio : timeout;
}

const std::string& script_of(const config::ResourceScripts& scripts, ScriptMoment moment) {
    switch (moment) {
        case ScriptMoment::kBeforeActivation: return scripts.before_activation;
        case ScriptMoment::kAfterActivation: return scripts.after_activation;
        case ScriptMoment::kBeforeDeactivation: return scripts.before_deactivation;
        case ScriptMoment::kAfterDeactivation: return scripts.after_deactivation;
        case ScriptMoment::kBeforeFinal: return scripts.before_final;
    }
    return scripts.before_final;
}

const char* words(ScriptMoment moment) {
    switch (moment) {
        case ScriptMoment::kBeforeActivation: return "before the activation";
        case ScriptMoment::kAfterActivation: return "after the activation";
        case ScriptMoment::kBeforeDeactivation: return "before the deactivation";
        case ScriptMoment::kAfterDeactivation: return "after the deactivation";
        case ScriptMoment::kBeforeFinal: return "before the final action";
    }
    return "";
}

std::string node_name(const LocalInput& input) {
    return input.config != nullptr ? input.config->node_name(input.self.node) : to_string(input.self.node);
}

std::string because(const std::string& message) {
    return message.empty() ? "" : ": " + message;
}

}  // namespace kagami::engine
