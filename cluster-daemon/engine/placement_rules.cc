#include "cluster-daemon/engine/placement_rules.h"

#include <algorithm>

#include "cluster-daemon/engine/restraint.h"

namespace kagami::engine {
namespace {

const NodeReport* report_of(const PolicyInput& input, const Document& document, NodeId node) {
    const auto at = input.facts.find(node);
    if (at == input.facts.end() || !at->second.report || !document.names(at->second.report->incarnation))
        return nullptr;
    return &*at->second.report;
}

const GroupEntry* entry_of(const Document& document, const std::string& group) {
    const auto at = document.groups.find(group);
    return at == document.groups.end() ? nullptr : &at->second;
}

void forbid(Verdicts& verdicts, Fitness fitness, std::string why) {
    verdicts.fitness = std::max(verdicts.fitness, fitness);
    verdicts.obstacles.push_back(std::move(why));
}

// ---- exclusive rules ----

enum class Presence : uint8_t { kNone, kStops, kComes, kRuns };

// What an earlier incarnation of the node ran has ended with it.
Presence presence_of(const Document& document, const std::string& group, NodeId node) {
    const GroupEntry* entry = entry_of(document, group);
    if (entry == nullptr) return Presence::kNone;
    if (entry->target == node) return Presence::kComes;
    if (!entry->owner || entry->owner->node != node || entry->owner->boot != document.node(node).boot)
        return Presence::kNone;
    return entry->goal == Goal::kStopped && !entry->stop_failed ? Presence::kStops : Presence::kRuns;
}

struct Neighbour {
    const config::ExclusiveRule* rule = nullptr;
    std::string group;
    Presence presence = Presence::kNone;
};

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// The worst one: an absolute rule before a normal one, what runs there before what stops.
Neighbour neighbour_of(const Question& q) {
    Neighbour worst;
    for (const config::ExclusiveRule& rule : q.input.config->exclusive_rules) {
        if (!contains(rule.groups, q.group.name)) continue;
        for (const std::string& other : rule.groups) {
            if (other == q.group.name) continue;
            const Presence presence = presence_of(q.document, other, q.node);
            if (presence == Presence::kNone) continue;
            const auto rank = [](const config::ExclusiveRule* r, Presence p) {
                return std::make_pair(r != nullptr && r->absolute, p);
            };
            if (rank(&rule, presence) > rank(worst.rule, worst.presence)) worst = {&rule, other, presence};
        }
    }
    return worst;
}

const char* words_of(Presence presence) {
    switch (presence) {
        case Presence::kNone: return "is not there";
        case Presence::kStops: return "still stops there";
        case Presence::kComes: return "goes there";
        case Presence::kRuns: return "runs there";
    }
    return "";
}

void apply_exclusion(const Question& q, Verdicts& verdicts) {
    const Neighbour neighbour = neighbour_of(q);
    if (neighbour.rule == nullptr) return;
    const bool absolute = neighbour.rule->absolute;
    std::string words = "group " + neighbour.group + ", which it " +
                        (absolute ? "never shares a node with" : "shares a node with only when there is no other") +
                        " (rule " + neighbour.rule->name + "), " + words_of(neighbour.presence);
    if (absolute)
        return forbid(verdicts, neighbour.presence == Presence::kStops ? Fitness::kSoon : Fitness::kUnfit,
                      std::move(words));
    if (neighbour.presence == Presence::kStops) return;
    verdicts.worth.last_resort = true;
    verdicts.drawback = std::move(words);
}

// ---- dynamic failover ----

struct Health {
    uint32_t errors = 0;
    uint32_t cautions = 0;
    std::string error;  // the first such monitor
    std::string caution;
};

// Monitors that check where their target does not run as well: only they say something of a candidate.
Health health_of(const Question& q) {
    Health health;
    const NodeReport* report = report_of(q.input, q.document, q.node);
    if (report == nullptr) return health;
    for (const MonitorReport& state : report->monitors) {
        if (state.state != MonitorState::kError && state.state != MonitorState::kCaution) continue;
        const config::Monitor* monitor = q.input.config->monitor(state.name);
        if (monitor == nullptr || monitor->only_while_active) continue;
        const bool error = state.state == MonitorState::kError;
        ++(error ? health.errors : health.cautions);
        std::string& first = error ? health.error : health.caution;
        if (first.empty()) first = state.name;
    }
    return health;
}

void apply_dynamic(const Question& q, Verdicts& verdicts) {
    if (q.group.failover != config::FailoverAttribute::kDynamic || q.asker == Asker::kPerson) return;
    const Health health = health_of(q);
    verdicts.worth.errors = health.errors;
    verdicts.worth.cautions = health.cautions;
    const GroupEntry* entry = entry_of(q.document, q.group.name);
    const bool home = entry != nullptr && home_of(*entry) == q.node;  // where it ran it may start again
    if (health.errors > 0 && !home && (!q.group.forced_failover || q.asker == Asker::kImprovement))
        forbid(verdicts, Fitness::kUnfit, "monitor " + health.error + " reports an error there");
    if (!q.group.smart_failover) return;
    const NodeReport* report = report_of(q.input, q.document, q.node);
    verdicts.worth.used_up = UINT64_MAX - (report == nullptr ? 0 : report->memory_free_mib);
}

// ---- server groups ----

const config::ServerGroup* site_of(const config::Config& config, NodeId node) {
    for (const config::ServerGroup& site : config.server_groups)
        if (std::find(site.nodes.begin(), site.nodes.end(), node) != site.nodes.end()) return &site;
    return nullptr;
}

void apply_site(const Question& q, Verdicts& verdicts) {
    const GroupEntry* entry = entry_of(q.document, q.group.name);
    const NodeId home = entry == nullptr ? kNobody : home_of(*entry);
    if (q.group.server_group_policy == config::ServerGroupPolicy::kNone || home == kNobody) return;
    const config::ServerGroup* from = site_of(*q.input.config, home);
    const config::ServerGroup* to = site_of(*q.input.config, q.node);
    if (from == to) return;
    verdicts.worth.other_site = true;
    if (q.group.server_group_policy != config::ServerGroupPolicy::kManualBetween || q.asker == Asker::kPerson) return;
    forbid(verdicts, Fitness::kUnfit,
           std::string("in ") + (to == nullptr ? "no server group" : "server group " + to->name) + ", and " +
               (from == nullptr ? "none of them" : from->name) + " is where it ran: only a person moves it there");
}

// ---- memory and disk space ----

// Both rounded alike: a node that has enough never looks short.
bool is_short(uint64_t free, uint64_t minimum, bool quarter_more) {
    return minimum != 0 && free != 0 && free < coarse_mib(minimum + (quarter_more ? minimum / 4 : 0));
}

void apply_thresholds(const Question& q, Verdicts& verdicts) {
    if (q.asker == Asker::kPerson) return;
    const std::string shortage = shortage_of(q.input, q.node, q.asker == Asker::kImprovement);
    if (shortage.empty()) return;
    verdicts.worth.last_resort = true;
    if (verdicts.drawback.empty()) verdicts.drawback = shortage;
}

// ---- maintenance, the switch ----

// Persons are not held back, but an unmanaged node would not obey their start: the group would be nowhere.
void apply_unmanaged(const Question& q, Verdicts& verdicts) {
    if (q.document.node(q.node).maintenance.kind != MaintenanceKind::kUnmanaged) return;
    const std::string name = q.input.config->node_name(q.node);
    forbid(verdicts, Fitness::kUnfit,
           "unmanaged, so nothing is started there until `kagami maintenance end --node " + name + "`");
}

void apply_restraints(const Question& q, Verdicts& verdicts) {
    if (q.asker == Asker::kPerson) return apply_unmanaged(q, verdicts);
    const GroupEntry* entry = entry_of(q.document, q.group.name);
    const NodeId home = entry == nullptr ? kNobody : home_of(*entry);
    const Automatic what = home == kNobody || home == q.node ? Automatic::kStart : Automatic::kElsewhere;
    auto restraint = restraint_of(q.document, *q.input.config, q.group.name, what);
    if (!restraint) restraint = restraint_of(q.document, *q.input.config, q.node);
    if (restraint) forbid(verdicts, Fitness::kUnfit, restraint->words);
}

}  // namespace

std::string shortage_of(const PolicyInput& input, NodeId node, bool quarter_more) {
    const config::Config& config = *input.config;
    const NodeReport* report = report_of(input, *input.document, node);
    if (report == nullptr) return {};
    const std::string more = quarter_more ? " and a quarter more" : "";
    const auto words = [&](const char* what, const char* key, uint64_t minimum) {
        return std::string("less ") + what + " is free there than " + key + " (" + std::to_string(minimum) + " MiB)" +
               more + " demands";
    };
    if (is_short(report->memory_free_mib, config.minimum_memory_mib, quarter_more))
        return words("memory", "minimum_memory", config.minimum_memory_mib);
    if (is_short(report->disk_free_mib, config.minimum_disk_mib, quarter_more))
        return words("disk space", "minimum_disk", config.minimum_disk_mib);
    return {};
}

Verdicts apply_rules(const Question& q) {
    Verdicts verdicts;
    apply_restraints(q, verdicts);
    apply_exclusion(q, verdicts);
    apply_site(q, verdicts);
    apply_dynamic(q, verdicts);
    apply_thresholds(q, verdicts);
    if (q.asker == Asker::kImprovement && verdicts.worth.last_resort)
        forbid(verdicts, Fitness::kUnfit, verdicts.drawback);
    return verdicts;
}

std::string shared_with(const Question& q) {
    const Neighbour neighbour = neighbour_of(q);
    if (neighbour.rule == nullptr || neighbour.presence == Presence::kStops) return {};
    return "group " + neighbour.group + " (rule " + neighbour.rule->name + ")";
}

std::string words_of(const Question& q, const Worth& worth, const Worth& better) {
    if (worth.errors != better.errors) return "monitor " + health_of(q).error + " reports an error there";
    if (worth.cautions != better.cautions) return "monitor " + health_of(q).caution + " reports a caution there";
    if (worth.other_site != better.other_site) return "in another server group than where it ran";
    if (worth.used_up != better.used_up) return "less memory is free there";
    return {};
}

}  // namespace kagami::engine
