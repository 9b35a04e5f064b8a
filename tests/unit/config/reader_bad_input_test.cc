#include <catch2/catch.hpp>

#include "tests/unit/config/sample.h"

using namespace kagami;
using namespace kagami::config;

namespace {

using Lines = std::vector<std::string>;

Lines with(const std::string& piece, const std::string& replacement) {
    return problems_of(sample_with(piece, replacement));
}

}  // namespace

TEST_CASE("broken TOML is one problem at its place") {
    const Lines lines = problems_of("[cluster]\nname = \"demo\nx = 1\n");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("cluster.toml:2:13: not valid TOML: "));
    CHECK(problems_of("[cluster]\nname = \"a\"\nname = \"b\"\n").size() == 1);
    CHECK(problems_of("[cluster]\na" + std::string(17, '.') + "b = 1\n") ==
          Lines{"cluster.toml:2:19: not valid TOML: a key of more than 17 parts"});
    CHECK(problems_of(std::string("\xff\xfe\x00x", 4)).size() == 1);
}

TEST_CASE("an empty file names what a cluster needs") {
    CHECK(problems_of("") ==
          Lines{"cluster.toml:1:1: there is no [cluster]; begin with [cluster] and name = \"...\"",
                "cluster.toml:1:1: no network carries control; add [[network]] with a name; its default use is control "
                "and heartbeat",
                "cluster.toml:1:1: no network carries heartbeats; add [[network]] with a name; its default use is "
                "control and heartbeat",
                "cluster.toml:1:1: a cluster needs 2 to 32 nodes, here is none; add [[node]] with name and address"});
}

TEST_CASE("unknown keys come with the nearest known one") {
    CHECK(with("name = \"node1\"", "nmae = \"node1\"").front() ==
          "cluster.toml:8:1: [[node]] has no \"name\"; add name = ...: Name of the node.");
    CHECK(with("profile = \"lan\"", "profle = \"lan\"") ==
          Lines{"cluster.toml:3:1: unknown key \"profle\" in [cluster]; did you mean \"profile\"?"});
    CHECK(with("[arbitration]", "[arbitraton]") ==
          Lines{"cluster.toml:14:2: unknown key \"arbitraton\" in cluster.toml; did you mean \"arbitration\"?"});
    CHECK(with("start_timeout = \"60s\"", "strat_timeout = \"60s\"") ==
          Lines{"cluster.toml:27:1: unknown key \"strat_timeout\" in [[group.resource]] of type exec; did you mean "
                "\"start_timeout\"?"});
    CHECK(with("option = \"witness\"", "option = \"witness\"\nquux = 1") ==
          Lines{"cluster.toml:16:1: unknown key \"quux\" in [arbitration]; known keys: option, witness"});
    CHECK(with("target = \"nginx\"\n", "target = \"nginx\"\non_error = { restrat = 1 }\n") ==
          Lines{"cluster.toml:32:14: unknown key \"restrat\" in [[monitor]] nginx-alive: on_error; did you mean "
                "\"restart\"?"});
}

TEST_CASE("values of a wrong type say what must stand there and the default") {
    CHECK(with("profile = \"lan\"", "auto_return = \"yes\"") ==
          Lines{"cluster.toml:3:15: [cluster]: auto_return = \"yes\": must be true or false; the default is true"});
    CHECK(with("profile = \"lan\"", "failovers_per_hour = \"3\"") ==
          Lines{"cluster.toml:3:22: [cluster]: failovers_per_hour = \"3\": must be an integer; the default is 20"});
    CHECK(with("profile = \"lan\"", "failovers_per_hour = 2.5") ==
          Lines{"cluster.toml:3:22: [cluster]: failovers_per_hour = 2.5: must be an integer; the default is 20"});
    CHECK(with("profile = \"lan\"", "comment = 3") ==
          Lines{"cluster.toml:3:11: [cluster]: comment = 3: must be a string"});
    CHECK(with("profile = \"lan\"", "startup_wait = 2026-01-01") ==
          Lines{"cluster.toml:3:16: [cluster]: startup_wait = a date or time: must be a duration such as \"2s\"; the "
                "default is \"5min\""});
    CHECK(
        with("nodes = [\"node1\", \"node2\"]", "nodes = \"node1\"") ==
        Lines{
            "cluster.toml:19:9: [[group]] web: nodes = \"node1\": must be a list of names; write nodes = [\"node1\"]"});
    CHECK(with("nodes = [\"node1\", \"node2\"]", "nodes = [1]") ==
          Lines{"cluster.toml:19:10: [[group]] web: nodes = 1: must be a list of names"});
    CHECK(with("target = \"nginx\"\n", "target = \"nginx\"\non_error = 3\n") ==
          Lines{"cluster.toml:32:12: [[monitor]] nginx-alive: \"on_error\" must be a table; write on_error = { ... }"});
    CHECK(problems_of("cluster = 1\n").back() ==
          "cluster.toml:1:11: cluster.toml: \"cluster\" must be a table; write cluster = { ... }");
}

TEST_CASE("a table where a list of tables belongs is named") {
    const Lines lines = with("[[group]]", "[group]");
    REQUIRE_FALSE(lines.empty());
    CHECK(lines[0] == "cluster.toml:17:2: \"group\" must be a list of tables; write [[group]]");
}

TEST_CASE("durations need a unit and keep their range") {
    CHECK(with("start_timeout = \"60s\"", "start_timeout = 60") ==
          Lines{"cluster.toml:27:17: [[group.resource]] nginx: start_timeout = 60: is a duration without a unit; write "
                "\"60s\", \"60ms\" or \"60min\""});
    CHECK(with("start_timeout = \"60s\"", "start_timeout = \"60\"") ==
          Lines{"cluster.toml:27:17: [[group.resource]] nginx: start_timeout: \"60\" is a duration without a unit; "
                "write a number and a unit: \"300ms\", \"2s\", \"5min\", \"1h\""});
    CHECK(with("start_timeout = \"60s\"", "start_timeout = \"5h\"") ==
          Lines{"cluster.toml:27:17: [[group.resource]] nginx: start_timeout = \"5h\": out of range 1s to 9999s; the "
                "default is \"30min\""});
    CHECK(with("profile = \"lan\"", "lease = \"10ms\"") ==
          Lines{"cluster.toml:3:9: [cluster]: lease = \"10ms\": out of range 200ms to 600s"});
}

TEST_CASE("integers keep their range") {
    CHECK(with("profile = \"lan\"", "failovers_per_hour = 0") ==
          Lines{"cluster.toml:3:22: [cluster]: failovers_per_hour = 0: out of range 1 to 1000; the default is 20"});
    CHECK(with("target = \"nginx\"", "target = \"nginx\"\nretry = -1") ==
          Lines{"cluster.toml:32:9: [[monitor]] nginx-alive: retry = -1: out of range 0 to 99; the default is 0"});
    CHECK(
        with("address = \"10.77.1.100/24\"", "address = \"10.77.1.100/24\"\nannouncements = 99") ==
        Lines{
            "cluster.toml:24:17: [[group.resource]] fip1: announcements = 99: out of range 1 to 20; the default is 5"});
}

TEST_CASE("words outside the choice list the choice") {
    CHECK(with("profile = \"lan\"", "profile = \"wan\"") ==
          Lines{"cluster.toml:3:11: [cluster]: profile = \"wan\": is not one of fast, lan, vm, san, test; did you mean "
                "\"lan\"?"});
    CHECK(with("start_timeout = \"60s\"", "on_deactivation_failure = { final = \"stop-group\" }")
              .front()
              .starts_with("cluster.toml:27:37: [[group.resource]] nginx: on_deactivation_failure: final = "
                           "\"stop-group\": is not one of no-operation, "));
    CHECK(with("target = \"nginx\"", "target = \"nginx\"\non_error = { final = \"no-operation-stop-here\" }").size() ==
          1);
}

TEST_CASE("names keep their form") {
    CHECK(with("name = \"demo\"", "name = \"my cluster\"") ==
          Lines{"cluster.toml:2:8: [cluster]: name = \"my cluster\": is not a name; use 1 to 31 letters, digits, '-' "
                "and '_', the first a letter or digit"});
    CHECK(with("name = \"web\"", "name = \"../etc\"").size() == 1);
    CHECK(with("profile = \"lan\"", "comment = \"a\\u001b[2Jb\"") ==
          Lines{"cluster.toml:3:11: [cluster]: comment holds a control character; remove it"});
}

TEST_CASE("names are unique within their kind") {
    CHECK(
        with("name = \"node2\"", "name = \"node1\"") ==
        Lines{"cluster.toml:12:8: node \"node1\" stands there twice, first in line 9; give each node a name of its own",
              "cluster.toml:19:19: [[group]] web: unknown node \"node2\"; did you mean \"node1\"?"});
    CHECK(
        with("name = \"net2\"", "name = \"net1\"").front() ==
        "cluster.toml:7:8: network \"net1\" stands there twice, first in line 5; give each network a name of its own");
    CHECK(problems_of(kSample + "[[group]]\nname = \"web\"\n") ==
          Lines{"cluster.toml:33:8: group \"web\" stands there twice, first in line 18; give each group a name of its "
                "own"});
    CHECK(problems_of(kSample + "[[group]]\nname = \"b\"\n[[group.resource]]\ntype = \"dummy\"\nname = \"nginx\"\n") ==
          Lines{"cluster.toml:36:8: resource \"nginx\" stands there twice, first in line 26; give each resource a name "
                "of its own"});
    CHECK(problems_of(kSample + "[[monitor]]\ntype = \"userw\"\nname = \"nginx-alive\"\n") ==
          Lines{"cluster.toml:34:8: monitor \"nginx-alive\" stands there twice, first in line 30; give each monitor a "
                "name of its own"});
    CHECK(with("nodes = [\"node1\", \"node2\"]", "nodes = [\"node1\", \"node1\"]") ==
          Lines{"cluster.toml:19:19: [[group]] web: nodes: \"node1\" stands there twice; remove one"});
}

TEST_CASE("a node must not take the witness's name") {
    CHECK(
        with("[[node]]\nname = \"node2\"", "[[node]]\nname = \"witness\"").front() ==
        "cluster.toml:12:8: a node must not be called \"witness\"; that name means the witness server; choose another");
}

TEST_CASE("unknown references name the nearest object") {
    CHECK(with("nodes = [\"node1\", \"node2\"]", "nodes = [\"node1\", \"nod2\"]") ==
          Lines{"cluster.toml:19:19: [[group]] web: unknown node \"nod2\"; did you mean \"node2\"?"});
    CHECK(with("start_timeout = \"60s\"", "after = [\"fipx\"]") ==
          Lines{"cluster.toml:27:10: resource nginx: after names \"fipx\", which is no resource of group web; did you "
                "mean \"fip1\"?"});
    CHECK(with("target = \"nginx\"", "target = \"ngnix\"") ==
          Lines{"cluster.toml:31:10: [[monitor]] nginx-alive: unknown resource \"ngnix\"; did you mean \"nginx\"?"});
    CHECK(with("target = \"nginx\"", "target = \"nginx\"\ngroup = \"wbe\"").front() ==
          "cluster.toml:32:9: [[monitor]] nginx-alive: unknown group \"wbe\"; did you mean \"web\"?");
    CHECK(with("type = \"exec\"", "type = \"exce\"") ==
          Lines{"cluster.toml:25:8: unknown resource type \"exce\"; did you mean \"exec\"?",
                "cluster.toml:31:10: [[monitor]] nginx-alive: target \"nginx\" is of type exce; pidw watches a "
                "resource of type exec"});
    CHECK(with("type = \"pidw\"", "type = \"nothing\"") ==
          Lines{"cluster.toml:29:8: unknown monitor type \"nothing\"; known types: pidw, fipw, miiw, ipw, userw"});
}

TEST_CASE("a monitor needs the target that its type watches") {
    CHECK(with("target = \"nginx\"\n", "") ==
          Lines{"cluster.toml:28:1: [[monitor]] nginx-alive of type pidw needs a target; add target = \"RESOURCE\""});
    CHECK(with("target = \"nginx\"", "target = \"fip1\"") ==
          Lines{"cluster.toml:31:10: [[monitor]] nginx-alive: target \"fip1\" is of type fip; pidw watches a resource "
                "of type exec"});
    CHECK(with("[[monitor]]\n", "[[group]]\nname = \"db\"\n[[monitor]]\ngroup = \"db\"\n") ==
          Lines{"cluster.toml:31:9: [[monitor]] nginx-alive: target \"nginx\" is in group web, not in db; remove the "
                "key group"});
}

TEST_CASE("a missing parameter says what it is for") {
    CHECK(with("address = \"10.77.1.100/24\"\n", "") ==
          Lines{"cluster.toml:20:1: [[group.resource]] fip1 has no \"address\"; add address = ...: The floating "
                "address with its prefix length."});
}

TEST_CASE("a parameter's own check speaks") {
    CHECK(with("address = \"10.77.1.100/24\"", "address = \"10.77.1.100\"") ==
          Lines{"cluster.toml:23:11: [[group.resource]] fip1: address = \"10.77.1.100\": has no prefix length; write "
                "it as \"10.77.1.100/24\""});
}

TEST_CASE("scripts are stored files or absolute paths") {
    CHECK(with("start_timeout = \"60s\"", "start = \"../x.sh\"") ==
          Lines{"cluster.toml:27:9: [[group.resource]] nginx: start = \"../x.sh\": is neither a stored script nor an "
                "absolute path; write \"start.sh\" or \"/opt/app/start.sh\""});
}

TEST_CASE("one address has one owner") {
    CHECK(with("net1 = \"10.77.1.2\"", "net1 = \"10.77.1.1\"") ==
          Lines{"cluster.toml:13:20: node node2 on net1: the address 10.77.1.1 belongs to node node1 on net1 already "
                "(line 10); give each its own address"});
    CHECK(with("net2 = \"10.77.2.2\"", "net2 = \"10.77.1.2\"").size() == 1);
    CHECK(with("address = \"10.77.1.9\"", "address = \"10.77.1.1\"") ==
          Lines{"cluster.toml:16:41: the witness: the address 10.77.1.1 belongs to node node1 on net1 already (line "
                "10); give each its own address"});
    CHECK(problems_of(kSample + "[[group]]\nname = \"b\"\n[[group.resource]]\ntype = \"fip\"\nname = \"fip2\"\naddress "
                                "= \"10.77.1.100/16\"\n") ==
          Lines{"cluster.toml:37:11: resource fip2: the address 10.77.1.100 belongs to resource fip1 already (line "
                "23); give each its own address"});
    CHECK(with("address = \"10.77.1.100/24\"", "address = \"10.77.2.1/24\"").size() == 1);
}

TEST_CASE("node addresses fit the networks") {
    CHECK(with("net2 = \"10.77.2.2\"", "net3 = \"10.77.2.2\"") ==
          Lines{"cluster.toml:13:11: node node2 has no address on network net2; add net2 = \"...\" to its address",
                "cluster.toml:13:33: node node2: unknown network \"net3\"; did you mean \"net1\"?"});
    CHECK(with("net2 = \"10.77.2.2\"", "net2 = \"10.77.2.2/24\"") ==
          Lines{"cluster.toml:13:40: node node2: the address on net2 is not an IP address; write it as \"10.77.1.1\" "
                "or \"fd00::1\", without a prefix length"});
    CHECK(with("net2 = \"10.77.2.2\"", "net2 = \"fd00::2\"") ==
          Lines{"cluster.toml:13:11: network net2: node1 and node2 have addresses of different families; use IPv4 for "
                "all nodes of a network, or IPv6 for all"});
    CHECK(with("address = { net1 = \"10.77.1.2\", net2 = \"10.77.2.2\" }\n", "") ==
          Lines{"cluster.toml:11:1: [[node]] node2 has no \"address\"; add address = { net1 = \"...\" }"});
    CHECK(with("address = { net1 = \"10.77.1.2\", net2 = \"10.77.2.2\" }", "address = \"10.77.1.2\"") ==
          Lines{"cluster.toml:13:11: [[node]] node2: address must be a table; write address = { NETWORK = \"...\" }"});
}

TEST_CASE("some network must carry control, some must carry heartbeats") {
    const std::string text = sample_with("name = \"net1\"", "name = \"net1\"\nuse = [\"heartbeat\"]");
    CHECK(problems_of(text).empty());
    const Lines lines = with("[[network]]\nname = \"net2\"\n", "use = [\"heartbeat\"]\n");
    REQUIRE_FALSE(lines.empty());
    CHECK(lines[0] ==
          "cluster.toml:1:1: no network carries control; add [[network]] with a name; its default use is control and "
          "heartbeat");
}

TEST_CASE("arbitration options need what they rest on") {
    CHECK(with("witness = [{ kind = \"server\", address = \"10.77.1.9\" }]\n", "") ==
          Lines{"cluster.toml:15:10: [arbitration]: option = \"witness\" without a witness; add witness = [{ kind = "
                "\"server\", address = \"...\" }]"});
    CHECK(with("witness = [{ kind = \"server\", address = \"10.77.1.9\" }]", "witness = []").size() == 1);
    CHECK(with(", address = \"10.77.1.9\"", "") ==
          Lines{"cluster.toml:16:12: the witness has no \"address\"; add address = \"...\""});
    CHECK(with("option = \"witness\"", "option = \"tie\"") ==
          Lines{"cluster.toml:15:10: [arbitration]: a witness is listed, but option = \"tie\" does not use it; write "
                "option = \"witness\" or remove the witness"});
    CHECK(with("option = \"witness\"", "option = \"ping\"") ==
          Lines{"cluster.toml:15:10: [arbitration]: option \"ping\" is not supported by this version; use \"witness\", "
                "\"tie\" or \"manual\""});
    CHECK(with("kind = \"server\"", "kind = \"etcd\"") ==
          Lines{"cluster.toml:16:21: a witness of kind \"etcd\" is not supported by this version; use kind = "
                "\"server\": kagami-witness on a third machine"});
}

TEST_CASE("resources that wait for each other are named as a circle") {
    CHECK(with("address = \"10.77.1.100/24\"", "address = \"10.77.1.100/24\"\nafter = [\"nginx\"]") ==
          Lines{"cluster.toml:24:9: group web: the resources wait for each other: fip1 after nginx after fip1; write "
                "an explicit `after` that "
                "breaks the circle; without one a resource comes after others by its type"});
    CHECK(with("start_timeout = \"60s\"", "after = [\"nginx\"]") ==
          Lines{"cluster.toml:27:10: resource nginx cannot come after itself"});
}

TEST_CASE("overrides name a node of the group and keys of the type") {
    CHECK(with("start_timeout = \"60s\"", "node.node3 = { sync = false }") ==
          Lines{"cluster.toml:27:6: [[group.resource]] nginx: node.node3 names no node of the group; did you mean "
                "\"node1\"?"});
    CHECK(with("start_timeout = \"60s\"", "node.node2 = { snyc = false }") ==
          Lines{"cluster.toml:27:16: unknown key \"snyc\" in [[group.resource]] nginx: node.node2; did you mean "
                "\"sync\"?"});
    CHECK(
        with("start_timeout = \"60s\"", "node.node2 = 3") ==
        Lines{"cluster.toml:27:14: [[group.resource]] nginx: node.node2 must be a table; write node.node2 = { ... }"});
}

TEST_CASE("more than 32 nodes are too many, and one is too few") {
    std::string text = "[cluster]\nname = \"big\"\n[[network]]\nname = \"n\"\n";
    for (int i = 1; i <= 33; ++i) {
        text += "[[node]]\nname = \"node" + std::to_string(i) + "\"\naddress = { n = \"10.0.0." + std::to_string(i) +
                "\" }\n";
    }
    CHECK(problems_of(text) == Lines{"cluster.toml:101:1: 33 nodes are more than the limit of 32; remove some"});
    CHECK(problems_of("[cluster]\nname = \"one\"\n[[network]]\nname = \"n\"\n[[node]]\nname = \"a\"\naddress = { n = "
                      "\"10.0.0.1\" }\n") ==
          Lines{"cluster.toml:1:1: a cluster needs 2 to 32 nodes, here is one; add [[node]] with name and address"});
}

TEST_CASE("all problems are returned at once, in the order of the file") {
    std::string text = sample_with("profile = \"lan\"", "profile = \"x\"\nzzz = 1");
    text.replace(text.find("target = \"nginx\""), 16, "target = \"gone\"\ninterval = 5");
    const Lines lines = problems_of(text);
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].starts_with("cluster.toml:3:11: "));
    CHECK(lines[1].starts_with("cluster.toml:4:1: "));
    CHECK(lines[2].starts_with("cluster.toml:32:10: "));
    CHECK(lines[3].starts_with("cluster.toml:33:12: "));
}

TEST_CASE("a file beyond a mebibyte is not read") {
    CHECK(problems_of(std::string(1024 * 1024 + 1, '#')) == Lines{"cluster.toml:1:1: the file is larger than 1 MiB"});
}

TEST_CASE("a group with more floating addresses than the guard covers is refused") {
    const auto with_fips = [](int count) {
        std::string fips;
        for (int i = 0; i < count; ++i)
            fips += "[[group.resource]]\ntype = \"fip\"\nname = \"more" + std::to_string(i) + "\"\naddress = \"10.77.1." + std::to_string(120 + i) + "/24\"\n";
        return problems_of(kSample + "[[group]]\nname = \"many\"\nnodes = [\"node1\", \"node2\"]\n" + fips);
    };
    CHECK(with_fips(16).empty());
    const Lines lines = with_fips(17);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("group many has 17 floating addresses, more than the limit of 16 that the guard covers; divide the group") != std::string::npos);
}

TEST_CASE("a group does not take the name under which scripts of monitors run") {
    const Lines lines = problems_of(kSample + "[[group]]\nname = \"monitors\"\nnodes = [\"node1\"]\n");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("a group must not be called \"monitors\"") != std::string::npos);
}

TEST_CASE("the number of a node is its own") {
    CHECK(with("name = \"node2\"", "name = \"node2\"\nid = 1").front() ==
          "cluster.toml:13:6: [[node]] node2 has the number 1, which node1 has already; give each node an id of its own; "
          "without one its position counts");
    CHECK(with("name = \"node1\"", "name = \"node1\"\nid = 2").size() == 1);
    CHECK(with("name = \"node2\"", "name = \"node2\"\nid = 33").size() == 1);
    CHECK(with("name = \"node2\"", "name = \"node2\"\nid = 0").size() == 1);
    CHECK(with("name = \"node2\"", "name = \"node2\"\nid = \"two\"").size() == 1);
    CHECK(with("name = \"node2\"", "name = \"node2\"\nid = 32").empty());
}
