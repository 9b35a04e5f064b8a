// The two-node state-transition evaluation: twenty operations in a row, and where the groups must be after each. Pure:
// verbs_accept.cc carries it out on a live cluster.
// Source: the evaluation that EXPRESSCLUSTER's users run before they go live, and after each recovery.
#pragma once

#include <string>
#include <vector>

#include "proto/control.pb.h"

namespace kagami::cli {

enum class Variant {
    kAutomatic,  // nodes return and groups start by themselves
    kManual,     // auto_return = false, A and B with start = "manual"
};

struct Cast {  // the names of the cluster that is evaluated
    std::string one;         // home of A and T
    std::string two;         // home of B
    std::string a;
    std::string b;
    std::string management;  // T
};

enum class Operation {
    kObserve,  // only look
    kStopGroups,
    kStartGroups,
    kShutdownNode,
    kBootNode,
    kReturnNode,
    kMoveHome,
    kShutdownCluster,
    kBootBoth,
    kReturnBoth,
    kStartOnFirst,  // A and B, asking on purpose for the node that went down first
};

struct Placement {  // node names; empty = nowhere
    std::string a;
    std::string b;
    std::string management;
    bool one_up = true;
    bool two_up = true;
    bool operator==(const Placement&) const = default;
};

struct Step {
    int number = 0;
    Operation operation = Operation::kObserve;
    std::string node;  // of the operations on one node
    std::string text;  // "shut node2 down through the cluster"
    Placement expected;
};

// `first`: which node steps 4 to 9 begin with, `one` or `two` of the cast.
std::vector<Step> evaluation(const Cast& cast, Variant variant, const std::string& first);

// As the answering node sees it: a node is up as a member, a group is where it is Online.
Placement placement_of(const control::v1::Status& status, const Cast& cast);
// "A T / B", "down / A B T": the row of the table.
std::string row_of(const Placement& placement, const Cast& cast);

}  // namespace kagami::cli
