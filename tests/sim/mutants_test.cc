// Proof that the observer sees: the world is broken behind the engine's back, and a rule must be reported within a few
// seeds. Faults that keep to the fault model must break none.
#include <catch2/catch.hpp>

#include "tests/sim/run.h"

namespace kagami::sim {
namespace {

std::string first_violation(Mutation mutation, uint64_t seeds, int nodes = 0) {
    RunOptions options;
    options.mutation = mutation;
    options.nodes = nodes;
    for (options.seed = 1; options.seed <= seeds; ++options.seed) {
        const RunResult result = run(options);
        if (!result.passed) return result.invariant;
    }
    return "";
}

bool one_of(const std::string& invariant, const std::vector<std::string>& expected) {
    INFO("reported: " << (invariant.empty() ? "nothing" : invariant));
    const bool found = std::find(expected.begin(), expected.end(), invariant) != expected.end();
    CHECK(found);
    return found;
}

}  // namespace

TEST_CASE("a guard that suspends too late is noticed") {
    CHECK(one_of(first_violation(Mutation::kLateGuard, 20), {"I14", "I15", "I16"}));
}

TEST_CASE("a guard that does not suspend at all is noticed") {
    CHECK(one_of(first_violation(Mutation::kDeafGuard, 20), {"I14", "I15", "I16"}));
}

TEST_CASE("clocks that differ by a fifth are noticed") {
    CHECK(one_of(first_violation(Mutation::kWildClock, 200), {"I14", "I15", "I16", "I17"}));
}

TEST_CASE("a disk that confirms what is not durable is noticed") {
    CHECK(one_of(first_violation(Mutation::kLyingDisk, 60), {"I1", "I2", "I3"}));
}

TEST_CASE("a shell that sends before the write is durable is noticed") {
    CHECK(one_of(first_violation(Mutation::kImpatientShell, 60), {"I1", "I2", "I3"}));
}

TEST_CASE("an older store that carries the present nonce is noticed") {
    CHECK(one_of(first_violation(Mutation::kForgedNonce, 200), {"I1", "I2", "I3", "I13"}));
}

TEST_CASE("a lost store that comes back as if nothing had happened is noticed") {
    CHECK(one_of(first_violation(Mutation::kAmnesia, 200), {"I1", "I2", "I3", "I13"}));
}

// ---- mirrors ----

TEST_CASE("an answer of the peer to a write that never went out is noticed") {
    CHECK(one_of(first_violation(Mutation::kForgedAck, 40, 2), {"I4", "I5", "I8"}));
}

TEST_CASE("a primary that goes on alone before anybody has chosen that is noticed") {
    CHECK(one_of(first_violation(Mutation::kForgedSolo, 60, 2), {"I4", "I5", "I6", "I9"}));
}

TEST_CASE("metadata that count before they are durable are noticed") {
    CHECK(one_of(first_violation(Mutation::kEarlyMetadata, 100, 2), {"I4", "I5", "I8", "I10"}));
}

TEST_CASE("a bitmap that is never written is noticed") {
    CHECK(one_of(first_violation(Mutation::kDroppedBits, 100, 2), {"I4", "I8", "L3"}));
}

TEST_CASE("flushes that make nothing durable are noticed") {
    CHECK(one_of(first_violation(Mutation::kUnflushedData, 20, 2), {"I4", "I5", "I8"}));
}

TEST_CASE("frames of an older connection that are delivered in the next one are noticed") {
    CHECK(one_of(first_violation(Mutation::kOldFrames, 200, 2), {"I4", "I5", "I8", "L3"}));
}

TEST_CASE("an older image of a replica that carries the present nonces is noticed") {
    CHECK(one_of(first_violation(Mutation::kForgedDisk, 200, 2), {"I4", "I5", "I8"}));
}

TEST_CASE("a driver that acknowledges without a lease is noticed") {
    CHECK(one_of(first_violation(Mutation::kNoLease, 100, 2), {"I14", "I15"}));
}

TEST_CASE("the same seed gives the same run") {
    RunOptions options;
    options.seed = 7;
    const RunResult first = run(options);
    const RunResult second = run(options);
    CHECK(first.messages == second.messages);
    CHECK(first.elections == second.elections);
    CHECK(first.failure == second.failure);
}

}  // namespace kagami::sim
