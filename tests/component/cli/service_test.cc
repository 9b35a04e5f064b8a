#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/component/cli/bench.h"
#include "tests/component/cli/fake_daemon.h"

using namespace kagami::cli;

namespace {

struct Stage {
    Bench bench;
    FakeDaemon daemon{bench.places.socket};
};

pb::Progress accepted(const std::string& message, bool dry_run = false) {
    pb::Progress progress;
    progress.mutable_accepted()->set_message(message);
    progress.mutable_accepted()->set_dry_run(dry_run);
    return progress;
}
pb::Progress done(const std::string& message) {
    pb::Progress progress;
    progress.mutable_done()->set_message(message);
    progress.mutable_done()->set_duration_ms(1230);
    return progress;
}
pb::Progress step() {
    pb::Progress progress;
    progress.mutable_step()->set_subject("resource fip1");
    progress.mutable_step()->set_state("Online");
    progress.mutable_step()->set_node("node2");
    return progress;
}
pb::Progress refused(uint32_t code) {
    pb::Progress progress;
    progress.mutable_refused()->set_code(code);
    progress.mutable_refused()->set_message("group webb does not exist");
    progress.mutable_refused()->set_remedy("kagami status lists the groups");
    return progress;
}

}  // namespace

TEST_CASE("status prints for people, and JSON with its schema") {
    Stage stage;
    stage.daemon.answers.status.set_cluster_name("demo");
    stage.daemon.answers.status.set_quorum(true);
    CHECK(stage.bench.run({"status"}) == 0);
    CHECK(stage.bench.out.starts_with("Cluster demo "));
    CHECK(stage.bench.run({"status", "--json"}) == 0);
    const auto json = nlohmann::json::parse(stage.bench.out);
    CHECK(json["schema"] == "kagami.status/1");
    CHECK(json["quorum"] == true);
    CHECK(json["groups"].empty());
    CHECK(stage.bench.err.empty());
    CHECK(stage.bench.clpstat({"-s"}) == 0);
    CHECK(stage.bench.out.find(" Cluster : demo\n") != std::string::npos);
}

TEST_CASE("status --check exits with 8 and names what is wrong") {
    Stage stage;
    stage.daemon.answers.status.set_quorum(true);
    CHECK(stage.bench.run({"status", "--check"}) == 0);
    auto& group = *stage.daemon.answers.status.add_groups();
    group.set_name("web");
    group.set_state("Offline");
    group.set_wanted(true);
    CHECK(stage.bench.run({"status", "--check"}) == 8);
    CHECK(stage.bench.err == "group web is Offline\n");
    group.set_wanted(false);
    CHECK(stage.bench.run({"status", "--check"}) == 0);
}

TEST_CASE("a watch without a terminal writes one JSON line for each status, until the daemon ends") {
    Stage stage;
    CHECK(stage.bench.run({"status", "--watch", "--json"}) == 7);
    const std::string& out = stage.bench.out;
    CHECK(std::count(out.begin(), out.end(), '\n') == 2);
}

TEST_CASE("a change is over when accepted, or with --wait when done; messages go to stderr") {
    Stage stage;
    stage.daemon.answers.progress = {accepted("group web moves from node1 to node2")};
    CHECK(stage.bench.run({"group", "move", "web", "--to", "node2"}) == 0);
    CHECK(stage.bench.out.empty());
    CHECK(stage.bench.err == "group web moves from node1 to node2\n");
    CHECK(stage.daemon.asked.group_move.group() == "web");
    CHECK(stage.daemon.asked.group_move.to_node() == "node2");
    CHECK_FALSE(stage.daemon.asked.group_move.options().wait());
    CHECK_FALSE(stage.daemon.asked.group_move.options().person().empty());

    stage.daemon.answers.progress = {accepted("group web moves"), step(), done("group web is Online on node2")};
    CHECK(stage.bench.run({"group", "move", "web", "--wait", "--timeout", "90s"}) == 0);
    CHECK(stage.bench.err ==
          "group web moves\n  node2: resource fip1: Online\ngroup web is Online on node2 (1.23 s)\n");
    CHECK(stage.daemon.asked.group_move.options().timeout_ms() == 90000);
}

TEST_CASE("a stream that ends before it is done is a failure, not a success") {
    Stage stage;
    stage.daemon.answers.progress = {accepted("group web moves"), step()};
    CHECK(stage.bench.run({"group", "move", "web", "--wait"}) == 1);
    stage.daemon.answers.progress = {};
    CHECK(stage.bench.run({"group", "move", "web"}) == 1);
}

TEST_CASE("a refusal keeps its code and its remedy") {
    Stage stage;
    for (const uint32_t code : {1U, 2U, 3U, 4U, 5U, 6U}) {
        stage.daemon.answers.progress = {refused(code)};
        CHECK(stage.bench.run({"group", "move", "webb"}) == static_cast<int>(code));
        CHECK(stage.bench.err == "kagami: group webb does not exist\n  kagami status lists the groups\n");
    }
    stage.daemon.answers.progress = {accepted("x"), refused(6)};
    CHECK(stage.bench.run({"group", "move", "web", "--wait"}) == 6);
    stage.daemon.answers.progress = {refused(0)};
    CHECK(stage.bench.run({"group", "move", "web"}) == 1);
    CHECK(stage.bench.run({"why", "nothing"}) == 3);
    CHECK(stage.bench.err == "kagami: nothing is named nothing\n");
}

TEST_CASE("a destructive verb without a terminal needs --yes, and asks nobody") {
    Stage stage;
    stage.daemon.answers.progress = {accepted("group web stops")};
    CHECK(stage.bench.run({"group", "stop", "web"}) == 2);
    CHECK(stage.bench.err.find("add --yes") != std::string::npos);
    CHECK(stage.daemon.asked.calls.empty());
    CHECK(stage.bench.run({"group", "stop", "web", "--yes"}) == 0);
    CHECK(stage.daemon.asked.calls == std::vector<std::string>{"GroupStop"});
}

TEST_CASE("a destructive verb shows the consequences of a dry run, then does what the person says") {
    Stage stage;
    pb::Progress would = accepted("group web would stop", true);
    would.mutable_accepted()->add_consequences("the service is away until it is started again");
    stage.daemon.answers.dry_run_progress = {would};
    stage.daemon.answers.progress = {accepted("group web stops")};
    CHECK(stage.bench.run_typing({"group", "stop", "web"}, "n\n") == 1);
    CHECK(
        stage.bench.err ==
        "group web would stop\n  - the service is away until it is started again\nGo on? [y/N] Nothing was changed.\n");
    CHECK(stage.daemon.asked.calls == std::vector<std::string>{"GroupStop dry"});
    CHECK(stage.bench.run_typing({"group", "stop", "web"}, "y\n") == 0);
    CHECK(stage.daemon.asked.calls == std::vector<std::string>{"GroupStop dry", "GroupStop dry", "GroupStop"});
    CHECK(stage.bench.run_typing({"group", "stop", "web"}, "") == 1);
}

TEST_CASE("where the daemon cannot try a command dry, its consequence is said in a sentence; other refusals end it") {
    Stage stage;
    stage.daemon.answers.dry_run_progress = {refused(2)};
    stage.daemon.answers.progress = {accepted("group web stops")};
    CHECK(stage.bench.run_typing({"group", "stop", "web"}, "y\n") == 0);
    CHECK(stage.bench.err ==
          "Group web stops; its service is away until the group is started again.\nGo on? [y/N] group web stops\n");
    stage.daemon.answers.dry_run_progress = {refused(3)};
    CHECK(stage.bench.run_typing({"group", "stop", "webb"}, "y\n") == 3);
}

TEST_CASE("a dry run asks nothing and changes nothing") {
    Stage stage;
    stage.daemon.answers.dry_run_progress = {accepted("node2 would shut down", true)};
    CHECK(stage.bench.run({"node", "shutdown", "node2", "--reboot", "--dry-run", "--wait"}) == 0);
    CHECK(stage.daemon.asked.calls == std::vector<std::string>{"NodeShutdown dry"});
    CHECK(stage.daemon.asked.node.reboot());
}

TEST_CASE("cluster start --now does not ask, --alone does, and each confirmed node is sent") {
    Stage stage;
    stage.daemon.answers.progress = {accepted("starts")};
    CHECK(stage.bench.run({"cluster", "start", "--now"}) == 0);
    CHECK(stage.daemon.asked.cluster_start.now());
    CHECK(stage.bench.run({"cluster", "start", "--alone", "--confirm-down", "node2"}) == 2);
    CHECK(stage.bench.run(
              {"cluster", "start", "--alone", "--confirm-down", "node2", "--confirm-down", "node3", "--yes"}) == 0);
    CHECK(stage.daemon.asked.cluster_start.alone());
    CHECK(stage.daemon.asked.cluster_start.confirm_down_size() == 2);
}

TEST_CASE("the token alone goes to stdout") {
    Stage stage;
    stage.daemon.answers.token.mutable_token()->set_text("KAGAMI-TOKEN");
    stage.daemon.answers.token.mutable_token()->set_node("node2");
    CHECK(stage.bench.run({"token", "node2", "--valid", "10min"}) == 0);
    CHECK(stage.bench.out == "KAGAMI-TOKEN\n");
    CHECK(stage.bench.err.find("KAGAMI-TOKEN") == std::string::npos);
    CHECK(stage.daemon.asked.token.valid_seconds() == 600);
    *stage.daemon.answers.token.mutable_refused() = refused(4).refused();
    CHECK(stage.bench.run({"token", "node2"}) == 4);
    CHECK(stage.bench.out.empty());
}

TEST_CASE("the log is filtered by the daemon and printed a line each") {
    Stage stage;
    pb::LogEntry entry;
    entry.set_message("is Online");
    entry.set_subject("group web");
    entry.set_level("INFO");
    stage.daemon.answers.log = {entry, entry};
    CHECK(stage.bench.run({"log", "web", "-n", "5", "--level", "WARN", "--since", "1h"}) == 0);
    CHECK(std::count(stage.bench.out.begin(), stage.bench.out.end(), '\n') == 2);
    CHECK(stage.daemon.asked.log.subject() == "web");
    CHECK(stage.daemon.asked.log.limit() == 5);
    CHECK(stage.daemon.asked.log.minimum_level() == "WARN");
    CHECK(stage.daemon.asked.log.since_unix_ms() > 0);
    CHECK(stage.bench.run({"log", "--json"}) == 0);
    CHECK(stage.bench.out.starts_with("{\"schema\":\"kagami.log/1\""));
}

TEST_CASE("config apply shows the changes, asks, and names the configuration that was looked at") {
    Stage stage;
    const std::string file = stage.bench.write("new/cluster.toml", kValidToml);
    auto& change = *stage.daemon.answers.check.add_changes();
    change.set_kind("changed");
    change.set_path("group.web.resource.fip1.address");
    change.set_old_text("10.0.0.1/24");
    change.set_new_text("10.0.0.2/24");
    change.set_restarts("group");
    change.set_restarts_name("web");
    stage.daemon.answers.check.set_hash("bb");
    stage.daemon.answers.check.set_in_force_hash("aa");
    stage.daemon.answers.progress = {accepted("configuration 4 is in force")};
    CHECK(stage.bench.run({"config", "apply", file, "--yes", "--without", "node2", "--comment", "why"}) == 0);
    CHECK(stage.bench.err ==
          "~ group.web.resource.fip1.address: 10.0.0.1/24 -> 10.0.0.2/24   (restarts group web)\nconfiguration 4 is in "
          "force\n");
    CHECK(stage.daemon.asked.apply.expected_hash() == "aa");
    CHECK(stage.daemon.asked.apply.bundle().text() == kValidToml);
    CHECK(stage.daemon.asked.apply.without(0) == "node2");
    stage.daemon.answers.check.set_in_force_hash("bb");
    stage.daemon.asked.calls.clear();
    CHECK(stage.bench.run({"config", "apply", file, "--yes"}) == 0);
    CHECK(stage.daemon.asked.calls.empty());
}

TEST_CASE("config apply stops at a problem that only the daemon sees") {
    Stage stage;
    auto& problem = *stage.daemon.answers.check.add_problems();
    problem.set_file("cluster.toml");
    problem.set_line(3);
    problem.set_column(1);
    problem.set_message("too new");
    CHECK(stage.bench.run({"config", "apply", stage.bench.write("new/cluster.toml", kValidToml), "--yes"}) == 2);
    CHECK(stage.bench.err == "cluster.toml:3:1: too new\nkagami: the daemon refuses this configuration\n");
    CHECK(stage.daemon.asked.calls.empty());
}

TEST_CASE("config show prints the person's text as it is") {
    Stage stage;
    stage.daemon.answers.config.mutable_bundle()->set_text(kValidToml);
    CHECK(stage.bench.run({"config", "show"}) == 0);
    CHECK(stage.bench.out == kValidToml);
}
