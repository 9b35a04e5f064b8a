// Who is heard: the newest heartbeat of every node and of the witness, and whether one node id is alive twice. Nothing
// here is a proof.
#pragma once

#include <map>
#include <set>

#include "cluster-daemon/engine/messages.h"

namespace kagami::engine {

class Peers {
 public:
    struct Peer {
        Heartbeat heartbeat;
        Instant heard_at;
        bool ahead = false;                                   // its last heartbeat already named this newer document
        std::map<BootId, std::pair<Instant, Instant>> boots;  // first and last heard
    };

    // A late heartbeat of an earlier boot never hides the present one: the boot id is proof P2.
    Peer& on_heartbeat(NodeId from, const Heartbeat& heartbeat, Instant now);
    std::set<NodeId> heard(Duration within, Instant now) const;
    bool hears(NodeId node, Duration within, Instant now) const;
    // Two incarnations of one node id were heard within this time: a reboot, or two machines with one identity. Until
    // it is clear which, neither is believed: a boot id proves P2 only once the former one is silent.
    bool ambiguous(NodeId node, Duration within, Instant now) const;
    // They have been alive side by side for longer than packets are late.
    bool alive_twice(NodeId node, Duration within, Instant now) const;
    const std::map<NodeId, Peer>& all() const { return peers_; }

 private:
    std::map<NodeId, Peer> peers_;
};

}  // namespace kagami::engine
