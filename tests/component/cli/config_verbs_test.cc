#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/component/cli/bench.h"

using namespace kagami::cli;

TEST_CASE("config check needs no daemon and counts what it saw") {
    Bench bench;
    const std::string file = bench.write("etc/cluster.toml", kValidToml);
    bench.write("etc/scripts/web/thing/start.sh", "#!/bin/sh\n");
    bench.write("etc/scripts/web/thing/start.sh~", "an editor's copy");
    bench.write("etc/scripts/.git/config", "hidden");
    CHECK(bench.run({"config", "check"}) == 0);
    CHECK(bench.err == file + ": good: 2 nodes, 1 groups, 1 monitors, 1 stored scripts\n");
    CHECK(bench.run({"config", "check", file}) == 0);
    CHECK(bench.out.empty());
}

TEST_CASE("config check prints every problem with its place and exits with 2") {
    Bench bench;
    const std::string file = bench.write("bad.toml", kValidToml + "intervall = \"5s\"\nretry = 100\n");
    CHECK(bench.run({"config", "check", file}) == 2);
    CHECK(bench.err ==
          file + ":22:1: unknown key \"intervall\" in [[monitor]] of type userw; did you mean \"interval\"?\n" + file +
              ":23:9: [[monitor]] userw: retry = 100: out of range 0 to 99; the default is 0\nkagami: " + file +
              ": 2 problems\n");
}

TEST_CASE("a file that is missing, or a script in a wrong place, is named") {
    Bench bench;
    CHECK(bench.run({"config", "check", bench.root / "none.toml"}) == 3);
    CHECK(bench.err.find("none.toml") != std::string::npos);
    bench.write("etc/cluster.toml", kValidToml);
    const std::string script = bench.write("etc/scripts/start.sh", "x");
    CHECK(bench.run({"config", "check"}) == 2);
    CHECK(bench.err == "kagami: " + script + ": not of the form scripts/GROUP/RESOURCE/FILE\n  move or remove it\n");
}

TEST_CASE("a missing stored script is a problem") {
    Bench bench;
    std::string text = kValidToml;
    text.replace(text.find("comment = \"a thing\""), 19, "start = \"start.sh\"");
    bench.write("etc/cluster.toml", text);
    CHECK(bench.run({"config", "check"}) == 2);
    bench.write("etc/scripts/web/thing/start.sh", "#!/bin/sh\n");
    CHECK(bench.run({"config", "check"}) == 0);
}

TEST_CASE("config diff compares with the configuration in force, without a daemon") {
    Bench bench;
    bench.write("state/active/cluster.toml", kValidToml);
    std::string text = kValidToml;
    text.replace(text.find("10.77.1.9"), 9, "10.77.1.8");
    bench.write("etc/cluster.toml", text + "interval = \"5s\"\n");
    bench.write("etc/scripts/web/thing/new.sh", "x");
    CHECK(bench.run({"config", "diff"}) == 0);
    CHECK(bench.out ==
          "~ arbitration.witness.address: 10.77.1.9 -> 10.77.1.8   (restarts the cluster)\n"
          "~ monitor.userw.interval: 60s -> 5s   (restarts monitor userw)\n"
          "+ script.web/thing/new.sh   (nothing restarts)\n");
    CHECK(bench.run({"config", "diff", "--json"}) == 0);
    const auto json = nlohmann::json::parse(bench.out);
    CHECK(json["schema"] == "kagami.config-diff/1");
    REQUIRE(json["changes"].size() == 3);
    CHECK(json["changes"][1]["path"] == "monitor.userw.interval");
    CHECK(bench.run({"config", "diff", "--against", bench.root / "etc/cluster.toml"}) == 0);
    CHECK(bench.out.empty());
    CHECK(bench.err == "No differences.\n");
}

TEST_CASE("config show --defaults lists every key with its default, range and meaning") {
    Bench bench;
    CHECK(bench.run({"config", "show", "--defaults"}) == 0);
    for (const char* text : {"[cluster]", "startup_wait", "5min", "0s to 24h",
                             "[[group.resource]] of type dummy: Does nothing.", "on_error"}) {
        INFO(text);
        CHECK(bench.out.find(text) != std::string::npos);
    }
}
