#include "cluster-daemon/runtime/daemon/clp_environment.h"

#include <catch2/catch.hpp>

#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

std::map<std::string, std::string> environment_on(NodeId self, engine::RunResource command) {
    const auto config = kagami::testing::sample_config();
    command.group = "web";
    command.resource = "nginx";
    return clp_environment(*config, *config->group("web"), self, command, "/scripts");
}

}  // namespace

TEST_CASE("a start script learns why and where it runs") {
    engine::RunResource start;
    start.action = engine::ResourceAction::kActivate;
    auto home = environment_on(NodeId{1}, start);
    CHECK(home["CLP_EVENT"] == "START");
    CHECK(home["CLP_SERVER"] == "HOME");
    CHECK(home["CLP_PRIORITY"] == "1");
    CHECK(home["CLP_GROUPNAME"] == "web");
    CHECK(home["CLP_RESOURCENAME"] == "nginx");
    CHECK(home["CLP_SCRIPT_PATH"] == "/scripts/web/nginx");
    CHECK_FALSE(home.contains("CLP_SERVER_PREV"));
    CHECK_FALSE(home.contains("CLP_FACTOR"));

    start.failover = true;
    start.previous = NodeId{1};
    auto other = environment_on(NodeId{2}, start);
    CHECK(other["CLP_EVENT"] == "FAILOVER");
    CHECK(other["CLP_SERVER"] == "OTHER");
    CHECK(other["CLP_PRIORITY"] == "2");
    CHECK(other["CLP_SERVER_PREV"] == "node1");
}

TEST_CASE("a stop script learns the factor and what the operating system does next") {
    using engine::StopReason;
    const std::vector<std::pair<StopReason, std::string>> factors = {
        {StopReason::kGroupStop, "GROUPSTOP"},           {StopReason::kGroupMove, "GROUPMOVE"},
        {StopReason::kGroupFailover, "GROUPFAILOVER"},   {StopReason::kServerShutdown, "SERVERSHUTDOWN"},
        {StopReason::kClusterShutdown, "CLUSTERSHUTDOWN"}, {StopReason::kResourceRestart, "RESOURCERESTART"}};
    for (const auto& [reason, word] : factors) {
        engine::RunResource stop;
        stop.action = engine::ResourceAction::kDeactivate;
        stop.stop_reason = reason;
        CHECK(environment_on(NodeId{1}, stop)["CLP_FACTOR"] == word);
    }
    const std::vector<std::pair<uint8_t, std::string>> actions = {{0, "NONE"}, {1, "HALT"}, {2, "REBOOT"}};
    for (const auto& [number, word] : actions) {
        engine::RunResource stop;
        stop.action = engine::ResourceAction::kDeactivate;
        stop.last_action = number;
        CHECK(environment_on(NodeId{1}, stop)["CLP_LASTACTION"] == word);
    }
}
