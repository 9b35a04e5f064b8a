// What persons switch for a while: failover, maintenance, who leads; and what of it runs out by itself. The counts
// stand in the document, so they go on under another leader; whoever leads measures their steps.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"

namespace kagami::engine {
namespace {

constexpr uint32_t kMaxMaintenanceMinutes = 30 * 24 * 60;

std::string person_of(const OperatorRequest& request) {
    return request.person.empty() ? "a person" : request.person;
}

std::string minutes(uint32_t count) {
    return std::to_string(count) + " min";
}

}  // namespace

// ---- failover on, off, force ----

Status Plan::failover_request(const OperatorRequest& request, OwedReply& owed) {
    if (request.verb == OperatorVerb::kFailoverForce) return failover_force(request, owed);
    const bool on = request.verb == OperatorVerb::kFailoverOn;
    FailoverSwitch& entry = next_.failover;
    if (entry.on == on && !entry.latched)
        return fail(ErrorCode::kRefused, on ? "failover is switched on already" : "failover is switched off already",
                    on ? "there is nothing to switch" : "to switch it on: `kagami failover on`");
    if (on) {
        if (const Status good = paths_are_good(); !good) return good;
    }
    entry = {on, false, "by " + person_of(request)};
    accept(request, owed, Reason::kFailoverSwitched, "cluster",
           on ? "Failover is switched on"
              : "Failover is switched off, so nothing goes to another node by itself until `kagami failover on`",
           on ? "Failover is on." : "Failover is off: nothing goes to another node by itself.");
    return {};
}

// Otherwise the first failover might be the work of a bad network.
Status Plan::paths_are_good() const {
    for (const NodeId from : members()) {
        const NodeReport* report = report_of({from, next_.node(from).boot});
        if (!is_heard(from) || report == nullptr)
            return fail(ErrorCode::kRefused, name_of(from) + " is a member and is not heard",
                        "bring it back, or confirm that it is down");
        for (const PathReport& path : report->bad_paths)
            return fail(ErrorCode::kRefused,
                        "the " + std::string(path.control ? "control" : "heartbeat") + " path from " + name_of(from) +
                            " to " + name_of(path.peer) + " on network " + path.network + " is bad",
                        "repair it; `kagami paths` shows all of them");
        const Heartbeat* heartbeat = heartbeat_of(from);
        for (const NodeId to : members())
            if (from != to && heartbeat != nullptr && !hears(*heartbeat, to))
                return fail(ErrorCode::kRefused, name_of(from) + " does not hear " + name_of(to) + " on any network",
                            "repair the network; `kagami paths` shows where it is broken");
    }
    return {};
}

// A copy that is being made would have to begin anew, from a node that is about to be left.
Status Plan::may_leave_leader(const config::Group& group) const {
    for (const std::string& name : mirrors_of(group)) {
        const mirror::Report* report = replica_report(input_, next_, input_.self, name);
        const bool copying =
            report != nullptr && (report->resync != mirror::Resync::kNone || report->mode == mirror::Mode::kSyncing ||
                                  report->mode == mirror::Mode::kJoining);
        if (copying)
            return fail(ErrorCode::kRefused,
                        "mirror " + name + " of group " + group.name + " is being resynchronised (" +
                            std::to_string(report->percent) + " %)",
                        "wait for its end; `kagami mirror status` shows it");
    }
    return {};
}

// Why `node` cannot lead; empty: it can.
std::string Plan::no_leader(NodeId node) const {
    const NodeEntry& entry = next_.node(node);
    const NodeFacts* facts = facts_of(node);
    if (node == input_.self) return "it leads already";
    if (entry.state != NodeState::kMember) return "it is no member of the cluster";
    if (entry.leaving != Leaving::kNo) return "it leaves the cluster";
    if (!is_heard(node)) return "it is not heard";
    const Heartbeat* heartbeat = heartbeat_of(node);
    if (heartbeat != nullptr && !hears(*heartbeat, input_.self)) return "it does not hear the leader";
    if (heartbeat != nullptr && !heartbeat->guard_alive) return "its guard does not run";
    return facts == nullptr || !facts->votes_now ? "it does not vote" : "";
}

// The named node, or the first that can lead and take all of `groups`.
Result<NodeId> Plan::choose_leader(NodeId wanted, const std::vector<const config::Group*>& groups) const {
    std::vector<std::string> rejected;
    for (const config::Node& node : input_.config->nodes) {
        if (wanted != kNobody ? node.id != wanted : node.id == input_.self) continue;
        std::string obstacle = no_leader(node.id);
        for (const config::Group* group : groups) {
            if (!obstacle.empty()) break;
            const Result<NodeId> place = choose_node(*group, node.id, input_.self, "move to");
            if (!place) obstacle = place.error().message;
        }
        if (obstacle.empty()) return node.id;
        rejected.push_back(node.name + ": " + obstacle);
    }
    const std::string what = wanted != kNobody ? name_of(wanted) + " cannot lead" : "no other node can lead";
    const std::string why = wanted != kNobody && rejected.size() == 1
                                ? rejected.front().substr(rejected.front().find(": ") + 2)
                                : joined(rejected);
    return fail(ErrorCode::kRefused, why.empty() ? what : what + ": " + why,
                "name another node, or bring this one back first");
}

// The groups go first; the leadership follows when they have arrived.
Status Plan::failover_force(const OperatorRequest& request, OwedReply& owed) {
    if (next_.unconfirmed || next_.pending)
        return fail(ErrorCode::kRefused,
                    next_.pending
                        ? "a change of the configuration is being carried out"
                        : "configuration " + std::to_string(chosen_.config.version) + " has not been confirmed yet",
                    next_.pending ? "wait until it has ended" : "confirm it first: `kagami config confirm`");
    if (const Status may = may_start(); !may) return may;
    std::vector<const config::Group*> groups;
    for (const config::Group& group : input_.config->groups) {
        const GroupEntry& entry = next_.groups[group.name];
        if (!entry.owner || owner_of(entry).node != input_.self || entry.goal != Goal::kStarted) continue;
        if (entry.stop_failed)
            return fail(ErrorCode::kRefused, "group " + group.name + " could not be stopped on " + name_of(input_.self),
                        "repair what its stop reported, then run `kagami group stop " + group.name + "`");
        if (const Status may = may_leave_leader(group); !may) return may;
        groups.push_back(&group);
    }
    const Result<NodeId> target = choose_leader(request.node, groups);
    if (!target) return tl::unexpected(target.error());
    next_.leader_wish = *target;
    owed.node = *target;
    owed.deadline = input_.now + 4 * input_.timing->hold;
    const std::string what = name_of(input_.self) + " hands everything to " + name_of(*target);
    accept(request, owed, Reason::kFailoverSwitched, "cluster", what, {});
    for (const config::Group* group : groups) {
        GroupEntry& entry = next_.groups[group->name];
        forget_failures(entry);
        owed.things.insert(group->name);
        owed.deadline += limit_of(*group);
        begin_move(*group, entry, *target, Reason::kGroupMoveStarted, "asked for by " + person_of(request));
    }
    return {};
}

bool Plan::settle_force(const OwedReply& owed) {
    const std::string place = name_of(owed.node);
    size_t arrived = 0;
    for (const std::string& name : owed.things) {
        const auto at = chosen_.groups.find(name);
        const bool there = at != chosen_.groups.end() && at->second.owner && owner_of(at->second).node == owed.node;
        const GroupReport* report = there ? report_of(owner_of(at->second), name) : nullptr;
        if (report != nullptr && report->token == at->second.token && report->state == GroupState::kActive) ++arrived;
        const bool stuck_here = at != chosen_.groups.end() && at->second.stop_failed;
        if (!stuck_here && input_.now < owed.deadline) continue;
        if (!stuck_here && arrived == owed.things.size()) continue;
        reply(owed, OperatorOutcome::kFailed, "group " + name + " has not arrived on " + place,
              "look at `kagami why " + name + "`");
        return true;
    }
    if (arrived < owed.things.size()) {
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kDone,
          (owed.things.empty() ? "No group had to move" : "All groups have moved to " + place) +
              std::string("; the leadership goes to ") + place + ".");
    return true;
}

// ---- who leads ----

Status Plan::leader_move(const OperatorRequest& request, OwedReply& owed) {
    if (request.node != kNobody && input_.config->node(request.node) == nullptr)
        return fail(ErrorCode::kNotFound, "there is no such node", "look at `kagami status` for the nodes");
    const Result<NodeId> target = choose_leader(request.node, {});
    if (!target) return tl::unexpected(target.error());
    next_.leader_wish = *target;
    owed.node = *target;
    accept(request, owed, Reason::kOperatorAccepted, "cluster",
           "The leadership goes from " + name_of(input_.self) + " to " + name_of(*target), {});
    return {};
}

// It is handed over at once; that is the end of it here, and whoever asked is told by the new leader's first words.
bool Plan::settle_leader_move(const OwedReply& owed) {
    if (chosen_.leader_wish == owed.node && no_leader(owed.node).empty() && input_.now < owed.deadline) {
        out_.hand_over_to = owed.node;
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kFailed,
          "the leadership stays here: " +
              (no_leader(owed.node).empty() ? name_of(owed.node) + " did not take it" : no_leader(owed.node)),
          "look at `kagami paths`, then try again");
    return true;
}

void Plan::forget_leader_wish() {
    const NodeEntry& entry = next_.node(next_.leader_wish);
    if (next_.leader_wish != kNobody && (entry.state != NodeState::kMember || entry.leaving != Leaving::kNo))
        next_.leader_wish = kNobody;
}

// ---- maintenance ----

Result<Plan::MaintenanceOf> Plan::find_maintenance(const OperatorRequest& request) {
    switch (request.scope) {
        case MaintenanceScope::kCluster: return MaintenanceOf{&next_.maintenance, "cluster", "the cluster", ""};
        case MaintenanceScope::kNode: {
            const Result<const config::Node*> node = find_node(request.subject);
            if (!node) return tl::unexpected(node.error());
            return MaintenanceOf{&next_.nodes[(*node)->id].maintenance, "node " + request.subject, request.subject,
                                 " --node " + request.subject};
        }
        case MaintenanceScope::kGroup: {
            const Result<const config::Group*> group = find_group(request.subject);
            if (!group) return tl::unexpected(group.error());
            return MaintenanceOf{&next_.groups[request.subject].maintenance, "group " + request.subject,
                                 "group " + request.subject, " --group " + request.subject};
        }
    }
    return fail(ErrorCode::kUsage, "a maintenance is of the cluster, a node or a group", "name one of them");
}

// Nothing is activated on an unmanaged node: what is half started would stay so.
Status Plan::nothing_starts_on(NodeId node) const {
    for (const auto& [name, entry] : next_.groups) {
        if (!entry.owner || owner_of(entry).node != node || entry.goal != Goal::kStarted) continue;
        const GroupReport* report = report_of(owner_of(entry), name);
        if (report != nullptr && report->token == entry.token && report->state != GroupState::kStarting) continue;
        return fail(ErrorCode::kRefused, "group " + name + " is being started on " + name_of(node),
                    "wait until it runs, or stop it with `kagami group stop " + name + "`");
    }
    return {};
}

Status Plan::maintenance_begin(const OperatorRequest& request, OwedReply& owed) {
    const bool unmanaged = request.maintenance == MaintenanceKind::kUnmanaged;
    if (request.maintenance == MaintenanceKind::kNone)
        return fail(ErrorCode::kUsage, "the kind of the maintenance is missing", "name it: observe or unmanaged");
    if (request.minutes == 0 || request.minutes > kMaxMaintenanceMinutes)
        return fail(ErrorCode::kUsage, "a maintenance lasts a minute at least and 30 days at most",
                    "name how long with --for, such as --for 30min");
    if (unmanaged && request.scope != MaintenanceScope::kNode)
        return fail(ErrorCode::kUsage, "only a single node can be unmanaged: it is its guard that is disarmed",
                    "name a node, or use --kind observe");
    const Result<MaintenanceOf> found = find_maintenance(request);
    if (!found) return tl::unexpected(found.error());
    if (unmanaged) {
        const NodeId node = (*find_node(request.subject))->id;
        NodeEntry& entry = next_.nodes[node];
        const bool longer = entry.maintenance.kind == MaintenanceKind::kUnmanaged;
        if (const Status calm = nothing_starts_on(node); !calm && !longer) return calm;
        if (entry.state != NodeState::kMember || entry.leaving != Leaving::kNo ||
            !is_heard(node))
            return fail(ErrorCode::kRefused,
                        request.subject + " cannot be told to disarm its guard: it is no member that is heard",
                        "bring it back, or use --kind observe");
        entry.armed = false;
        say(Reason::kNodeDisarmed, found->subject,
            "The guard of " + request.subject +
                " covers nothing from now on: its services run whatever becomes of the daemon, and if the node is lost "
                "its groups wait for a person's word.");
    }
    *found->entry = {request.maintenance, request.minutes};
    memory_.counts.erase("maintenance " + found->subject);
    accept(request, owed, Reason::kMaintenanceBegun, found->subject,
           "Maintenance of " + found->name + " (" + (unmanaged ? "unmanaged" : "observe") + ") begins, for " +
               minutes(request.minutes) + ": nothing is decided by itself for it",
           "Maintenance of " + found->name + " has begun; it ends by itself, or with `kagami maintenance end" +
               found->option + "`.");
    return {};
}

Status Plan::maintenance_end(const OperatorRequest& request, OwedReply& owed) {
    const Result<MaintenanceOf> found = find_maintenance(request);
    if (!found) return tl::unexpected(found.error());
    if (found->entry->kind == MaintenanceKind::kNone)
        return fail(ErrorCode::kRefused, found->name + " is not in maintenance", "look at `kagami status` for what is");
    *found->entry = Maintenance{};
    accept(request, owed, Reason::kMaintenanceEnded, found->subject, "Maintenance of " + found->name + " ends",
           "Maintenance of " + found->name + " has ended: things are decided by themselves again.");
    return {};
}

// ---- what runs out by itself ----

// Takes `step` off every `every`; true when nothing is left of what there was.
bool Plan::count_down(const std::string& key, uint32_t& left, uint32_t step, Duration every) {
    if (left == 0) {
        memory_.counts.erase(key);
        return false;
    }
    PolicyMemory::Count& count = memory_.counts[key];
    if (count.value != left || count.since == Instant{}) count = {left, input_.now};
    if (input_.now < count.since + every) {
        consider(count.since + every);
        return false;
    }
    left -= std::min(step, left);
    return left == 0;
}

void Plan::end_maintenance(const std::string& subject, const std::string& name, Maintenance& entry) {
    if (!count_down("maintenance " + subject, entry.minutes_left, 1, 1min)) return;
    entry = Maintenance{};
    say(Reason::kMaintenanceExpired, subject,
        "The time of the maintenance of " + name + " is over: things are decided by themselves again.");
}

// The guard of a node that was unmanaged counts as covering it only once the node says that it acts on a document in
// which it is managed again; until then no expired lease proves anything about it (P4).
void Plan::arm_again(NodeId node) {
    NodeEntry& entry = next_.nodes[node];
    const NodeEntry& before = chosen_.node(node);
    if (entry.armed || entry.state != NodeState::kMember || entry.maintenance.kind == MaintenanceKind::kUnmanaged ||
        before.maintenance.kind == MaintenanceKind::kUnmanaged)
        return;
    const NodeReport* report = report_of({node, entry.boot});
    const Heartbeat* heartbeat = heartbeat_of(node);
    if (!is_heard(node) || report == nullptr || report->version < chosen_.version || !report->guarded ||
        heartbeat == nullptr || !heartbeat->guard_alive)
        return;
    entry.armed = true;
    say(Reason::kNodeArmed, "node " + name_of(node), "The guard of " + name_of(node) + " covers its groups again.");
}

// The node is back: the reservation has served once its groups have started there, or cannot.
void Plan::end_reservation(NodeId node) {
    NodeEntry& entry = next_.nodes[node];
    if (entry.reserved_minutes == 0 || entry.state != NodeState::kMember || entry.leaving != Leaving::kNo) return;
    for (const config::Group& group : input_.config->groups) {
        const auto at = next_.groups.find(group.name);
        if (at == next_.groups.end() || at->second.owner || at->second.held || at->second.last_owner != node ||
            at->second.goal != Goal::kStarted)
            continue;
        if (judge(input_, next_, group, node).fitness != Fitness::kUnfit) return;
    }
    entry.reserved_minutes = 0;
}

void Plan::plan_switches() {
    if (chosen_.cluster_stopped && !next_.cluster_stopped && !next_.failover.on) {
        next_.failover = FailoverSwitch{};
        say(Reason::kFailoverSwitched, "cluster",
            "Failover is switched on again: the cluster was stopped and started.");
    }
    if (count_down("ratio", next_.timeout_ratio.minutes_left, 1, 1min)) {
        next_.timeout_ratio = TimeoutRatio{};
        say(Reason::kTimeoutRatioOver, "cluster", "The time-outs are as configured again: their time is over.");
    }
    end_maintenance("cluster", "the cluster", next_.maintenance);
    for (const config::Group& group : input_.config->groups)
        if (const auto at = next_.groups.find(group.name); at != next_.groups.end())
            end_maintenance("group " + group.name, "group " + group.name, at->second.maintenance);
    for (const config::Node& node : input_.config->nodes) {
        NodeEntry& entry = next_.nodes[node.id];
        end_maintenance("node " + node.name, node.name, entry.maintenance);
        arm_again(node.id);
        end_reservation(node.id);
        if (count_down("reserved" + node.name, entry.reserved_minutes, 1, 1min))
            say(Reason::kReservationOver, "node " + node.name,
                node.name + " is not back in the time that was reserved for it: its groups go elsewhere.");
    }
    forget_leader_wish();
    count_confirmation();
}

}  // namespace kagami::engine
