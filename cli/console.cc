#include "cli/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace kagami::cli {
namespace {

struct StateTone {
    std::string_view word;
    Tone tone;
};
constexpr std::array<StateTone, 39> kTones = {{{"Online", Tone::kGood},
                                               {"Normal", Tone::kGood},
                                               {"Online Pending", Tone::kBusy},
                                               {"Offline Pending", Tone::kBusy},
                                               {"Caution", Tone::kBusy},
                                               {"Suspend", Tone::kBusy},
                                               {"Suspended", Tone::kBusy},
                                               {"Starting", Tone::kBusy},
                                               {"Stopping", Tone::kBusy},
                                               {"Error", Tone::kBad},
                                               {"Online Failure", Tone::kBad},
                                               {"Offline Failure", Tone::kBad},
                                               {"Killing", Tone::kBad},
                                               {"Unknown", Tone::kBad},
                                               {"Offline", Tone::kDim},
                                               {"Unused", Tone::kDim},
                                               {"Off", Tone::kDim},
                                               {"ERROR", Tone::kBad},
                                               {"WARN", Tone::kBusy},
                                               {"INFO", Tone::kDim},
                                               {"yes", Tone::kGood},
                                               {"no", Tone::kBad},
                                               {"added", Tone::kGood},
                                               {"removed", Tone::kBad},
                                               {"Recovering", Tone::kBusy},
                                               {"Uncertain", Tone::kBusy},
                                               {"Abnormal", Tone::kBad},
                                               {"No Construction", Tone::kDim},
                                               {"GREEN", Tone::kGood},
                                               {"YELLOW", Tone::kBusy},
                                               {"ORANGE", Tone::kBusy},
                                               {"RED", Tone::kBad},
                                               {"GRAY", Tone::kDim},
                                               {"Active", Tone::kGood},
                                               {"OK", Tone::kGood},
                                               {"Disabled", Tone::kBad},
                                               {"Latched", Tone::kBad},
                                               {"Pending", Tone::kBusy},
                                               {"DATA RISK", Tone::kBad}}};

const char* escape_of(Tone tone) {
    switch (tone) {
        case Tone::kPlain: return "";
        case Tone::kGood: return "\033[32m";
        case Tone::kBusy: return "\033[33m";
        case Tone::kBad: return "\033[31m";
        case Tone::kDim: return "\033[2m";
        case Tone::kStrong: return "\033[1m";
    }
    return "";
}

}  // namespace

std::string paint(bool colour, Tone tone, std::string_view text) {
    if (!colour || tone == Tone::kPlain || text.empty()) return std::string(text);
    return escape_of(tone) + std::string(text) + "\033[0m";
}

Tone tone_of(std::string_view state) {
    const auto* found = std::find_if(kTones.begin(), kTones.end(), [&](const StateTone& s) { return s.word == state; });
    return found == kTones.end() ? Tone::kPlain : found->tone;
}

int report(const Console& console, const Error& error) {
    console.err << "kagami: " << error.message << '\n';
    if (!error.remedy.empty()) console.err << "  " << error.remedy << '\n';
    return static_cast<int>(error.code);
}

Result<bool> confirm(const Console& console, const std::string& message) {
    if (!console.terminal_in) {
        return fail(ErrorCode::kUsage, message + " This needs a confirmation, and there is no terminal to ask on.",
                    "add --yes to do it without a question");
    }
    console.err << message << " [y/N] " << std::flush;
    std::string answer;
    std::getline(console.in, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

Result<bool> confirm_by_name(const Console& console, const std::string& message, const std::string& name) {
    if (!console.terminal_in) {
        return fail(ErrorCode::kUsage, message + " This needs a confirmation, and there is no terminal to ask on.",
                    "add --yes " + name + " to do it without a question");
    }
    console.err << message << (message.empty() ? "" : " ") << "Type \"" << name << "\" to go on: " << std::flush;
    std::string answer;
    std::getline(console.in, answer);
    return answer == name;
}

std::string age_text(int64_t milliseconds) {
    if (milliseconds < 0) return "-";
    if (milliseconds < 1000) return fmt::format("{} ms", milliseconds);
    const int64_t age = milliseconds / 1000;
    if (age < 120) return fmt::format("{} s", age);
    if (age < 7200) return fmt::format("{} min", age / 60);
    if (age < 172800) return fmt::format("{} h", age / 3600);
    return fmt::format("{} d", age / 86400);
}

std::string left_text(int64_t milliseconds) {
    const int64_t seconds = (milliseconds + 999) / 1000;
    if (seconds < 120) return fmt::format("{} s", std::max<int64_t>(seconds, 0));
    const int64_t minutes = (seconds + 59) / 60;
    if (minutes < 120) return fmt::format("{} min", minutes);
    return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60)
                             : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string bytes_text(uint64_t bytes) {
    constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    const bool whole = unit == 0 || value >= 100 || value == static_cast<double>(static_cast<uint64_t>(value));
    return whole ? fmt::format("{:.0f} {}", value, kUnits[unit]) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string time_text(int64_t unix_milliseconds) {
    const std::time_t whole = unix_milliseconds / 1000;
    std::tm parts{};
    if (localtime_r(&whole, &parts) == nullptr) return "-";
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, unix_milliseconds % 1000);
}

size_t display_width(std::string_view utf8) {
    return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(),
                                             [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace kagami::cli
