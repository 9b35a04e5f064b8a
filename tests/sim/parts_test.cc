// The simulated parts themselves: a simulator that is wrong proves nothing.
#include <catch2/catch.hpp>

#include "tests/sim/disk.h"
#include "tests/sim/guard.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace kagami::sim {
namespace {

engine::DurableState state_of(uint64_t counter) {
    engine::DurableState state;
    state.promised = Epoch::make(counter, NodeId{1});
    return state;
}

struct GuardBench {
    Queue queue;
    Random random{1};
    NodeClock clock{0.0, Instant(100s), Moment{}};
    int observed = 0;
    bool bitten = false;
    Machine machine{
        queue,
        random,
        {[](const engine::Event&) {}, [] { return uint64_t{1}; }, [](const std::string&) {},
         [](const engine::RunResource&, uint64_t) { return false; }, [](const std::string&) {},
         [](const std::string&) { return std::nullopt; }}};
    Guard guard{queue,
                random,
                machine,
                {[this] { return clock.local(queue.now()); }, [this](Instant at) { return clock.when(at); },
                 [this] { ++observed; }, [this] { bitten = true; }, [](const std::string&) {}}};

    GuardBench() {
        guard.set_timing(engine::Timing::derive({}));
        guard.start();
        engine::RunResource command;
        command.group = "web";
        command.resource = "nginx";
        command.action = engine::ResourceAction::kActivate;
        command.timeout = 10s;
        machine.run(command);
        queue.run_until(Moment{} + 1s);
    }
    engine::SetGuard plan(Duration deadline, Duration sent, engine::Verdict verdict = engine::Verdict::kNone) const {
        return {Instant(deadline), Instant(sent), true, false, {{"web", Token{}, false, verdict}}};
    }
};

}  // namespace

TEST_CASE("a node's clock and true time convert into each other") {
    const NodeClock clock(0.0025, Instant(500s), Moment{} + 3s);
    for (const Duration later : {0ns, 1ns, 999ns, Duration(17s), Duration(30min)}) {
        const Instant local = Instant(500s) + later;
        CHECK(clock.local(clock.when(local)) >= local);
        CHECK(clock.local(clock.when(local) - 2ns) < local);
    }
}

TEST_CASE("a crash loses what is not durable, and never what was confirmed") {
    Queue queue;
    Random random(1);
    std::vector<uint64_t> confirmed;
    Disk disk(queue, random, [](const engine::DurableState&) {}, [&](uint64_t serial) { confirmed.push_back(serial); });
    disk.set_speed({10ms, 10ms});
    disk.write(1, state_of(1));
    queue.run_until(Moment{} + 20ms);
    disk.write(2, state_of(2));
    disk.write(3, state_of(3));
    disk.lose_unwritten(false);
    queue.run_until(Moment{} + 1s);
    CHECK(confirmed == std::vector<uint64_t>{1});
    CHECK(disk.durable().promised == Epoch::make(1, NodeId{1}));
}

TEST_CASE("a write that waited is overtaken by a newer one, and its serial confirms both") {
    Queue queue;
    Random random(1);
    std::vector<uint64_t> confirmed;
    Disk disk(queue, random, [](const engine::DurableState&) {}, [&](uint64_t serial) { confirmed.push_back(serial); });
    for (uint64_t serial = 1; serial <= 3; ++serial) disk.write(serial, state_of(serial));
    queue.run_until(Moment{} + 1s);
    CHECK(confirmed == std::vector<uint64_t>{1, 3});
    CHECK(disk.image(Moment{} + 1s)->promised == Epoch::make(3, NodeId{1}));
    CHECK_FALSE(disk.image(Moment{}).has_value());
}

TEST_CASE("streams keep their order, datagrams need not arrive, and a cut loses what is under way") {
    Queue queue;
    Random random(1);
    std::vector<uint8_t> got;
    std::vector<bool> connected;
    Network network(queue, random, 2, 1,
                    {[&](size_t, size_t, const Bytes& m) { got.push_back(m[0]); },
                     [&](size_t at, size_t, bool on) {
                         if (at == 0) connected.push_back(on);
                     },
                     [](size_t) { return true; }});
    network.quality(0, 1, 0).jitter = 50ms;
    network.review();
    queue.run_until(Moment{} + 1s);
    for (uint8_t i = 0; i < 20; ++i) network.send_stream(0, 1, {i});
    queue.run_until(Moment{} + 2s);
    REQUIRE(got.size() == 20);
    CHECK(std::is_sorted(got.begin(), got.end()));
    network.send_stream(0, 1, {99});
    network.cut(0, 1, true);
    network.send_datagram(0, 1, {98});
    queue.run_until(Moment{} + 3s);
    CHECK(got.size() == 20);
    network.cut(0, 1, false);
    queue.run_until(Moment{} + 4s);
    CHECK(connected == std::vector<bool>{true, false, true});
}

TEST_CASE("the guard suspends at the deadline and resumes only on a lease that was sent later") {
    GuardBench bench;
    bench.guard.publish(bench.plan(103s, 101s));
    bench.queue.run_until(Moment{} + 2900ms);
    CHECK(bench.machine.effects("web"));
    bench.queue.run_until(Moment{} + 3200ms);
    CHECK_FALSE(bench.machine.effects("web"));
    CHECK(bench.machine.anything("web"));
    bench.guard.publish(bench.plan(110s, 102s, engine::Verdict::kResume));
    CHECK_FALSE(bench.machine.effects("web"));
    bench.guard.publish(bench.plan(110s, 103500ms, engine::Verdict::kResume));
    CHECK(bench.machine.effects("web"));
}

TEST_CASE("the guard kills on the verdict, and by itself after a minute") {
    GuardBench bench;
    bench.guard.publish(bench.plan(103s, 101s));
    SECTION("verdict") {
        bench.queue.run_until(Moment{} + 4s);
        bench.guard.publish(bench.plan(103s, 101s, engine::Verdict::kKill));
        bench.queue.run_until(Moment{} + 5s);
    }
    SECTION("a minute") {
        bench.queue.run_until(Moment{} + 65s);
    }
    CHECK_FALSE(bench.machine.anything("web"));
    CHECK_FALSE(bench.bitten);
}

TEST_CASE("the watchdog bites when the guard cannot kill, or is away, but not while it has suspended in time") {
    GuardBench bench;
    bench.guard.publish(bench.plan(103s, 101s));
    SECTION("cannot kill") {
        bench.guard.set_kill_fails(true);
        bench.queue.run_until(Moment{} + 60s);
        CHECK_FALSE(bench.bitten);
        bench.queue.run_until(Moment{} + 70s);
    }
    SECTION("away") {
        bench.guard.crash();
        bench.queue.run_until(Moment{} + 7s);
    }
    CHECK(bench.bitten);
}

}  // namespace kagami::sim
