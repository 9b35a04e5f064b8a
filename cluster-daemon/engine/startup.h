// When a node that has just booted may contend for leadership (protocol.md 8): quorum alone is not enough, because the
// others may know better who was last. Pure.
//
// Conditions: (a) a majority of weight is heard, and all configured nodes are, or the start-up wait has passed or was
// cancelled by a
//                 person; (b) the same with the witness in that majority; without a witness or another node the own
//                 weight is not enough
//             (c) the own document certifies that this node left last: at once
//             (d) a person says so (see Register::force_start)
// A node that hears a leader waits to be admitted. One that is named by the document in this boot is not starting up.
#pragma once

#include <set>
#include <string>

#include "cluster-daemon/engine/outbox.h"

namespace kagami::engine {

struct StartupFacts {
    const Document* document = nullptr;  // newest accepted
    Incarnation self;
    std::set<NodeId> heard;         // nodes and witness heard now; self is left out
    NodeId leader;                  // somebody follows it, or it is followed; kNobody
    bool left_in_this_run = false;  // it has left and is about to end
    bool wait_over = false;         // the start-up wait has passed, or a person cancelled it
    Duration wait_left{};
};
struct StartupVerdict {
    bool may_contend = false;
    bool complete = false;    // nothing to wait for: named by the document in this boot
    std::string waiting_for;  // sentence for people; empty when it may contend
};
StartupVerdict judge_startup(const StartupFacts& facts, const Outbox& names);

}  // namespace kagami::engine
