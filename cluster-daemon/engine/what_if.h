// `kagami simulate`: what the cluster would do. The real policy and the real rules of voters are run forward in virtual
// time on a copy of what is known; only the nodes are idealised: they obey at once, each start or stop of a group takes
// kStepGuess, a planned reboot kRebootGuess, and nothing fails but what is asked about. Pure.
//
// Events, separated by commas, all at one moment: "power-off NODE", "reboot NODE", "shutdown NODE", "cut NODE
// NODE|all", "move GROUP [NODE]", "stop GROUP", "kill-resource RESOURCE". `witness` may stand for a NODE that is
// powered off or cut. Errors: words that are not understood; an operation that the policy would refuse, with its own
// words.
#pragma once

#include <string>
#include <vector>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/engine/placement.h"

namespace kagami::engine {

constexpr Duration kStepGuess = 1s;
constexpr Duration kRebootGuess = 2min;

struct WhatIfGroup {
    std::string group;
    NodeId from;      // kNobody = it did not run
    NodeId to;        // kNobody = it runs nowhere at the end
    Duration gap{};   // how long it serves nobody; 0 = it goes on; what stays down: until the end of the look
    std::string why;  // the policy's own sentences
    std::vector<Candidate> candidates;  // every node of the group, as judged at the end
};
struct WhatIf {
    std::string outcome;  // one sentence
    std::vector<WhatIfGroup> groups;
    std::vector<std::string> unmet;  // what keeps it from going well: no majority, no proof, a stale copy
    bool data_risk = false;
    std::string data_sentence;
    std::vector<Decision> decisions;  // in order
    Duration took{};                  // virtual time until nothing more happened
};

// `snapshot` as of `now`; of any node that has contact with the leader.
Result<WhatIf> what_if(const Snapshot& snapshot, const std::string& events, Instant now);

}  // namespace kagami::engine
