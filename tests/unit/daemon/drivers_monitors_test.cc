// What monitors get from the daemon beside their parameters: the states of others, and the word that they are off.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "cluster-daemon/runtime/daemon/drivers.h"
#include "common/host/fake_host.h"
#include "tests/support/wait_until.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

struct Bench {
    host::FakeHost fake;
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<engine::Event> events;
    Drivers drivers{fake.host, NodeId{1}, "/scripts", [this](engine::Event event) {
                        const std::lock_guard lock(mutex);
                        events.push_back(std::move(event));
                        arrived.notify_all();
                    }};

    Bench() {
        config::Bundle bundle = kagami::testing::sample_bundle();
        bundle.text += R"(
[[monitor]]
type = "genw"
name = "resident"
mode = "async"
[[monitor]]
type = "userw"
name = "late"
[[monitor]]
type = "mtw"
name = "both"
monitors = ["late", "nginx-alive"]
)";
        bundle.scripts["monitors/resident/genw.sh"] = "#!/bin/sh\nexec sleep 1000\n";
        auto parsed = parse_packed(*config::pack(bundle));
        REQUIRE(parsed);
        drivers.set_config(parsed);
    }
    engine::MonitorDone check(const engine::CheckMonitor& command) {
        drivers.check(command);
        std::unique_lock lock(mutex);
        REQUIRE(arrived.wait_for(lock, 10s, [this] { return !events.empty(); }));
        const auto done = std::get<engine::MonitorDone>(events.front());
        events.clear();
        return done;
    }
};

}  // namespace

TEST_CASE("a combining monitor sees what the engine has judged of the others") {
    Bench b;
    engine::CheckMonitor command;
    command.monitor = "both";
    command.timeout = 5s;
    command.others = {{"late", engine::MonitorState::kError}, {"nginx-alive", engine::MonitorState::kOffline}};
    const auto one = b.check(command);
    CHECK(one.state == engine::MonitorState::kCaution);
    CHECK(one.message == "1 of 2 monitors in error: late");
    command.others["nginx-alive"] = engine::MonitorState::kError;
    CHECK(b.check(command).state == engine::MonitorState::kError);
    command.others = {{"late", engine::MonitorState::kSuspended}, {"nginx-alive", engine::MonitorState::kUnknown}};
    CHECK(b.check(command).message == "0 of 2 monitors are running, none in error");
}

TEST_CASE("a monitor that is switched off ends its script, also when the configuration has lost it by then") {
    Bench b;
    std::atomic<bool> stopped = false;  // on a worker
    b.fake.scripts.program = [&](const host::ScriptRequest& request) {
        if (request.resource == "resident" && request.mark == host::Mark::kInactive) stopped = true;
        return host::ScriptResult{};
    };
    b.drivers.watch({"resident", true});
    engine::CheckMonitor command;
    command.monitor = "resident";
    command.timeout = 5s;
    CHECK(b.check(command).message == "genw.sh was started");
    b.drivers.set_config(kagami::testing::sample_config());
    CHECK(kagami::testing::wait_until([&] {
        b.drivers.watch({"resident", false});  // the word that it is on may still be on its way
        return stopped.load();
    }));
}
