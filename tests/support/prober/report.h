// The prober's output: one JSON object a line. Written at once, so that a reader sees each answer as it comes.
//   {"boot": 123.4567, "wall": 1763761512.1234, "target": "service", "ok": true, "server": "node1", "ms": 0.41}
//   {"boot": ..., "wall": ..., "target": "service", "ok": false, "error": "no answer in time", "ms": 200.02}
//   {"boot": ..., "wall": ..., "both_sides": ["node1", "node2"]}          an episode of two sides serving began
//   {"summary": {"targets": {...}, "both_sides": [...]}}                  the last line
// boot is CLOCK_BOOTTIME in seconds at the end of the attempt, wall the same moment in seconds since 1970, ms what the
// attempt took.
#pragma once

#include <string>

#include "tests/support/prober/attempt.h"
#include "tests/support/prober/observer.h"

namespace kagami::prober {

Time boot_time();

class Report {
 public:
    // False: errno says why.
    bool open(const std::string& path);  // "-" is standard output
    void line(const Target& target, const Outcome& outcome, Time sent, Time ended);
    void both_sides(const Episode& episode);
    void summary(const Observer& observer);

 private:
    std::string moment(Time time) const;
    std::string gaps(const TargetRecord& record) const;
    std::string episodes(const Observer& observer) const;
    void write(const std::string& text);

    int file_ = -1;
    Time boot_to_wall_{};
};

}  // namespace kagami::prober
