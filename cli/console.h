// Where a command writes and asks: data to `out`, messages to `err`. Colour only underlines what the words say already.
#pragma once

#include <cstdint>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>

#include "common/result.h"

namespace kagami::cli {

struct Console {
    std::ostream& out;
    std::ostream& err;
    std::istream& in;
    bool colour = false;        // `out` is a terminal and NO_COLOR is not set
    bool terminal_in = false;   // a person can be asked
    bool terminal_out = false;  // a screen can be redrawn
};

enum class Tone { kPlain, kGood, kBusy, kBad, kDim, kStrong };

std::string paint(bool colour, Tone tone, std::string_view text);
// Of a state word of docs/glossary.md; unknown words are plain.
Tone tone_of(std::string_view state);

// "kagami: MESSAGE" and the remedy below it, to `err`. Returns the exit code.
int report(const Console& console, const Error& error);

// Asks "MESSAGE [y/N] ". Without a terminal: kUsage, naming --yes.
Result<bool> confirm(const Console& console, const std::string& message);
// Asks to type `name`, for what cannot be taken back. Without a terminal: kUsage, naming --yes NAME.
Result<bool> confirm_by_name(const Console& console, const std::string& message, const std::string& name);

std::string age_text(int64_t milliseconds);        // "250 ms", "3 s", "5 min", "2 h", "4 d"; "-" when negative
std::string left_text(int64_t milliseconds);       // of a countdown: "45 s", "27 min", "3 h 20 min"
std::string bytes_text(uint64_t bytes);            // "512 B", "1.2 GiB"
std::string time_text(int64_t unix_milliseconds);  // "2026-11-21 21:00:01.123", local time
size_t display_width(std::string_view utf8);       // code points

}  // namespace kagami::cli
