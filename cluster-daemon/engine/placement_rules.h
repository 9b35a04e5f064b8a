// What the configuration says about where a group should run, beyond the order of its nodes: exclusive rules, dynamic
// failover, server groups, thresholds of memory and disk space. Each rule either forbids a node (an obstacle) or makes
// it worth less (a drawback); placement.h weighs them. Pure. Leaves to others: whether the node is in the cluster and
// well at all (placement.cc), its mirrors (replicas.h).
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/engine/policy.h"

namespace kagami::engine {

enum class Asker : uint8_t {
    kPolicy,       // the cluster by itself
    kPerson,       // a person: bound by absolute rules only
    kImprovement,  // the cluster by itself, for something that is not necessary (failback, a node that is short of
                   // memory): no drawback is accepted, and a quarter more than the thresholds must be free
};

// Compared in this order, smaller is better; then the order of the nodes decides.
struct Worth {
    bool last_resort = false;  // only when there is no other node
    uint32_t errors = 0;       // kDynamic: monitors
    uint32_t cautions = 0;
    bool other_site = false;  // kPrefer: in another server group than where it ran
    uint64_t used_up = 0;     // smart: the less, the more memory is free
    auto operator<=>(const Worth&) const = default;
};

enum class Fitness : uint8_t {
    kFit,
    kSoon,  // the obstacle passes by itself within moments (the node is being admitted): the first start of a group
            // waits for it
    kUnfit,
};
struct Verdicts {                        // of all rules on one node
    Fitness fitness = Fitness::kFit;     // the worst
    std::vector<std::string> obstacles;  // "group db, which it never shares a node with (rule apart), runs there"
    Worth worth;
    std::string drawback;  // why it is a last resort
};
struct Question {
    const PolicyInput& input;
    const Document& document;
    const config::Group& group;
    NodeId node;
    Asker asker;
};
Verdicts apply_rules(const Question& question);

// The exclusive rule that is broken where `group` runs beside another group on `node`: "group db (rule apart)", or
// empty.
std::string shared_with(const Question& question);

// "less memory is free there than minimum_memory (512 MiB) demands", or empty; `quarter_more`: than it and a quarter
// more.
std::string shortage_of(const PolicyInput& input, NodeId node, bool quarter_more = false);

// Why a fit node of this worth comes after another one: "monitor disk1 reports an error there".
std::string words_of(const Question& question, const Worth& worth, const Worth& better);

}  // namespace kagami::engine
