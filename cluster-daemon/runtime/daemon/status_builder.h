// The status that a person sees, from what the engine believes and what the network has measured. Pure: no clock, no
// I/O. State words are those of docs/glossary.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/engine/timing.h"
#include "cluster-daemon/runtime/daemon/guard_link.h"
#include "mirror-driver/link/messages.h"

namespace kagami::control::v1 {
class Status;
class Statistics;
class Paths;
class WhyAnswer;
}  // namespace kagami::control::v1

namespace kagami::runtime {

// One heartbeat path from this node to a peer.
struct PathView {
    NodeId peer;
    std::string network;
    std::string own_address;
    std::string peer_address;
    bool alive = false;
    double rtt_ms = -1;  // < 0: not measured yet
    double loss_percent = 0;
    Duration last_seen{-1};  // age; negative: never
    bool control = false;    // gRPC runs here
};

struct StatusInput {
    engine::Snapshot snapshot;
    engine::Timing timing;
    GuardSummary guard;
    std::vector<PathView> paths;
    std::map<std::string, mirror_link::MirrorStatus> mirrors;  // what this node's driver says beyond its reports
    std::map<std::string, Instant> group_since;                // when a group came to be where and what it is
    Instant now;
    int64_t unix_ms = 0;
    uint64_t sequence = 0;
};

void build_status(const StatusInput& input, control::v1::Status& status);
// "Online on node2" for each group: what `since` counts from.
std::map<std::string, std::string> group_situations(const StatusInput& input);
void build_paths(const StatusInput& input, control::v1::Paths& paths);

// "Online on node2": the state of a named group, node or resource in a few words, and why, as far as the document says.
// False when nothing has that name.
bool build_why(const StatusInput& input, const std::string& subject, control::v1::WhyAnswer& answer);

}  // namespace kagami::runtime
