// Everything that can go wrong, at any moment: cuts, crashes of drivers and nodes with what they had not flushed,
// takeovers, leases, old reports. The world checks I4 to I8 after every step; when the faults stop, both copies become
// equal and current again.
#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>

#include "tests/unit/mirror_engine/world.h"

using namespace kagami;
using namespace kagami::mirror;
using namespace kagami::mirror::test;

namespace {

uint64_t number(const char* name, uint64_t otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

void one_life(uint64_t seed) {
    World::Setup setup;
    setup.seed = seed;
    setup.slots = 2 + static_cast<uint32_t>(seed % 5);
    World world(setup);
    world.steps_per_fault = std::array<size_t, 4>{600, 300, 150, 60}[seed / 5 % 4];
    world.give_group(seed % 2);
    for (int i = 0; i < 8000; ++i) world.random_step(true);
    for (size_t i = 0; i < 2; ++i) {
        world.set_lease(i, true);
        world.nodes[i].disk.bad.clear();
    }
    world.choose([](Record& record) { record.hold = Hold::kNone; });
    world.say_faults_end();
    const auto quiet = [&] {
        if ((world.reg.stopped || world.reg.lost) && !world.give_group(0)) world.give_group(1);
        for (size_t i = 0; i < 2; ++i) {
            if (world.nodes[i].engine) continue;
            world.nodes[i].up = true;
            world.start(i, world.nodes[i].agent == Node::Agent::kActive);
        }
        world.check();
        return world.healthy();
    };
    if (!world.reach(quiet, 120s)) world.give_up("the copies do not become equal again");
    if (!world.equal()) world.give_up("the copies differ and call themselves equal");
}

}  // namespace

TEST_CASE("whatever fails at any moment, no acknowledged write is lost and both copies become equal again") {
    const uint64_t first = number("KAGAMI_SEED", 1);
    const uint64_t count = number("KAGAMI_SEEDS", 150);
    for (uint64_t seed = first; seed < first + count; ++seed) {
        INFO("seed " << seed << " (KAGAMI_SEED=" << seed << " KAGAMI_SEEDS=1 KAGAMI_TRACE=1 shows it)");
        REQUIRE_NOTHROW(one_life(seed));
    }
}
