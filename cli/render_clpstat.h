// The pages of clpstat besides its plain form (render.h). Their titles and the words in brackets are those that scripts
// of EXPRESSCLUSTER's users look for (expresscluster.md 5.2); how the lines stand is our choice
// (docs/compatibility.md). Pure functions: the same answer gives the same text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/result.h"
#include "proto/control.pb.h"

namespace kagami::cli {

namespace pb = control::v1;

// The networks with heartbeats, in the order of their names lanhb1, lanhb2, ...
std::vector<std::string> heartbeat_networks(const pb::Status& status);
// Of the answering server: as good as its best path to anybody, Caution when some are broken.
std::string own_heartbeat_state(const pb::Status& status, const std::string& network);
std::string clpstat_frame(const std::string& title);  // the first line of a page
std::string clpstat_end();                            // the last one

std::string render_clpstat_groups(const pb::Status& status);                              // -g
std::string render_clpstat_monitors(const pb::Status& status);                            // -m
std::string render_clpstat_heartbeats(const pb::Status& status, const pb::Paths& paths);  // -n
std::string render_clpstat_partition(const pb::Status& status);                           // -p
std::string render_clpstat_fencing(const pb::Status& status);                             // -f

// What the answering server alone is about: its own line, the groups that it runs, the monitors that run on it.
pb::Status only_local(const pb::Status& status);

// The configuration, a block for each object, with its state.
enum class ClpPart {
    kCluster,
    kServers,
    kHeartbeats,
    kFencing,
    kServerGroups,
    kGroups,
    kResources,
    kMonitors,
    kExclusiveRules,
};
struct ClpQuestion {
    std::map<ClpPart, std::string> parts;  // and the name that is asked for; empty = all
    bool detail = false;
};
// kNotFound when there is no object of a name.
Result<std::string> render_clpstat_information(const ClpQuestion& question, const pb::Status& status,
                                               const config::Config& config);

}  // namespace kagami::cli
