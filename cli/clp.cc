#include "cli/clp.h"

#include <algorithm>
#include <sstream>

#include "cli/client.h"
#include "cli/clp_prints.h"

namespace kagami::cli {
namespace {

const ClpOption* find_option(std::span<const ClpOption> options, const std::string& given) {
    const bool by_word = given.starts_with("--");
    const auto at = std::find_if(options.begin(), options.end(), [&](const ClpOption& option) {
        return by_word ? !option.word.empty() && given.substr(2) == option.word
                       : given.size() == 2 && option.letter != '\0' && given[1] == option.letter;
    });
    return at == options.end() ? nullptr : &*at;
}

std::string name_of(const ClpOption& option) {
    return option.letter != '\0' ? std::string(1, option.letter) : std::string(option.word);
}

bool asks_for_help(const std::vector<std::string>& arguments) {
    return std::find(arguments.begin(), arguments.end(), "--help") != arguments.end();
}

int usage_error(const Session& session, const ClpCommand& command, const Error& error) {
    const int code = report(session.console, error);
    if (error.code == ErrorCode::kUsage) session.console.err << command.usage;
    return code;
}

// Carries the verb out; what it says on the way goes to stderr, as it would.
int carry_out(Session& session, const ClpVerb& verb) {
    const std::optional<int> printed = run_clp_print(session, verb.words);
    const int code = printed ? *printed : run(session, verb.words);
    if (code != 0 || verb.label == "-") return code;
    std::vector<std::string> lines;
    lines.reserve(verb.servers.size());
    for (const std::string& server : verb.servers) lines.push_back(verb.label + " " + server + " : ");
    if (lines.empty()) lines.push_back(verb.label.empty() ? "" : verb.label + " : ");
    for (const std::string& line : lines) session.console.out << line << "Command succeeded.\n" << std::flush;
    return code;
}

}  // namespace

std::string ClpArguments::text(const std::string& name) const {
    const auto at = options.find(name);
    return at == options.end() ? "" : at->second;
}

Result<ClpArguments> parse_clp(std::string_view command, std::span<const ClpOption> options,
                               const std::vector<std::string>& given) {
    ClpArguments arguments;
    for (size_t i = 0; i < given.size(); ++i) {
        if (!given[i].starts_with('-') || given[i] == "-") {
            arguments.others.push_back(given[i]);
            continue;
        }
        const size_t equals = given[i].starts_with("--") ? given[i].find('=') : std::string::npos;
        const std::string word = given[i].substr(0, equals);
        const ClpOption* option = find_option(options, word);
        if (option == nullptr) return fail(ErrorCode::kUsage, std::string(command) + ": unknown option " + word, "");
        const bool in_next = equals == std::string::npos && option->value != ClpValue::kNone && i + 1 < given.size() &&
                             !given[i + 1].starts_with('-');
        if (option->value == ClpValue::kRequired && !in_next && equals == std::string::npos)
            return fail(ErrorCode::kUsage, std::string(command) + ": " + word + " needs a value", "");
        if (option->value == ClpValue::kNone && equals != std::string::npos)
            return fail(ErrorCode::kUsage, std::string(command) + ": " + word + " takes no value", "");
        arguments.options[name_of(*option)] = equals != std::string::npos ? given[i].substr(equals + 1)
                                              : in_next                   ? given[++i]
                                                                          : "";
    }
    return arguments;
}

std::optional<int> run_clp(std::string_view name, Session& session, const std::vector<std::string>& arguments) {
    const auto commands = clp_commands();
    const auto command =
        std::find_if(commands.begin(), commands.end(), [&](const ClpCommand& each) { return each.name == name; });
    if (command == commands.end()) return std::nullopt;
    if (asks_for_help(arguments)) return session.console.out << command->usage, 0;
    const Result<ClpArguments> parsed = parse_clp(name, command->options, arguments);
    if (!parsed) return usage_error(session, *command, parsed.error());
    if (!parsed->others.empty())  // else "clpdown node2" would end this server
        return usage_error(
            session, *command,
            {ErrorCode::kUsage, std::string(name) + ": \"" + parsed->others.front() + "\" is not expected", ""});
    const AskStatus status = [&]() -> Result<control::v1::Status> {
        const auto client = Client::connect(session.places.socket);
        if (!client) return tl::unexpected(client.error());
        return (*client)->status();
    };
    const auto verbs = command->translate(*parsed, status);
    if (!verbs) return usage_error(session, *command, verbs.error());
    int worst = 0;
    for (const ClpVerb& verb : *verbs) worst = std::max(worst, carry_out(session, verb));
    return worst;
}

}  // namespace kagami::cli
