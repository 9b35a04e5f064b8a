#include "tests/unit/resources/resource_fixture.h"

using namespace kagami;
using namespace kagami::resources;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;
using host::ScriptResult;

namespace {

struct ExecFixture : ResourceFixture {
    explicit ExecFixture(const testing::Texts& values = {}) : ResourceFixture("exec", values) {}
    void program_ends(ScriptResult result) {
        fake.scripts.program = [result](const auto&) { return result; };
    }
    std::vector<int>& living() { return fake.scripts.living[{"web", "nginx"}]; }
    void started_with(std::vector<int> processes) {
        living() = std::move(processes);
        REQUIRE(resource->activate(context));
    }
};

}  // namespace

TEST_CASE("activation runs the stored start script with the environment it was given and its own time-out") {
    ExecFixture exec;
    REQUIRE(exec.resource->activate(exec.context));
    REQUIRE(exec.fake.scripts.runs.size() == 1);
    const auto& [request, deadline] = exec.fake.scripts.runs[0];
    CHECK(request.argv == std::vector<std::string>{"/var/lib/kagami/active/scripts/web/nginx/start.sh"});
    CHECK(request.environment == exec.context.environment);
    CHECK(request.group == "web");
    CHECK(request.resource == "nginx");
    CHECK(request.log_name == "web.nginx");
    CHECK_FALSE(request.background);
    CHECK(deadline == exec.fake.time + 60s);
}

TEST_CASE("an absolute path is used as it is, async starts in the background, the context's deadline is kept") {
    ExecFixture exec(
        testing::Texts{{"start", {"/opt/app/run"}}, {"start_mode", {"async"}}, {"start_timeout", {"10min"}}});
    REQUIRE(exec.resource->activate(exec.context));
    const auto& [request, deadline] = exec.fake.scripts.runs.at(0);
    CHECK(request.argv[0] == "/opt/app/run");
    CHECK(request.background);
    CHECK(deadline == exec.context.deadline);
}

TEST_CASE("a start that fails tells how, its last line and where to look") {
    ExecFixture exec;
    exec.program_ends({3, 0, false, "bind: address in use"});
    CHECK_THAT(exec.activation_error(), Equals("web.nginx: /var/lib/kagami/active/scripts/web/nginx/start.sh failed "
                                               "with exit status 3: \"bind: address in use\" | "
                                               "look into /var/lib/kagami/log/web.nginx.log"));
    exec.program_ends({-1, 11, false, ""});
    CHECK_THAT(exec.activation_error(), Contains("was ended by signal 11 |"));
    exec.program_ends({-1, 15, true, ""});
    CHECK_THAT(exec.activation_error(), Contains("did not end within 60 s |"));
    CHECK(exec.resource->activate(exec.context).error().code == ErrorCode::kTimedOut);
    exec.fake.scripts.broken = Error{ErrorCode::kNotFound, "/x/start.sh: does not exist", "put it there"};
    CHECK_THAT(exec.activation_error(), Equals("/x/start.sh: does not exist | put it there"));
}

TEST_CASE("deactivation runs the stop script and then empties the cgroup, also when the script fails") {
    ExecFixture exec;
    exec.started_with({11, 12});
    CHECK(exec.deactivation_error() == "");
    CHECK(exec.fake.scripts.runs.back().request.argv[0] == "/var/lib/kagami/active/scripts/web/nginx/stop.sh");
    CHECK(exec.fake.scripts.runs.back().deadline == exec.fake.time + 60s);
    CHECK(exec.fake.scripts.kill_deadlines == std::vector{exec.context.deadline});
    CHECK(exec.living().empty());

    exec.started_with({11, 12});
    exec.program_ends({1, 0, false, "cannot connect"});
    CHECK_THAT(
        exec.deactivation_error(),
        Contains("stop.sh failed with exit status 1: \"cannot connect\"; 2 processes that it left have been killed") &&
            Contains("make sure by hand that the service is stopped"));
    CHECK(exec.living().empty());
}

TEST_CASE("time is kept for emptying the cgroup") {
    ExecFixture exec;
    exec.context.deadline = exec.fake.time + 8s;
    REQUIRE(exec.resource->deactivate(exec.context));
    CHECK(exec.fake.scripts.runs.back().deadline == exec.fake.time + 6s);
    exec.context.deadline = exec.fake.time + 40s;
    REQUIRE(exec.resource->deactivate(exec.context));
    CHECK(exec.fake.scripts.runs.back().deadline == exec.fake.time + 35s);
}

TEST_CASE("processes that do not end are a deactivation failure even if the stop script succeeded") {
    ExecFixture exec;
    exec.started_with({11});
    exec.fake.scripts.kill_answer = fail(ErrorCode::kTimedOut, "web.nginx: 1 processes do not end: 11 (nginx)");
    CHECK_THAT(exec.deactivation_error(), Contains("1 processes do not end"));
}

TEST_CASE("a stop script may fail when the service had ended by itself, but not when the service may live elsewhere") {
    ExecFixture exec;
    exec.started_with({11});
    exec.living().clear();
    exec.program_ends({1, 0, false, "no such process"});
    CHECK(exec.deactivation_error() == "");

    exec.program_ends({});
    exec.started_with({});
    exec.program_ends({1, 0, false, "container does not stop"});
    CHECK_THAT(exec.deactivation_error(), Contains("container does not stop"));

    ExecFixture never_started;
    never_started.program_ends({1, 0, false, ""});
    CHECK_THAT(never_started.deactivation_error(), Contains("failed with exit status 1"));
}

TEST_CASE("the result of an asynchronous stop does not matter") {
    ExecFixture exec(testing::Texts{{"stop_mode", {"async"}}});
    exec.started_with({11});
    exec.program_ends({-1, 15, true, ""});
    CHECK(exec.deactivation_error() == "");
    CHECK(exec.living().empty());
}

TEST_CASE("a probe tells active, partial and inactive") {
    ExecFixture exec;
    const auto probe = [&] { return exec.resource->probe(exec.context).value(); };
    CHECK(probe() == Probe::kInactive);
    exec.living() = {11, 12};
    CHECK(probe() == Probe::kPartial);
    exec.started_with({11, 12});
    CHECK(probe() == Probe::kActive);
    exec.living() = {12};
    CHECK(probe() == Probe::kPartial);
    exec.living() = {};
    CHECK(probe() == Probe::kInactive);
    exec.started_with({});
    CHECK(probe() == Probe::kActive);
    REQUIRE(exec.resource->deactivate(exec.context));
    CHECK(probe() == Probe::kInactive);
    exec.fake.scripts.broken = Error{};
    CHECK_FALSE(exec.resource->probe(exec.context));
}

TEST_CASE("the guard covers the cgroup") {
    CHECK(ExecFixture().resource->footprint(Context{})->cgroup);
}

TEST_CASE("the guard covers the units that the service was handed to") {
    ExecFixture exec(testing::Texts{{"units", {"nginx.service", "machine.slice/libpod-web.scope"}}});
    const auto covered = exec.resource->footprint(exec.context);
    REQUIRE(covered);
    CHECK(covered->units == std::vector<std::string>{"system.slice/nginx.service", "machine.slice/libpod-web.scope"});
    CHECK(ExecFixture().resource->footprint(ExecFixture().context)->units.empty());
}

TEST_CASE("what is no unit and no cgroup is refused") {
    const auto& parameters = find("exec")->description.parameters;
    const auto units = std::find_if(parameters.begin(), parameters.end(), [](const auto& p) { return p.name == "units"; });
    REQUIRE(units != parameters.end());
    for (const char* good : {"nginx.service", "machine.slice/libpod-web.scope"}) CHECK(units->check(good));
    for (const std::string& bad : {std::string(), std::string("nginx"), std::string("/sys/fs/cgroup/x.service"),
                                   std::string("../x.service"), std::string("a.slice//b.service"),
                                   std::string("a.slice/"), std::string(130, 'x') + ".service"}) {
        INFO(bad);
        CHECK_FALSE(units->check(bad));
    }
}
