// What each option of the clp* commands means in verbs of kagami.
#include <array>
#include <charconv>

#include "cli/clp.h"

namespace kagami::cli {
namespace {

using Verbs = Result<std::vector<ClpVerb>>;
using V = ClpValue;

tl::unexpected<Error> usage(std::string message) {
    return fail(ErrorCode::kUsage, std::move(message), "");
}

std::string dashed(const std::string& option) {
    return (option.size() == 1 ? "-" : "--") + option;
}

// Of a choice of operations exactly one.
Result<std::string> one_of(const ClpArguments& arguments, const std::vector<std::string>& operations,
                           const std::string& command) {
    std::string found;
    for (const std::string& each : operations) {
        if (!arguments.has(each)) continue;
        if (!found.empty())
            return usage(command + ": " + dashed(found) + " and " + dashed(each) + " exclude each other");
        found = each;
    }
    if (found.empty()) return usage(command + ": no operation is given");
    return found;
}

void add(std::vector<std::string>& words, const std::string& option, const std::string& value) {
    if (value.empty()) return;
    words.push_back(option);
    words.push_back(value);
}

// ---- groups and resources ----

constexpr ClpOption kGroupOptions[] = {{'s', "", V::kOptional}, {'t', "", V::kOptional}, {'m', "", V::kOptional},
                                       {'n', "", V::kRequired}, {'h', "", V::kRequired}, {'a', "", V::kRequired},
                                       {'f', "", V::kNone}};
constexpr const char* kGroupUsage =
    "Usage: clpgrp -s [GROUP] [-h SERVER] [-f]             start a group, or all\n"
    "       clpgrp -t [GROUP] [-h SERVER] [-f]             stop a group, or all (of SERVER)\n"
    "       clpgrp -m [GROUP] [-h FROM] [-a TO]            move a group, or all (of FROM, else of this server)\n"
    "       clpgrp -n GROUP                                print the server where it runs\n\n"
    "See also: kagami group\n";

// The group that was named, else all that the operation can mean.
Result<std::vector<std::string>> groups_of(const ClpArguments& arguments, const std::string& operation,
                                           const AskStatus& ask) {
    const std::string& name = arguments.text(operation);
    const bool expects_place = operation != "s" && arguments.has("h");
    if (!name.empty() && !expects_place) return std::vector<std::string>{name};
    const auto status = ask();
    if (!status) return tl::unexpected(status.error());
    for (const auto& group : status->groups()) {
        if (group.name() != name) continue;
        if (group.current_node() == arguments.text("h")) return std::vector<std::string>{name};
        return fail(ErrorCode::kRefused, "group " + name + " does not run on " + arguments.text("h"),
                    "see where it runs: clpgrp -n " + name);
    }
    if (!name.empty()) return fail(ErrorCode::kNotFound, "there is no group " + name, "see clpstat -g");
    const std::string server = operation == "m" && !arguments.has("h") ? status->answering_node()
                               : operation == "s"                      ? ""
                                                                       : arguments.text("h");
    std::vector<std::string> names;
    for (const auto& group : status->groups()) {
        const bool runs = !group.current_node().empty();
        const bool meant = operation == "s" ? !runs : runs && (server.empty() || group.current_node() == server);
        if (meant) names.push_back(group.name());
    }
    if (names.empty())
        return fail(ErrorCode::kNotFound, operation == "s" ? "every group runs already" : "no group runs there", "");
    return names;
}

Verbs group(const ClpArguments& arguments, const AskStatus& ask) {
    const auto operation = one_of(arguments, {"s", "t", "m", "n"}, "clpgrp");
    if (!operation) return tl::unexpected(operation.error());
    if (*operation == "n") return std::vector<ClpVerb>{{{"where", arguments.text("n")}, "-"}};
    const auto groups = groups_of(arguments, *operation, ask);
    if (!groups) return tl::unexpected(groups.error());
    std::vector<ClpVerb> verbs;
    for (const std::string& name : *groups) {
        ClpVerb verb{{"group", *operation == "s" ? "start" : *operation == "t" ? "stop" : "move", name, "--wait"}, ""};
        if (*operation == "s") add(verb.words, "--to", arguments.text("h"));
        if (*operation == "m") add(verb.words, "--to", arguments.text("a"));
        if (*operation == "t") verb.words.emplace_back("--yes");
        if (arguments.has("f")) verb.words.emplace_back("--force");
        if (groups->size() > 1) verb.label = name;
        verbs.push_back(std::move(verb));
    }
    return verbs;
}

constexpr ClpOption kResourceOptions[] = {
    {'s', "", V::kRequired}, {'t', "", V::kRequired}, {'h', "", V::kRequired}, {'f', "", V::kNone}};
constexpr const char* kResourceUsage =
    "Usage: clprsc -s RESOURCE [-h SERVER] [-f]    start a resource; -f: with what it comes after\n"
    "       clprsc -t RESOURCE [-h SERVER] [-f]    stop a resource; -f: with what comes after it\n\n"
    "See also: kagami resource\n";

// -h only says where the group is expected: a resource runs where its group does.
Verbs resource(const ClpArguments& arguments, const AskStatus& ask) {
    const auto operation = one_of(arguments, {"s", "t"}, "clprsc");
    if (!operation) return tl::unexpected(operation.error());
    const std::string name = arguments.text(*operation);
    if (arguments.has("h")) {
        const auto status = ask();
        if (!status) return tl::unexpected(status.error());
        for (const auto& group : status->groups()) {
            for (const auto& each : group.resources()) {
                if (each.name() != name || group.current_node() == arguments.text("h")) continue;
                return fail(ErrorCode::kRefused,
                            "resource " + name + " belongs to group " + group.name() + ", which does not run on " +
                                arguments.text("h"),
                            "start or move the group: kagami group move " + group.name());
            }
        }
    }
    std::vector<std::string> words = {"resource", *operation == "s" ? "start" : "stop", name, "--wait"};
    if (*operation == "t") words.emplace_back("--yes");
    if (arguments.has("f")) words.emplace_back("--force");
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

// ---- servers and the cluster ----

constexpr ClpOption kClusterOptions[] = {
    {'s', "", V::kNone},        {'t', "", V::kNone},      {'r', "", V::kNone},         {'a', "", V::kNone},
    {'h', "", V::kRequired},    {'w', "", V::kRequired},  {'\0', "suspend", V::kNone}, {'\0', "resume", V::kNone},
    {'\0', "return", V::kNone}, {'\0', "force", V::kNone}};
constexpr const char* kClusterUsage =
    "Usage: clpcl -s [-a]                 start the groups of the cluster\n"
    "       clpcl -t [-a | -h SERVER]     stop the cluster service here, on SERVER, or on all servers\n"
    "       clpcl -r                      restart what runs: stop the groups and start them again\n"
    "       clpcl --return [-h SERVER]    let an isolated server run groups again\n"
    "       clpcl --suspend | --resume    let the cluster decide nothing for a day | decide again\n"
    "       -w SECONDS                    wait so long at most for a start or stop; 0: not at all\n\n"
    "The service itself is started by the system: systemctl start kagamid. See also: kagami cluster, kagami node\n";

// "-w SECONDS": so long at most; 0 = not at all.
void add_limit(std::vector<std::string>& words, const ClpArguments& arguments) {
    const std::string limit = arguments.text("w");
    if (limit == "0") return;
    words.emplace_back("--wait");
    if (!limit.empty()) words.insert(words.end(), {"--timeout", limit + "s"});
}

struct ClusterVerb {
    const char* option;
    std::vector<std::string> words;
    const char* label;
    bool waits;
};
// Of the whole cluster, whatever server is named.
Verbs of_all(const ClusterVerb& verb, const ClpArguments& arguments, const AskStatus& ask) {
    const auto status = ask();
    if (!status) return tl::unexpected(status.error());
    ClpVerb out{verb.words, verb.label};
    for (const auto& node : status->nodes()) out.servers.push_back(node.name());
    if (verb.waits) add_limit(out.words, arguments);
    return std::vector<ClpVerb>{std::move(out)};
}

// Of the server that is named, else of this one.
Verbs of_one(const ClusterVerb& verb, const ClpArguments& arguments, const AskStatus& ask) {
    std::string server = arguments.text("h");
    if (server.empty()) {
        const auto status = ask();
        if (!status) return tl::unexpected(status.error());
        server = status->answering_node();
    }
    ClpVerb out{verb.words, verb.label, {server}};
    out.words.insert(out.words.begin() + 2, server);
    if (verb.waits) add_limit(out.words, arguments);
    return std::vector<ClpVerb>{std::move(out)};
}

Verbs cluster(const ClpArguments& arguments, const AskStatus& ask) {
    static const std::vector<ClusterVerb> kAll = {
        {"s", {"cluster", "start", "--yes"}, "Start", true},
        {"t", {"cluster", "stop", "--yes"}, "Stop", true},
        {"suspend", {"maintenance", "begin", "--for", "24h", "--yes"}, "Suspend", false},
        {"resume", {"maintenance", "end"}, "Resume", false}};
    const auto operation = one_of(arguments, {"s", "t", "r", "suspend", "resume", "return"}, "clpcl");
    if (!operation) return tl::unexpected(operation.error());
    if (*operation == "s" && arguments.has("h"))
        return fail(ErrorCode::kRefused, "the service of another server cannot be started from here",
                    "run on " + arguments.text("h") + ": systemctl start kagamid");
    if (*operation == "r")
        return fail(ErrorCode::kRefused,
                    "the service is not restarted as a whole: a daemon that restarts stops no group",
                    "restart one group with clpgrp -t and -s, or the cluster with clpstdn -r");
    if (*operation == "return") return of_one({"return", {"node", "return"}, "Return", false}, arguments, ask);
    if (*operation == "t" && !arguments.has("a"))
        return of_one({"t", {"node", "shutdown", "--service-only", "--yes"}, "Stop", true}, arguments, ask);
    for (const ClusterVerb& verb : kAll)
        if (*operation == verb.option) return of_all(verb, arguments, ask);
    return usage("clpcl: no operation is given");
}

constexpr ClpOption kDownOptions[] = {{'r', "", V::kNone}, {'h', "", V::kRequired}};
constexpr const char* kDownUsage =
    "Usage: clpdown [-r] [-h SERVER]    shut a server down, or reboot it (-r), through the cluster\n\n"
    "See also: kagami node shutdown\n";

Verbs down(const ClpArguments& arguments, const AskStatus&) {
    std::vector<std::string> words = {"node", arguments.has("r") ? "reboot" : "shutdown"};
    if (arguments.has("h")) words.push_back(arguments.text("h"));
    words.emplace_back("--yes");
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

constexpr const char* kAllDownUsage =
    "Usage: clpstdn [-r] [-h SERVER]    shut all servers down, or reboot them (-r), through the cluster;\n"
    "                                   -h makes no difference: any server can be asked\n\n"
    "See also: kagami cluster shutdown\n";

Verbs all_down(const ClpArguments& arguments, const AskStatus&) {
    std::vector<std::string> words = {"cluster", "shutdown", "--yes"};
    if (arguments.has("r")) words.emplace_back("--reboot");
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

constexpr ClpOption kWaitOptions[] = {{'c', "", V::kNone}};
constexpr const char* kWaitUsage =
    "Usage: clpbwctrl -c    do not wait any longer for servers that have not started yet\n\n"
    "See also: kagami cluster start --now\n";

Verbs start_wait(const ClpArguments& arguments, const AskStatus&) {
    if (!arguments.has("c")) return usage("clpbwctrl: no operation is given");
    return std::vector<ClpVerb>{{{"cluster", "start", "--now", "--yes"}, ""}};
}

// ---- monitors ----

constexpr ClpOption kMonitorOptions[] = {{'s', "", V::kNone},     {'r', "", V::kNone},     {'c', "", V::kNone},
                                         {'v', "", V::kNone},     {'e', "", V::kNone},     {'n', "", V::kNone},
                                         {'h', "", V::kRequired}, {'m', "", V::kRequired}, {'w', "", V::kRequired}};
constexpr const char* kMonitorUsage =
    "Usage: clpmonctrl -s [-h SERVER] [-m MONITOR]    suspend monitors\n"
    "       clpmonctrl -r [-h SERVER] [-m MONITOR]    resume them\n"
    "       clpmonctrl -c [-h SERVER] [-m MONITOR]    reset their recovery counters\n"
    "       clpmonctrl -v [-h SERVER] [-m MONITOR]    show the counters\n"
    "       clpmonctrl -e [-h SERVER] -m MONITOR      dummy failure: it reports an error whatever it finds\n"
    "       clpmonctrl -n [-h SERVER] [-m MONITOR]    end dummy failures\n"
    "       -w SECONDS                                wait so long at most until it is done\n\n"
    "See also: kagami monitor\n";

Verbs monitor(const ClpArguments& arguments, const AskStatus&) {
    static const std::map<std::string, std::string> kVerbs = {
        {"s", "suspend"}, {"r", "resume"}, {"c", "clear"}, {"e", "fail"}, {"n", "unfail"}};
    const auto operation = one_of(arguments, {"s", "r", "c", "v", "e", "n"}, "clpmonctrl");
    if (!operation) return tl::unexpected(operation.error());
    if (*operation == "v")
        return std::vector<ClpVerb>{{{"monitor-counters", arguments.text("h"), arguments.text("m")}, "-"}};
    if (*operation == "e" && !arguments.has("m")) return usage("clpmonctrl: -e needs -m MONITOR");
    std::vector<std::string> words = {"monitor", kVerbs.at(*operation)};
    if (arguments.has("m")) words.push_back(arguments.text("m"));
    add(words, "--node", arguments.text("h"));
    if (*operation == "e") words.emplace_back("--yes");
    if (arguments.has("w")) add_limit(words, arguments);
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

// ---- settings ----

constexpr ClpOption kRatioOptions[] = {
    {'r', "", V::kRequired}, {'t', "", V::kRequired}, {'i', "", V::kNone}, {'s', "", V::kNone}};
constexpr const char* kRatioUsage =
    "Usage: clptoratio -r RATIO -t TIME    1 to 10000, for 2m (minutes), 3h or 4d, at most 30d\n"
    "       clptoratio -i                  back to 1\n"
    "       clptoratio -s                  show it\n\n"
    "See also: kagami timeout-ratio\n";

// "2m" "3h" "4d" -> "2min" "3h" "96h"
Result<std::string> time_of(const std::string& text) {
    unsigned number = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    const char unit = read.ptr + 1 == end ? *read.ptr : '\0';
    if (read.ec == std::errc{} && number > 0) {
        if (unit == 'm') return std::to_string(number) + "min";
        if (unit == 'h') return std::to_string(number) + "h";
        if (unit == 'd' && number <= 30) return std::to_string(number * 24) + "h";
    }
    return usage("clptoratio: \"" + text + "\" is no time such as 2m, 3h or 4d (at most 30d)");
}

Verbs ratio(const ClpArguments& arguments, const AskStatus&) {
    const auto operation = one_of(arguments, {"r", "i", "s"}, "clptoratio");
    if (!operation) return tl::unexpected(operation.error());
    if (*operation == "s") return std::vector<ClpVerb>{{{"timeout-ratio", "show"}, "-"}};
    if (*operation == "i") return std::vector<ClpVerb>{{{"timeout-ratio", "reset"}, ""}};
    if (!arguments.has("t")) return usage("clptoratio: -r needs -t TIME");
    const auto time = time_of(arguments.text("t"));
    if (!time) return tl::unexpected(time.error());
    return std::vector<ClpVerb>{{{"timeout-ratio", "set", arguments.text("r"), "--for", *time}, ""}};
}

constexpr ClpOption kRebootOptions[] = {{'g', "get", V::kNone},
                                        {'c', "clear", V::kNone},
                                        {'t', "", V::kRequired},
                                        {'r', "", V::kRequired},
                                        {'h', "", V::kRequired}};
constexpr const char* kRebootUsage =
    "Usage: clpregctrl --get                                      show how often final actions ended the servers\n"
    "       clpregctrl --clear -t { rc | rm } -r haltcount        set that count of this server to zero\n\n"
    "rc and rm share one count here. See also: kagami node clear-final-actions\n";

Verbs reboots(const ClpArguments& arguments, const AskStatus& ask) {
    const auto operation = one_of(arguments, {"g", "c"}, "clpregctrl");
    if (!operation) return tl::unexpected(operation.error());
    if (*operation == "g") return std::vector<ClpVerb>{{{"final-actions"}, "-"}};
    const std::string kind = arguments.text("t");
    if ((kind != "rc" && kind != "rm") || arguments.text("r") != "haltcount")
        return usage("clpregctrl: --clear needs -t rc or -t rm, and -r haltcount");
    const auto status = ask();
    if (!status) return tl::unexpected(status.error());
    return std::vector<ClpVerb>{{{"node", "clear-final-actions", status->answering_node()}, ""}};
}

// ---- messages, logs, configuration ----

constexpr ClpOption kMessageOptions[] = {
    {'m', "", V::kRequired},   {'l', "", V::kRequired},  {'i', "", V::kRequired}, {'\0', "syslog", V::kNone},
    {'\0', "alert", V::kNone}, {'\0', "mail", V::kNone}, {'\0', "trap", V::kNone}};
constexpr const char* kMessageUsage =
    "Usage: clplogcmd -m MESSAGE [-l ERR | WARN | INFO] [-i ID] [--syslog] [--alert] [--mail]\n\n"
    "See also: kagami notify\n";

Verbs message(const ClpArguments& arguments, const AskStatus&) {
    if (!arguments.has("m")) return usage("clplogcmd: -m MESSAGE is needed");
    if (arguments.has("trap"))
        return fail(ErrorCode::kRefused, "SNMP traps are not sent", "use --mail, or a webhook in [alerts]");
    std::vector<std::string> words = {"notify", arguments.text("m")};
    const std::string level = arguments.text("l");
    add(words, "--level", level == "ERR" ? "ERROR" : level);
    add(words, "--id", arguments.text("i"));
    for (const char* channel : {"syslog", "alert", "mail"})
        if (arguments.has(channel)) add(words, "--to", channel);
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

constexpr ClpOption kCollectOptions[] = {
    {'t', "", V::kRequired}, {'l', "", V::kNone}, {'n', "", V::kRequired}, {'o', "", V::kRequired}};
constexpr const char* kCollectUsage =
    "Usage: clplogcc [-t TYPE] [-l] [-o DIR]    collect this server's logs in one archive\n\n"
    "TYPE (type1, type2, type3, proactdiag) is accepted; the archive is the same. See also: kagami logs collect\n";

Verbs collect(const ClpArguments& arguments, const AskStatus& ask) {
    if (arguments.has("n")) {
        const auto status = ask();
        if (!status || status->answering_node() != arguments.text("n"))
            return fail(ErrorCode::kRefused, "the logs of another server are not collected from here",
                        "run clplogcc -l on " + arguments.text("n"));
    }
    std::vector<std::string> words = {"logs", "collect"};
    add(words, "--output", arguments.text("o"));
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

// The configuration is one for all servers: it is put in force on all, or on none.
constexpr ClpOption kConfigOptions[] = {{'\0', "push", V::kNone},  {'\0', "pull", V::kNone},   {'l', "", V::kNone},
                                        {'w', "", V::kNone},       {'x', "", V::kRequired},    {'h', "", V::kRequired},
                                        {'\0', "force", V::kNone}, {'\0', "nocheck", V::kNone}};
constexpr const char* kConfigUsage =
    "Usage: clpcfctrl --push [-l] [-x DIR]              put DIR/cluster.toml and DIR/scripts in force on all servers\n"
    "       clpcfctrl --pull [-l] [-x DIR] [--force]    write the configuration in force into DIR\n\n"
    "Without -x: the current directory. --nocheck is accepted; what is pushed is checked all the same.\n"
    "See also: kagami config\n";

Verbs configuration(const ClpArguments& arguments, const AskStatus&) {
    const auto operation = one_of(arguments, {"push", "pull"}, "clpcfctrl");
    if (!operation) return tl::unexpected(operation.error());
    if (arguments.has("l") && arguments.has("w")) return usage("clpcfctrl: -l and -w exclude each other");
    if (arguments.has("w"))
        return fail(ErrorCode::kRefused, "the configuration has one form of file, that of Linux", "give -l");
    const std::string directory = arguments.has("x") ? arguments.text("x") : ".";
    if (*operation == "pull")
        return std::vector<ClpVerb>{{{"pull-configuration", directory, arguments.has("force") ? "force" : ""}, ""}};
    if (arguments.has("h"))
        return fail(ErrorCode::kRefused, "a configuration is not sent to one server: it is in force on all or on none",
                    "leave -h " + arguments.text("h") + " away");
    std::vector<std::string> words = {"config", "apply", directory + "/cluster.toml", "--yes", "--wait"};
    if (arguments.has("force")) words.emplace_back("--force");
    return std::vector<ClpVerb>{{std::move(words), ""}};
}

constexpr ClpOption kCheckOptions[] = {{'o', "", V::kRequired}, {'i', "", V::kRequired}};
constexpr const char* kCheckUsage =
    "Usage: clpcfchk -o DIR [-i DIR]    check the configuration in force, or the one in -i DIR, and write the results\n"
    "                                   to cfcheck.csv in -o DIR: a row with TRUE or FALSE for each object\n\n"
    "See also: kagami config check, kagami doctor\n";

Verbs check(const ClpArguments& arguments, const AskStatus&) {
    if (!arguments.has("o")) return usage("clpcfchk: -o DIR is needed");
    return std::vector<ClpVerb>{{{"check-configuration", arguments.text("o"), arguments.text("i")}, ""}};
}

constexpr ClpOption kTimesOptions[] = {{'g', "", V::kRequired}, {'m', "", V::kRequired}};
constexpr const char* kTimesUsage =
    "Usage: clpperfc -g GROUP      how long its last start and stop took on this server, in milliseconds\n"
    "       clpperfc -m MONITOR    how long its last check took on this server\n\n"
    "See also: kagami statistics\n";

Verbs times(const ClpArguments& arguments, const AskStatus&) {
    const auto operation = one_of(arguments, {"g", "m"}, "clpperfc");
    if (!operation) return tl::unexpected(operation.error());
    return std::vector<ClpVerb>{
        {{*operation == "g" ? "group-times" : "monitor-times", arguments.text(*operation)}, "-"}};
}

constexpr ClpOption kHealthOptions[] = {{'t', "", V::kRequired}};
constexpr const char* kHealthUsage =
    "Usage: clphealthchk [-t { pm | rc | rm | nm }]    status 0: healthy; else 1, and what is wrong\n\n"
    "See also: kagami doctor\n";

Verbs health(const ClpArguments& arguments, const AskStatus& ask) {
    const std::string part = arguments.text("t");
    if (arguments.has("t") && part != "pm" && part != "rc" && part != "rm" && part != "nm")
        return usage("clphealthchk: \"" + part + "\" is none of pm, rc, rm, nm");
    const auto status = ask();
    if (!status) return tl::unexpected(status.error());
    if (!status->quorum())
        return fail(ErrorCode::kFailed, "this server has no lease: it may run nothing", "see kagami why cluster");
    if (status->guard().state() != "Normal")
        return fail(ErrorCode::kFailed,
                    "the guard of this server is " + status->guard().state() + ": " + status->guard().message(),
                    "see kagami doctor");
    return std::vector<ClpVerb>{};
}

constexpr std::array<ClpCommand, 15> kCommands = {{
    {"clpgrp", kGroupUsage, kGroupOptions, group},
    {"clprsc", kResourceUsage, kResourceOptions, resource},
    {"clpcl", kClusterUsage, kClusterOptions, cluster},
    {"clpdown", kDownUsage, kDownOptions, down},
    {"clpstdn", kAllDownUsage, kDownOptions, all_down},
    {"clpbwctrl", kWaitUsage, kWaitOptions, start_wait},
    {"clpmonctrl", kMonitorUsage, kMonitorOptions, monitor},
    {"clptoratio", kRatioUsage, kRatioOptions, ratio},
    {"clpregctrl", kRebootUsage, kRebootOptions, reboots},
    {"clplogcmd", kMessageUsage, kMessageOptions, message},
    {"clplogcc", kCollectUsage, kCollectOptions, collect},
    {"clpcfctrl", kConfigUsage, kConfigOptions, configuration},
    {"clpcfchk", kCheckUsage, kCheckOptions, check},
    {"clpperfc", kTimesUsage, kTimesOptions, times},
    {"clphealthchk", kHealthUsage, kHealthOptions, health},
}};

}  // namespace

std::span<const ClpCommand> clp_commands() {
    return kCommands;
}

}  // namespace kagami::cli
