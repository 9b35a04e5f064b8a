// kagamid and kagami-witness: the engine with everything it needs on this machine. A witness is the same without groups: no guard, no
// drivers, no control service of changes.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"

namespace kagami::runtime {

struct DaemonPaths {
    std::string configuration = "/etc/kagami";
    std::string state = "/var/lib/kagami";
    std::string runtime = "/run/kagami";
};

class Daemon {
 public:
    // Loads keys, store and configuration and opens every channel. Nothing is decided before run().
    static Result<std::unique_ptr<Daemon>> open(const DaemonPaths& paths, bool witness);
    ~Daemon();
    // Until a signal or the cluster ends it; the exit status. 0 = ended on purpose: the supervisor does not start it again. End the
    // process at once then: destructors would wait for workers.
    int run();
    void stop();  // from any thread or a signal's handler thread

 private:
    struct Impl;
    explicit Daemon(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
