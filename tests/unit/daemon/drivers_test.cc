#include "cluster-daemon/runtime/daemon/drivers.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "common/host/fake_host.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

// Drivers on a fake machine; next<T>() waits for the event that a command ends with.
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

    Bench() { drivers.set_config(kagami::testing::sample_config()); }

    template <typename Wanted>
    Wanted next() {
        std::unique_lock lock(mutex);
        REQUIRE(arrived.wait_for(lock, 10s, [this] { return !events.empty(); }));
        Wanted wanted = std::get<Wanted>(events.front());
        events.erase(events.begin());
        return wanted;
    }
    engine::ResourceDone run(engine::ResourceAction action, const std::string& resource) {
        engine::RunResource command;
        command.operation = 7;
        command.group = "web";
        command.resource = resource;
        command.action = action;
        command.timeout = 5s;
        drivers.run(command);
        return next<engine::ResourceDone>();
    }
};

}  // namespace

TEST_CASE("nothing is activated that the guard does not cover, and the reason is told") {
    Bench b;
    b.drivers.set_guard_check([](const std::string&) { return std::optional<std::string>("the guard cannot cover resource fip1"); });
    const auto done = b.run(engine::ResourceAction::kActivate, "nginx");
    CHECK_FALSE(done.ok);
    CHECK(done.operation == 7);
    CHECK(done.message == "resource nginx is not activated: the guard cannot cover resource fip1");
    CHECK(b.fake.scripts.runs.empty());
    b.drivers.set_guard_check([](const std::string&) { return std::optional<std::string>(); });
    CHECK(b.run(engine::ResourceAction::kActivate, "nginx").ok);
    CHECK(b.fake.scripts.runs.size() == 1);
}

TEST_CASE("a resource that the configuration in force does not have is answered, not run") {
    Bench b;
    const auto done = b.run(engine::ResourceAction::kActivate, "postgres");
    CHECK_FALSE(done.ok);
    CHECK(done.message == "resource postgres of group web is not in the configuration in force");
}

TEST_CASE("a recovery script runs in the cgroup of what it recovers, so that the guard covers all that it starts") {
    Bench b;
    b.drivers.run_script({3, "nginx-alive", 1});
    CHECK(b.next<engine::ScriptDone>().ok);
    REQUIRE(b.fake.scripts.runs.size() == 1);
    CHECK(b.fake.scripts.runs[0].request.group == "web");
    CHECK(b.fake.scripts.runs[0].request.resource == "nginx");
    CHECK(b.fake.scripts.runs[0].request.argv == std::vector<std::string>{"/scripts/monitors/nginx-alive/recovery.sh"});
}

TEST_CASE("a footprint with an address that has no interface now is an error, never a smaller footprint") {
    Bench b;
    const auto unknown = b.drivers.footprint("web");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().message.find("the guard cannot cover resource fip1 of group web") == 0);
    b.fake.network.networks["10.0.1.100"] = "eth0";
    const auto covered = b.drivers.footprint("web");
    REQUIRE(covered);
    REQUIRE(covered->addresses.size() == 1);
    CHECK(covered->addresses[0].interface == "eth0");
}
