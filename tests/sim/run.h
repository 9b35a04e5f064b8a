// One run of the simulator: a cluster drawn from a seed, faults, healing, and the verdict on safety (checker.h) and
// liveness (L1, L2, L4).
#pragma once

#include <string>

#include "tests/sim/setup.h"
#include "tests/sim/world.h"

namespace kagami::sim {

enum class Kind {
    kFaults,  // at least 20 faults, then everything heals and must come back
    kCalm,    // nothing goes wrong: nothing may happen either
    kSingle,  // one fault: at most one move of a group (L4)
};

struct RunOptions {
    uint64_t seed = 1;
    Kind kind = Kind::kFaults;
    int nodes = 0;        // 0: drawn
    std::string profile;  // "": drawn
    int minutes = 30;
    Mutation mutation = Mutation::kNone;
    bool verbose = false;
};

struct RunResult {
    bool passed = false;
    std::string invariant;  // "I14", "L1", "calm" ...
    std::string failure;    // sentence
    std::string story;      // the last messages, decisions and faults
    std::string cluster;    // "2 nodes + witness, profile lan"
    Duration at{};          // of the failure
    Duration simulated{};
    uint64_t faults = 0;
    uint64_t messages = 0;
    uint64_t elections = 0;
};

Shape draw_shape(const RunOptions& options);
RunResult run(const RunOptions& options);
std::string command_of(const RunOptions& options);  // reproduces the run

}  // namespace kagami::sim
