#include <fmt/format.h>

#include "cli/render.h"
#include "cli/table.h"

namespace kagami::cli {
namespace {

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

// "250 ms", "3.1 s"; a short time keeps its tenths, unlike an age.
std::string short_time(int64_t milliseconds) {
    if (milliseconds < 0) return "-";
    if (milliseconds < 1000) return fmt::format("{} ms", milliseconds);
    if (milliseconds < 60000) return fmt::format("{:.1f} s", static_cast<double>(milliseconds) / 1000);
    return left_text(milliseconds);
}
std::string check_time(double milliseconds) {
    if (milliseconds < 0) return "-";
    return milliseconds < 10 ? fmt::format("{:.2f} ms", milliseconds)
                             : short_time(static_cast<int64_t>(milliseconds + 0.5));
}

// A word in its colour, a sentence, and below it what to do.
std::string switch_line(const std::string& title, const std::string& sentence, const std::string& remedy, bool colour) {
    std::string text = wrapped(title + ": " + sentence, 0);
    text.replace(0, title.size(), paint(colour, Tone::kBusy, title));
    return text + note_below(2, remedy, colour);
}

std::string maintenance_sentence(const pb::Maintenance& maintenance, const std::string& of) {
    return maintenance.kind() + ", of " + of + ", " + left_text(maintenance.left_ms()) +
           " left: nothing is decided automatically for it" +
           (maintenance.kind() == "unmanaged" ? ", and its guard lets go" : "");
}

std::string failover_line(const pb::FailoverSwitch& failover, bool colour) {
    if (failover.state().empty() || failover.state() == "Active") return "";
    const std::string why = failover.why().empty() ? "groups go nowhere by themselves" : failover.why();
    const char* remedy = failover.state() == "Pending" ? "see: kagami paths" : "kagami failover on";
    return switch_line("Failover", failover.state() + ", " + why, remedy, colour);
}

std::string candidates_text(const pb::SimulatedGroup& group) {
    std::string text;
    for (const pb::Candidate& candidate : group.candidates()) {
        if (!candidate.eligible()) text += wrapped("not " + candidate.node() + ": " + candidate.reason(), 4);
    }
    return text;
}

std::string gap_text(const pb::SimulatedGroup& group) {
    if (group.gap_ms() < 0 || group.to().empty()) return "stays down";
    return group.gap_ms() == 0 ? "none" : "about " + short_time(group.gap_ms());
}

std::string block(const std::string& title, const std::string& lines) {
    return lines.empty() ? "" : "\n" + title + "\n" + lines;
}

// "1 error, 2 warnings"
std::string findings_count(const pb::DoctorAnswer& answer) {
    size_t errors = 0;
    size_t warnings = 0;
    for (const pb::Finding& finding : answer.findings()) {
        errors += finding.severity() == "ERROR" ? 1 : 0;
        warnings += finding.severity() == "WARN" ? 1 : 0;
    }
    if (errors + warnings == 0) return "Nothing is wrong.";
    return fmt::format("{} error{}, {} warning{}.", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
}

std::string group_times(const pb::Statistics& answer, bool colour) {
    Table table({"GROUP", "STARTS", "LAST", "LONGEST", "STOPS", "LAST", "LONGEST"});
    for (const pb::GroupTimes& group : answer.groups()) {
        table.row({group.group(), std::to_string(group.starts()), short_time(group.last_start_ms()),
                   group.starts() == 0 ? "-" : short_time(group.longest_start_ms()), std::to_string(group.stops()),
                   short_time(group.last_stop_ms()), group.stops() == 0 ? "-" : short_time(group.longest_stop_ms())});
    }
    return table.empty() ? "" : table.print(colour);
}

std::string monitor_times(const pb::Statistics& answer, bool colour) {
    Table table({"MONITOR", "CHECKS", "LAST", "MEAN", "LONGEST", "TIME-OUTS"});
    for (const pb::MonitorTimes& monitor : answer.monitors()) {
        const bool none = monitor.checks() == 0;
        table.row({monitor.monitor(), std::to_string(monitor.checks()), none ? "-" : check_time(monitor.last_ms()),
                   none ? "-" : check_time(monitor.mean_ms()), none ? "-" : check_time(monitor.longest_ms()),
                   Cell(std::to_string(monitor.timeouts()), monitor.timeouts() > 0 ? Tone::kBusy : Tone::kPlain)});
    }
    return table.empty() ? "" : table.print(colour);
}

struct Scope {
    const char* word;
    const char* title;
};

std::string plan_lines(const pb::ConfigCheckAnswer& answer, const std::string& restarts) {
    std::string text;
    for (const pb::ConfigChange& change : answer.changes()) {
        if (change.restarts() != restarts) continue;
        const char* mark = change.kind() == "added" ? "+ " : change.kind() == "removed" ? "- " : "~ ";
        std::string line = mark + change.path();
        if (change.kind() == "added" && !change.new_text().empty()) line += ": " + change.new_text();
        if (change.kind() == "removed" && !change.old_text().empty()) line += ": " + change.old_text();
        if (change.kind() == "changed" && !(change.old_text().empty() && change.new_text().empty()))
            line += ": " + or_dash(change.old_text()) + " -> " + or_dash(change.new_text());
        if (!change.restarts_name().empty()) line += "   (" + change.restarts_name() + ")";
        text += wrapped(line, 2);
    }
    return text;
}

}  // namespace

std::string render_switches(const pb::Status& status, bool colour) {
    std::string text = failover_line(status.failover(), colour);
    if (status.has_maintenance())
        text += switch_line("Maintenance", maintenance_sentence(status.maintenance(), "the whole cluster"),
                            "kagami maintenance end", colour);
    for (const pb::Node& node : status.nodes()) {
        if (!node.has_maintenance()) continue;
        text += switch_line("Maintenance", maintenance_sentence(node.maintenance(), "node " + node.name()),
                            "kagami maintenance end --node " + node.name(), colour);
    }
    for (const pb::Group& group : status.groups()) {
        if (!group.has_maintenance()) continue;
        text += switch_line("Maintenance", maintenance_sentence(group.maintenance(), "group " + group.name()),
                            "kagami maintenance end --group " + group.name(), colour);
    }
    if (status.has_timeout_ratio() && status.timeout_ratio().ratio() > 1)
        text += switch_line("Time-outs",
                            fmt::format("{} times as long, for another {}", status.timeout_ratio().ratio(),
                                        left_text(status.timeout_ratio().left_ms())),
                            "kagami timeout-ratio reset", colour);
    if (status.has_unconfirmed())
        text +=
            switch_line("Configuration",
                        fmt::format("{} is not confirmed: in {} it goes back to {}", status.unconfirmed().version(),
                                    left_text(status.unconfirmed().left_ms()), status.unconfirmed().previous_version()),
                        "to keep it: kagami config confirm", colour);
    return text;
}

std::string render_failover(const pb::Status& status, bool colour) {
    const std::string state = or_dash(status.failover().state());
    std::string text = "Failover: " + paint(colour, tone_of(state), state) + "\n";
    if (!status.failover().why().empty()) text += note_below(2, status.failover().why(), colour);
    if (state == "Disabled" || state == "Latched") text += note_below(2, "kagami failover on", colour);
    Table table({"GROUP", "FAILOVER", "FAILBACK", "NODE", "BEFORE", "LAST HOUR"});
    for (const pb::Group& group : status.groups()) {
        table.row({group.name(), group.failover(), group.failback() ? "auto" : "manual", or_dash(group.current_node()),
                   or_dash(group.previous_node()), std::to_string(group.failovers())});
    }
    return table.empty() ? text : text + "\n" + table.print(colour);
}

std::string render_leader(const pb::Status& status, bool colour) {
    if (status.leader().empty())
        return "No leader is known.\n" + note_below(2, "kagami why cluster; kagami paths", colour);
    return fmt::format("{} leads the cluster, epoch {}.\n", paint(colour, Tone::kStrong, status.leader()),
                       or_dash(status.epoch()));
}

std::string render_ratio(const pb::Status& status, bool) {
    if (!status.has_timeout_ratio() || status.timeout_ratio().ratio() <= 1) return "1: time-outs are as configured.\n";
    return fmt::format("{0}: time-outs are {0} times as long, for another {1}.\n", status.timeout_ratio().ratio(),
                       left_text(status.timeout_ratio().left_ms()));
}

std::string render_simulate(const pb::SimulateAnswer& answer, bool colour) {
    std::string text = wrapped(answer.outcome(), 0);
    Table table({"GROUP", "FROM", "TO", "AWAY"});
    for (const pb::SimulatedGroup& group : answer.groups()) {
        const std::string gap = gap_text(group);
        table.row({group.group(), or_dash(group.from()), or_dash(group.to()),
                   Cell(gap, gap == "stays down" ? Tone::kBad : Tone::kPlain)});
        std::string below = note_below(2, group.why(), colour) + candidates_text(group);
        if (!below.empty()) below.pop_back();
        if (!below.empty()) table.note(below);
    }
    if (!table.empty()) text += "\n" + table.print(colour);
    if (!answer.data_sentence().empty() || answer.data_risk()) {
        const std::string title = answer.data_risk() ? "DATA RISK" : "Data";
        std::string data = wrapped(title + ": " + answer.data_sentence(), 0);
        data.replace(0, title.size(), paint(colour, tone_of(title), title));
        text += "\n" + data;
    }
    std::string unmet;
    for (const std::string& each : answer.unmet()) unmet += note_below(2, each, colour);
    std::string decisions;
    for (const pb::Decision& decision : answer.decisions())
        decisions +=
            wrapped(decision.sentence() + (decision.reason().empty() ? "" : " (" + decision.reason() + ")"), 2);
    return text + block("What keeps it from going well:", unmet) + block("Decisions, in order:", decisions);
}

std::string render_doctor(const pb::DoctorAnswer& answer, bool colour) {
    std::string text;
    for (const pb::Finding& finding : answer.findings()) {
        const std::string word = fmt::format("{:<5}", finding.severity());
        std::string lines = wrapped(finding.check() + ": " + finding.message(), 7);
        lines.replace(0, word.size(), paint(colour, tone_of(finding.severity()), word));
        text += lines + note_below(7, finding.remedy(), colour);
    }
    return text + (text.empty() ? "" : "\n") + findings_count(answer) + "\n";
}

std::string render_statistics(const pb::Statistics& answer, bool colour) {
    const std::string groups = group_times(answer, colour);
    const std::string monitors = monitor_times(answer, colour);
    if (groups.empty() && monitors.empty()) return "Nothing has been started or checked on this node yet.\n";
    return groups + (groups.empty() || monitors.empty() ? "" : "\n") + monitors;
}

std::string render_plan(const pb::ConfigCheckAnswer& answer, bool colour) {
    if (answer.hash() == answer.in_force_hash()) return "This configuration is in force already.\n";
    constexpr Scope kScopes[] = {{"cluster", "Restarts the cluster:"},
                                 {"group", "Restarts a group:"},
                                 {"monitor", "Restarts a monitor:"},
                                 {"nothing", "Restarts nothing:"}};
    std::string text;
    for (const Scope& scope : kScopes) {
        const std::string lines = plan_lines(answer, scope.word);
        if (!lines.empty())
            text += (text.empty() ? "" : "\n") + paint(colour, Tone::kStrong, scope.title) + "\n" + lines;
    }
    return text.empty() ? "The text differs, but nothing that it means.\n" : text;
}

}  // namespace kagami::cli
