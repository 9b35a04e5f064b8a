#include "cluster-daemon/runtime/daemon/clp_environment.h"

#include <catch2/catch.hpp>

#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

const OsRelease kDebian{"Debian GNU/Linux", "12"};

template <typename Command>
Environment environment_on(NodeId self, Command command) {
    const auto config = kagami::testing::sample_config();
    command.group = "web";
    command.resource = "nginx";
    return clp_environment(ScriptScene{*config, self, "/scripts", kDebian}, *config->group("web"), command);
}

}  // namespace

TEST_CASE("a start script learns why and where it runs") {
    engine::RunResource start;
    start.action = engine::ResourceAction::kActivate;
    auto home = environment_on(NodeId{1}, start);
    CHECK(home["CLP_EVENT"] == "START");
    CHECK(home["CLP_SERVER"] == "HOME");
    CHECK(home["CLP_PRIORITY"] == "1");
    CHECK(home["CLP_DISK"] == "SUCCESS");
    CHECK(home["CLP_GROUPNAME"] == "web");
    CHECK(home["CLP_RESOURCENAME"] == "nginx");
    CHECK(home["CLP_SCRIPT_PATH"] == "/scripts/web/nginx");
    CHECK_FALSE(home.contains("CLP_SERVER_PREV"));
    CHECK_FALSE(home.contains("CLP_FACTOR"));
    CHECK_FALSE(home.contains("CLP_TIMING"));

    start.failover = true;
    start.previous = NodeId{1};
    start.disk_failed = true;
    auto other = environment_on(NodeId{2}, start);
    CHECK(other["CLP_EVENT"] == "FAILOVER");
    CHECK(other["CLP_SERVER"] == "OTHER");
    CHECK(other["CLP_PRIORITY"] == "2");
    CHECK(other["CLP_SERVER_PREV"] == "node1");
    CHECK(other["CLP_DISK"] == "FAILURE");
}

TEST_CASE("a script learns what it runs on") {
    auto all = environment_on(NodeId{1}, engine::RunResource{});
    CHECK(all["CLP_OSNAME"] == "Debian GNU/Linux");
    CHECK(all["CLP_OSVER"] == "12");
    CHECK(all["CLP_PATH"] == "/usr");
    CHECK(all["CLP_VERSION_FULL"] == KAGAMI_VERSION);
    CHECK(all["CLP_VERSION_FULL"].starts_with(all["CLP_VERSION_MAJOR"] + "."));
    CHECK(all["LANG"] == "C.UTF-8");
}

TEST_CASE("os-release is read with and without quotes, and what it does not say stays as it was") {
    const OsRelease debian = parse_os_release("PRETTY_NAME=\"Debian 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n");
    CHECK(debian.name == "Debian GNU/Linux");
    CHECK(debian.version == "12");
    CHECK(parse_os_release("NAME=Fedora\nVERSION_ID='40'").version == "40");
    CHECK(parse_os_release("").name == "Linux");
    CHECK(parse_os_release("NAME=\"").name == "\"");
}

TEST_CASE("a stop script learns the factor, how the service was started, and what the operating system does next") {
    using engine::StopReason;
    const std::vector<std::pair<StopReason, std::string>> factors = {
        {StopReason::kGroupStop, "GROUPSTOP"},           {StopReason::kGroupMove, "GROUPMOVE"},
        {StopReason::kGroupFailover, "GROUPFAILOVER"},   {StopReason::kServerShutdown, "SERVERSHUTDOWN"},
        {StopReason::kClusterShutdown, "CLUSTERSHUTDOWN"}, {StopReason::kResourceRestart, "RESOURCERESTART"},
        {StopReason::kGroupRestart, "GROUPRESTART"}};
    for (const auto& [reason, word] : factors) {
        engine::RunResource stop;
        stop.action = engine::ResourceAction::kDeactivate;
        stop.stop_reason = reason;
        CHECK(environment_on(NodeId{1}, stop)["CLP_FACTOR"] == word);
        CHECK(environment_on(NodeId{1}, stop)["CLP_EVENT"] == "START");
        stop.failover = true;
        CHECK(environment_on(NodeId{1}, stop)["CLP_EVENT"] == "FAILOVER");
    }
    const std::vector<std::pair<uint8_t, std::string>> actions = {{0, "NONE"}, {1, "HALT"}, {2, "REBOOT"}};
    for (const auto& [number, word] : actions) {
        engine::RunResource stop;
        stop.action = engine::ResourceAction::kDeactivate;
        stop.last_action = number;
        CHECK(environment_on(NodeId{1}, stop)["CLP_LASTACTION"] == word);
    }
}

TEST_CASE("a script around a step learns its moment and what its step learns") {
    using engine::ScriptMoment;
    const std::vector<std::tuple<ScriptMoment, bool, std::string>> moments = {
        {ScriptMoment::kBeforeActivation, false, "PRESTART"}, {ScriptMoment::kAfterActivation, false, "POSTSTART"},
        {ScriptMoment::kBeforeDeactivation, true, "PRESTOP"}, {ScriptMoment::kAfterDeactivation, true, "POSTSTOP"},
        {ScriptMoment::kBeforeFinal, false, "START"},         {ScriptMoment::kBeforeFinal, true, "STOP"}};
    for (const auto& [moment, deactivating, word] : moments) {
        engine::RunResourceScript script;
        script.moment = moment;
        script.deactivating = deactivating;
        script.stop_reason = engine::StopReason::kServerShutdown;
        script.last_action = 2;
        auto all = environment_on(NodeId{1}, script);
        CHECK(all["CLP_TIMING"] == word);
        CHECK(all["CLP_RESOURCENAME"] == "nginx");
        CHECK(all.contains("CLP_FACTOR") == deactivating);
        if (deactivating) CHECK(all["CLP_LASTACTION"] == "REBOOT");
    }
}

TEST_CASE("a recovery script learns its monitor, the step that follows it, and the counts so far") {
    using engine::RecoveryMoment;
    const auto config = kagami::testing::sample_config();
    const std::vector<std::pair<RecoveryMoment, std::string>> moments = {{RecoveryMoment::kRecovery, "RECOVERY"},
                                                                         {RecoveryMoment::kRestart, "RESTART"},
                                                                         {RecoveryMoment::kFailover, "FAILOVER"},
                                                                         {RecoveryMoment::kFinalAction, "FINALACTION"}};
    for (const auto& [moment, word] : moments) {
        engine::RunRecoveryScript script;
        script.monitor = "nginx-alive";
        script.count = 3;
        script.moment = moment;
        script.restarts = 2;
        script.failovers = 1;
        auto all = clp_environment(ScriptScene{*config, NodeId{1}, "/scripts", kDebian}, *config->monitor("nginx-alive"),
                                   script);
        CHECK(all["CLP_ACTION"] == word);
        CHECK(all["CLP_MONITORNAME"] == "nginx-alive");
        CHECK(all["CLP_RECOVERYCOUNT"] == "3");
        CHECK(all["CLP_RESTARTCOUNT"] == "2");
        CHECK(all["CLP_FAILOVERCOUNT"] == "1");
        CHECK(all["CLP_SCRIPT_PATH"] == "/scripts/monitors/nginx-alive");
        CHECK(all["CLP_GROUPNAME"] == "web");
        CHECK(all["CLP_RESOURCENAME"] == "nginx");
    }
}
