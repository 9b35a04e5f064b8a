#include <algorithm>
#include <optional>

#include "cli/command.h"
#include "common/config/nearest.h"

namespace kagami::cli {
namespace {

struct Match {
    std::optional<Command> command;
    size_t words = 0;
};

// Two words are looked for first: `leader move` is not `leader` with a name.
Match find_command(const std::vector<std::string>& arguments) {
    std::vector<Command> all = commands();
    all.insert(all.end(), hidden_commands().begin(), hidden_commands().end());
    const std::string two = arguments.size() > 1 ? arguments[0] + " " + arguments[1] : "";
    for (const size_t words : {size_t{2}, size_t{1}}) {
        const std::string& wanted = words == 2 ? two : arguments[0];
        const auto found = std::find_if(all.begin(), all.end(), [&](const Command& c) { return c.words == wanted; });
        if (found != all.end()) return {*found, words};
    }
    return {};
}

Error unknown_command(const std::vector<std::string>& arguments) {
    std::vector<std::string_view> verbs;
    std::vector<std::string_view> firsts;
    for (const Command& command : commands()) {
        const std::string_view first = command.words.substr(0, command.words.find(' '));
        if (first == arguments[0]) verbs.push_back(command.words.substr(first.size() + 1));
        if (std::find(firsts.begin(), firsts.end(), first) == firsts.end()) firsts.push_back(first);
    }
    if (verbs.empty())
        return {ErrorCode::kUsage, "unknown command \"" + arguments[0] + "\"",
                config::nearest(arguments[0], firsts, "commands")};
    if (arguments.size() == 1 || arguments[1].starts_with('-')) {
        return {ErrorCode::kUsage, arguments[0] + " needs a second word", config::nearest("", verbs, "one of")};
    }
    return {ErrorCode::kUsage, "unknown command \"" + arguments[0] + " " + arguments[1] + "\"",
            config::nearest(arguments[1], verbs, "one of")};
}

bool asks_for_help(const std::vector<std::string>& arguments) {
    const auto end = std::find(arguments.begin(), arguments.end(), "--");
    return std::any_of(arguments.begin(), end, [](const std::string& a) { return a == "--help" || a == "-h"; });
}

}  // namespace

std::vector<Command> commands() {
    std::vector<Command> all;
    for (const Chapter& chapter : chapters()) all.insert(all.end(), chapter.commands.begin(), chapter.commands.end());
    return all;
}

int run(Session& session, const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        session.console.err << help_text();
        return static_cast<int>(ErrorCode::kUsage);
    }
    if (arguments[0] == "--version") {
        session.console.out << "kagami " KAGAMI_VERSION "\n";
        return 0;
    }
    if (arguments[0] == "help" || arguments[0] == "--help" || arguments[0] == "-h") {
        session.console.out << help_text();
        return 0;
    }
    const Match match = find_command(arguments);
    if (!match.command) return report(session.console, unknown_command(arguments));
    if (asks_for_help(arguments)) {
        session.console.out << help_text(*match.command);
        return 0;
    }
    const auto parsed = parse_arguments(
        *match.command, {arguments.begin() + static_cast<std::ptrdiff_t>(match.words), arguments.end()});
    if (!parsed) return report(session.console, parsed.error());
    return match.command->run(session, *parsed);
}

}  // namespace kagami::cli
