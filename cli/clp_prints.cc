#include "cli/clp_prints.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "cli/bundle_files.h"
#include "cli/read.h"
#include "cli/table.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

int answer(Session& session, const Result<std::string>& text) {
    if (!text) return report(session.console, text.error());
    session.console.out << *text;
    return 0;
}

Result<pb::Status> ask_status(const Session& session) {
    return ask<pb::Status>(session, [](Client& client) { return client.status(); });
}
Result<pb::Statistics> ask_statistics(const Session& session) {
    return ask<pb::Statistics>(session, [](Client& client) { return client.statistics(); });
}

tl::unexpected<Error> unknown(const std::string& kind, const std::string& name) {
    return fail(ErrorCode::kNotFound, "there is no " + kind + " " + name, "see clpstat -i");
}

Result<std::string> where(const Session& session, const Words& words) {
    const auto status = ask_status(session);
    if (!status) return tl::unexpected(status.error());
    for (const pb::Group& group : status->groups()) {
        if (group.name() != words[1]) continue;
        if (!group.current_node().empty()) return group.current_node() + "\n";
        return fail(ErrorCode::kFailed, "group " + words[1] + " runs nowhere", "see kagami why " + words[1]);
    }
    return unknown("group", words[1]);
}

Result<std::string> counters(const Session& session, const Words& words) {
    const auto status = ask_status(session);
    if (!status) return tl::unexpected(status.error());
    std::string text = render_counters(*status, words[1], words[2]);
    if (text.empty())
        return unknown(words[2].empty() ? "monitor on server" : "monitor", words[2].empty() ? words[1] : words[2]);
    return text;
}

Result<std::string> final_actions(const Session& session, const Words&) {
    const auto status = ask_status(session);
    if (!status) return tl::unexpected(status.error());
    return render_final_actions(*status);
}

std::string milliseconds_row(const char* label, int64_t value) {
    return fmt::format("{:<12}: {}\n", label, value < 0 ? "none yet" : fmt::format("{} ms", value));
}

Result<std::string> group_times(const Session& session, const Words& words) {
    const auto times = ask_statistics(session);
    if (!times) return tl::unexpected(times.error());
    for (const pb::GroupTimes& group : times->groups()) {
        if (group.group() == words[1])
            return milliseconds_row("start time", group.starts() > 0 ? group.last_start_ms() : -1) +
                   milliseconds_row("stop time", group.stops() > 0 ? group.last_stop_ms() : -1);
    }
    return unknown("group", words[1]);
}

Result<std::string> monitor_times(const Session& session, const Words& words) {
    const auto times = ask_statistics(session);
    if (!times) return tl::unexpected(times.error());
    for (const pb::MonitorTimes& monitor : times->monitors()) {
        if (monitor.monitor() == words[1])
            return milliseconds_row("poll time", monitor.checks() > 0 ? std::llround(monitor.last_ms()) : -1);
    }
    return unknown("monitor", words[1]);
}

// ---- configuration as files ----

Result<config::Bundle> bundle_in_force(const Session& session) {
    const auto version =
        ask<pb::ConfigVersion>(session, [](Client& client) { return client.config_show(pb::ConfigShowRequest{}); });
    if (!version) return tl::unexpected(version.error());
    config::Bundle bundle{version->bundle().text(), {}};
    for (const auto& [name, content] : version->bundle().scripts()) {
        if (!config::valid_script_path(name))
            return fail(ErrorCode::kFailed, "the daemon sent a script with the name \"" + name + "\"", "");
        bundle.scripts.emplace(name, content);
    }
    return bundle;
}

Status write_bundle(const fs::path& directory, const config::Bundle& bundle) {
    for (const auto& [name, content] : bundle.scripts) {
        const fs::path path = directory / "scripts" / name;
        std::error_code error;
        fs::create_directories(path.parent_path(), error);
        if (error)
            return fail(ErrorCode::kFailed, path.parent_path().string() + ": " + error.message(),
                        "give another -x DIR");
        if (const Status written = write_file_atomically(path.string(), content, 0700); !written) return written;
    }
    return write_file_atomically((directory / "cluster.toml").string(), bundle.text);
}

// Scripts that are no longer in the configuration would come back with the next push.
Status check_empty(const fs::path& directory) {
    std::error_code error;
    if (!fs::exists(directory / "scripts", error) && !fs::exists(directory / "cluster.toml", error)) return {};
    return fail(ErrorCode::kRefused, directory.string() + " holds a configuration already",
                "give an empty directory with -x, or --force to write over it");
}

Result<std::string> pull(const Session& session, const Words& words) {
    const fs::path directory = words[1];
    if (words[2] != "force") {
        if (const Status empty = check_empty(directory); !empty) return tl::unexpected(empty.error());
    }
    const auto bundle = bundle_in_force(session);
    if (!bundle) return tl::unexpected(bundle.error());
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) return fail(ErrorCode::kFailed, directory.string() + ": " + error.message(), "give another -x DIR");
    if (const Status written = write_bundle(directory, *bundle); !written) return tl::unexpected(written.error());
    return std::string();
}

// ---- clpcfchk ----

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c == '\n' ? ' ' : c);
    return out + "\"";
}

struct Rows {
    std::string text = "RESULT,SUBJECT,MESSAGE\n";
    size_t wrong = 0;
    void good(const std::string& subject) { text += "TRUE," + quoted(subject) + ",\n"; }
    void bad(const std::string& subject, const std::string& message) {
        text += "FALSE," + quoted(subject) + "," + quoted(message) + "\n";
        ++wrong;
    }
};

void add_problems(const pb::ConfigCheckAnswer& checked, Rows& rows) {
    for (const pb::Problem& problem : checked.problems()) {
        const std::string message =
            problem.suggestion().empty() ? problem.message() : problem.message() + "; " + problem.suggestion();
        rows.bad(fmt::format("{}:{}:{}", problem.file(), problem.line(), problem.column()), message);
    }
}

void add_objects(const config::Config& config, Rows& rows) {
    rows.good("cluster " + config.cluster_name);
    for (const auto& node : config.nodes) rows.good("server " + node.name);
    for (const auto& group : config.groups) {
        rows.good("group " + group.name);
        for (const auto& resource : group.resources) rows.good("resource " + resource.name);
    }
    for (const auto& monitor : config.monitors) rows.good("monitor " + monitor.name);
}

Result<Rows> checked_rows(const Session& session, const config::Bundle& bundle) {
    pb::ConfigCheckRequest request;
    request.mutable_bundle()->set_text(bundle.text);
    for (const auto& [name, content] : bundle.scripts) (*request.mutable_bundle()->mutable_scripts())[name] = content;
    const auto checked =
        ask<pb::ConfigCheckAnswer>(session, [&](Client& client) { return client.config_check(request); });
    if (!checked) return tl::unexpected(checked.error());
    Rows rows;
    add_problems(*checked, rows);
    if (rows.wrong > 0) return rows;
    const auto parsed = config::parse(bundle.text, "cluster.toml", session.types);
    if (parsed.config) add_objects(*parsed.config, rows);
    return rows;
}

Result<std::string> check(const Session& session, const Words& words) {
    const auto bundle = words[2].empty() ? bundle_in_force(session) : load_bundle(words[2] + "/cluster.toml");
    if (!bundle) return tl::unexpected(bundle.error());
    const auto rows = checked_rows(session, *bundle);
    if (!rows) return tl::unexpected(rows.error());
    std::error_code error;
    fs::create_directories(words[1], error);
    if (error) return fail(ErrorCode::kFailed, words[1] + ": " + error.message(), "give another -o DIR");
    const std::string file = words[1] + "/cfcheck.csv";
    if (const Status written = write_file_atomically(file, rows->text); !written)
        return tl::unexpected(written.error());
    if (rows->wrong == 0) return std::string();
    return fail(ErrorCode::kFailed, fmt::format("{} problem{} found", rows->wrong, rows->wrong == 1 ? " is" : "s are"),
                "read the rows with FALSE in " + file);
}

struct Print {
    const char* word;
    size_t words;  // with the arguments; missing ones are empty
    Result<std::string> (*text)(const Session& session, const Words& words);
};
constexpr std::array<Print, 7> kPrints = {{{"where", 2, where},
                                           {"monitor-counters", 3, counters},
                                           {"final-actions", 1, final_actions},
                                           {"group-times", 2, group_times},
                                           {"monitor-times", 2, monitor_times},
                                           {"pull-configuration", 3, pull},
                                           {"check-configuration", 3, check}}};

void add_counters(Table& table, const pb::Monitor& monitor, const std::string& server, const pb::Recovery& used) {
    const auto of = [](uint32_t count, uint32_t limit) { return fmt::format("{}/{}", count, limit); };
    table.row({monitor.name(), server, of(used.scripts(), used.scripts_limit()),
               of(used.restarts(), used.restarts_limit()), of(used.failovers(), used.failovers_limit())});
}

}  // namespace

std::string render_counters(const pb::Status& status, const std::string& server, const std::string& monitor) {
    Table table({"MONITOR", "SERVER", "SCRIPT", "RESTART", "FAILOVER"});
    for (const pb::Monitor& each : status.monitors()) {
        if (!monitor.empty() && each.name() != monitor) continue;
        for (const pb::MonitorOnNode& on : each.nodes())
            if (server.empty() || on.node() == server) add_counters(table, each, on.node(), on.recovery());
    }
    return table.empty() ? "" : table.print(false);
}

std::string render_final_actions(const pb::Status& status) {
    std::string text;
    for (const pb::Node& node : status.nodes()) {
        text += fmt::format("{} : {}", node.name(), node.final_actions());
        text += node.final_actions_limit() == 0 ? " (no limit)\n"
                                                : fmt::format(" (limit {})\n", node.final_actions_limit());
    }
    return text;
}

std::optional<int> run_clp_print(Session& session, const Words& words) {
    for (const Print& print : kPrints) {
        if (words.empty() || words.front() != print.word) continue;
        Words all = words;
        all.resize(print.words);
        return answer(session, print.text(session, all));
    }
    return std::nullopt;
}

}  // namespace kagami::cli
