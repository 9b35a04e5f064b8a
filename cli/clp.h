// The commands whose names the runbooks of EXPRESSCLUSTER's users hold (expresscluster.md 5.1). Each is another mouth
// of `kagami`: its options are turned into verbs of the one table (command.h), which are carried out one after the
// other. What differs from that product stands in docs/compatibility.md.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "common/result.h"
#include "proto/control.pb.h"

namespace kagami::cli {

enum class ClpValue { kNone, kRequired, kOptional };  // of an option
// NOLINTNEXTLINE(*.Padding): the tables read in this order
struct ClpOption {
    char letter;            // 's'; '\0' when there is only the word
    std::string_view word;  // "suspend": --suspend; empty when there is only the letter
    ClpValue value = ClpValue::kNone;
};

// What was given, by letter ("s") or, where there is none, by word ("suspend").
struct ClpArguments {
    std::map<std::string, std::string> options;  // empty text: no value was given
    std::vector<std::string> others;
    bool has(const std::string& name) const { return options.contains(name); }
    std::string text(const std::string& name) const;
};
// Values may stand in the next word, or behind "=". Unknown options and missing values: kUsage.
Result<ClpArguments> parse_clp(std::string_view command, std::span<const ClpOption> options,
                               const std::vector<std::string>& given);

// A verb of kagami, and what names it in the line of its success ("Start web"); empty = the bare line, "-" = none.
struct ClpVerb {
    std::vector<std::string> words;
    std::string label;
    // That it is about: a line for each, "Stop node1 : Command succeeded."
    std::vector<std::string> servers = {};  // NOLINT(*-member-init): short rows would warn
};
// The cluster as it is, asked for by the commands that speak of "all" or of "this server".
using AskStatus = std::function<Result<control::v1::Status>()>;

struct ClpCommand {
    std::string_view name;
    std::string_view usage;
    std::span<const ClpOption> options;
    Result<std::vector<ClpVerb>> (*translate)(const ClpArguments& arguments, const AskStatus& status);
};

std::span<const ClpCommand> clp_commands();
// Nothing when `name` is none of them.
std::optional<int> run_clp(std::string_view name, Session& session, const std::vector<std::string>& arguments);

}  // namespace kagami::cli
