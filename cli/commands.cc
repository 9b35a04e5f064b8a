#include <algorithm>
#include <array>

#include "cli/verbs.h"
#include "common/config/nearest.h"

namespace kagami::cli {
namespace {

using V = ValueKind;

constexpr Option kInitOptions[] = {
    {"--config", V::kText, "FILE", "The configuration; default: /etc/kagami/cluster.toml."},
    {"--node", V::kText, "NODE", "Which node this machine is; default: by its host name."},
};
constexpr Option kTokenOptions[] = {
    {"--valid", V::kDuration, "DURATION", "How long the token can be used; default and most: \"1h\"."},
};
constexpr Option kStatusOptions[] = {
    {"-w,--watch", V::kFlag, "", "Show every change at once, until interrupted."},
    {"--check", V::kFlag, "", "Exit with 8 when something is not as it should be, naming it on stderr."},
};
constexpr Option kWhyOptions[] = {{"-n,--limit", V::kNumber, "N", "The newest N decisions; default: 10."}};
constexpr Option kLogOptions[] = {
    {"-n,--limit", V::kNumber, "N", "The newest N entries; default: 200."},
    {"--since", V::kDuration, "DURATION", "Not older than this, such as \"1h\"."},
    {"--level", V::kText, "LEVEL", "INFO (default), WARN or ERROR, and above."},
    {"-f,--follow", V::kFlag, "", "Go on with new entries, until interrupted."},
};
constexpr Option kGroupStartOptions[] = {{"--to", V::kText, "NODE", "Where; default: by the failover order."}};
constexpr Option kGroupMoveOptions[] = {
    {"--to", V::kText, "NODE", "Where to; default: the next of the failover order."}};
constexpr Option kNodeShutdownOptions[] = {
    {"--reboot", V::kFlag, "", "Reboot the node instead of switching it off."},
    {"--service-only", V::kFlag, "", "Leave the cluster, but keep the operating system running."},
};
constexpr Option kClusterStartOptions[] = {
    {"--now", V::kFlag, "", "Do not wait for the missing nodes (needs a majority)."},
    {"--alone", V::kFlag, "", "Start without a majority. Needs --confirm-down for the others."},
    {"--confirm-down", V::kTexts, "NODE", "You have seen that this node is off. May be given several times."},
};
constexpr Option kMirrorStatusOptions[] = {
    {"-w,--watch", V::kFlag, "", "Show every change at once, until interrupted."},
};
constexpr Option kMirrorResyncOptions[] = {
    {"--full", V::kFlag, "", "Copy every block, not only those that differ."},
};
constexpr Option kMirrorForceOptions[] = {
    {"--node", V::kText, "NODE", "Whose copy is declared the latest. Required."},
};
constexpr Option kMirrorInitOptions[] = {
    {"--use-data", V::kFlag, "", "What is on the data device shall be mirrored."},
    {"--wipe", V::kFlag, "", "What is on the data device is given up."},
    {"--yes", V::kText, "NAME", "Do not ask; NAME is what the question asks to type."},
};
constexpr Option kMirrorFileOptions[] = {
    {"--node", V::kText, "NODE", "Which node this machine is; default: by its host name."},
};
constexpr Option kConfigDiffOptions[] = {
    {"--against", V::kText, "FILE", "Compare with this file; default: the configuration in force."},
};
constexpr Option kConfigApplyOptions[] = {
    {"--without", V::kTexts, "NODE", "Do not need this node's confirmation. May be given several times."},
    {"--comment", V::kText, "TEXT", "Kept in the history."},
};
constexpr Option kConfigShowOptions[] = {
    {"--version", V::kNumber, "N", "An older version; default: the one in force."},
    {"--defaults", V::kFlag, "", "Instead: every key with its default, range and meaning."},
};
constexpr Option kConfigHistoryOptions[] = {{"-n,--limit", V::kNumber, "N", "The newest N versions; default: 20."}};

constexpr std::array<Command, 28> kCommands = {{
    {"init", "", "Make a new cluster from a configuration, with this machine as its first node.",
     "Creates the cluster's certificate authority, this node's certificate and the first document.", Effect::kSetsUp,
     kInitOptions, run_init},
    {"token", "NODE", "Make a one-time token with which a machine joins as NODE, or as \"witness\".",
     "The token is a secret. It is printed to stdout; hand it to `kagami join -` on the machine.", Effect::kSetsUp,
     kTokenOptions, run_token},
    {"join",
     "FILE",
     "Join a cluster with the token in FILE; \"-\" reads it from stdin.",
     "",
     Effect::kSetsUp,
     {},
     run_join},
    {"status", "", "Show nodes, groups, resources, monitors and what needs attention.", "", Effect::kReads,
     kStatusOptions, run_status},
    {"paths", "", "Show the heartbeat paths between the nodes.", "", Effect::kReads, {}, run_paths},
    {"why", "NAME", "Explain the state of a node, group, resource or monitor.",
     "\"cluster\" asks about the cluster as a whole.", Effect::kReads, kWhyOptions, run_why},
    {"log", "[NAME]", "Show the cluster's events, of all or of one object.", "", Effect::kReads, kLogOptions, run_log},
    {"group start", "NAME", "Start a group.", "", Effect::kChanges, kGroupStartOptions, run_group_start},
    {"group stop",
     "NAME",
     "Stop a group; it stays stopped until it is started again.",
     "",
     Effect::kDestroys,
     {},
     run_group_stop},
    {"group move", "NAME", "Move a group to another node.", "The service pauses while it stops here and starts there.",
     Effect::kChanges, kGroupMoveOptions, run_group_move},
    {"node shutdown", "[NODE]", "Take a node out cleanly and switch it off; default: this node.",
     "Its groups move to other nodes first.", Effect::kDestroys, kNodeShutdownOptions, run_node_shutdown},
    {"node return",
     "[NODE]",
     "Let an isolated node run groups again; default: this node.",
     "",
     Effect::kChanges,
     {},
     run_node_return},
    {"cluster start", "", "Start the groups of the whole cluster.", "", Effect::kDestroys, kClusterStartOptions,
     run_cluster_start},
    {"cluster stop",
     "",
     "Stop all groups, and the cluster service on all nodes.",
     "",
     Effect::kDestroys,
     {},
     run_cluster_stop},
    {"mirror status", "[NAME]", "Show the copies of mirror disks, of all or of one.", "", Effect::kReads,
     kMirrorStatusOptions, run_mirror_status},
    {"mirror resync", "NAME", "Bring the other copy of a mirror disk up to date, and go on by itself after a cancel.",
     "The service goes on meanwhile.", Effect::kOverwrites, kMirrorResyncOptions, run_mirror_resync},
    {"mirror force", "NAME", "Declare the copy of a node the latest, and overwrite the others with it.",
     "For when no copy is current any more. What the others have and this copy has not is lost.", Effect::kOverwrites,
     kMirrorForceOptions, run_mirror_force},
    {"mirror cancel",
     "NAME",
     "Stop the resync under way; none begins until `mirror resync`.",
     "",
     Effect::kChanges,
     {},
     run_mirror_cancel},
    {"mirror break",
     "NAME",
     "Stop replicating until `mirror rejoin`.",
     "The copy in use goes on alone; the other one keeps the present state.",
     Effect::kDestroys,
     {},
     run_mirror_break},
    {"mirror rejoin",
     "NAME",
     "Replicate again after `mirror break`.",
     "",
     Effect::kChanges,
     {},
     run_mirror_rejoin},
    {"mirror init", "NAME", "Make new metadata for this node's copy of a mirror disk.",
     "For a new, replaced or repaired disk. A full copy follows.", Effect::kSetsUp, kMirrorInitOptions,
     run_mirror_init},
    {"mirror dump", "NAME", "Print the metadata of this node's copy of a mirror disk; needs no daemon.",
     "NAME may be the path of a metadata device.", Effect::kSetsUp, kMirrorFileOptions, run_mirror_dump},
    {"mirror check", "NAME", "Check the metadata of this node's copy of a mirror disk; needs no daemon.",
     "NAME may be the path of a metadata device. Exit status 0: sound, 8: usable with remarks, 1: not usable.",
     Effect::kSetsUp, kMirrorFileOptions, run_mirror_check},
    {"config check",
     "[FILE]",
     "Check a configuration; needs no daemon.",
     "Default: /etc/kagami/cluster.toml.",
     Effect::kSetsUp,
     {},
     run_config_check},
    {"config diff", "[FILE]", "Show what a configuration would change; needs no daemon.",
     "Default: /etc/kagami/cluster.toml.", Effect::kReads, kConfigDiffOptions, run_config_diff},
    {"config apply", "[FILE]", "Put a configuration in force on all nodes.",
     "Says first what it restarts. Default: /etc/kagami/cluster.toml.", Effect::kDestroys, kConfigApplyOptions,
     run_config_apply},
    {"config show", "", "Print the configuration in force.", "", Effect::kReads, kConfigShowOptions, run_config_show},
    {"config history", "", "List the configurations that were in force.", "", Effect::kReads, kConfigHistoryOptions,
     run_config_history},
}};

struct Match {
    const Command* command = nullptr;
    size_t words = 0;
};

Match find_command(const std::vector<std::string>& arguments) {
    for (const Command& command : kCommands) {
        const bool two = command.words.find(' ') != std::string_view::npos;
        if (!two && arguments[0] == command.words) return {&command, 1};
        if (two && arguments.size() > 1 && arguments[0] + " " + arguments[1] == command.words) return {&command, 2};
    }
    return {};
}

Error unknown_command(const std::vector<std::string>& arguments) {
    std::vector<std::string_view> verbs;
    std::vector<std::string_view> firsts;
    for (const Command& command : kCommands) {
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

std::span<const Command> commands() {
    return kCommands;
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
    if (match.command == nullptr) return report(session.console, unknown_command(arguments));
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
