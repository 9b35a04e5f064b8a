#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "cli/command.h"

namespace kagami::cli {
namespace {

std::string see_help(const Command& command) {
    return "see: kagami " + std::string(command.words) + " --help";
}

std::string plain_name(std::string_view names) {
    const size_t at = names.rfind("--");
    return std::string(names.substr(at + 2));
}

// "bash, zsh" of a value that is one of several words.
Status check_choice(std::string_view value, const std::string& text) {
    const auto choices = choices_of(value);
    if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return {};
    std::string all;
    for (const std::string_view choice : choices) all += (all.empty() ? "" : ", ") + std::string(choice);
    return fail(ErrorCode::kUsage, "\"" + text + "\" is not one of " + all);
}

Status check_value(const Option& option, const std::string& text) {
    switch (option.kind) {
        case ValueKind::kFlag: return {};
        case ValueKind::kText:
        case ValueKind::kTexts: return check_choice(option.value, text);
        case ValueKind::kDuration: {
            const auto duration = config::parse_duration(text);
            if (!duration) return tl::unexpected(duration.error());
            return {};
        }
        case ValueKind::kNumber: {
            uint32_t number = 0;
            const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
            if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size()) return {};
            return fail(ErrorCode::kUsage, "\"" + text + "\" is not a number");
        }
    }
    return {};
}

Status check_values(const Command& command, const Arguments& arguments) {
    if (!arguments.positional.empty()) {
        if (const Status status = check_choice(command.positional, arguments.positional); !status)
            return fail(ErrorCode::kUsage, std::string(command.words) + ": " + status.error().message,
                        see_help(command));
    }
    for (const Option& option : all_options(command)) {
        for (const std::string& text : arguments.texts(plain_name(option.names))) {
            if (const Status status = check_value(option, text); !status) {
                return fail(ErrorCode::kUsage, "--" + plain_name(option.names) + ": " + status.error().message,
                            status.error().remedy);
            }
        }
    }
    return {};
}

struct Binding {
    std::string name;
    bool flag = false;
    CLI::Option* option = nullptr;
    std::vector<std::string> texts;
};

// "[GROUP]" and "TEXT..." without their signs.
std::string value_word(std::string_view positional) {
    if (positional.starts_with('[')) positional = positional.substr(1, positional.size() - 2);
    if (positional.ends_with("...")) positional.remove_suffix(3);
    return std::string(positional);
}

void add_positional(CLI::App& app, const Command& command, std::vector<std::string>& words) {
    if (command.positional.empty()) return;
    auto* option = app.add_option(value_word(command.positional), words);
    if (!command.positional.starts_with('[')) option->required();
    if (command.positional.find("...") == std::string_view::npos) option->expected(1);
}

}  // namespace

std::vector<std::string_view> choices_of(std::string_view value) {
    std::vector<std::string_view> choices;
    if (value.starts_with('[')) value = value.substr(1, value.size() - 2);
    if (value.find('|') == std::string_view::npos) return choices;
    for (size_t at = 0; at <= value.size();) {
        const size_t end = std::min(value.find('|', at), value.size());
        choices.push_back(value.substr(at, end - at));
        at = end + 1;
    }
    return choices;
}

std::string Arguments::text(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() || found->second.empty() ? "" : found->second.back();
}

std::vector<std::string> Arguments::texts(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::vector<std::string>{} : found->second;
}

Duration Arguments::duration(std::string_view name, Duration absent) const {
    return has(name) ? config::parse_duration(text(name)).value_or(absent) : absent;
}

uint32_t Arguments::number(std::string_view name, uint32_t absent) const {
    const std::string digits = text(name);
    uint32_t value = absent;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

Result<Arguments> parse_arguments(const Command& command, const std::vector<std::string>& given) {
    CLI::App app;
    app.set_help_flag();
    Arguments arguments;
    std::vector<std::string> words;
    add_positional(app, command, words);
    const std::vector<Option> declared = all_options(command);
    std::vector<Binding> bindings(declared.size());
    for (size_t i = 0; i < declared.size(); ++i) {
        const std::string names(declared[i].names);
        bindings[i].name = plain_name(names);
        bindings[i].flag = declared[i].kind == ValueKind::kFlag;
        if (bindings[i].flag) {
            bindings[i].option = app.add_flag(names);
        } else {
            bindings[i].option = app.add_option(names, bindings[i].texts)->allow_extra_args(false);
        }
    }
    try {
        std::vector<std::string> reversed(given.rbegin(), given.rend());
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        return fail(ErrorCode::kUsage, std::string(command.words) + ": " + error.what(), see_help(command));
    }
    for (const std::string& word : words) arguments.positional += (arguments.positional.empty() ? "" : " ") + word;
    for (Binding& binding : bindings) {
        if (binding.option->count() > 0) arguments.options[binding.name] = std::move(binding.texts);
    }
    if (const Status status = check_values(command, arguments); !status) return tl::unexpected(status.error());
    return arguments;
}

}  // namespace kagami::cli
