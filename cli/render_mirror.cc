#include <fmt/format.h>

#include <functional>

#include "cli/render.h"
#include "cli/table.h"

namespace kagami::cli {
namespace {

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

std::string heading(const pb::Mirror& mirror, bool colour) {
    std::string text = "Mirror " + paint(colour, Tone::kStrong, mirror.name()) + "  ";
    text += paint(colour, tone_of(mirror.state()), mirror.state()) + "  group " + mirror.group();
    if (mirror.size_bytes() > 0) text += "  " + bytes_text(mirror.size_bytes());
    text += "  " + (mirror.mount().empty() ? "raw" : mirror.mount() + " (" + mirror.filesystem() + ")");
    if (!mirror.mode().empty()) text += "  " + mirror.mode();
    if (!mirror.generation().empty()) text += "  generation " + mirror.generation();
    if (!mirror.hold().empty()) text += "  " + paint(colour, Tone::kBusy, mirror.hold());
    text += "\n";
    if (!mirror.message().empty()) text += "  " + paint(colour, Tone::kDim, "-> " + mirror.message()) + "\n";
    if (!mirror.remedy().empty()) text += "     " + paint(colour, Tone::kDim, mirror.remedy()) + "\n";
    return text;
}

// Who must have a write before the application is told that it is done.
std::string acknowledged_by(const pb::MirrorCopy& copy) {
    if (copy.mode() == "connected" || copy.mode() == "joining") return "both copies";
    if (copy.mode() == "solo" || copy.mode() == "syncing") return "this copy alone";
    if (copy.mode() == "stalled") return "nobody yet";
    if (copy.mode() == "halted") return "nobody";
    return "-";
}

std::string connection_text(const pb::Mirror& mirror, const pb::MirrorCopy& copy, const std::string& own_node) {
    if (!copy.connected()) return "-";
    return copy.node() == own_node && !mirror.network().empty() ? mirror.network() : "yes";
}

std::string front_end_text(const pb::MirrorCopy& copy) {
    if (copy.front_end().empty()) return "-";
    return copy.front_end() + (copy.device().empty() ? "" : " " + copy.device());
}

std::string dirty_text(const pb::MirrorCopy& copy) {
    return copy.role().empty() ? "-" : bytes_text(copy.dirty_bytes());
}

std::string copies_table(const pb::Mirror& mirror, const std::string& own_node, bool colour) {
    std::vector<std::string> headings = {""};
    for (const pb::MirrorCopy& copy : mirror.copies()) {
        headings.push_back(copy.node() + (copy.node() == own_node ? " *" : ""));
    }
    Table table(std::move(headings));
    const auto row = [&](const char* label, const std::function<Cell(const pb::MirrorCopy&)>& cell) {
        std::vector<Cell> cells = {label};
        for (const pb::MirrorCopy& copy : mirror.copies()) cells.push_back(cell(copy));
        table.row(std::move(cells));
    };
    row("Colour", [](const auto& c) { return state_cell(or_dash(c.colour())); });
    row("State", [](const auto& c) { return state_cell(c.state()); });
    row("Role", [](const auto& c) { return Cell(or_dash(c.role())); });
    row("Copy", [](const auto& c) { return Cell(or_dash(c.standing())); });
    row("Disk", [](const auto& c) { return Cell(or_dash(c.disk())); });
    row("Generation", [](const auto& c) { return Cell(or_dash(c.generation())); });
    row("Acknowledged by", [](const auto& c) { return Cell(acknowledged_by(c)); });
    row("Connection", [&](const auto& c) { return Cell(connection_text(mirror, c, own_node)); });
    row("Front end", [](const auto& c) { return Cell(front_end_text(c)); });
    row("To copy", [](const auto& c) { return Cell(dirty_text(c)); });
    return table.print(colour);
}

std::string left_text(const pb::MirrorResync& resync) {
    return resync.remaining_ms() < 0 ? "" : ", " + age_text(resync.remaining_ms()) + " left";
}

std::string resync_text(const pb::Mirror& mirror, bool colour) {
    if (!mirror.has_resync()) return "";
    const pb::MirrorResync& resync = mirror.resync();
    std::string text = "Resync " + resync.from() + " -> " + resync.to();
    if (!resync.kind().empty()) text += " (" + resync.kind() + ")";
    text += ": " + paint(colour, Tone::kBusy, fmt::format("{} %", resync.percent()));
    if (resync.total_bytes() > 0)
        text += ", " + bytes_text(resync.done_bytes()) + " of " + bytes_text(resync.total_bytes());
    if (resync.bytes_per_second() > 0) text += ", " + bytes_text(resync.bytes_per_second()) + "/s";
    if (resync.elapsed_ms() >= 0) text += ", for " + age_text(resync.elapsed_ms());
    text += left_text(resync) + "\n";
    if (!resync.stall().empty()) text += "  " + paint(colour, Tone::kBad, "-> stalled: " + resync.stall()) + "\n";
    return text;
}

std::string remarks_text(const pb::Mirror& mirror, bool colour) {
    std::string text;
    const auto add = [&](const pb::MirrorCopy& copy, const std::string& what) {
        if (!what.empty()) text += paint(colour, Tone::kDim, copy.node() + ": " + what) + "\n";
    };
    for (const pb::MirrorCopy& copy : mirror.copies()) {
        add(copy, copy.message());
        add(copy, copy.peer_message());
        for (const std::string& warning : copy.warnings()) add(copy, "warning: " + warning);
    }
    return text;
}

}  // namespace

std::string render_mirror(const pb::Mirror& mirror, const std::string& own_node, bool colour) {
    return heading(mirror, colour) + "\n" + copies_table(mirror, own_node, colour) + resync_text(mirror, colour) +
           remarks_text(mirror, colour);
}

std::string mirror_line(const pb::Mirror& mirror, bool colour) {
    std::string text;
    for (const pb::MirrorCopy& copy : mirror.copies()) {
        const std::string& word = copy.colour().empty() ? copy.state() : copy.colour();
        text += (text.empty() ? "" : ", ") + copy.node() + " " + paint(colour, tone_of(word), word);
        if (copy.role() == "primary") text += " primary";
        if (mirror.has_resync() && mirror.resync().to() == copy.node()) {
            text += fmt::format(" {} %", mirror.resync().percent()) + left_text(mirror.resync());
        }
    }
    return text + (mirror.hold().empty() ? "" : ", " + mirror.hold());
}

}  // namespace kagami::cli
