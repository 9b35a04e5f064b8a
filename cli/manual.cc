#include "cli/manual.h"

#include <cctype>

#include "cli/roff.h"
#include "cli/verbs.h"
#include "common/files.h"

namespace kagami::cli {
namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

// "-n, --limit N", bold and italic.
std::string option_heading(const Option& option) {
    std::string names(option.names);
    if (const size_t comma = names.find(','); comma != std::string::npos) names.insert(comma + 1, " ");
    const std::string value = option.value.empty() ? "" : " " + roff_italic(option.value);
    return roff_bold(names) + value;
}

std::string option_paragraph(const Option& option) {
    return ".TP\n" + option_heading(option) + "\n" + roff(option.help) + "\n";
}

// What an effect adds to a command's own options, once for all.
std::string effect_words(Effect effect) {
    switch (effect) {
        case Effect::kReads: return "Takes --json.";
        case Effect::kChanges: return "A change.";
        case Effect::kDestroys: return "A change that asks first.";
        case Effect::kOverwrites: return "A change that asks for the name of what it overwrites.";
        case Effect::kSetsUp: return "";
    }
    return "";
}

std::string command_paragraph(const Command& command) {
    std::string text = ".TP\n" + roff_bold(command.words);
    if (!command.positional.empty()) text += " " + roff_italic(command.positional);
    text += "\n" + roff(command.summary) + "\n";
    if (!command.description.empty()) text += roff(command.description) + "\n";
    if (const std::string words = effect_words(command.effect); !words.empty()) text += roff(words) + "\n";
    if (command.options.empty()) return text;
    text += ".RS\n";
    for (const Option& option : command.options) text += option_paragraph(option);
    return text + ".RE\n";
}

// The options that an effect brings, of a command that has none of its own.
std::string common_options(Effect effect) {
    std::string text;
    for (const Option& option : all_options({"", "", "", "", effect, {}, nullptr})) text += option_paragraph(option);
    return text;
}

constexpr const char* kPageHead = R"(.TH KAGAMI 1 "November 2026" "Kagami )" KAGAMI_VERSION R"(" "Kagami"
.\" Written by `kagami man` from the table of commands.
.SH NAME
kagami \- set up, watch and command a high\-availability cluster
.SH SYNOPSIS
.B kagami
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
.B kagami
speaks to the cluster daemon of this node,
.BR kagamid (8),
on
.IR /run/kagami/control.sock .
A change may be asked for on any node; the leader decides.
Results go to standard output, progress and messages to standard error.
Every command explains itself:
.BI "kagami " COMMAND " \-\-help" .
Durations have a unit: "300ms", "2s", "5min", "1h".
)";
constexpr const char* kPageTail = R"(.SH SHELL COMPLETION AND MANUAL
.B kagami completion bash
and
.B kagami completion zsh
print the completion of a shell, which asks the daemon for names
.RB ( "kagami names" ", a second at most):"
.PP
.EX
kagami completion bash > /usr/share/bash\-completion/completions/kagami
kagami completion zsh > /usr/share/zsh/vendor\-completions/_kagami
.EE
.PP
.BI "kagami man \-\-all " DIR
writes this page,
.BR cluster.toml (5)
and the table of commands.
.SH ENVIRONMENT
.TP
.B NO_COLOR
No colours, as when standard output is no terminal. Colours never say what words do not.
.TP
.B SUDO_USER
The person named in the records, where the command runs behind sudo.
.SH FILES
.I /etc/kagami/cluster.toml
and
.IR /etc/kagami/scripts/GROUP/RESOURCE/ ,
.IR /etc/kagami/pki/ ,
.IR /run/kagami/control.sock .
.SH SEE ALSO
.BR clpstat (1),
.BR clpmdstat (1),
.BR clpmdctrl (1),
.BR clpmdinit (1),
.BR cluster.toml (5),
.BR kagamid (8),
.BR kagami\-guard (8),
.BR kagami\-mirrord (8),
.BR kagami\-witness (8)
)";

std::string exit_status_section() {
    std::string text = ".SH EXIT STATUS\n";
    for (const ExitCode& code : exit_codes()) {
        text += ".TP\n.B " + std::to_string(code.code) + "\n" + roff(code.meaning) + "\n";
        if (code.code != 0) text += roff(code.remedy) + "\n";
    }
    return text;
}

// ---- docs/cli.md ----

// A bar would end the cell.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
    return out;
}

const char* kind_of(Effect effect) {
    switch (effect) {
        case Effect::kReads: return "reads";
        case Effect::kChanges: return "changes";
        case Effect::kDestroys: return "changes, asks";
        case Effect::kOverwrites: return "changes, asks for the name";
        case Effect::kSetsUp: return "";
    }
    return "";
}

std::string options_cell(const Command& command) {
    std::string text;
    for (const Option& option : command.options) {
        std::string name(option.names.substr(option.names.find("--")));
        if (!option.value.empty()) name += " " + std::string(option.value);
        text += (text.empty() ? "`" : ", `") + cell(name) + "`";
    }
    return text;
}

constexpr const char* kTableHead = R"(# The command line

Written by the program (`kagami man cli.md`) from its table of commands; a test compares. Each command explains itself: `kagami COMMAND --help`, and all of them `man kagami`.

* **reads**: takes `--json`; the answer has a `schema` field that changes when a field changes its meaning.
* **changes**: takes `--dry-run` (say what would happen), `--wait` (return when it is done, showing the progress), `--timeout DURATION` (of the wait), `--force` (override a refusal by a safety rule that names it).
* **asks**: says the consequence and asks. `--yes` answers; without a terminal and without it the exit status is 2. `--yes` never overrides a safety rule, and `--force` never answers the question.
* Data go to standard output, messages to standard error. Colours (not with `NO_COLOR`) never say what words do not.
)";
constexpr const char* kTableTail = R"(
## Completion and manual

```
kagami completion bash > /usr/share/bash-completion/completions/kagami
kagami completion zsh > /usr/share/zsh/vendor-completions/_kagami
kagami man --all docs/man
```
Names of nodes, groups, resources, monitors, mirrors and configurations are asked from the daemon at the moment of the key press (`kagami names KIND`), a second at most.
)";

}  // namespace

std::string kagami_page() {
    std::string text = kPageHead;
    text += ".SH OPTIONS\nCommands that read take:\n" + common_options(Effect::kReads);
    text += ".PP\nChanges take:\n" + common_options(Effect::kChanges);
    text +=
        ".PP\nChanges that stop or overwrite something say so and ask, and take\n.BR \\-\\-yes ,\n"
        "which answers the question and overrides no safety rule. Where a copy is overwritten, it is\n"
        ".BI \\-\\-yes \" NAME\"\\fR.\n"
        "Without a terminal and without it nothing is done, and the exit status is 2.\n";
    for (const Chapter& chapter : chapters()) {
        text += ".SH " + upper(chapter.title) + "\n";
        for (const Command& command : chapter.commands) text += command_paragraph(command);
    }
    return text + exit_status_section() + kPageTail;
}

std::string command_table() {
    std::string text = kTableHead;
    for (const Chapter& chapter : chapters()) {
        text += "\n## " + std::string(chapter.title) + "\n\n| `kagami` | | options of its own | |\n|---|---|---|---|\n";
        for (const Command& command : chapter.commands)
            text += "| `" + cell(usage_of(command)) + "` | " + cell(command.summary) + " | " + options_cell(command) +
                    " | " + kind_of(command.effect) + " |\n";
    }
    text += "\n## Exit status\n\n| | meaning | what to do |\n|---|---|---|\n";
    for (const ExitCode& code : exit_codes())
        text += "| " + std::to_string(code.code) + " | " + cell(code.meaning) + " | " + cell(code.remedy) + " |\n";
    return text + kTableTail;
}

int run_man(Session& session, const Arguments& arguments) {
    const std::pair<std::string, std::string> pages[] = {{"kagami.1", kagami_page()},
                                                         {"cluster.toml.5", configuration_page(session.types)},
                                                         {"cli.md", command_table()}};
    const std::string wanted = arguments.positional.empty() ? "kagami.1" : arguments.positional;
    for (const auto& [name, text] : pages) {
        if (!arguments.has("all")) {
            if (name == wanted) session.console.out << text;
            continue;
        }
        const Status written = write_file_atomically(arguments.text("all") + "/" + name, text, 0644);
        if (!written) return report(session.console, written.error());
    }
    return 0;
}

}  // namespace kagami::cli
