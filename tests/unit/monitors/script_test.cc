// genw on a fake script helper.
#include "tests/unit/monitors/fixture.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

namespace {

struct Script : Bench {
    explicit Script(const testing::Texts& values = {}) : Bench("genw", values) {
        fake.scripts.program = [this](const host::ScriptRequest& request) {
            last = request;
            return answer;
        };
    }
    std::vector<int>& living() { return fake.scripts.living[{"checks", "watch"}]; }
    host::Started& started() { return fake.scripts.starts[{"checks", "watch"}]; }
    Result<host::ScriptResult> answer = host::ScriptResult{};
    host::ScriptRequest last;
};

}  // namespace

TEST_CASE("genw runs the stored script in a cgroup and with a log of its own") {
    Script genw(testing::Texts{{"script", {"check.sh"}}});
    CHECK(genw.health() == Health::kNormal);
    CHECK(genw.last.argv == std::vector<std::string>{"/var/lib/kagami/active/scripts/monitors/watch/check.sh"});
    CHECK(genw.last.group == "checks");
    CHECK(genw.last.resource == "watch");
    CHECK(genw.last.log_name == "monitors.watch");
    CHECK_FALSE(genw.last.background);
    CHECK(genw.last.environment.at("CLP_MONITORNAME") == "watch");
    CHECK_FALSE(genw.last.environment.contains("CLP_GROUPNAME"));
    genw.context.target_group = "web";
    genw.context.target_resource = "nginx";
    genw.context.values = testing::type_values(find("genw")->description, {{"script", {"/opt/app/check"}}});
    CHECK(genw.health() == Health::kNormal);
    CHECK(genw.last.argv == std::vector<std::string>{"/opt/app/check"});
    CHECK(genw.last.group == "checks");
    CHECK(genw.last.environment.at("CLP_GROUPNAME") == "web");
    CHECK(genw.last.environment.at("CLP_RESOURCENAME") == "nginx");
}

TEST_CASE("genw takes the exit status for its word, and the last line for its message") {
    Script genw(testing::Texts{{"script", {"check.sh"}}, {"normal", {"0", "3"}}, {"caution", {"4"}}});
    CHECK_THAT(genw.message(), Equals("check.sh ended with exit status 0"));
    genw.answer->last_output = "12 sessions";
    CHECK_THAT(genw.message(), Equals("12 sessions"));
    genw.answer->exit_code = 3;
    CHECK(genw.health() == Health::kNormal);
    genw.answer->exit_code = 4;
    CHECK(genw.health() == Health::kCaution);
    CHECK_THAT(genw.message(), Equals("12 sessions (check.sh ended with exit status 4)"));
    genw.answer->exit_code = 1;
    CHECK(genw.health() == Health::kError);
    genw.answer = host::ScriptResult{-1, 9, false, ""};
    CHECK(genw.health() == Health::kError);
    CHECK_THAT(genw.message(), Equals("check.sh was ended by signal 9"));
    Script no_zero(testing::Texts{{"normal", {"3"}}});
    CHECK(no_zero.health() == Health::kError);
}

TEST_CASE("genw leaves the helper time to end the script before its own time-out") {
    Script genw;
    genw.answer = host::ScriptResult{-1, 15, true, "waiting for lock"};
    const Error error = genw.error();
    CHECK(error.code == ErrorCode::kTimedOut);
    CHECK_THAT(error.message, Equals("waiting for lock (genw.sh did not end within 57.9 s)"));
    CHECK_THAT(error.remedy, Contains("/var/lib/kagami/log/monitors.watch.log"));
    CHECK(genw.fake.scripts.runs.at(0).deadline == genw.context.deadline - 2100ms);
    genw.context.deadline = genw.fake.time + 1s;
    CHECK(genw.error().code == ErrorCode::kTimedOut);
    CHECK(genw.fake.scripts.runs.at(1).deadline == genw.fake.time + 750ms);
    genw.context.deadline = genw.fake.time - 1s;
    CHECK(genw.error().code == ErrorCode::kTimedOut);
    CHECK(genw.fake.scripts.runs.at(2).deadline == genw.fake.time);
}

TEST_CASE("genw ends what a script leaves behind, and says so in the log") {
    Script genw;
    genw.living() = {77};
    CHECK(genw.health() == Health::kNormal);
    CHECK(genw.living().empty());
    CHECK_THAT(genw.fake.notes.at(0), Contains("monitor watch: genw.sh left 1 processes behind"));
    genw.living() = {78};
    genw.fake.scripts.kill_answer = fail("it waits in the kernel");
    CHECK(genw.health() == Health::kNormal);
    CHECK_THAT(genw.fake.notes.back(), Equals("monitor watch: it waits in the kernel"));
}

TEST_CASE("genw passes on what the helper refuses") {
    Script genw;
    genw.fake.scripts.broken = Error{ErrorCode::kUnreachable, "the script helper does not answer", ""};
    CHECK(genw.error().code == ErrorCode::kUnreachable);
    Script async(testing::Texts{{"mode", {"async"}}});
    async.fake.scripts.broken = genw.fake.scripts.broken;
    CHECK(async.error().code == ErrorCode::kUnreachable);
    CHECK_FALSE(async.monitor->stop(async.context));
}

TEST_CASE("genw async starts its script once, tells its end once, and starts it again") {
    Script genw(testing::Texts{{"script", {"watch.sh"}}, {"mode", {"async"}}});
    CHECK_THAT(genw.message(), Equals("watch.sh was started"));
    CHECK(genw.last.background);
    CHECK(genw.last.mark == host::Mark::kActive);
    CHECK(genw.fake.scripts.runs.size() == 1);
    genw.started() = {true, 42, false};
    genw.living() = {42};
    CHECK_THAT(genw.message(), Equals("process 42 of watch.sh is alive"));
    CHECK(genw.fake.scripts.runs.size() == 1);
    genw.living() = {};
    const Finding ended = genw.look();
    CHECK(ended.health == Health::kError);
    CHECK_THAT(ended.message, Contains("process 42 of watch.sh has ended; it was started again"));
    CHECK(genw.fake.scripts.runs.size() == 2);
}

TEST_CASE("genw async tells a script that ends at once, and stops with its monitor") {
    Script genw(testing::Texts{{"script", {"watch.sh"}}, {"mode", {"async"}}, {"stop_timeout", {"3s"}}});
    genw.answer = host::ScriptResult{2, 0, false, "no database"};
    CHECK(genw.health() == Health::kError);
    CHECK_THAT(genw.message(), Equals("no database (watch.sh ended at once with exit status 2)"));
    genw.answer = host::ScriptResult{-1, 11, false, ""};
    CHECK_THAT(genw.message(), Equals("watch.sh was ended at once by signal 11"));
    genw.started() = {true, 42, false};
    genw.living() = {42};
    genw.answer = host::ScriptResult{};
    REQUIRE(genw.monitor->stop(genw.context));
    CHECK(genw.fake.scripts.kill_deadlines.back() == genw.fake.time + 3s);
    CHECK(genw.last.mark == host::Mark::kInactive);
    CHECK_FALSE(genw.fake.scripts.starts.contains({"checks", "watch"}));
    Script sync;
    REQUIRE(sync.monitor->stop(sync.context));
    CHECK(sync.fake.scripts.kill_deadlines.empty());
}
