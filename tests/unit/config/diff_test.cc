#include "common/config/diff.h"

#include <catch2/catch.hpp>

#include "tests/unit/config/sample.h"

using namespace kagami::config;

namespace {

// "~ path: old -> new (what restarts)" for each change from kSample.
std::vector<std::string> changes_to(const std::string& text) {
    std::vector<std::string> lines;
    for (const Change& change : diff(sample_config(), sample_config(text))) {
        const char* mark = change.kind == ChangeKind::kAdded ? "+" : change.kind == ChangeKind::kRemoved ? "-" : "~";
        lines.push_back(std::string(mark) + " " + change.path + ": " + change.old_text + " -> " + change.new_text +
                        " (" + restart_words(change) + ")");
    }
    return lines;
}
std::vector<std::string> changes(const std::string& piece, const std::string& replacement) {
    return changes_to(sample_with(piece, replacement));
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("the same configuration has no differences, however it is written") {
    CHECK(changes_to(kSample).empty());
    CHECK(changes("start_timeout = \"60s\"", "start_timeout = \"1min\" # a comment").empty());
    CHECK(changes("nodes = [\"node1\", \"node2\"]\n", "").empty());
}

TEST_CASE("a changed value is named by its path, with what it restarts") {
    CHECK(changes("address = \"10.77.1.100/24\"", "address = \"10.77.1.101/24\"") ==
          Lines{"~ group.web.resource.fip1.address: 10.77.1.100/24 -> 10.77.1.101/24 (restarts group web)"});
    CHECK(changes("target = \"nginx\"", "target = \"nginx\"\ninterval = \"5s\"") ==
          Lines{"~ monitor.nginx-alive.interval: 60s -> 5s (restarts monitor nginx-alive)"});
    CHECK(changes("profile = \"lan\"", "profile = \"lan\"\nstartup_wait = \"1min\"") ==
          Lines{"~ cluster.startup_wait: 5min -> 60s (nothing restarts)"});
    CHECK(changes("profile = \"lan\"", "lease = \"3s\"") == Lines{"~ cluster.lease: 2s -> 3s (restarts the cluster)"});
    CHECK(changes("nodes = [\"node1\", \"node2\"]", "nodes = [\"node2\", \"node1\"]") ==
          Lines{"~ group.web.nodes: node1, node2 -> node2, node1 (nothing restarts)"});
}

TEST_CASE("a value that differs on a node is named with the node") {
    CHECK(changes("address = \"10.77.1.100/24\"", "address = \"10.77.1.100/24\"\nnode.node2 = { announcements = 7 }") ==
          Lines{"- group.web.resource.fip1.announcements: 5 ->  (restarts group web)",
                "+ group.web.resource.fip1.announcements[node1]:  -> 5 (restarts group web)",
                "+ group.web.resource.fip1.announcements[node2]:  -> 7 (restarts group web)"});
}

TEST_CASE("an added or removed object is one change that hides its parts") {
    CHECK(changes_to(kSample + "[[group]]\nname = \"db\"\n[[group.resource]]\ntype = \"dummy\"\nname = \"d\"\n") ==
          Lines{"+ group.db:  ->  (nothing restarts)"});
    CHECK(changes_to(kSample + "[[monitor]]\ntype = \"userw\"\nname = \"userw\"\n") ==
          Lines{"+ monitor.userw:  -> userw (nothing restarts)"});
    const std::string both = kSample.substr(kSample.find("[[group]]"));
    CHECK(changes(both, "") == Lines{"- group.web:  ->  (stops group web)",
                                     "- monitor.nginx-alive: pidw ->  (restarts monitor nginx-alive)"});
    CHECK(changes("[[monitor]]", "[[group.resource]]\ntype = \"dummy\"\nname = \"d\"\n[[monitor]]") ==
          Lines{"+ group.web.resource.d:  -> dummy (restarts group web)"});
}

TEST_CASE("changed scripts are listed") {
    const Bundle from{"", {{"web/nginx/start.sh", "a"}, {"web/nginx/old.sh", "b"}}};
    const Bundle to{"", {{"web/nginx/start.sh", "c"}, {"web/nginx/new.sh", "b"}}};
    const auto found = diff_scripts(from, to);
    REQUIRE(found.size() == 3);
    CHECK((found[0].kind == ChangeKind::kRemoved && found[0].path == "script.web/nginx/old.sh"));
    CHECK((found[1].kind == ChangeKind::kChanged && found[1].path == "script.web/nginx/start.sh"));
    CHECK((found[2].kind == ChangeKind::kAdded && found[2].path == "script.web/nginx/new.sh"));
}

TEST_CASE("a node that comes or goes restarts nothing, one that changes its number or address restarts the cluster") {
    const std::string node3 = "[[node]]\nname = \"node3\"\naddress = { net1 = \"10.77.1.3\", net2 = \"10.77.2.3\" }\n";
    const std::string before = kSample.substr(kSample.find("[arbitration]"));
    const auto added = changes(before, node3 + before);
    CHECK(std::find(added.begin(), added.end(), "+ node.node3:  ->  (nothing restarts)") != added.end());
    for (const std::string& line : added) CHECK(line.find("(restarts") == std::string::npos);
    CHECK(changes("name = \"node2\"", "name = \"node2\"\nid = 2").empty());
    CHECK(changes("name = \"node2\"", "name = \"node2\"\nid = 7") ==
          Lines{"~ node.node2.id: 2 -> 7 (restarts the cluster)"});
}
