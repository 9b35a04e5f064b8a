// Groups that a node reports although another one owns them, or nobody does. The register alone decides who may run a
// group, and the guard enforces it; this looks whether it is so.
#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {
namespace {

std::string subject_of(const config::Group& group) {
    return "group " + group.name;
}

}  // namespace

// Only a node that is heard and hears the leader can tell what is true now.
void Plan::find_doubles() {
    for (const config::Node& node : input_.config->nodes) {
        const Heartbeat* heartbeat = heartbeat_of(node.id);
        if (heartbeat == nullptr || !is_heard(node.id)) continue;
        if (node.id != input_.self && !hears(*heartbeat, input_.self)) continue;
        const NodeReport* report = report_of(heartbeat->incarnation);
        if (report == nullptr) continue;
        for (const GroupReport& item : report->groups) {
            if (item.state == GroupState::kStopped) continue;
            const auto entry = next_.groups.find(item.group);
            if (entry == next_.groups.end() || (entry->second.owner && owner_of(entry->second).node == node.id))
                continue;
            const config::Group* group = input_.config->group(item.group);
            if (group == nullptr || !group->check_both_active) continue;
            elsewhere_.emplace(item.group, node.id);
            const bool knows = report->version >= entry->second.token;  // that it does not own the group
            if (knows && item.state == GroupState::kActive) tell_double(*group, item, node.id);
        }
    }
    std::erase_if(memory_.doubles, [&](const auto& item) { return !elsewhere_.contains(item.first); });
}

// A group that was just given away may look so for a moment, until the guard has ended it.
void Plan::tell_double(const config::Group& group, const GroupReport& report, NodeId node) {
    const GroupEntry& entry = next_.groups.at(group.name);
    const GroupReport* owner = entry.owner ? report_of(owner_of(entry), group.name) : nullptr;
    if (owner == nullptr || owner->token != entry.token || owner->state != GroupState::kActive) return;
    const Instant from = memory_.doubles.try_emplace(group.name, input_.now).first->second + input_.timing->hold;
    if (input_.now < from) return consider(from);
    say_once("double" + group.name, Reason::kGroupActiveTwice, subject_of(group),
             "Group " + group.name + " is active on two nodes: " + name_of(owner_of(entry).node) + " owns it, and " +
                 name_of(node) + " reports that it runs there too. " + name_of(node) +
                 " is told to stop it; if it does not, reboot " + name_of(node) + ".");
    if (!due("double of " + group.name, report.token, false)) return;
    StopGroup order;
    order.group = group.name;
    order.token = report.token;
    out_.orders.push_back({node, order, 0});
}

// Before it starts: does another node say that it is not stopped there?
bool Plan::runs_elsewhere(const config::Group& group) {
    const auto at = elsewhere_.find(group.name);
    if (at == elsewhere_.end()) return false;
    say_once("elsewhere" + group.name, Reason::kGroupActiveElsewhere, subject_of(group),
             "Group " + group.name + " is not started: " + name_of(at->second) +
                 " reports that it is not stopped there, without owning it. It starts once " + name_of(at->second) +
                 " reports it stopped; if that does not come, reboot " + name_of(at->second) + ".");
    return true;
}

}  // namespace kagami::engine
