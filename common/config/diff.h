// What a change of configuration means: each difference by its path, and what applying it restarts.
#pragma once

#include <string>
#include <vector>

#include "common/config/bundle.h"
#include "common/config/config.h"

namespace kagami::config {

enum class ChangeKind { kAdded, kRemoved, kChanged };
// kNothing: takes effect while everything goes on. kMonitor, kGroup: the named one is stopped and started (a removed
// one only stopped). kCluster: every group, and the daemons' view of timing, networks and voters.
enum class RestartScope { kNothing, kMonitor, kGroup, kCluster };

struct Change {
    ChangeKind kind = ChangeKind::kChanged;
    std::string path;  // "group.web.resource.fip1.address"; with "[node2]" at the end where a value differs on a node
    std::string old_text;  // empty when added
    std::string new_text;  // empty when removed
    RestartScope restarts = RestartScope::kNothing;
    std::string restarts_name;  // of the monitor or group

    bool operator==(const Change&) const = default;
};

std::vector<Change> diff(const Config& from, const Config& to);
// Stored scripts; they take effect at the next start of their resource.
std::vector<Change> diff_scripts(const Bundle& from, const Bundle& to);

std::string restart_words(const Change& change);  // "restarts group web", "nothing restarts"

}  // namespace kagami::config
