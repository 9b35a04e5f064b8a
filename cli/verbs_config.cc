#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/bundle_files.h"
#include "cli/change.h"
#include "cli/read.h"
#include "cli/render.h"
#include "cli/verbs.h"
#include "common/config/diff.h"

namespace kagami::cli {
namespace {

std::string given_path(const Session& session, const Arguments& arguments) {
    return arguments.positional.empty() ? default_config_path(session.places) : arguments.positional;
}

pb::ConfigBundle to_message(const config::Bundle& bundle) {
    pb::ConfigBundle message;
    message.set_text(bundle.text);
    for (const auto& [name, content] : bundle.scripts) (*message.mutable_scripts())[name] = content;
    return message;
}

nlohmann::ordered_json json_of(const std::vector<config::Change>& changes) {
    nlohmann::ordered_json json;
    json["schema"] = "kagami.config-diff/1";
    json["changes"] = nlohmann::ordered_json::array();
    for (const config::Change& change : changes) {
        const char* kind = change.kind == config::ChangeKind::kAdded     ? "added"
                           : change.kind == config::ChangeKind::kRemoved ? "removed"
                                                                         : "changed";
        json["changes"].push_back({{"kind", kind},
                                   {"path", change.path},
                                   {"old", change.old_text},
                                   {"new", change.new_text},
                                   {"effect", config::restart_words(change)}});
    }
    return json;
}

std::vector<config::Change> all_changes(const LoadedConfig& from, const LoadedConfig& to) {
    auto changes = config::diff(from.config, to.config);
    const auto scripts = config::diff_scripts(from.bundle, to.bundle);
    changes.insert(changes.end(), scripts.begin(), scripts.end());
    return changes;
}

// What the daemon sees in the bundle: problems are errors.
Result<pb::ConfigCheckAnswer> check_with_daemon(Session& session, const pb::ConfigBundle& bundle) {
    pb::ConfigCheckRequest request;
    *request.mutable_bundle() = bundle;
    auto answer = ask<pb::ConfigCheckAnswer>(session, [&](Client& client) { return client.config_check(request); });
    if (!answer) return answer;
    pb::Progress refused;
    for (const pb::Problem& problem : answer->problems()) *refused.mutable_refused()->add_problems() = problem;
    if (!answer->problems().empty()) {
        session.console.err << render_progress(refused, false);
        return fail(ErrorCode::kUsage, "the daemon refuses this configuration", "");
    }
    return answer;
}

config::Change from_message(const pb::ConfigChange& change) {
    config::Change out;
    out.kind = change.kind() == "added"     ? config::ChangeKind::kAdded
               : change.kind() == "removed" ? config::ChangeKind::kRemoved
                                            : config::ChangeKind::kChanged;
    out.path = change.path();
    out.old_text = change.old_text();
    out.new_text = change.new_text();
    out.restarts_name = change.restarts_name();
    if (change.restarts() == "monitor") out.restarts = config::RestartScope::kMonitor;
    if (change.restarts() == "group") out.restarts = config::RestartScope::kGroup;
    if (change.restarts() == "cluster") out.restarts = config::RestartScope::kCluster;
    return out;
}

Result<uint32_t> confirm_seconds(const Arguments& arguments) {
    if (!arguments.has("confirm-within")) return 0;
    const int64_t seconds = (milliseconds(arguments.duration("confirm-within", Duration(0))) + 999) / 1000;
    if (seconds >= 10 && seconds <= 86400) return static_cast<uint32_t>(seconds);
    return fail(ErrorCode::kUsage,
                "--confirm-within: \"" + arguments.text("confirm-within") + "\" is out of range 10s to 24h", "");
}

// Shows what changes, and puts the bundle in force.
int apply(Session& session, const Arguments& arguments, const pb::ConfigBundle& bundle, const std::string& comment,
          const std::string& consequence) {
    const auto seconds = confirm_seconds(arguments);
    if (!seconds) return report(session.console, seconds.error());
    const auto checked = check_with_daemon(session, bundle);
    if (!checked) return report(session.console, checked.error());
    std::vector<config::Change> changes;
    for (const pb::ConfigChange& change : checked->changes()) changes.push_back(from_message(change));
    session.console.err << render_changes(changes, false);
    if (checked->hash() == checked->in_force_hash()) {
        session.console.err << "This configuration is in force already.\n";
        return 0;
    }
    pb::ConfigApplyRequest request;
    *request.mutable_bundle() = bundle;
    request.set_expected_hash(checked->in_force_hash());
    request.set_comment(comment);
    request.set_confirm_within_seconds(*seconds);
    for (const std::string& node : arguments.texts("without")) request.add_without(node);
    return make_order(session, arguments, consequence, &Client::config_apply, request);
}

}  // namespace

int run_config_check(Session& session, const Arguments& arguments) {
    const auto loaded = load_config(session, given_path(session, arguments));
    if (!loaded) return report(session.console, loaded.error());
    if (const auto packed = config::pack(loaded->bundle); !packed) return report(session.console, packed.error());
    session.console.err << given_path(session, arguments) << ": good: " << loaded->config.nodes.size() << " nodes, "
                        << loaded->config.groups.size() << " groups, " << loaded->config.monitors.size()
                        << " monitors, " << loaded->bundle.scripts.size() << " stored scripts\n";
    return 0;
}

int run_config_diff(Session& session, const Arguments& arguments) {
    const std::string old_path =
        arguments.has("against") ? arguments.text("against") : active_config_path(session.places);
    const auto from = load_config(session, old_path);
    if (!from) return report(session.console, from.error());
    const auto to = load_config(session, given_path(session, arguments));
    if (!to) return report(session.console, to.error());
    const auto changes = all_changes(*from, *to);
    if (arguments.has("json")) {
        session.console.out << dump(json_of(changes));
    } else {
        session.console.out << render_changes(changes, session.console.colour);
        if (changes.empty()) session.console.err << "No differences.\n";
    }
    return 0;
}

int run_config_apply(Session& session, const Arguments& arguments) {
    const auto loaded = load_config(session, given_path(session, arguments));
    if (!loaded) return report(session.console, loaded.error());
    return apply(session, arguments, to_message(loaded->bundle), arguments.text("comment"),
                 "This configuration comes in force on every node.");
}

int run_config_plan(Session& session, const Arguments& arguments) {
    const auto loaded = load_config(session, given_path(session, arguments));
    if (!loaded) return report(session.console, loaded.error());
    const auto checked = check_with_daemon(session, to_message(loaded->bundle));
    if (!checked) return report(session.console, checked.error());
    print(session, arguments, "config-plan", *checked, render_plan);
    return 0;
}

int run_config_confirm(Session& session, const Arguments& arguments) {
    return make_order(session, arguments, "", &Client::config_confirm, pb::ConfigConfirmRequest{});
}

int run_config_rollback(Session& session, const Arguments& arguments) {
    const std::string& text = arguments.positional;
    pb::ConfigShowRequest request;
    uint64_t version = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), version);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || version == 0) {
        return report(session.console, {ErrorCode::kUsage, "config rollback: \"" + text + "\" is not a version",
                                        "kagami config history lists them"});
    }
    request.set_version(version);
    const auto old = ask<pb::ConfigVersion>(session, [&](Client& client) { return client.config_show(request); });
    if (!old) return report(session.console, old.error());
    const std::string comment = arguments.has("comment") ? arguments.text("comment") : "rollback to " + text;
    return apply(session, arguments, old->bundle(), comment,
                 "Configuration " + text + " comes in force again on every node.");
}

int run_config_show(Session& session, const Arguments& arguments) {
    if (arguments.has("defaults")) {
        session.console.out << render_defaults(session.types, session.console.colour);
        return 0;
    }
    pb::ConfigShowRequest request;
    request.set_version(arguments.number("version", 0));
    const auto answer = ask<pb::ConfigVersion>(session, [&](Client& client) { return client.config_show(request); });
    if (!answer) return report(session.console, answer.error());
    session.console.out << (arguments.has("json") ? json_document("config", *answer) : answer->bundle().text());
    return 0;
}

}  // namespace kagami::cli
