#include <catch2/catch.hpp>

#include "tests/component/cli/bench.h"

using namespace kagami::cli;

TEST_CASE("without a command the list of commands goes to stderr, with --help to stdout") {
    Bench bench;
    CHECK(bench.run({}) == 2);
    CHECK(bench.out.empty());
    CHECK(bench.err.find("Usage: kagami COMMAND") != std::string::npos);
    CHECK(bench.run({"--help"}) == 0);
    CHECK(bench.err.empty());
    for (const Command& command : commands())
        CHECK(bench.out.find("\n  " + std::string(command.words)) != std::string::npos);
    CHECK(bench.run({"--version"}) == 0);
    CHECK(bench.out.starts_with("kagami "));
}

TEST_CASE("every command explains itself with all its options") {
    Bench bench;
    for (const Command& command : commands()) {
        std::vector<std::string> words;
        const std::string all(command.words);
        const size_t space = all.find(' ');
        words.push_back(all.substr(0, space));
        if (space != std::string::npos) words.push_back(all.substr(space + 1));
        words.push_back("--help");
        CHECK(bench.run(words) == 0);
        CHECK(bench.out.starts_with("Usage: kagami " + all));
        for (const Option& option : all_options(command)) {
            const std::string names(option.names);
            CHECK(bench.out.find(names.substr(names.find("--"))) != std::string::npos);
            CHECK_FALSE(option.help.empty());
        }
    }
}

TEST_CASE("read commands have --json, changes have --dry-run and --wait, destructive ones --yes") {
    const auto has = [](const Command& command, std::string_view name) {
        for (const Option& option : all_options(command)) {
            if (option.names == name) return true;
        }
        return false;
    };
    for (const Command& command : commands()) {
        INFO(command.words);
        if (command.effect != Effect::kSetsUp) CHECK(has(command, "--json") == (command.effect == Effect::kReads));
        const bool asks = command.effect == Effect::kDestroys || command.effect == Effect::kOverwrites;
        const bool changes = command.effect == Effect::kChanges || asks;
        CHECK(has(command, "--dry-run") == changes);
        CHECK(has(command, "--wait") == changes);
        if (command.effect != Effect::kSetsUp) CHECK(has(command, "--yes") == asks);
    }
}

TEST_CASE("an unknown command names the nearest one") {
    Bench bench;
    CHECK(bench.run({"statsu"}) == 2);
    CHECK(bench.err == "kagami: unknown command \"statsu\"\n  did you mean \"status\"?\n");
    CHECK(bench.run({"group", "mvoe", "web"}) == 2);
    CHECK(bench.err == "kagami: unknown command \"group mvoe\"\n  did you mean \"move\"?\n");
    CHECK(bench.run({"group"}) == 2);
    CHECK(bench.err == "kagami: group needs a second word\n  one of: start, stop, move\n");
    CHECK(bench.out.empty());
}

TEST_CASE("wrong arguments are refused before a daemon is looked for") {
    Bench bench;
    CHECK(bench.run({"group", "move"}) == 2);
    CHECK(bench.err == "kagami: group move: GROUP is required\n  see: kagami group move --help\n");
    CHECK(bench.run({"group", "move", "web", "--too", "node1"}) == 2);
    CHECK(bench.run({"group", "move", "web", "other"}) == 2);
    CHECK(bench.run({"group", "move", "web", "--to"}) == 2);
    CHECK(bench.run({"status", "--yes"}) == 2);
    CHECK(bench.run({"group", "move", "web", "--wait", "--timeout", "90"}) == 2);
    CHECK(bench.err ==
          "kagami: --timeout: \"90\" is a duration without a unit\n  write a number and a unit: \"300ms\", \"2s\", "
          "\"5min\", \"1h\"\n");
    CHECK(bench.run({"log", "-n", "many"}) == 2);
    CHECK(bench.err == "kagami: --limit: \"many\" is not a number\n");
    CHECK(bench.run({"log", "--level", "DEBUG"}) == 2);
    CHECK(bench.run({"cluster", "start", "--alone"}) == 2);
    CHECK(bench.run({"node", "shutdown", "--reboot", "--service-only"}) == 2);
    CHECK(bench.run({"token", "node2", "--valid", "2h"}) == 2);
    CHECK(bench.clpstat({"-x"}) == 2);
    CHECK(bench.out.empty());
}

TEST_CASE("without a daemon every verb that needs it exits with 7 and says how to start it") {
    Bench bench;
    const std::vector<std::vector<std::string>> all = {{"status"},
                                                       {"paths"},
                                                       {"why", "web"},
                                                       {"log"},
                                                       {"group", "start", "web"},
                                                       {"group", "stop", "web", "--yes"},
                                                       {"token", "node2"},
                                                       {"config", "show"}};
    for (const auto& arguments : all) {
        INFO(arguments[0]);
        CHECK(bench.run(arguments) == 7);
        CHECK(bench.out.empty());
        CHECK(bench.err ==
              "kagami: the cluster daemon does not run: " + bench.places.socket +
                  " is not there\n  start it: systemctl start kagamid; then look at: journalctl -u kagamid\n");
    }
}

TEST_CASE("a socket nobody listens on is an unreachable daemon") {
    Bench bench;
    bench.write("control.sock", "");
    CHECK(bench.run({"status"}) == 7);
    CHECK(bench.err.starts_with("kagami: the cluster daemon does not answer: "));
}

TEST_CASE("clpstat without a daemon shows the configuration as stopped") {
    Bench bench;
    bench.write("etc/cluster.toml", kValidToml);
    CHECK(bench.clpstat({}) == 7);
    CHECK(bench.out ==
          "========================  CLUSTER STATUS  ===========================\n"
          " Cluster : demo\n"
          " <server>\n"
          "   node1 ...........: Offline\n"
          "     lanhb1         : Offline          LAN Heartbeat\n"
          "     witnesshb1     : Offline          Witness Heartbeat\n"
          "   node2 ...........: Offline\n"
          "     lanhb1         : Offline          LAN Heartbeat\n"
          "     witnesshb1     : Offline          Witness Heartbeat\n"
          " <group>\n"
          "   web .............: Offline\n"
          "     current        : None\n"
          "     thing          : Offline          a thing\n"
          " <monitor>\n"
          "   userw            : Offline\n"
          "=====================================================================\n");
    CHECK(bench.err.starts_with("kagami: the cluster daemon does not run"));
}
