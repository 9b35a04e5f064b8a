#include "cluster-daemon/engine/replicas.h"

#include <algorithm>

namespace kagami::engine {
namespace {

using mirror::DiskState;
using mirror::Standing;

// "node1's disk and node2's disk"
std::string listed(const std::vector<std::string>& items) {
    std::string text;
    for (size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : i + 1 == items.size() ? " and " : ", ") + items[i];
    return text;
}

std::string standing_obstacle(Standing standing, const std::string& name) {
    switch (standing) {
        case Standing::kUnbuilt: return "it has no copy of " + name + " yet";
        case Standing::kCurrent: return "";
        case Standing::kStale: return "its copy of " + name + " is stale";
        case Standing::kSuspect: return "its copy of " + name + " waits for a full copy";
    }
    return "";
}

Candidate unconstructed(const PolicyInput& input, const Document& document, const config::Group& group,
                        const std::string& name, NodeId node) {
    const Construction construction = judge_construction(input, document, group, name);
    return {node, construction.passing ? Fitness::kSoon : Fitness::kUnfit,
            "mirror " + name + " has not been constructed: " + construction.obstacle};
}

// The register's generation may be ahead of the only current copy: what made it (a takeover, a solo grant, a person's
// force) was chosen, and the copy writes it down when it is promoted, complete or not.
Candidate judge_generation(const mirror::Record& record, const mirror::Report& report, const std::string& name,
                           NodeId node) {
    const std::string copy = "its copy of " + name;
    if (report.generation == record.generation)
        return report.disk != DiskState::kInconsistent ? Candidate{node, Fitness::kFit, ""}
                                                       : Candidate{node, Fitness::kUnfit, copy + " is incomplete"};
    if (report.generation.counter >= record.generation.counter)
        return {node, Fitness::kUnfit, copy + " is of another generation than the cluster's"};
    if (record.current_count() == 1) return {node, Fitness::kFit, ""};
    return {node, Fitness::kSoon, copy + " has not taken on the cluster's generation yet"};
}

Candidate judge_disk(const mirror::Record& record, const mirror::Report& report, const std::string& name, NodeId node) {
    const std::string disk = "disk of " + name;
    if (report.disk == DiskState::kFailed) return {node, Fitness::kUnfit, "its " + disk + " failed"};
    if (report.disk == DiskState::kNone && !report.message.empty())
        return {node, Fitness::kUnfit, "its " + disk + " is not attached: " + report.message};
    if (report.disk == DiskState::kNone) return {node, Fitness::kSoon, "its " + disk + " is not attached yet"};
    if (admitted(record, node, report)) return judge_generation(record, report, name, node);
    if (report.wish.kind == mirror::WishKind::kAttach)
        return {node, Fitness::kUnfit, "its " + disk + " is not the one that holds the only current copy"};
    return {node, Fitness::kSoon, "its " + disk + " is not admitted yet"};
}

Candidate judge_replica(const PolicyInput& input, const Document& document, const config::Group& group,
                        const std::string& name, NodeId node) {
    const auto at = document.mirrors.find(name);
    if (at == document.mirrors.end()) return {node, Fitness::kSoon, "mirror " + name + " is not in the document yet"};
    const mirror::Record& record = at->second;
    if (record.generation.none()) return unconstructed(input, document, group, name, node);
    if (const Standing standing = record.standing(node); standing != Standing::kCurrent)
        return {node, Fitness::kUnfit, standing_obstacle(standing, name)};
    const mirror::Report* report = replica_report(input, document, node, name);
    if (report == nullptr) return {node, Fitness::kSoon, "its mirror driver has not reported " + name + " yet"};
    return judge_disk(record, *report, name, node);
}

}  // namespace

std::vector<std::string> mirrors_of(const config::Group& group) {
    std::vector<std::string> names;
    for (const config::Resource& resource : group.resources)
        if (resource.type == kMirrorType) names.push_back(resource.name);
    return names;
}

bool has_mirror(const config::Config& config, const std::string& mirror) {
    for (const config::Group& group : config.groups)
        for (const config::Resource& resource : group.resources)
            if (resource.type == kMirrorType && resource.name == mirror) return true;
    return false;
}

const mirror::Report* replica_report(const PolicyInput& input, const Document& document, NodeId node,
                                     const std::string& mirror) {
    const auto facts = input.facts.find(node);
    if (facts == input.facts.end() || !facts->second.report || !document.names(facts->second.report->incarnation))
        return nullptr;
    const std::vector<mirror::Report>& reports = facts->second.report->mirrors;
    const auto at = std::find_if(reports.begin(), reports.end(), [&](const auto& r) { return r.mirror == mirror; });
    return at == reports.end() ? nullptr : &*at;
}

bool admitted(const mirror::Record& record, NodeId node, const mirror::Report& report) {
    const auto at = record.replicas.find(node);
    if (at == record.replicas.end()) return false;
    const auto known = [&](Nonce nonce) {
        return nonce.value != 0 && (nonce == at->second.nonce || nonce == at->second.next_nonce);
    };
    return known(report.nonce) || known(report.next_nonce);
}

Construction judge_construction(const PolicyInput& input, const Document& document, const config::Group& group,
                                const std::string& name) {
    const mirror::Record& record = document.mirrors.at(name);
    std::vector<std::string> missing;
    std::vector<std::string> used;
    std::vector<std::string> sizes;
    std::set<uint64_t> different;
    for (const NodeId node : group.nodes) {
        const mirror::Report* report = replica_report(input, document, node, name);
        const std::string disk = input.config->node_name(node) + "'s disk";
        if (report == nullptr || report->disk == DiskState::kNone || !admitted(record, node, *report)) {
            const bool told = report != nullptr && report->disk == DiskState::kNone && !report->message.empty();
            missing.push_back(disk + (told ? " (" + report->message + ")" : ""));
        } else if (report->disk != DiskState::kNew) {
            used.push_back(disk);
        } else {
            different.insert(report->size_bytes);
            sizes.push_back(disk + " has " + std::to_string(report->size_bytes) + " bytes");
        }
    }
    if (!missing.empty()) return {false, true, "waits for " + listed(missing)};
    if (!used.empty())
        return {false, false,
                listed(used) + " held data before; name the copy to begin with: `kagami mirror force " + name + "`"};
    if (different.size() != 1 || different.contains(0)) return {false, false, listed(sizes) + ": they must be equal"};
    return {true, true, "all disks are there"};
}

Candidate judge_replicas(const PolicyInput& input, const Document& document, const config::Group& group, NodeId node) {
    Candidate found{node, Fitness::kFit, ""};
    for (const std::string& name : mirrors_of(group)) {
        Candidate candidate = judge_replica(input, document, group, name, node);
        if (candidate.fitness == Fitness::kUnfit) return candidate;
        if (candidate.fitness == Fitness::kSoon && found.fitness == Fitness::kFit) found = std::move(candidate);
    }
    return found;
}

}  // namespace kagami::engine
