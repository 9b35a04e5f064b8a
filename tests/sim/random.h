// The only source of chance in a run: the same seed gives the same run on every machine (so no <random> distributions).
#pragma once

#include <cstdint>
#include <vector>

#include "common/time.h"

namespace kagami::sim {

class Random {
 public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 0x7f4a7c15ULL) {}

    uint64_t next() {  // splitmix64
        uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }
    uint64_t below(uint64_t n) { return n == 0 ? 0 : next() % n; }
    double fraction() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    bool chance(double p) { return p > 0 && fraction() < p; }
    Duration between(Duration low, Duration high) {
        return high <= low
                   ? low
                   : low + Duration(static_cast<Duration::rep>(below(static_cast<uint64_t>((high - low).count()))));
    }
    template <typename T>
    const T& pick(const std::vector<T>& from) {
        return from[below(from.size())];
    }

 private:
    uint64_t state_;
};

}  // namespace kagami::sim
