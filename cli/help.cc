#include <algorithm>

#include "cli/command.h"
#include "cli/table.h"

namespace kagami::cli {
namespace {

constexpr size_t kColumn = 30;

// A heading, and beside it or below it what it means, within 80 columns.
std::string entry(const std::string& heading, std::string_view meaning) {
    std::string lines = wrapped(meaning, kColumn);
    if (heading.size() + 2 > kColumn) return heading + "\n" + lines;
    return lines.replace(0, heading.size(), heading);
}

std::string option_line(const Option& option) {
    std::string names(option.names);
    if (const size_t comma = names.find(','); comma != std::string::npos) names.insert(comma + 1, " ");
    if (!option.value.empty()) names += " " + std::string(option.value);
    return entry("  " + names, option.help);
}

constexpr Option kJson{"--json", ValueKind::kFlag, "", "Machine-readable, with a \"schema\" field."};
constexpr Option kChangeOptions[] = {
    {"--dry-run", ValueKind::kFlag, "", "Say what would happen, and change nothing."},
    {"--wait", ValueKind::kFlag, "", "Return when it is done, showing the progress."},
    {"--timeout", ValueKind::kDuration, "DURATION", "Limit of --wait, such as \"90s\"; default: none."},
    {"--force", ValueKind::kFlag, "", "Override a refusal by a safety rule that names --force."},
};
constexpr Option kYesName{"--yes", ValueKind::kText, "NAME", "Do not ask; NAME is what the question asks to type."};
constexpr Option kYes{"--yes", ValueKind::kFlag, "", "Do not ask for a confirmation."};

}  // namespace

std::string usage_of(const Command& command) {
    std::string text(command.words);
    if (!command.positional.empty()) text += " " + std::string(command.positional);
    return text;
}

std::vector<Option> all_options(const Command& command) {
    std::vector<Option> options(command.options.begin(), command.options.end());
    switch (command.effect) {
        case Effect::kReads: options.push_back(kJson); break;
        case Effect::kChanges:
            options.insert(options.end(), std::begin(kChangeOptions), std::end(kChangeOptions));
            break;
        case Effect::kDestroys:
            options.insert(options.end(), std::begin(kChangeOptions), std::end(kChangeOptions));
            options.push_back(kYes);
            break;
        case Effect::kOverwrites:
            options.insert(options.end(), std::begin(kChangeOptions), std::end(kChangeOptions));
            options.push_back(kYesName);
            break;
        case Effect::kSetsUp: break;
    }
    return options;
}

std::string help_text() {
    std::string text = "Kagami, a high-availability cluster manager.\n\nUsage: kagami COMMAND [OPTIONS]\n";
    for (const Chapter& chapter : chapters()) {
        text += "\n" + std::string(chapter.title) + ":\n";
        for (const Command& command : chapter.commands)
            text += entry("  " + usage_of(command), command.summary);
    }
    text +=
        "\nEach command explains itself: kagami COMMAND --help\n"
        "Exit status: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 refused\n"
        "by a safety rule, 5 no quorum, 6 timed out, 7 daemon unreachable, 8 degraded.\n"
        "More: kagami explain exit 4\n";
    return text;
}

std::string help_text(const Command& command) {
    std::string text = "Usage: kagami " + usage_of(command) + " [OPTIONS]\n\n" + wrapped(command.summary, 0);
    if (!command.description.empty()) text += wrapped(command.description, 0);
    text += "\nOptions:\n";
    for (const Option& option : all_options(command)) text += option_line(option);
    return text + option_line({"-h,--help", ValueKind::kFlag, "", "Show this text."});
}

}  // namespace kagami::cli
