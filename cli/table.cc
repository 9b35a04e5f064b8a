#include "cli/table.h"

#include <algorithm>

namespace kagami::cli {
namespace {

std::string line_of(const std::vector<Cell>& cells, const std::vector<size_t>& widths, bool colour) {
    std::string line;
    size_t pending_spaces = 0;  // written only when something follows
    for (size_t i = 0; i < cells.size(); ++i) {
        if (!cells[i].text.empty()) {
            line.append(pending_spaces, ' ');
            line += paint(colour, cells[i].tone, cells[i].text);
            pending_spaces = 0;
        }
        pending_spaces += widths[i] - display_width(cells[i].text) + 2;
    }
    return line + "\n";
}

constexpr size_t kWidth = 80;

void wrap_line(std::string_view line, size_t indent, std::string& out) {
    std::string current;
    while (!line.empty()) {
        const std::string_view word = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(line.size(), word.size() + 1));
        if (!current.empty() && indent + display_width(current) + 1 + display_width(word) > kWidth) {
            out += std::string(indent, ' ') + current + "\n";
            current.clear();
        }
        current += (current.empty() ? "" : " ") + std::string(word);
    }
    out += std::string(indent, ' ') + current + "\n";
}

}  // namespace

std::string wrapped(std::string_view text, size_t indent) {
    std::string out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        wrap_line(line, indent, out);
    }
    return out;
}

std::string note_below(size_t indent, const std::string& message, bool colour) {
    std::string text;
    std::string lines = wrapped(message, indent + 3);
    if (lines.empty()) return "";
    lines.replace(indent, 3, "-> ");
    for (size_t at = 0; at < lines.size();) {
        const size_t end = lines.find('\n', at);
        text +=
            std::string(indent, ' ') + paint(colour, Tone::kDim, lines.substr(at + indent, end - at - indent)) + "\n";
        at = end + 1;
    }
    return text;
}

Cell state_cell(const std::string& state) {
    return {state, tone_of(state)};
}

std::string Table::print(bool colour) const {
    std::vector<size_t> widths;
    std::vector<Cell> heads;
    for (const std::string& heading : headings_) {
        widths.push_back(display_width(heading));
        heads.emplace_back(heading, Tone::kDim);
    }
    for (const Row& row : rows_) {
        for (size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], display_width(row.cells[i].text));
    }
    std::string text = line_of(heads, widths, colour);
    for (const Row& row : rows_) text += row.cells.empty() ? row.note + "\n" : line_of(row.cells, widths, colour);
    return text;
}

}  // namespace kagami::cli
