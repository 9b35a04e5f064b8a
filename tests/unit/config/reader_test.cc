#include "common/config/reader.h"

#include <catch2/catch.hpp>

#include "tests/unit/config/sample.h"

using namespace kagami;
using namespace kagami::config;

namespace {
constexpr NodeId kFirst{1};
constexpr NodeId kSecond{2};
}  // namespace

TEST_CASE("a valid file gives the configuration with every default") {
    const Config config = sample_config();
    CHECK(config.cluster_name == "demo");
    CHECK(config.timing == TimingInputs{2s, 5s, 1s, 0s});
    CHECK(config.startup_wait == Duration(5min));
    CHECK(config.auto_return);
    CHECK(config.failovers_per_hour == 20);
    REQUIRE(config.networks.size() == 2);
    CHECK(config.networks[0].name == "net1");
    CHECK((config.networks[0].control && config.networks[0].heartbeat && !config.networks[0].mirror));
    REQUIRE(config.nodes.size() == 2);
    CHECK(config.node("node2")->id == kSecond);
    CHECK(config.node(kFirst)->address.at("net2") == "10.77.2.1");
    CHECK(config.node_name(kSecond) == "node2");
    CHECK(config.node_name(kWitnessId) == "witness");
    CHECK(config.arbitration.option == ArbitrationOption::kWitness);
    CHECK(config.arbitration.witness_address == std::map<std::string, std::string>{{"", "10.77.1.9"}});
    REQUIRE(config.group("web") != nullptr);
    const Group& web = *config.group("web");
    CHECK(web.nodes == std::vector{kFirst, kSecond});
    CHECK((web.start == StartAttribute::kAuto && web.failover == FailoverAttribute::kAuto && !web.failback));
    CHECK(web.exclusion == ExclusionKind::kData);
    REQUIRE(web.resources.size() == 2);
    CHECK(web.resources[0].activate_timeout == Duration(60s));
    CHECK(web.resources[0].values.at(kSecond).integer("announcements") == 5);
    CHECK(web.resources[1].on_activation_failure.failover == 1);
    CHECK(web.resources[1].on_activation_failure.final == FinalAction::kStay);
    CHECK(web.resources[1].on_deactivation_failure.final == FinalAction::kStopAndShutdown);
}

TEST_CASE("a resource comes after others by its type, unless it says otherwise") {
    CHECK(sample_config().groups[0].resources[1].after == std::vector<std::string>{"fip1"});
    CHECK(sample_config(sample_with("start_timeout = \"60s\"", "after = []")).groups[0].resources[1].after.empty());
    CHECK(sample_config(sample_with("start_timeout = \"60s\"", "after = [\"fip1\"]"))
              .groups[0]
              .resources[1]
              .after.size() == 1);
}

TEST_CASE("time-outs of a type with scripts leave the driver a margin around the script") {
    const Config config = sample_config();
    const Resource& nginx = config.groups[0].resources[1];
    CHECK(nginx.activate_timeout == Duration(70s));
    CHECK(nginx.deactivate_timeout == Duration(30min + 10s));
    const Config explicit_one = sample_config(sample_with("start_timeout = \"60s\"", "activate_timeout = \"5s\""));
    CHECK(explicit_one.groups[0].resources[1].activate_timeout == Duration(5s));
}

TEST_CASE("a monitor with a target runs while it is active and recovers the target's group") {
    const Config config = sample_config();
    const Monitor& alive = config.monitors.at(0);
    CHECK(alive.target == "nginx");
    CHECK(alive.target_group == "web");
    CHECK(alive.only_while_active);
    CHECK(alive.interval == Duration(60s));
    CHECK((alive.on_error.restart == 3 && alive.on_error.failover == 1 && alive.on_error.final == FinalAction::kNone));
    CHECK(alive.values.size() == 2);
    const Config with_userw =
        sample_config(kSample + "[[monitor]]\ntype = \"userw\"\nname = \"userw\"\ninterval = \"3s\"\n");
    CHECK_FALSE(with_userw.monitors[1].only_while_active);
    CHECK(with_userw.monitors[1].target_group.empty());
    CHECK(with_userw.monitors[1].interval == Duration(3s));
}

TEST_CASE("any parameter can differ per node") {
    const Config config = sample_config(sample_with(
        "address = \"10.77.1.100/24\"", "address = \"10.77.1.100/24\"\nnode.node2 = { interface = \"eth9\" }"));
    const Resource& fip = config.groups[0].resources[0];
    CHECK_FALSE(fip.values.at(kFirst).has("interface"));
    CHECK(fip.values.at(kSecond).text("interface") == "eth9");
    CHECK(fip.values.at(kSecond).text("address") == "10.77.1.100/24");
}

TEST_CASE("a required parameter may be given for each node alone") {
    const std::string each =
        "node.node1 = { address = \"10.77.1.100/24\" }\nnode.node2 = { address = \"10.77.1.101/24\" }";
    const Config config = sample_config(sample_with("address = \"10.77.1.100/24\"", each));
    CHECK(config.groups[0].resources[0].values.at(kSecond).text("address") == "10.77.1.101/24");
}

TEST_CASE("each profile is the row of the protocol's table, and explicit values go first") {
    const auto timing = [](const std::string& line) {
        return sample_config(sample_with("profile = \"lan\"", line)).timing;
    };
    CHECK(timing("profile = \"test\"") == TimingInputs{300ms, 200ms, 100ms, 0s});
    CHECK(timing("profile = \"fast\"") == TimingInputs{500ms, 2s, 1s, 0s});
    CHECK(timing("profile = \"vm\"") == TimingInputs{8s, 10s, 1s, 0s});
    CHECK(timing("profile = \"san\"") == TimingInputs{80s, 60s, 1s, 5s});
    CHECK(timing("") == TimingInputs{2s, 5s, 1s, 0s});
    CHECK(timing("lease = \"3s\"\nwatchdog = \"7s\"") == TimingInputs{3s, 7s, 1s, 0s});
}

TEST_CASE("arbitration defaults to the witness when one is listed and to the tie otherwise") {
    CHECK(sample_config(sample_with("option = \"witness\"\n", "")).arbitration.option == ArbitrationOption::kWitness);
    const std::string table =
        "[arbitration]\noption = \"witness\"\nwitness = [{ kind = \"server\", address = \"10.77.1.9\" }]\n";
    CHECK(sample_config(sample_with(table, "")).arbitration.option == ArbitrationOption::kTie);
    CHECK(sample_config(sample_with(table, "[arbitration]\noption = \"manual\"\n")).arbitration.option ==
          ArbitrationOption::kManual);
}

TEST_CASE("the witness can have an address on each network") {
    const Config config = sample_config(
        sample_with("address = \"10.77.1.9\"", "address = { net1 = \"10.77.1.9\", net2 = \"10.77.2.9\" }"));
    CHECK(config.arbitration.witness_address ==
          std::map<std::string, std::string>{{"net1", "10.77.1.9"}, {"net2", "10.77.2.9"}});
}

TEST_CASE("addresses are kept in their canonical form") {
    const Config config = sample_config(sample_with("address = \"10.77.1.9\"", "address = \"FD00:0::0009\""));
    CHECK(config.arbitration.witness_address.at("") == "fd00::9");
}

TEST_CASE("a network only for mirrors needs no address of every node") {
    const Config config =
        sample_config(sample_with("[[node]]\nname = \"node1\"",
                                  "[[network]]\nname = \"mirror\"\nuse = [\"mirror\"]\n[[node]]\nname = \"node1\""));
    CHECK((config.networks[2].mirror && !config.networks[2].control && !config.networks[2].heartbeat));
}

TEST_CASE("without nodes a group may run on every node") {
    CHECK(sample_config(sample_with("nodes = [\"node1\", \"node2\"]\n", "")).groups[0].nodes.size() == 2);
}

TEST_CASE("scripts around the steps of a resource are stored with the configuration, too, or named by a path") {
    const std::set<std::string> stored = {"web/nginx/start.sh", "web/nginx/stop.sh"};
    const std::string text =
        sample_with("start_timeout = \"60s\"", "scripts = { before_activation = \"check.sh\", before_final = \"/opt/tell\" }");
    const Parsed parsed = parse(text, "cluster.toml", sample_types(), &stored);
    REQUIRE(parsed.problems.size() == 1);
    CHECK(to_string(parsed.problems[0]).find("the script web/nginx/check.sh is not stored with the configuration") !=
          std::string::npos);
}

TEST_CASE("stored scripts are looked for only when their names are known") {
    const std::set<std::string> stored = {"web/nginx/start.sh", "web/nginx/stop.sh"};
    CHECK(parse(kSample, "cluster.toml", sample_types(), &stored).config);
    const std::set<std::string> without_stop = {"web/nginx/start.sh"};
    const Parsed parsed = parse(kSample, "cluster.toml", sample_types(), &without_stop);
    REQUIRE(parsed.problems.size() == 1);
    CHECK(to_string(parsed.problems[0]) ==
          "cluster.toml:24:1: resource nginx: the script web/nginx/stop.sh is not stored with the configuration; put "
          "it at "
          "scripts/web/nginx/stop.sh beside cluster.toml, or name it by an absolute path");
    CHECK(parse(sample_with("start_timeout = \"60s\"", "stop = \"/opt/stop\""), "cluster.toml", sample_types(),
                &without_stop)
              .config);
}
