// Randomness of one boot, drawn from the seed that the shell gave: nonces and jitter. Deterministic for a seed.
#pragma once

#include <cstdint>

#include "common/time.h"

namespace kagami::engine {

class Randomness {
 public:
    explicit Randomness(uint64_t seed) : state_(seed) {}
    // splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators")
    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        uint64_t x = state_;
        x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ x >> 27U) * 0x94d049bb133111ebULL;
        return x ^ x >> 31U;
    }
    Duration up_to(Duration limit) {
        return Duration(static_cast<Duration::rep>(next() % static_cast<uint64_t>(limit.count() + 1)));
    }

 private:
    uint64_t state_;
};

}  // namespace kagami::engine
