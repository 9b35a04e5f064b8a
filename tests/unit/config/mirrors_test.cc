// The rules of mirror disks that join several tables, with the real types.
#include <algorithm>
#include <catch2/catch.hpp>

#include "monitors/monitor.h"
#include "resources/resource.h"
#include "tests/unit/config/sample.h"

using namespace kagami;
using namespace kagami::config;

namespace {

TypeCatalogue real_types() {
    TypeCatalogue types;
    for (const auto& type : resources::registry()) types.resources.push_back(type.description);
    for (const auto& type : monitors::registry()) types.monitors.push_back(type.description);
    return types;
}

const std::string kHead = R"([cluster]
name = "demo"
[[network]]
name = "lan"
[[node]]
name = "node1"
address = { lan = "10.77.1.1" }
[[node]]
name = "node2"
address = { lan = "10.77.1.2" }
)";

std::string group(const std::string& name, const std::string& resources, const std::string& more = "") {
    return "[[group]]\nname = \"" + name + "\"\n" + more + resources;
}
std::string disk(const std::string& name, const std::string& tail, const std::string& keys) {
    return "[[group.resource]]\ntype = \"md\"\nname = \"" + name + "\"\ndata = \"/dev/d" + tail +
           "\"\nmetadata = \"/dev/m" + tail + "\"\n" + keys;
}
std::vector<std::string> problems(const std::string& text) {
    const TypeCatalogue types = real_types();
    std::vector<std::string> lines;
    for (const auto& problem : parse(text, "cluster.toml", types).problems) lines.push_back(to_string(problem));
    return lines;
}
std::string only(const std::string& text) {
    const auto lines = problems(text);
    std::string all;
    for (const auto& line : lines) all += line + "\n";
    INFO(all);
    CHECK(lines.size() == 1);
    return lines.empty() ? "" : lines[0];
}
using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("mirror disks with devices, ports and mount points of their own are good") {
    CHECK(problems(kHead + group("db", disk("md1", "1", "mount = \"/srv/a\"\n") +
                                           disk("md2", "2", "mount = \"/srv/b\"\nport = 29012\n")) +
                   group("web", disk("md3", "3", "port = 29013\nnode.node2 = { data = \"/dev/d1x\" }\n") +
                                    "[[monitor]]\ntype = \"mdw\"\nname = \"mdw1\"\ntarget = \"md1\"\n"
                                    "[[monitor]]\ntype = \"mdnw\"\nname = \"mdnw1\"\ntarget = \"md3\"\n"))
              .empty());
}

TEST_CASE("what two mirror disks may not share is named with its owner") {
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "") + disk("md2", "2", ""))),
               Contains("resource md2: port = 29011 is taken by resource md1 (port); give each mirror disk its own port"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "mount = \"/srv/a\"\n")) +
                    group("web", disk("md2", "2", "port = 29012\nnode.node2 = { mount = \"/srv/a\" }\n"))),
               Contains("resource md2: mount = /srv/a is taken by resource md1 (mount)"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "")) +
                    group("web", disk("md2", "2", "port = 29012\nnode.node1 = { data = \"/dev/m1\" }\n"))),
               Contains("resource md2: data = /dev/m1 is taken by resource md1 (metadata)"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "node.node1 = { metadata = \"/dev/d1\" }\n"))),
               Contains("resource md1: metadata = /dev/d1 is taken by resource md1 (data)"));
    CHECK_THAT(problems(kHead + group("db", disk("md1", "1", "")) + group("web", disk("md1", "2", "port = 29012\n")))[0],
               Contains("resource \"md1\" stands there twice"));
}

TEST_CASE("nothing of a mirror disk lies below the mount point of one, on the same node") {
    const auto pair = [](const std::string& keys1, const std::string& keys2) {
        return kHead + group("db", disk("md1", "1", keys1)) + group("web", disk("md2", "2", "port = 29012\n" + keys2));
    };
    CHECK_THAT(only(pair("mount = \"/srv/a\"\n", "mount = \"/srv/a/b\"\n")),
               Contains("resource md2: mount = /srv/a/b lies below /srv/a, the mount point of resource md1; choose a path "
                        "outside of /srv/a"));
    CHECK_THAT(only(pair("mount = \"/srv/a/b\"\n", "mount = \"/srv/a\"\n")),
               Contains("resource md1: mount = /srv/a/b lies below /srv/a, the mount point of resource md2"));
    CHECK_THAT(only(pair("mount = \"/srv/a\"\n", "node.node2 = { data = \"/srv/a/data\" }\n")),
               Contains("resource md2: data = /srv/a/data lies below /srv/a"));
    CHECK_THAT(only(pair("node.node2 = { metadata = \"/srv/b/meta\" }\n", "mount = \"/srv/b\"\n")),
               Contains("resource md1: metadata = /srv/b/meta lies below /srv/b"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "mount = \"/srv/a\"\nnode.node1 = { data = \"/srv/a/d\" }\n"))),
               Contains("resource md1: data = /srv/a/d lies below /srv/a"));
    CHECK(problems(pair("mount = \"/srv/a\"\n", "mount = \"/srv/ab\"\n")).empty());
    CHECK(problems(pair("node.node1 = { mount = \"/srv/a\" }\nnode.node2 = { mount = \"/srv/b\" }\n",
                        "node.node1 = { mount = \"/srv/b/x\" }\nnode.node2 = { mount = \"/srv/a/x\" }\n"))
              .empty());
}

TEST_CASE("a mirror disk joins two nodes") {
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", ""), "nodes = [\"node1\"]\n")),
               Contains("resource md1: a mirror disk joins exactly two nodes, and group db has 1; name two nodes"));
    const std::string three = kHead + "[[node]]\nname = \"node3\"\naddress = { lan = \"10.77.1.3\" }\n";
    CHECK_THAT(only(three + group("db", disk("md1", "1", ""))), Contains("and group db has 3"));
    CHECK(problems(three + group("db", disk("md1", "1", ""), "nodes = [\"node3\", \"node1\"]\n")).empty());
}

TEST_CASE("what must be the same on both nodes, and what makes no sense, is refused") {
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "node.node2 = { filesystem = \"xfs\" }\n"))),
               Contains("resource md1: filesystem must be the same on both nodes"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "filesystem = \"none\"\nmount = \"/srv/a\"\n"))),
               Contains("resource md1: without a file system there is nothing to mount"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "mode = \"async\"\n"))), Contains("asynchronous mirrors come later"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "port = 29001\n"))), Contains("is the cluster daemon's own port"));
    CHECK_THAT(only(kHead + group("db", disk("md1", "1", "mount = \"/\"\n"))), Contains("mount"));
    CHECK_THAT(problems(kHead + group("db", "[[group.resource]]\ntype = \"md\"\nname = \"md1\"\n"))[0], Contains("data"));
}

TEST_CASE("there are limits: 8 mirror disks in a group, 64 in a cluster") {
    std::string nine;
    for (int i = 1; i <= 9; ++i) nine += disk("md" + std::to_string(i), std::to_string(i), "port = " + std::to_string(30000 + i) + "\n");
    CHECK_THAT(only(kHead + group("db", nine)), Contains("group db has 9 mirror disks, more than the limit of 8"));
    std::string many = kHead;
    for (int i = 1; i <= 65; ++i)
        many += group("g" + std::to_string(i), disk("md" + std::to_string(i), std::to_string(i), "port = " + std::to_string(30000 + i) + "\n"));
    const auto lines = problems(many);
    CHECK(std::any_of(lines.begin(), lines.end(), [](const auto& line) { return line.find("more than 64 mirror disks") != line.npos; }));
}
