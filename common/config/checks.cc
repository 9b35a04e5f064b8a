#include "common/config/checks.h"

#include <algorithm>

namespace kagami::config {
namespace {

enum class Mark { kNew, kOnPath, kDone };

// Depth-first search along `after`; the path holds the resources from the root to the current one.
class CycleSearch {
 public:
    CycleSearch(const Group& group, const std::vector<Position>& places, Problems& problems)
        : group_(group), places_(places), problems_(problems), marks_(group.resources.size(), Mark::kNew) {}

    void visit(size_t at) {
        marks_[at] = Mark::kOnPath;
        path_.push_back(at);
        for (const std::string& name : group_.resources[at].after) {
            const size_t next = index_of(name);
            if (next == group_.resources.size()) continue;
            if (marks_[next] == Mark::kOnPath) report(next);
            if (marks_[next] == Mark::kNew) visit(next);
        }
        path_.pop_back();
        marks_[at] = Mark::kDone;
    }
    bool is_new(size_t at) const { return marks_[at] == Mark::kNew; }

 private:
    size_t index_of(const std::string& name) const {
        const auto& all = group_.resources;
        const auto at = std::find_if(all.begin(), all.end(), [&](const Resource& r) { return r.name == name; });
        return static_cast<size_t>(at - all.begin());
    }
    void report(size_t first) {
        std::string chain;
        for (auto at = std::find(path_.begin(), path_.end(), first); at != path_.end(); ++at) {
            chain += group_.resources[*at].name + " after ";
        }
        problems_.add(
            places_[first],
            "group " + group_.name + ": the resources wait for each other: " + chain + group_.resources[first].name,
            "write an explicit `after` that breaks the circle; without one a resource comes after others by its type");
    }

    const Group& group_;
    const std::vector<Position>& places_;
    Problems& problems_;
    std::vector<Mark> marks_;
    std::vector<size_t> path_;
};

}  // namespace

void NameBook::claim(const std::string& name, Position at, Problems& problems) {
    if (name.empty()) return;
    const auto [entry, fresh] = first_.emplace(name, at);
    if (fresh) return;
    problems.add(at,
                 kind_ + " \"" + name + "\" stands there twice, first in line " + std::to_string(entry->second.line),
                 "give each " + kind_ + " a name of its own");
}

void AddressBook::claim(const std::string& address, const std::string& owner, Position at, Problems& problems) {
    const auto [entry, fresh] = first_.emplace(address, Claim{owner, at});
    if (fresh || entry->second.owner == owner) return;
    problems.add(at,
                 owner + ": the address " + address + " belongs to " + entry->second.owner + " already (line " +
                     std::to_string(entry->second.at.line) + ")",
                 "give each its own address");
}

void check_combined(const std::vector<const Item*>& tables, const std::vector<Monitor>& monitors, Problems& problems) {
    std::vector<std::string_view> simple;
    std::vector<std::string_view> combining;
    for (const Monitor& monitor : monitors) (monitor.type == "mtw" ? combining : simple).push_back(monitor.name);
    const auto among = [](const std::vector<std::string_view>& names, const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (size_t i = 0; i < monitors.size(); ++i) {
        for (const auto& [node, values] : monitors[i].values) {
            if (monitors[i].type != "mtw") continue;
            for (const std::string& name : values.list("monitors")) {
                if (among(simple, name)) continue;
                const bool itself = among(combining, name);
                problems.add(place(*tables[i], "monitors", name),
                             "monitor " + monitors[i].name + ": \"" + name + "\" is " + (itself ? "of type mtw" : "no monitor"),
                             itself ? "name the monitors that it combines" : nearest(name, simple, "monitors"));
            }
        }
    }
}

void check_order(const Group& group, const std::vector<Position>& places, Problems& problems) {
    CycleSearch search(group, places, problems);
    for (size_t i = 0; i < group.resources.size(); ++i) {
        if (search.is_new(i)) search.visit(i);
    }
}

}  // namespace kagami::config
