#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "common/assert.h"
#include "common/config/parameter.h"

namespace kagami::config {
namespace {

struct Unit {
    std::string_view word;
    int64_t nanoseconds;
};
// Largest first: of two texts of one length format_duration takes the larger unit.
constexpr std::array<Unit, 6> kUnits = {{{"h", 3'600'000'000'000},
                                         {"min", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};

tl::unexpected<Error> bad_duration(std::string_view text, std::string_view what) {
    return fail(ErrorCode::kUsage, "\"" + std::string(text) + "\" " + std::string(what),
                "write a number and a unit: \"300ms\", \"2s\", \"5min\", \"1h\"");
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}

// number * unit + fraction digits of the unit; nothing when it does not fit or is not a whole number of nanoseconds.
bool scale(std::string_view whole, std::string_view fraction, int64_t unit, int64_t& nanoseconds) {
    int64_t number = 0;
    const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), number);
    if (parsed.ec != std::errc{} || number > std::numeric_limits<int64_t>::max() / 2 / unit) return false;
    nanoseconds = number * unit;
    for (const char c : fraction) {
        if (unit % 10 != 0) return false;
        unit /= 10;
        nanoseconds += (c - '0') * unit;
    }
    return true;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
    const auto* end = std::find_if_not(text.begin(), text.end(), [](char c) { return digit(c) || c == '.'; });
    const std::string_view number = text.substr(0, static_cast<size_t>(end - text.begin()));
    const std::string_view word = text.substr(number.size());
    if (!number.empty() && word.empty()) return bad_duration(text, "is a duration without a unit");
    const size_t dot = number.find('.');
    const std::string_view whole = number.substr(0, dot);
    const std::string_view fraction = dot == std::string_view::npos ? std::string_view{} : number.substr(dot + 1);
    const bool broken_fraction =
        dot != std::string_view::npos && (fraction.empty() || fraction.find('.') != std::string_view::npos);
    if (whole.empty() || broken_fraction) return bad_duration(text, "is not a duration");
    const auto* unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.word == word; });
    if (unit == kUnits.end()) return bad_duration(text, "is a duration with an unknown unit");
    int64_t nanoseconds = 0;
    if (!scale(whole, fraction, unit->nanoseconds, nanoseconds))
        return bad_duration(text, "is not a possible duration");
    return Duration(nanoseconds);
}

std::string format_duration(Duration d) {
    if (d == Duration::zero()) return "0s";
    std::string best;
    for (const Unit& unit : kUnits) {
        if (d.count() % unit.nanoseconds != 0) continue;
        std::string text = std::to_string(d.count() / unit.nanoseconds) + std::string(unit.word);
        if (best.empty() || text.size() < best.size()) best = std::move(text);
    }
    return best;
}

bool Values::has(std::string_view name) const {
    const auto at = texts_.find(std::string(name));
    return at != texts_.end() && !at->second.empty();
}

const std::vector<std::string>& Values::list(std::string_view name) const {
    const auto at = texts_.find(std::string(name));
    KAGAMI_ASSERT(at != texts_.end(), "a value is read that the type's parameter table does not declare");
    return at->second;
}

const std::string& Values::text(std::string_view name) const {
    static const std::string nothing;
    const auto& texts = list(name);
    KAGAMI_ASSERT(texts.size() <= 1, "a list is read as one text");
    return texts.empty() ? nothing : texts.front();
}

int64_t Values::integer(std::string_view name) const {
    const std::string& digits = text(name);
    int64_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    KAGAMI_ASSERT(parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size(), "the value is no integer");
    return value;
}

bool Values::boolean(std::string_view name) const {
    const std::string& word = text(name);
    KAGAMI_ASSERT(word == "true" || word == "false", "the value is no boolean");
    return word == "true";
}

Duration Values::duration(std::string_view name) const {
    const auto value = parse_duration(text(name));
    KAGAMI_ASSERT(value.has_value(), "the value is no duration");
    return *value;
}

}  // namespace kagami::config
