// How long starts and stops of groups and checks of monitors took on this node since its daemon started. A fixed few
// numbers for each name; names that are no longer in the configuration are forgotten. Thread-safe.
//   group start: from "starts" to "is active", with all retries; stop: from "stops" to "is stopped"
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cluster-daemon/engine/decision.h"
#include "common/config/config.h"

namespace kagami::control::v1 {
class Statistics;
}  // namespace kagami::control::v1

namespace kagami::runtime {

class Statistics {
 public:
    void set_config(const config::Config& config);
    void decided(const engine::Decision& decision, Instant now);
    void checked(const std::string& monitor, Duration took, bool timed_out);
    void fill(control::v1::Statistics& out) const;

 private:
    struct Steps {
        uint32_t count = 0;
        Duration last{};
        Duration longest{};
        std::optional<Instant> since;  // one is under way
        void begin(Instant now) { since = now; }
        void end(Instant now);
    };
    struct Group {
        Steps starts;
        Steps stops;
    };
    struct Monitor {
        uint64_t checks = 0;
        uint64_t timeouts = 0;
        Duration last{};
        Duration sum{};
        Duration longest{};
    };
    mutable std::mutex mutex_;
    std::map<std::string, Group> groups_;  // of the configuration, and no others
    std::map<std::string, Monitor> monitors_;
};

}  // namespace kagami::runtime
