#include "cli/completion.h"

#include <algorithm>
#include <map>

#include "cli/read.h"
#include "cli/verbs.h"

namespace kagami::cli {
namespace {

constexpr Duration kNamesTime = 1s;

// "-n,--limit" gives both.
std::vector<std::string> names_of(const Option& option) {
    const std::string names(option.names);
    const size_t comma = names.find(',');
    if (comma == std::string::npos) return {names};
    return {names.substr(0, comma), names.substr(comma + 1)};
}

// "[GROUP]" and "EVENT..." as the word for their value.
std::string value_of(std::string_view positional) {
    std::string word(positional);
    std::erase_if(word, [](char c) { return c == '[' || c == ']'; });
    if (word.ends_with("...")) word.resize(word.size() - 3);
    return word;
}

std::vector<Command> all_commands() {
    std::vector<Command> all = commands();
    all.insert(all.end(), hidden_commands().begin(), hidden_commands().end());
    return all;
}

// "node" -> the commands "node ...", in order; "status" -> itself.
std::map<std::string, std::vector<Command>> by_first_word() {
    std::map<std::string, std::vector<Command>> nouns;
    for (const Command& command : commands())
        nouns[std::string(command.words.substr(0, command.words.find(' ')))].push_back(command);
    return nouns;
}

std::string second_word(const Command& command) {
    const size_t space = command.words.find(' ');
    return space == std::string_view::npos ? "" : std::string(command.words.substr(space + 1));
}

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

// Text within single quotation marks of a shell.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::vector<std::string> option_names(const Command& command) {
    std::vector<std::string> words;
    for (const Option& option : all_options(command)) {
        for (const std::string& name : names_of(option)) words.push_back(name);
    }
    words.emplace_back("--help");
    return words;
}

// The lines of `case "$command $previous"`: what follows an option.
std::string option_values() {
    std::string text;
    for (const Command& command : all_commands()) {
        for (const Option& option : all_options(command)) {
            if (option.kind == ValueKind::kFlag) continue;
            std::vector<std::string> patterns;
            for (const std::string& name : names_of(option))
                patterns.push_back("\"" + std::string(command.words) + " " + name + "\"");
            text += "        " + joined(patterns, "|") + ") value=" + quoted(option.value) + " ;;\n";
        }
    }
    return text;
}

// The lines of `case "$command"`: its options, and what its own argument is.
std::string option_lists() {
    std::string text;
    for (const Command& command : all_commands()) {
        text += "        \"" + std::string(command.words) + "\") value=" + quoted(value_of(command.positional)) +
                " flags=" + quoted(joined(option_names(command))) + " ;;\n";
    }
    return text;
}

// The lines of `case NOUN`: nouns whose second word makes the command.
std::string verb_lists() {
    std::string text;
    for (const auto& [noun, commands_of] : by_first_word()) {
        std::vector<std::string> verbs;
        for (const Command& command : commands_of) {
            if (!second_word(command).empty()) verbs.push_back(second_word(command));
        }
        if (!verbs.empty()) text += "        " + noun + ") verbs=" + quoted(joined(verbs)) + " ;;\n";
    }
    return text;
}

std::string first_words() {
    std::vector<std::string> words;
    for (const auto& [noun, ignored] : by_first_word()) words.push_back(noun);
    words.emplace_back("help");
    return joined(words);
}

constexpr const char* kBashHead = R"sh(# Completion of kagami for bash, written by `kagami completion bash`.
_kagami_value() {
    local words=""
    case "$1" in
        NODE|GROUP|RESOURCE|MONITOR|MIRROR|VERSION|NAME)
            words="$(timeout 2 "${COMP_WORDS[0]}" names "$1" 2>/dev/null)" ;;
        FILE) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$cur")); return ;;
        DIR) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$cur")); return ;;
        *"|"*) words="${1//|/ }" ;;
    esac
    COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}
_kagami() {
    local cur="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
    local command="${COMP_WORDS[1]}" first=2 verbs="" value="" flags="" IFS=$' \t\n'
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "$nouns_of_kagami" -- "$cur"))
        return
    fi
    case "$command" in
)sh";
constexpr const char* kBashMiddle = R"sh(    esac
    if [[ -n $verbs && $COMP_CWORD -eq 2 ]]; then
        COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
    elif [[ -n $verbs && " $verbs " == *" ${COMP_WORDS[2]} "* ]]; then
        command="$command ${COMP_WORDS[2]}" first=3
    fi
    case "$command $previous" in
)sh";
constexpr const char* kBashOptions = R"sh(    esac
    if [[ -n $value ]]; then
        _kagami_value "$value"
        return
    fi
    case "$command" in
)sh";
constexpr const char* kBashTail = R"sh(    esac
    if [[ $cur == -* ]]; then
        COMPREPLY+=($(compgen -W "$flags" -- "$cur"))
    elif [[ $COMP_CWORD -ge $first ]]; then
        _kagami_value "$value"
    fi
}
complete -F _kagami kagami
)sh";

constexpr const char* kZshHead = R"sh(#compdef kagami
# Completion of kagami for zsh, written by `kagami completion zsh`.
_kagami_value() {
    case "$1" in
        NODE|GROUP|RESOURCE|MONITOR|MIRROR|VERSION|NAME)
            compadd -- ${(f)"$(timeout 2 ${words[1]} names $1 2>/dev/null)"} ;;
        FILE) _files ;;
        DIR) _files -/ ;;
        *"|"*) compadd -- ${(s:|:)1} ;;
    esac
}
_kagami() {
    local command="${words[2]}" previous="${words[CURRENT-1]}" first=3 verbs="" value="" flags=""
    local -a all
    if (( CURRENT == 2 )); then
        all=(
)sh";
constexpr const char* kZshNouns = R"sh(        )
        _describe command all
        return
    fi
    case "$command" in
)sh";
constexpr const char* kZshMiddle = R"sh(    esac
    if [[ -n $verbs && $CURRENT -eq 3 ]]; then
        compadd -- ${(s: :)verbs}
    elif [[ -n $verbs && " $verbs " == *" ${words[3]} "* ]]; then
        command="$command ${words[3]}" first=4
    fi
    case "$command $previous" in
)sh";
constexpr const char* kZshOptions = R"sh(    esac
    if [[ -n $value ]]; then
        _kagami_value "$value"
        return
    fi
    case "$command" in
)sh";
constexpr const char* kZshTail = R"sh(    esac
    if [[ ${words[CURRENT]} == -* ]]; then
        compadd -- ${(s: :)flags}
    elif (( CURRENT >= first )); then
        _kagami_value "$value"
    fi
}
_kagami "$@"
)sh";

// 'status:Show nodes, ...' for _describe; a noun of several verbs lists them.
std::string zsh_nouns() {
    std::string text;
    for (const auto& [noun, commands_of] : by_first_word()) {
        std::vector<std::string> verbs;
        for (const Command& command : commands_of) verbs.push_back(second_word(command));
        std::string about = commands_of.size() == 1 ? std::string(commands_of[0].summary) : joined(verbs, ", ");
        if (about.starts_with(", ")) about = about.substr(2);
        std::replace(about.begin(), about.end(), ':', ',');
        text += "            " + quoted(noun + ":" + about) + "\n";
    }
    return text;
}

template <typename List>
void add_names(const List& list, std::vector<std::string>& names) {
    for (const auto& each : list) names.push_back(each.name());
}

std::vector<std::string> names_in(const pb::Status& status, const std::string& kind) {
    std::vector<std::string> names;
    const bool any = kind == "NAME";
    if (any || kind == "NODE") add_names(status.nodes(), names);
    if (any || kind == "GROUP") add_names(status.groups(), names);
    for (const pb::Group& group : status.groups()) {
        if (any || kind == "RESOURCE") add_names(group.resources(), names);
    }
    if (any || kind == "MONITOR") add_names(status.monitors(), names);
    if (kind == "MIRROR") add_names(status.mirrors(), names);
    return names;
}

}  // namespace

std::string bash_completion() {
    return std::string(kBashHead).replace(std::string(kBashHead).find("$nouns_of_kagami"), 16, first_words()) +
           verb_lists() + kBashMiddle + option_values() + kBashOptions + option_lists() + kBashTail;
}

std::string zsh_completion() {
    return kZshHead + zsh_nouns() + kZshNouns + verb_lists() + kZshMiddle + option_values() + kZshOptions +
           option_lists() + kZshTail;
}

int run_completion(Session& session, const Arguments& arguments) {
    session.console.out << (arguments.positional == "bash" ? bash_completion() : zsh_completion());
    return 0;
}

// For completion: silent where nobody answers.
int run_names(Session& session, const Arguments& arguments) {
    const auto client = Client::connect(session.places.socket);
    if (!client) return static_cast<int>(client.error().code);
    (*client)->limit_reads(kNamesTime);
    if (arguments.positional == "VERSION") {
        const auto history = (*client)->config_history({});
        if (!history) return static_cast<int>(history.error().code);
        for (const pb::ConfigVersion& version : history->versions()) session.console.out << version.version() << '\n';
        return 0;
    }
    const auto status = (*client)->status();
    if (!status) return static_cast<int>(status.error().code);
    for (const std::string& name : names_in(*status, arguments.positional)) session.console.out << name << '\n';
    return 0;
}

}  // namespace kagami::cli
