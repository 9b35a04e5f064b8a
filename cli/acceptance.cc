#include "cli/acceptance.h"

namespace kagami::cli {
namespace {

class Evaluation {
 public:
    Evaluation(const Cast& cast, Variant variant, std::string first)
        : cast_(cast), manual_(variant == Variant::kManual), first_(std::move(first)) {}

    std::vector<Step> steps() {
        groups();
        each_node_once();
        whole_cluster();
        older_copies();
        end();
        return std::move(steps_);
    }

 private:
    const std::string& other(const std::string& node) const { return node == cast_.one ? cast_.two : cast_.one; }

    Placement home() const { return {cast_.one, cast_.two, cast_.one}; }
    Placement all_on(const std::string& node) const { return {node, node, node}; }
    Placement without(Placement placement, const std::string& node) const {
        (node == cast_.one ? placement.one_up : placement.two_up) = false;
        return placement;
    }

    void add(Operation operation, const std::string& node, std::string text, Placement expected) {
        steps_.push_back({static_cast<int>(steps_.size()) + 1, operation, node, std::move(text), std::move(expected)});
    }

    void groups() {
        add(Operation::kObserve, "", "the cluster is created, its mirrors are constructed", home());
        add(Operation::kStopGroups, "", "stop groups " + cast_.a + " and " + cast_.b, {"", "", cast_.one});
        add(Operation::kStartGroups, "", "start groups " + cast_.a + " and " + cast_.b, home());
    }

    void each_node_once() {
        for (const std::string& node : {first_, other(first_)}) {
            const Placement rest = all_on(other(node));
            add(Operation::kShutdownNode, node, "shut " + node + " down through the cluster", without(rest, node));
            add(Operation::kBootNode, node, "boot " + node, rest);
            add(Operation::kReturnNode, node, "return " + node + "; its copies are resynchronised", rest);
        }
        add(Operation::kMoveHome, "", "move the groups to their primary nodes", home());
    }

    void whole_cluster() {
        add(Operation::kShutdownCluster, "", "shut the cluster down", {"", "", "", false, false});
        add(Operation::kBootBoth, "", "boot both nodes", home());
    }

    // Node one goes down first: what it has is the older.
    void older_copies() {
        const std::string& one = cast_.one;
        const std::string& two = cast_.two;
        const Placement latest{two, two, one};
        const Placement by_itself = manual_ ? Placement{"", "", one} : latest;
        add(Operation::kShutdownNode, one, "shut " + one + " down; what it has is now the older", without(all_on(two), one));
        add(Operation::kShutdownNode, two, "shut " + two + " down", {"", "", "", false, false});
        // An isolated node runs no groups, the management group included.
        add(Operation::kBootBoth, "", "boot both nodes", manual_ ? Placement{} : latest);
        add(Operation::kReturnBoth, "", "return both nodes", by_itself);
        add(Operation::kStartOnFirst, one, "start the groups, asking for " + one + " on purpose, which went down first", latest);
        add(Operation::kMoveHome, "", "move the groups to their primary nodes", home());
    }

    void end() {
        add(Operation::kShutdownCluster, "", "shut the cluster down", {"", "", "", false, false});
        add(Operation::kBootBoth, "", "boot both nodes", home());
    }

    const Cast& cast_;
    bool manual_;
    std::string first_;
    std::vector<Step> steps_;
};

std::string where(const control::v1::Status& status, const std::string& name) {
    for (const auto& group : status.groups())
        if (group.name() == name) return group.state() == "Online" ? group.current_node() : "";
    return "";
}

bool is_up(const control::v1::Status& status, const std::string& name) {
    for (const auto& node : status.nodes())
        if (node.name() == name) return node.member_state() == "MEMBER";
    return false;
}

std::string side(const Placement& placement, const Cast& cast, const std::string& node, bool up) {
    if (!up) return "down";
    std::string groups;
    const auto add = [&](const std::string& place, const std::string& name) {
        if (place == node) groups += (groups.empty() ? "" : " ") + name;
    };
    add(placement.a, cast.a);
    add(placement.b, cast.b);
    add(placement.management, cast.management);
    return groups.empty() ? "-" : groups;
}

}  // namespace

std::vector<Step> evaluation(const Cast& cast, Variant variant, const std::string& first) {
    return Evaluation(cast, variant, first).steps();
}

Placement placement_of(const control::v1::Status& status, const Cast& cast) {
    return {where(status, cast.a), where(status, cast.b), where(status, cast.management), is_up(status, cast.one),
            is_up(status, cast.two)};
}

std::string row_of(const Placement& placement, const Cast& cast) {
    return side(placement, cast, cast.one, placement.one_up) + " / " + side(placement, cast, cast.two, placement.two_up);
}

}  // namespace kagami::cli
