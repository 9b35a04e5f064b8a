#include "cli/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"
#include "common/config/keys.h"

namespace kagami::cli {
namespace {

// A column that some daemons leave empty.
std::string with_gap(const std::string& text) {
    return text.empty() ? "" : text + "  ";
}

std::string mark_of(config::ChangeKind kind) {
    switch (kind) {
        case config::ChangeKind::kAdded: return "+";
        case config::ChangeKind::kRemoved: return "-";
        case config::ChangeKind::kChanged: return "~";
    }
    return "";
}

Tone tone_of_change(config::ChangeKind kind) {
    switch (kind) {
        case config::ChangeKind::kAdded: return Tone::kGood;
        case config::ChangeKind::kRemoved: return Tone::kBad;
        case config::ChangeKind::kChanged: return Tone::kBusy;
    }
    return Tone::kPlain;
}

std::string values_of(const config::Change& change) {
    const auto shown = [](const std::string& text) { return text.empty() ? std::string("(none)") : text; };
    switch (change.kind) {
        case config::ChangeKind::kAdded: return change.new_text;
        case config::ChangeKind::kRemoved: return change.old_text;
        case config::ChangeKind::kChanged:
            return change.old_text.empty() && change.new_text.empty()
                       ? ""
                       : shown(change.old_text) + " -> " + shown(change.new_text);
    }
    return "";
}

void add_keys(Table& table, std::string_view title, std::span<const config::Key> keys, bool colour) {
    table.note("");
    table.note(paint(colour, Tone::kStrong, title));
    for (const config::Key& key : keys) {
        const std::string shown = key.required               ? "(required)"
                                  : key.default_text.empty() ? "-"
                                                             : std::string(key.default_text);
        const std::string range = config::range_text(key);
        table.row({"  " + std::string(key.name), shown,
                   range.empty() ? std::string(config::kind_words(key.kind)) : range, std::string(key.help)});
    }
}

void add_types(Table& table, std::string_view title, const std::vector<config::TypeDescription>& types, bool colour) {
    for (const config::TypeDescription& type : types) {
        const std::string heading =
            std::string(title) + " of type " + std::string(type.word) + ": " + std::string(type.summary);
        add_keys(table, heading, config::keys_of(type.parameters), colour);
    }
}

// "0.31 ms", "Error", "0.40 ms, 3 % lost, control Error"; "-" where there is no path.
Cell matrix_cell(const pb::Paths& paths, const std::string& network, const std::string& from, const std::string& to) {
    for (const pb::Path& path : paths.paths()) {
        if (path.network() != network || path.from() != from || path.to() != to) continue;
        const bool good = path.state() == "Normal";
        std::string text = good && path.rtt_ms() >= 0 ? fmt::format("{:.2f} ms", path.rtt_ms()) : path.state();
        if (good && path.loss_percent() >= 1) text += fmt::format(", {:.0f} % lost", path.loss_percent());
        const bool control = path.control() && path.control_state() != "Normal" && path.control_state() != "Unused";
        if (control) text += ", control " + path.control_state();
        return {text, tone_of(control ? path.control_state() : path.state())};
    }
    return "-";
}

}  // namespace

std::string render_paths(const pb::Paths& paths, bool colour) {
    Table table({"FROM", "TO", "NETWORK", "STATE", "RTT", "LOSS", "LAST SEEN", "CONTROL"});
    for (const pb::Path& path : paths.paths()) {
        table.row({path.from(), path.to(), path.network(), state_cell(path.state()),
                   path.rtt_ms() < 0 ? "-" : fmt::format("{:.2f} ms", path.rtt_ms()),
                   fmt::format("{:.1f} %", path.loss_percent()),
                   path.last_seen_ms() < 0 ? "never" : age_text(path.last_seen_ms()),
                   path.control() ? state_cell(path.control_state()) : Cell("-")});
    }
    return table.empty() ? "No paths are known yet.\n" : table.print(colour);
}

std::string render_matrix(const pb::Paths& paths, bool colour) {
    std::vector<std::string> networks;
    for (const pb::Path& path : paths.paths()) {
        if (std::find(networks.begin(), networks.end(), path.network()) == networks.end())
            networks.push_back(path.network());
    }
    std::string text;
    for (const std::string& network : networks) {
        std::vector<std::string> headings = {network};
        headings.insert(headings.end(), paths.nodes().begin(), paths.nodes().end());
        Table table(headings);
        for (const std::string& from : paths.nodes()) {
            std::vector<Cell> cells = {from};
            for (const std::string& to : paths.nodes()) cells.push_back(matrix_cell(paths, network, from, to));
            table.row(cells);
        }
        text += (text.empty() ? "" : "\n") + table.print(colour);
    }
    return text.empty() ? "No paths are known yet.\n" : text;
}

std::string render_why(const pb::WhyAnswer& answer, bool colour) {
    std::string text = paint(colour, Tone::kStrong, answer.subject()) + ": " + answer.state() + "\n";
    if (!answer.sentence().empty()) text += "  " + answer.sentence() + "\n";
    if (!answer.candidates().empty()) {
        Table table({"NODE", "ELIGIBLE", "REASON"});
        for (const pb::Candidate& candidate : answer.candidates()) {
            table.row({candidate.node(), state_cell(candidate.eligible() ? "yes" : "no"), candidate.reason()});
        }
        text += "\n" + table.print(colour);
    }
    std::string silent;
    for (const std::string& node : answer.silent_nodes()) silent += (silent.empty() ? "" : ", ") + node;
    if (!silent.empty())
        text += "\n" + paint(colour, Tone::kBad, "WARN") + "  " + silent + " did not answer: decisions made there are missing.\n";
    if (answer.decisions().empty()) return text;
    text += "\nDecisions, newest first:\n";
    for (const pb::Decision& decision : answer.decisions()) {
        text += "  " + time_text(decision.time_unix_ms()) + "  " + with_gap(decision.node()) +
                with_gap(decision.reason()) + decision.sentence() + "\n";
        for (const std::string& input : decision.inputs())
            text += "      " + paint(colour, Tone::kDim, "- " + input) + "\n";
    }
    return text;
}

std::string render_log(const pb::LogEntry& entry, bool colour) {
    std::string text = time_text(entry.time_unix_ms()) + "  " + with_gap(entry.node());
    text += paint(colour, tone_of(entry.level()), fmt::format("{:<5}", entry.level()));
    return text + "  " + (entry.subject().empty() ? "" : entry.subject() + ": ") + entry.message() + "\n";
}

std::string render_changes(const std::vector<config::Change>& changes, bool colour) {
    std::string text;
    for (const config::Change& change : changes) {
        const std::string values = values_of(change);
        text += paint(colour, tone_of_change(change.kind), mark_of(change.kind)) + " " + change.path +
                (values.empty() ? "" : ": " + values);
        text += paint(colour, Tone::kDim, "   (" + config::restart_words(change) + ")") + "\n";
    }
    return text;
}

std::string render_history(const pb::ConfigHistoryAnswer& answer, bool colour) {
    Table table({"VERSION", "WHEN", "HASH", "BY", "COMMENT"});
    for (const pb::ConfigVersion& version : answer.versions()) {
        table.row({std::to_string(version.version()), time_text(version.time_unix_ms()), version.hash().substr(0, 12),
                   version.person(), version.comment()});
    }
    return table.print(colour);
}

std::string render_defaults(const config::TypeCatalogue& types, bool colour) {
    Table table({"KEY", "DEFAULT", "RANGE", "MEANING"});
    for (const config::Section* section : config::sections()) add_keys(table, section->title, section->keys, colour);
    add_types(table, "[[group.resource]]", types.resources, colour);
    add_types(table, "[[monitor]]", types.monitors, colour);
    return table.print(colour);
}

std::string render_progress(const pb::Progress& progress, bool colour) {
    switch (progress.kind_case()) {
        case pb::Progress::kAccepted: {
            std::string text = progress.accepted().message() + "\n";
            for (const std::string& consequence : progress.accepted().consequences())
                text += "  - " + consequence + "\n";
            return text;
        }
        case pb::Progress::kStep: {
            const pb::Step& step = progress.step();
            std::string text = "  " + (step.node().empty() ? "" : step.node() + ": ") + step.subject() + ": ";
            text += paint(colour, tone_of(step.state()), step.state());
            return text + (step.message().empty() ? "" : ", " + step.message()) + "\n";
        }
        case pb::Progress::kDone:
            return progress.done().message() +
                   fmt::format(" ({:.2f} s)\n", static_cast<double>(progress.done().duration_ms()) / 1000);
        case pb::Progress::kRefused: {
            std::string text;
            for (const pb::Problem& problem : progress.refused().problems()) {
                text +=
                    fmt::format("{}:{}:{}: {}", problem.file(), problem.line(), problem.column(), problem.message());
                text += (problem.suggestion().empty() ? "" : "; " + problem.suggestion()) + "\n";
            }
            return text;
        }
        case pb::Progress::KIND_NOT_SET: break;
    }
    return "";
}

}  // namespace kagami::cli
