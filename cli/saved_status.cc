#include "cli/saved_status.h"

#include <unistd.h>

#include "cli/bundle_files.h"
#include "cli/json.h"
#include "cli/saved_scene.h"
#include "cluster-daemon/engine/what_if.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

namespace pb = control::v1;

constexpr size_t kMaxStatusBytes = size_t{16} << 20;

Result<std::shared_ptr<const config::Config>> config_of(Session& session, std::string path) {
    if (path.empty()) path = active_config_path(session.places);
    if (::access(path.c_str(), F_OK) != 0 && path == active_config_path(session.places))
        path = default_config_path(session.places);
    auto loaded = load_config(session, path);
    if (!loaded) return tl::unexpected(loaded.error());
    return std::make_shared<const config::Config>(std::move(loaded->config));
}

pb::SimulatedGroup to_message(const engine::WhatIfGroup& group, const config::Config& config) {
    const auto name = [&](NodeId id) { return id == kNobody ? std::string() : config.node_name(id); };
    pb::SimulatedGroup out;
    out.set_group(group.group);
    out.set_from(name(group.from));
    out.set_to(name(group.to));
    out.set_gap_ms(group.to == kNobody ? -1 : milliseconds(group.gap));
    out.set_why(group.why);
    for (const engine::Candidate& candidate : group.candidates) {
        pb::Candidate& each = *out.add_candidates();
        each.set_node(name(candidate.node));
        each.set_eligible(candidate.fitness != engine::Fitness::kUnfit);
        each.set_reason(!candidate.obstacle.empty()   ? candidate.obstacle
                        : !candidate.drawback.empty() ? candidate.drawback
                                                      : "could run it");
    }
    return out;
}

pb::SimulateAnswer to_message(const engine::WhatIf& seen, const config::Config& config) {
    pb::SimulateAnswer answer;
    answer.set_outcome(seen.outcome);
    for (const engine::WhatIfGroup& group : seen.groups) *answer.add_groups() = to_message(group, config);
    for (const std::string& each : seen.unmet) answer.add_unmet(each);
    answer.set_data_risk(seen.data_risk);
    answer.set_data_sentence(seen.data_sentence);
    for (const engine::Decision& decision : seen.decisions) {
        pb::Decision& each = *answer.add_decisions();
        each.set_reason(engine::name_of(decision.reason));
        each.set_subject(decision.subject);
        each.set_sentence(decision.sentence);
    }
    return answer;
}

}  // namespace

Result<pb::SimulateAnswer> simulate_saved(Session& session, const std::string& status_file,
                                          const std::string& config_file, const std::string& events) {
    const auto text = read_file(status_file, kMaxStatusBytes);
    if (!text) return tl::unexpected(text.error());
    const auto status = status_from_json(*text);
    if (!status) {
        return fail(ErrorCode::kUsage, status_file + ": " + status.error().message,
                    "save one with: kagami status --json > FILE");
    }
    const auto config = config_of(session, config_file);
    if (!config) return tl::unexpected(config.error());
    const auto scene = scene_of(*status, *config);
    if (!scene) return tl::unexpected(scene.error());
    const auto seen = engine::what_if(*scene, events, kSavedAt);
    if (!seen) return tl::unexpected(seen.error());
    return to_message(*seen, **config);
}

}  // namespace kagami::cli
