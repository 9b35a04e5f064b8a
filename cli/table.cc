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

}  // namespace

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
