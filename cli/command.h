// THE table of commands. Parsing, help, completion, man pages and docs/cli.md derive from it. A command reads, changes
// or destroys; that alone decides which common options it has and whether it asks first. The word for a value says what
// it may be: NODE, GROUP, RESOURCE, MONITOR, MIRROR, VERSION are names that completion asks the daemon for; FILE and
// DIR are paths; "on|off" is one of these words, and nothing else is taken.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "common/config/parameter.h"
#include "common/result.h"

namespace kagami::cli {

// Where things lie on this machine (docs/architecture.md).
struct Places {
    std::string etc = "/etc/kagami";
    std::string state = "/var/lib/kagami";
    std::string socket = "/run/kagami/control.sock";
};

struct Session {
    Console console;
    Places places;
    const config::TypeCatalogue& types;
};

enum class ValueKind { kFlag, kText, kTexts, kDuration, kNumber };

struct Option {
    std::string_view names;  // "--to", "-n,--limit"
    ValueKind kind;
    std::string_view value;  // "NODE", "observe|unmanaged"; empty for flags
    std::string_view help;
};

// What was given, already of the declared kinds. Names are without dashes: "to".
class Arguments {
 public:
    std::string positional;  // empty = not given
    std::map<std::string, std::vector<std::string>, std::less<>> options;

    bool has(std::string_view name) const { return options.contains(name); }
    std::string text(std::string_view name) const;  // empty = not given
    std::vector<std::string> texts(std::string_view name) const;
    Duration duration(std::string_view name, Duration absent) const;
    uint32_t number(std::string_view name, uint32_t absent) const;
};

enum class Effect {
    kReads,       // --json
    kChanges,     // --dry-run --wait --timeout --force
    kDestroys,    // and asks, unless --yes
    kOverwrites,  // changes, and asks for the name of what it overwrites, unless --yes NAME
    kSetsUp,      // none of these: works on files of this machine, or hands something over
};

struct Command {
    std::string_view words;        // "group move"
    std::string_view positional;   // "GROUP" required, "[GROUP]" optional, "TEXT..." several words, "" none
    std::string_view summary;      // a line of the list
    std::string_view description;  // further sentences
    Effect effect;
    std::span<const Option> options;
    int (*run)(Session& session, const Arguments& arguments);
};

struct Chapter {
    std::string_view title;
    std::span<const Command> commands;
};

std::span<const Chapter> chapters();
std::span<const Command> hidden_commands();               // for scripts and packagers: in no list
std::vector<Command> commands();                          // of all chapters
std::vector<Option> all_options(const Command& command);  // its own, then the common ones of its effect

// One run of the program, `arguments` without argv[0]. Returns the exit code.
int run(Session& session, const std::vector<std::string>& arguments);
int run_clpstat(Session& session, const std::vector<std::string>& arguments);
int run_clpmdstat(Session& session, const std::vector<std::string>& arguments);
int run_clpmdctrl(Session& session, const std::vector<std::string>& arguments);
int run_clpmdinit(Session& session, const std::vector<std::string>& arguments);

struct ExitCode {
    int code;
    std::string_view meaning;
    std::string_view remedy;
};
std::span<const ExitCode> exit_codes();

// "on|off" gives both; a word without a bar gives none.
std::vector<std::string_view> choices_of(std::string_view value);

Result<Arguments> parse_arguments(const Command& command, const std::vector<std::string>& given);
std::string usage_of(const Command& command);  // "group start GROUP"
std::string help_text();
std::string help_text(const Command& command);

}  // namespace kagami::cli
