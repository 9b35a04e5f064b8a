#include "cluster-daemon/runtime/daemon/control_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cluster-daemon/runtime/daemon/active_config.h"
#include "cluster-daemon/runtime/daemon/control_requests.h"
#include "common/config/diff.h"
#include "common/config/nearest.h"
#include "common/config/reader.h"
#include "common/hash.h"
#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

namespace proto = control::v1;

const char* word(config::ChangeKind kind) {
    switch (kind) {
        case config::ChangeKind::kAdded: return "added";
        case config::ChangeKind::kRemoved: return "removed";
        case config::ChangeKind::kChanged: return "changed";
    }
    return "changed";
}

const char* word(config::RestartScope scope) {
    switch (scope) {
        case config::RestartScope::kNothing: return "nothing";
        case config::RestartScope::kMonitor: return "monitor";
        case config::RestartScope::kGroup: return "group";
        case config::RestartScope::kCluster: return "cluster";
    }
    return "nothing";
}

config::Bundle to_bundle(const proto::ConfigBundle& in) {
    config::Bundle bundle;
    bundle.text = in.text();
    for (const auto& [name, content] : in.scripts()) bundle.scripts[name] = content;
    return bundle;
}

template <typename Repeated>
void fill_problems(const std::vector<config::Problem>& problems, Repeated* out) {
    for (const auto& problem : problems) {
        auto& line = *out->Add();
        line.set_file(problem.file);
        line.set_line(static_cast<uint32_t>(problem.line));
        line.set_column(static_cast<uint32_t>(problem.column));
        line.set_message(problem.message);
        line.set_suggestion(problem.suggestion);
    }
}

// Against the configuration in force; empty when there is none.
std::vector<config::Change> changes_of(const engine::Snapshot& present, const config::Config& draft,
                                       const config::Bundle& bundle) {
    if (!present.config) return {};
    std::vector<config::Change> changes = config::diff(*present.config, draft);
    if (const auto in_force = config::unpack(present.document.config.packed)) {
        const auto scripts = config::diff_scripts(*in_force, bundle);
        changes.insert(changes.end(), scripts.begin(), scripts.end());
    }
    return changes;
}

Status known_nodes(const engine::Snapshot& present, const proto::ConfigApplyRequest& in) {
    std::vector<std::string_view> names;
    if (present.config) {
        for (const config::Node& node : present.config->nodes) names.emplace_back(node.name);
    }
    for (const std::string& name : in.without()) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        return fail(ErrorCode::kNotFound, fmt::format("no node is named {}", name),
                    config::nearest(name, names, "nodes"));
    }
    return {};
}

bool does_without(const proto::ConfigApplyRequest& in, const std::string& node) {
    return std::find(in.without().begin(), in.without().end(), node) != in.without().end();
}

// The person has named every node that is not there: the leader need not insist on them.
bool does_without_the_rest(const engine::Snapshot& present, const std::vector<ConfigVerdict>& verdicts,
                           const proto::ConfigApplyRequest& in) {
    if (in.without().empty() || !present.config) return false;
    return std::all_of(present.config->nodes.begin(), present.config->nodes.end(), [&](const config::Node& node) {
        const bool answered = std::any_of(verdicts.begin(), verdicts.end(), [&](const auto& verdict) {
            return verdict.node == node.name && verdict.answered;
        });
        return node.id == present.self.node || answered || does_without(in, node.name);
    });
}

// Every other member has to find the draft good, but those that the person does without.
Status confirmed_by_members(const std::vector<ConfigVerdict>& verdicts, const proto::ConfigApplyRequest& in) {
    for (const ConfigVerdict& verdict : verdicts) {
        if (does_without(in, verdict.node)) continue;
        if (!verdict.answered) {
            return fail(
                ErrorCode::kUnreachable,
                fmt::format("{} is a member and has not confirmed that the configuration is good there", verdict.node),
                fmt::format("bring it back, or do without its word: --without {}", verdict.node));
        }
        if (!verdict.problems.empty()) {
            return fail(
                ErrorCode::kUsage,
                fmt::format("the configuration is not good on {}: {}", verdict.node, fmt::join(verdict.problems, "; ")),
                "mend it; all nodes need the same version of the software");
        }
    }
    return {};
}

Status fill_bundle(const Bytes& packed, proto::ConfigVersion& answer) {
    const auto bundle = config::unpack(packed);
    if (!bundle) return tl::unexpected<Error>(bundle.error());
    answer.mutable_bundle()->set_text(bundle->text);
    for (const auto& [name, content] : bundle->scripts) (*answer.mutable_bundle()->mutable_scripts())[name] = content;
    return {};
}

}  // namespace

void check_config(const engine::Snapshot& present, const proto::ConfigCheckRequest& in,
                  proto::ConfigCheckAnswer& answer) {
    const config::Bundle bundle = to_bundle(in.bundle());
    const config::Parsed parsed = parse_bundle(bundle);
    fill_problems(parsed.problems, answer.mutable_problems());
    if (const auto packed = config::pack(bundle)) {
        const Hash hash = sha256(*packed);
        answer.set_hash(to_hex(hash.data(), hash.size()));
    }
    const auto& in_force = present.document.config;
    answer.set_in_force_version(in_force.version);
    answer.set_in_force_hash(to_hex(in_force.hash.data(), in_force.hash.size()));
    if (!parsed.config) return;
    for (const auto& change : changes_of(present, *parsed.config, bundle)) {
        proto::ConfigChange& line = *answer.add_changes();
        line.set_kind(word(change.kind));
        line.set_path(change.path);
        line.set_old_text(change.old_text);
        line.set_new_text(change.new_text);
        line.set_restarts(word(change.restarts));
        line.set_restarts_name(change.restarts_name);
    }
}

void apply_config(const ControlBackend& backend, const Caller& caller, const proto::ConfigApplyRequest& in) {
    const config::Bundle bundle = to_bundle(in.bundle());
    const config::Parsed parsed = parse_bundle(bundle);
    if (!parsed.config) {
        proto::Progress progress;
        fill_refused(
            *progress.mutable_refused(),
            {ErrorCode::kUsage, "the configuration has errors; nothing was changed", "mend them and apply again"});
        fill_problems(parsed.problems, progress.mutable_refused()->mutable_problems());
        caller.write(progress);
        return;
    }
    const auto packed = config::pack(bundle);
    if (!packed) return answer_error(caller, packed.error());
    const engine::Snapshot present = backend.snapshot();
    if (const Status known = known_nodes(present, in); !known) return answer_error(caller, known.error());
    const std::vector<ConfigVerdict> verdicts = backend.confirm_config(*packed);
    if (const Status confirmed = confirmed_by_members(verdicts, in); !confirmed)
        return answer_error(caller, confirmed.error());
    auto request = RequestReader(present.config, present.self.node).config_apply(in, *packed);
    if (request) request->force = request->force || does_without_the_rest(present, verdicts, in);
    carry_out(backend, caller, std::move(request), in.options());
}

Status show_config(const ControlBackend& backend, uint64_t version, proto::ConfigVersion& answer) {
    const engine::ConfigEntry in_force = backend.snapshot().document.config;
    if (version == 0 || version == in_force.version) {
        answer.set_version(in_force.version);
        answer.set_hash(to_hex(in_force.hash.data(), in_force.hash.size()));
        return fill_bundle(in_force.packed, answer);
    }
    const auto packed = backend.config_version(version);
    if (!packed) return fail(ErrorCode::kNotFound, packed.error().message, packed.error().remedy);
    answer.set_version(version);
    const Hash hash = sha256(*packed);
    answer.set_hash(to_hex(hash.data(), hash.size()));
    return fill_bundle(*packed, answer);
}

Status config_history(const ControlBackend& backend, size_t limit, proto::ConfigHistoryAnswer& answer) {
    const auto history = backend.config_history(limit);
    if (!history) return tl::unexpected<Error>(history.error());
    for (const ConfigRecord& record : *history) {
        proto::ConfigVersion& out = *answer.add_versions();
        out.set_version(record.version);
        out.set_hash(record.hash);
        out.set_time_unix_ms(record.unix_ms);
        out.set_person(record.person);
        out.set_comment(record.comment);
    }
    return {};
}

}  // namespace kagami::runtime
