// Aligned columns: as wide as their widest cell, two spaces between, no spaces at the end of a line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"

namespace kagami::cli {

struct Cell {
    Cell(std::string t, Tone o = Tone::kPlain)
        : text(std::move(t)), tone(o) {}                              // NOLINT: cells are written as plain texts
    Cell(const char* t, Tone o = Tone::kPlain) : text(t), tone(o) {}  // NOLINT
    std::string text;
    Tone tone;
};
// A state word in its colour.
Cell state_cell(const std::string& state);

// Lines of at most 80 columns, each indented and ended; words are not divided. Lines of the text stay lines.
std::string wrapped(std::string_view text, size_t indent);
// "-> MESSAGE" below what it is about, dim; further lines stand below its first word.
std::string note_below(size_t indent, const std::string& message, bool colour);

class Table {
 public:
    explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    void row(std::vector<Cell> cells) { rows_.push_back({std::move(cells), ""}); }
    void note(std::string line) { rows_.push_back({{}, std::move(line)}); }  // a line of its own below a row
    bool empty() const { return rows_.empty(); }
    std::string print(bool colour) const;

 private:
    struct Row {
        std::vector<Cell> cells;
        std::string note;
    };
    std::vector<std::string> headings_;
    std::vector<Row> rows_;
};

}  // namespace kagami::cli
