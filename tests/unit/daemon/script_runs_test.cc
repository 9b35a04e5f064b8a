#include "cluster-daemon/runtime/daemon/script_runs.h"

#include <catch2/catch.hpp>

#include "common/host/fake_host.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

// The sample with scripts around the steps of both resources.
struct Bench {
    host::FakeHost fake;
    std::shared_ptr<const config::Config> config;

    Bench() {
        auto made = std::make_shared<config::Config>(*kagami::testing::sample_config());
        for (config::Resource& resource : made->groups[0].resources)
            resource.scripts = {"before.sh", "/opt/after", "prestop.sh", "poststop.sh", "final.sh", 30s};
        config = made;
        fake.network.networks["10.0.1.100"] = "eth0";
    }
    template <typename Command>
    engine::ScriptDone run(const Command& command) {
        return run_script(fake.host, ScriptScene{*config, NodeId{1}, "/scripts", {}}, command);
    }
    engine::ScriptDone run(const std::string& resource, engine::ScriptMoment moment) {
        engine::RunResourceScript command;
        command.operation = 5;
        command.group = "web";
        command.resource = resource;
        command.moment = moment;
        command.timeout = 30s;
        return run(command);
    }
};

using engine::ScriptMoment;

}  // namespace

TEST_CASE("a script around a step runs in the cgroup of its resource, stored with the configuration or anywhere") {
    Bench b;
    const auto done = b.run("nginx", ScriptMoment::kBeforeActivation);
    CHECK(done.ok);
    CHECK(done.operation == 5);
    REQUIRE(b.fake.scripts.runs.size() == 1);
    const host::ScriptRequest& request = b.fake.scripts.runs[0].request;
    CHECK(request.group == "web");
    CHECK(request.resource == "nginx");
    CHECK(request.argv == std::vector<std::string>{"/scripts/web/nginx/before.sh"});
    CHECK(request.mark == host::Mark::kKeep);  // says nothing about the service
    CHECK(request.environment.at("CLP_TIMING") == "PRESTART");
    b.run("nginx", ScriptMoment::kAfterActivation);
    CHECK(b.fake.scripts.runs[1].request.argv == std::vector<std::string>{"/opt/after"});
}

TEST_CASE("how a script ended badly is told") {
    Bench b;
    b.fake.scripts.program = [](const host::ScriptRequest&) {
        host::ScriptResult result;
        result.exit_code = 3;
        result.last_output = "no licence";
        return result;
    };
    CHECK(b.run("nginx", ScriptMoment::kBeforeActivation).message ==
          "/scripts/web/nginx/before.sh ended with 3: \"no licence\"");
    b.fake.scripts.program = [](const host::ScriptRequest&) {
        host::ScriptResult result;
        result.timed_out = true;
        return result;
    };
    CHECK(b.run("nginx", ScriptMoment::kBeforeActivation).message ==
          "/scripts/web/nginx/before.sh did not end within 30 s");
    b.fake.scripts.program = [](const host::ScriptRequest&) {
        host::ScriptResult result;
        result.exit_code = -1;
        result.signal = 9;
        return result;
    };
    CHECK(b.run("nginx", ScriptMoment::kBeforeActivation).message == "/scripts/web/nginx/before.sh was ended by signal 9");
}

TEST_CASE("what the configuration in force has no more is answered, not run") {
    Bench b;
    CHECK_FALSE(b.run("postgres", ScriptMoment::kBeforeActivation).ok);
    engine::RunRecoveryScript recovery;
    recovery.monitor = "gone";
    CHECK(b.run(recovery).message == "monitor gone is not in the configuration in force");
    auto without = std::make_shared<config::Config>(*b.config);
    without->groups[0].resources[1].scripts = {};
    b.config = without;
    CHECK(b.run("nginx", ScriptMoment::kBeforeActivation).ok);  // the step need not wait for what was removed
    CHECK(b.fake.scripts.runs.empty());
}

TEST_CASE("what a script leaves behind ends with it, except beside a service that lives in the same cgroup") {
    Bench b;
    b.run("nginx", ScriptMoment::kAfterActivation);
    CHECK(b.fake.scripts.kill_deadlines.size() == 0);
    b.run("nginx", ScriptMoment::kBeforeFinal);
    CHECK(b.fake.scripts.kill_deadlines.size() == 0);
    b.run("nginx", ScriptMoment::kAfterDeactivation);
    CHECK(b.fake.scripts.kill_deadlines.size() == 1);
    b.run("fip1", ScriptMoment::kAfterActivation);
    CHECK(b.fake.scripts.kill_deadlines.size() == 2);
}

TEST_CASE("a recovery script runs within its own time-out") {
    Bench b;
    engine::RunRecoveryScript recovery;
    recovery.monitor = "nginx-alive";
    recovery.moment = engine::RecoveryMoment::kRestart;
    recovery.timeout = 7s;
    CHECK(b.run(recovery).ok);
    REQUIRE(b.fake.scripts.runs.size() == 1);
    CHECK(b.fake.scripts.runs[0].deadline == b.fake.host.now() + 7s);
    CHECK(b.fake.scripts.runs[0].request.environment.at("CLP_ACTION") == "RESTART");
}
