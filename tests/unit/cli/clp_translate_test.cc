// What each command line of a runbook means in verbs of kagami.
#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

#include "cli/clp.h"

using namespace kagami;
using namespace kagami::cli;

namespace {

// node1 answers; web and db run on node1, ups on node2, batch nowhere.
control::v1::Status status() {
    control::v1::Status out;
    out.set_answering_node("node1");
    out.set_quorum(true);
    out.mutable_guard()->set_state("Normal");
    for (const char* name : {"node1", "node2"}) out.add_nodes()->set_name(name);
    const std::pair<const char*, const char*> groups[] = {
        {"web", "node1"}, {"db", "node1"}, {"ups", "node2"}, {"batch", ""}};
    for (const auto& [name, node] : groups) {
        auto& group = *out.add_groups();
        group.set_name(name);
        group.set_current_node(node);
        group.add_resources()->set_name(std::string(name) + "-job");
    }
    return out;
}

Result<std::vector<ClpVerb>> translated(const std::string& line, const AskStatus& ask) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    const auto commands = clp_commands();
    const auto command = std::find_if(commands.begin(), commands.end(),
                                      [&](const ClpCommand& each) { return each.name == words.front(); });
    REQUIRE(command != commands.end());
    const auto arguments = parse_clp(command->name, command->options, {words.begin() + 1, words.end()});
    REQUIRE(arguments);
    return command->translate(*arguments, ask);
}

// "WORDS -> LABEL SERVERS", a line for each verb.
std::string text_of(const std::vector<ClpVerb>& verbs) {
    std::string text;
    for (const ClpVerb& verb : verbs) {
        for (const std::string& word : verb.words)
            text += (&word == verb.words.data() ? "" : " ") + (word.empty() ? "''" : word);
        if (!verb.label.empty()) text += " -> " + verb.label;
        for (const std::string& server : verb.servers) text += " " + server;
        text += "\n";
    }
    return text;
}

void means(const std::string& line, const std::string& verbs) {
    INFO(line);
    const auto found = translated(line, [] { return Result<control::v1::Status>(status()); });
    REQUIRE(found);
    CHECK(text_of(*found) == verbs);
}

void refused(const std::string& line, ErrorCode code, const std::string& part) {
    INFO(line);
    const auto found = translated(line, [] { return Result<control::v1::Status>(status()); });
    REQUIRE_FALSE(found);
    CHECK(found.error().code == code);
    CHECK_THAT(found.error().message, Catch::Contains(part));
}

}  // namespace

TEST_CASE("clpgrp: groups by name") {
    means("clpgrp -s web", "group start web --wait\n");
    means("clpgrp -s web -h node2 -f", "group start web --wait --to node2 --force\n");
    means("clpgrp -t web", "group stop web --wait --yes\n");
    means("clpgrp -t web -h node1", "group stop web --wait --yes\n");
    means("clpgrp -m web", "group move web --wait\n");
    means("clpgrp -m web -h node1 -a node2", "group move web --wait --to node2\n");
    means("clpgrp -n web", "where web -> -\n");
}

TEST_CASE("clpgrp without a name: all that the operation can mean, named in the lines of success") {
    means("clpgrp -s", "group start batch --wait\n");
    means("clpgrp -t",
          "group stop web --wait --yes -> web\ngroup stop db --wait --yes -> db\ngroup stop ups --wait --yes -> ups\n");
    means("clpgrp -t -h node2", "group stop ups --wait --yes\n");
    means("clpgrp -m", "group move web --wait -> web\ngroup move db --wait -> db\n");
    means("clpgrp -m -h node2 -a node1", "group move ups --wait --to node1\n");
    refused("clpgrp -t -h node3", ErrorCode::kNotFound, "no group runs there");
}

TEST_CASE("clpgrp refuses a server where the group does not run, and unclear questions") {
    refused("clpgrp -t web -h node2", ErrorCode::kRefused, "group web does not run on node2");
    refused("clpgrp -m batch -h node1", ErrorCode::kRefused, "group batch does not run on node1");
    refused("clpgrp -t nothing -h node1", ErrorCode::kNotFound, "there is no group nothing");
    refused("clpgrp", ErrorCode::kUsage, "no operation is given");
    refused("clpgrp -h node1", ErrorCode::kUsage, "no operation is given");
    refused("clpgrp -s web -m db", ErrorCode::kUsage, "-s and -m exclude each other");
}

TEST_CASE("clprsc: single resources") {
    means("clprsc -s web-job", "resource start web-job --wait\n");
    means("clprsc -t web-job -f", "resource stop web-job --wait --yes --force\n");
    means("clprsc -t web-job -h node1", "resource stop web-job --wait --yes\n");
    refused("clprsc -t web-job -h node2", ErrorCode::kRefused, "belongs to group web, which does not run on node2");
    refused("clprsc -h node2", ErrorCode::kUsage, "no operation is given");
}

TEST_CASE("clpcl: the service of one server or of all, a line for each") {
    means("clpcl -s", "cluster start --yes --wait -> Start node1 node2\n");
    means("clpcl -s -a", "cluster start --yes --wait -> Start node1 node2\n");
    means("clpcl -t", "node shutdown node1 --service-only --yes --wait -> Stop node1\n");
    means("clpcl -t -h node2 -w 30", "node shutdown node2 --service-only --yes --wait --timeout 30s -> Stop node2\n");
    means("clpcl -t -a -w 0", "cluster stop --yes -> Stop node1 node2\n");
    means("clpcl --return", "node return node1 -> Return node1\n");
    means("clpcl --return -h node2", "node return node2 -> Return node2\n");
    means("clpcl --suspend --force", "maintenance begin --for 24h --yes -> Suspend node1 node2\n");
    means("clpcl --resume", "maintenance end -> Resume node1 node2\n");
    refused("clpcl -r -a", ErrorCode::kRefused, "not restarted as a whole");
    refused("clpcl -s -h node2", ErrorCode::kRefused, "cannot be started from here");
    refused("clpcl -a", ErrorCode::kUsage, "no operation is given");
    refused("clpcl -s -t", ErrorCode::kUsage, "-s and -t exclude each other");
    refused("clpcl --suspend --resume", ErrorCode::kUsage, "--suspend and --resume exclude each other");
}

TEST_CASE("clpdown and clpstdn: shutdown and reboot through the cluster") {
    means("clpdown", "node shutdown --yes\n");
    means("clpdown -r", "node reboot --yes\n");
    means("clpdown -r -h node2", "node reboot node2 --yes\n");
    means("clpstdn", "cluster shutdown --yes\n");
    means("clpstdn -r -h node2", "cluster shutdown --yes --reboot\n");
}

TEST_CASE("clpbwctrl ends the wait for servers at the start") {
    means("clpbwctrl -c", "cluster start --now --yes\n");
    refused("clpbwctrl", ErrorCode::kUsage, "no operation is given");
}

TEST_CASE("clpmonctrl: one monitor or all, on one server or on all") {
    means("clpmonctrl -s", "monitor suspend\n");
    means("clpmonctrl -s -h node2 -m userw -w 5", "monitor suspend userw --node node2 --wait --timeout 5s\n");
    means("clpmonctrl -r -m userw", "monitor resume userw\n");
    means("clpmonctrl -c", "monitor clear\n");
    means("clpmonctrl -e -m userw", "monitor fail userw --yes\n");
    means("clpmonctrl -n -h node1", "monitor unfail --node node1\n");
    means("clpmonctrl -v -m userw", "monitor-counters '' userw -> -\n");
    refused("clpmonctrl -e", ErrorCode::kUsage, "-e needs -m MONITOR");
    refused("clpmonctrl -m userw", ErrorCode::kUsage, "no operation is given");
}

TEST_CASE("clptoratio: ratios with the units of time of that product") {
    means("clptoratio -r 3 -t 2m", "timeout-ratio set 3 --for 2min\n");
    means("clptoratio -r 3 -t 3h", "timeout-ratio set 3 --for 3h\n");
    means("clptoratio -r 3 -t 30d", "timeout-ratio set 3 --for 720h\n");
    means("clptoratio -i", "timeout-ratio reset\n");
    means("clptoratio -s", "timeout-ratio show -> -\n");
    for (const char* bad : {"31d", "0m", "2", "m", "2s", "2mm", "99999999999h"})
        refused(std::string("clptoratio -r 3 -t ") + bad, ErrorCode::kUsage, "is no time such as");
    refused("clptoratio -r 3", ErrorCode::kUsage, "-r needs -t");
    refused("clptoratio -r 3 -i", ErrorCode::kUsage, "exclude each other");
}

TEST_CASE("clpregctrl: the count of final actions of this server") {
    means("clpregctrl --get", "final-actions -> -\n");
    means("clpregctrl --clear -t rm -r haltcount", "node clear-final-actions node1\n");
    refused("clpregctrl --clear", ErrorCode::kUsage, "needs -t rc or -t rm");
    refused("clpregctrl --clear -t rc -r other", ErrorCode::kUsage, "-r haltcount");
}

TEST_CASE("clplogcmd and clplogcc: messages and logs") {
    means("clplogcmd -m done -l ERR -i 7 --syslog --alert --mail",
          "notify done --level ERROR --id 7 --to syslog --to alert --to mail\n");
    means("clplogcmd -m done -l INFO", "notify done --level INFO\n");
    refused("clplogcmd -l INFO", ErrorCode::kUsage, "-m MESSAGE is needed");
    refused("clplogcmd -m done --trap", ErrorCode::kRefused, "SNMP traps are not sent");
    means("clplogcc -t type2 -l -o /tmp/logs", "logs collect --output /tmp/logs\n");
    means("clplogcc -n node1", "logs collect\n");
    refused("clplogcc -n node2", ErrorCode::kRefused, "not collected from here");
}

TEST_CASE("clpcfctrl and clpcfchk: configuration as files") {
    means("clpcfctrl --push -l -x /tmp/new --nocheck", "config apply /tmp/new/cluster.toml --yes --wait\n");
    means("clpcfctrl --push --force", "config apply ./cluster.toml --yes --wait --force\n");
    means("clpcfctrl --pull -x /tmp/old", "pull-configuration /tmp/old ''\n");
    means("clpcfctrl --pull -h node2 --force", "pull-configuration . force\n");
    refused("clpcfctrl", ErrorCode::kUsage, "no operation is given");
    refused("clpcfctrl --push -l -w", ErrorCode::kUsage, "-l and -w exclude each other");
    refused("clpcfctrl --push -w", ErrorCode::kRefused, "one form of file");
    refused("clpcfctrl --push -h node2", ErrorCode::kRefused, "in force on all or on none");
    means("clpcfchk -o /tmp/out", "check-configuration /tmp/out ''\n");
    means("clpcfchk -o /tmp/out -i /tmp/new", "check-configuration /tmp/out /tmp/new\n");
    refused("clpcfchk -i /tmp/new", ErrorCode::kUsage, "-o DIR is needed");
}

TEST_CASE("clpperfc: times of a group or a monitor") {
    means("clpperfc -g web", "group-times web -> -\n");
    means("clpperfc -m userw", "monitor-times userw -> -\n");
    refused("clpperfc -g web -m userw", ErrorCode::kUsage, "-g and -m exclude each other");
}

TEST_CASE("clphealthchk: nothing to do when the server is healthy, else why it is not") {
    means("clphealthchk", "");
    means("clphealthchk -t nm", "");
    refused("clphealthchk -t xx", ErrorCode::kUsage, "is none of pm, rc, rm, nm");
    auto sick = status();
    const AskStatus ask = [&] { return Result<control::v1::Status>(sick); };
    sick.mutable_guard()->set_state("Error");
    sick.mutable_guard()->set_message("no watchdog");
    CHECK(translated("clphealthchk", ask).error().message == "the guard of this server is Error: no watchdog");
    sick.set_quorum(false);
    CHECK(translated("clphealthchk", ask).error().code == ErrorCode::kFailed);
}

TEST_CASE("who does not answer is the error of every command that has to ask") {
    const AskStatus ask = []() -> Result<control::v1::Status> { return fail(ErrorCode::kUnreachable, "nobody", ""); };
    for (const char* line :
         {"clpgrp -s", "clpgrp -t web -h node1", "clprsc -s web-job -h node1", "clpcl -t", "clpcl -t -a",
          "clpcl --return", "clpregctrl --clear -t rc -r haltcount", "clphealthchk"}) {
        INFO(line);
        const auto found = translated(line, ask);
        REQUIRE_FALSE(found);
        CHECK(found.error().code == ErrorCode::kUnreachable);
    }
}

TEST_CASE("every command has its usage, and no two have one name") {
    std::vector<std::string_view> names;
    for (const ClpCommand& command : clp_commands()) {
        INFO(command.name);
        CHECK(command.usage.find("Usage: " + std::string(command.name)) == 0);
        CHECK(std::find(names.begin(), names.end(), command.name) == names.end());
        names.push_back(command.name);
    }
}
