// What persons ask for. A request either changes the intent in the document (accepted, and answered again when it has
// come to its end) or is refused with the rule that forbids it and what to do instead.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "cluster-daemon/engine/replicas.h"
#include "cluster-daemon/engine/waits.h"
#include "common/config/nearest.h"
#include "common/hash.h"

namespace kagami::engine {
namespace {

constexpr size_t kSpareBytes = size_t{32} * 1024;  // for what the document may hold beside configurations
constexpr size_t kReserveBytes = kSpareBytes / 2;  // of that: for takeovers, which must never find the document full

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

// "did you mean "web"?" or the list of what there is.
template <typename Named>
std::string suggestion(const std::string& name, const std::vector<Named>& known, std::string_view plural) {
    std::vector<std::string_view> names;
    names.reserve(known.size());
    for (const Named& item : known) names.push_back(item.name);
    return names.empty() ? "none is configured" : config::nearest(name, names, plural);
}

Leaving leaving_of(const OperatorRequest& request) {
    return request.reboot ? Leaving::kReboot : request.halt ? Leaving::kHalt : Leaving::kStopDaemon;
}

}  // namespace

void Plan::take_requests() {
    for (const PendingRequest& pending : input_.requests) {
        const OperatorRequest& request = pending.request;
        OwedReply owed;
        owed.id = request.id;
        owed.origin = pending.origin;
        owed.verb = request.verb;
        owed.subject = request.subject;
        owed.asked_at = chosen_.version;
        owed.deadline = kNever;
        if (request.dry_run) {
            rehearse(pending, owed);
            continue;
        }
        const std::string who = request.person.empty() ? "a person" : request.person;
        const std::string subject = request.subject.empty() ? "cluster" : request.subject;
        if (const Status taken = take(pending, owed); !taken) {
            reply(owed, OperatorOutcome::kRefused, taken.error().message, taken.error().remedy, taken.error().code);
            say(Reason::kOperatorRefused, subject, "Refused to " + who + ": " + taken.error().message + ".");
            continue;
        }
        memory_.owed.push_back(owed);
    }
}

Status Plan::take(const PendingRequest& pending, OwedReply& owed) {
    const OperatorRequest& request = pending.request;
    const Document before = next_;
    const size_t said = out_.decisions.size();
    const size_t replied = out_.replies.size();
    const auto carry_out = [&]() -> Status {
        switch (request.verb) {
            case OperatorVerb::kGroupStart: return group_start(request, owed);
            case OperatorVerb::kGroupStop: return group_stop(request, owed);
            case OperatorVerb::kGroupMove: return group_move(request, owed);
            case OperatorVerb::kNodeShutdown: return node_shutdown(request, owed);
            case OperatorVerb::kNodeReturn: return node_return(request, owed);
            case OperatorVerb::kClusterStart: return cluster_start(owed);
            case OperatorVerb::kClusterStop: return cluster_stop(request, owed);
            case OperatorVerb::kConfigApply: return config_apply(request, owed);
            case OperatorVerb::kConfirmDown: return confirm_down(request, owed);
            case OperatorVerb::kMirrorForce:
            case OperatorVerb::kMirrorResync:
            case OperatorVerb::kMirrorCancel:
            case OperatorVerb::kMirrorBreak:
            case OperatorVerb::kMirrorRejoin: return mirror_request(request, owed);
            case OperatorVerb::kResourceStart:
            case OperatorVerb::kResourceStop: return resource_request(request, owed);
            case OperatorVerb::kMonitorSuspend:
            case OperatorVerb::kMonitorResume:
            case OperatorVerb::kMonitorDummyOn:
            case OperatorVerb::kMonitorDummyOff:
            case OperatorVerb::kMonitorClear: return monitor_request(request, owed);
            case OperatorVerb::kFailoverOn:
            case OperatorVerb::kFailoverOff:
            case OperatorVerb::kFailoverForce: return failover_request(request, owed);
            case OperatorVerb::kMaintenanceBegin: return maintenance_begin(request, owed);
            case OperatorVerb::kMaintenanceEnd: return maintenance_end(request, owed);
            case OperatorVerb::kLeaderMove: return leader_move(request, owed);
            case OperatorVerb::kTimeoutRatio: return timeout_ratio(request, owed);
            case OperatorVerb::kFinalActionsClear: return final_actions_clear(request, owed);
            case OperatorVerb::kConfigConfirm: return config_confirm(request, owed);
        }
        return {};
    };
    Status done = carry_out();
    if (done) done = has_room(request.verb, before);
    if (!done) {  // it may have been found half-way
        next_ = before;
        out_.decisions.resize(said);
        out_.replies.resize(replied);
    }
    owed.changes = next_ != before;
    return done;
}

// A configuration has a limit of its own.
Status Plan::has_room(OperatorVerb verb, const Document& before) const {
    if (verb == OperatorVerb::kConfigApply || next_ == before) return {};
    const size_t size = encode(next_).size();
    if (size + kReserveBytes <= kMaxDocumentBytes || size <= encode(before).size()) return {};
    return fail(ErrorCode::kRefused,
                "the cluster document has no room for it: it would have " + std::to_string(size) + " bytes",
                "take back what was set of monitors and resources (`kagami monitor resume`), or make scripts smaller");
}

void Plan::reply(const OwedReply& owed, OperatorOutcome outcome, std::string message, std::string remedy,
                 ErrorCode code) {
    OperatorReply answer;
    answer.id = owed.id;
    answer.outcome = outcome;
    const bool good = outcome == OperatorOutcome::kAccepted || outcome == OperatorOutcome::kDone;
    answer.code = good ? 0 : static_cast<uint8_t>(code);
    answer.message = std::move(message);
    answer.remedy = std::move(remedy);
    out_.replies.emplace_back(owed.origin, std::move(answer));
}

Result<const config::Group*> Plan::find_group(const std::string& name) const {
    if (const config::Group* group = input_.config->group(name); group != nullptr) return group;
    return fail(ErrorCode::kNotFound, "there is no group " + quoted(name),
                suggestion(name, input_.config->groups, "groups"));
}

Result<const config::Node*> Plan::find_node(const std::string& name) const {
    if (const config::Node* node = input_.config->node(name); node != nullptr) return node;
    return fail(ErrorCode::kNotFound, "there is no node " + quoted(name),
                suggestion(name, input_.config->nodes, "nodes"));
}

Status Plan::may_start() const {
    if (!input_.startup_complete)
        return fail(ErrorCode::kNoQuorum, "the cluster still waits for nodes to start",
                    "wait for them, or run `kagami cluster start --now`");
    if (next_.cluster_stopped)
        return fail(ErrorCode::kRefused, "the cluster is being stopped", "start it again with `kagami cluster start`");
    return {};
}

// Every resource stops and starts once, each attempt as long as it may take; a month at most, else many long time-outs
// and a large ratio would exceed what a Duration holds.
Duration Plan::limit_of(const config::Group& group) const {
    constexpr Duration kMost = 30 * 24h;
    Duration limit{};
    for (const config::Resource& resource : group.resources)
        limit += resource.activate_timeout * (resource.on_activation_failure.retry + 1) +
                 resource.deactivate_timeout * (resource.on_deactivation_failure.retry + 1);
    const uint32_t ratio = std::max<uint32_t>(1, next_.timeout_ratio.ratio);
    return 4 * input_.timing->hold + (limit < kMost / ratio ? limit * ratio : kMost);
}

// Where a person's group goes: to the named node when it is fit, else to the first fit one. Earlier failures do not
// count.
Result<NodeId> Plan::choose_node(const config::Group& group, NodeId wanted, NodeId except,
                                 const std::string& verb) const {
    const std::string name = "group " + group.name;
    Document trial = next_;
    trial.groups[group.name].failed_on.clear();
    if (wanted != kNobody) {
        const Candidate candidate = judge(input_, trial, group, wanted, Asker::kPerson);
        if (candidate.fitness == Fitness::kFit) return wanted;
        return fail(ErrorCode::kRefused, name + " cannot " + verb + " " + name_of(wanted) + ": " + candidate.obstacle,
                    "name another node, or bring this one back first");
    }
    const Placement placement = place(input_, trial, group, except, Asker::kPerson);
    if (placement.node != kNobody) return placement.node;
    return fail(
        ErrorCode::kRefused,
        name + " has no " + (except == kNobody ? "" : "other ") + "node to go to: " + joined(placement.rejected),
        "bring one of its nodes back");
}

// A person may name a node whose copy of a mirror is old, the one that went down first: the group starts where its
// latest data is, and the answer says so. Nothing when there is no such place, or when more is against the node.
std::string Plan::follow_data(const config::Group& group, NodeId& wanted) const {
    if (wanted == kNobody || mirrors_of(group).empty()) return "";
    Document trial = next_;
    trial.groups[group.name].failed_on.clear();
    const Candidate candidate = judge(input_, trial, group, wanted, Asker::kPerson);
    const Candidate copies = judge_replicas(input_, trial, group, wanted);
    if (copies.fitness == Fitness::kFit || candidate.obstacle != copies.obstacle) return "";
    const NodeId node = place(input_, trial, group, wanted, Asker::kPerson).node;
    if (node == kNobody) return "";
    const std::string old = name_of(wanted) + ": " + copies.obstacle;
    wanted = node;
    return ", where its latest data is (" + old + ")";
}

// A group whose start has failed for good may be started again; what runs, or may run, not.
Status Plan::may_start_group(const config::Group& group, const GroupEntry& entry) {
    const std::string name = "group " + group.name;
    if (!entry.owner) return {};
    const std::string owner = name_of(owner_of(entry).node);
    if (entry.stop_failed)
        return fail(ErrorCode::kRefused, name + " could not be stopped on " + owner + " and may have effects there",
                    "repair it there and run `kagami group stop " + group.name + "` first");
    const GroupReport* report = report_of(owner_of(entry), group.name);
    const bool start_failed =
        report != nullptr && report->token == entry.token && report->state == GroupState::kStartFailed;
    if (entry.goal != Goal::kStarted || start_failed) return {};
    if (next_.node(owner_of(entry).node).state == NodeState::kMember)
        return fail(ErrorCode::kRefused, name + " is already started on " + owner,
                    "use `kagami group move " + group.name + "` to run it elsewhere");
    if (proof_of(group, entry) == Proof::kNone)
        return fail(ErrorCode::kRefused, name + " may still run on " + owner + ": there is no proof that it stopped",
                    "if the node is off, run `kagami cluster start --alone --confirm-down " + owner + "`");
    return {};
}

// Both-system activation check, of a person's start.
Status Plan::may_start_beside(const config::Group& group) const {
    const auto at = elsewhere_.find(group.name);
    if (at == elsewhere_.end()) return {};
    return fail(ErrorCode::kRefused,
                "group " + group.name + " is not stopped on " + name_of(at->second) + ", which does not own it",
                "stop it there by hand, or reboot " + name_of(at->second));
}

Status Plan::group_start(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Group*> found = find_group(request.subject);
    if (!found) return tl::unexpected(found.error());
    if (const Status may = may_start(); !may) return may;
    const config::Group& group = **found;
    if (is_changing(group.name))
        return fail(ErrorCode::kRefused, "group " + group.name + " is being restarted for a new configuration",
                    "wait until that has ended");
    GroupEntry& entry = next_.groups[group.name];
    if (const Status may = may_start_group(group, entry); !may) return may;
    if (const Status may = may_start_beside(group); !may) return may;
    NodeId wanted = request.node;
    const std::string data = follow_data(group, wanted);
    const Result<NodeId> node = choose_node(group, wanted, kNobody, "start on");
    if (!node) return tl::unexpected(node.error());
    forget_failures(entry);
    owed.node = wanted;
    const std::vector<std::string> waits = start_waits_for(input_, next_, group, *node);
    owed.deadline = input_.now + limit_of(group) + (waits.empty() ? Duration{} : group.start_wait.timeout);
    reply(owed, OperatorOutcome::kAccepted,
          "group " + group.name + " starts on " + name_of(*node) + data +
              (waits.empty() ? "." : " once " + groups_named(waits) + (waits.size() == 1 ? " runs." : " run.")));
    say(Reason::kOperatorAccepted, "group " + group.name,
        "Start of group " + group.name + " asked for by " + request.person + ".");
    const Proof proof = entry.owner ? proof_of(group, entry) : Proof::kStopped;
    if (proof == Proof::kNone) {  // stops first, to start here or there
        entry.goal = Goal::kStopped;
        entry.target = *node;
        return {};
    }
    if (entry.owner) clear_owner(entry, proof);
    if (waits.empty()) {
        assign(group, entry, *node, false, false);
    } else {
        entry.goal = Goal::kStarted;
        entry.target = *node;
    }
    return {};
}

void Plan::forget_failures(GroupEntry& entry) {
    entry.failed_on.clear();
    entry.failovers = 0;
    entry.held = false;
}

Status Plan::group_stop(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Group*> found = find_group(request.subject);
    if (!found) return tl::unexpected(found.error());
    GroupEntry& entry = next_.groups[(*found)->name];
    owed.saw_stopping = !entry.stop_failed;
    if (entry.stop_failed) memory_.stop_again.insert((*found)->name);
    entry.goal = Goal::kStopped;
    entry.target = kNobody;
    entry.held = true;
    const config::StopWait& wait = (*found)->stop_wait;
    owed.deadline = input_.now + limit_of(**found) + (wait.at_group_stop ? wait.timeout : Duration{});
    reply(
        owed, OperatorOutcome::kAccepted,
        "group " + (*found)->name + (entry.owner ? " stops on " + name_of(owner_of(entry).node) : " is stopped") + ".");
    say(Reason::kGroupHeld, "group " + (*found)->name,
        "Group " + (*found)->name + " is stopped by " + request.person + " and is not started by itself.");
    return {};
}

Status Plan::group_move(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Group*> found = find_group(request.subject);
    if (!found) return tl::unexpected(found.error());
    if (const Status may = may_start(); !may) return may;
    const config::Group& group = **found;
    GroupEntry& entry = next_.groups[group.name];
    const std::string name = "group " + group.name;
    if (is_changing(group.name))
        return fail(ErrorCode::kRefused, name + " is being restarted for a new configuration",
                    "wait until that has ended");
    if (!entry.owner || entry.goal != Goal::kStarted)
        return fail(ErrorCode::kRefused,
                    name + (entry.target != kNobody ? " is already being moved" : " is not started"),
                    entry.target != kNobody ? "wait until it has arrived"
                                            : "start it with `kagami group start " + group.name + "`");
    const NodeId owner = owner_of(entry).node;
    if (entry.stop_failed || next_.node(owner).state != NodeState::kMember)
        return fail(ErrorCode::kRefused,
                    name + " cannot be moved: it is not known to be under control on " + name_of(owner),
                    "look at `kagami why " + group.name + "`");
    if (request.node == owner)
        return fail(ErrorCode::kRefused, name + " already runs on " + name_of(owner), "name another node");
    const Result<NodeId> node = choose_node(group, request.node, owner, "move to");
    if (!node) return tl::unexpected(node.error());
    forget_failures(entry);
    owed.node = *node;
    owed.deadline = input_.now + limit_of(group);
    begin_move(group, entry, *node, Reason::kGroupMoveStarted, "asked for by " + request.person);
    reply(owed, OperatorOutcome::kAccepted, name + " moves from " + name_of(owner) + " to " + name_of(*node) + ".");
    return {};
}

Status Plan::may_reserve(const OperatorRequest& request) const {
    constexpr uint32_t kMost = 24 * 60;
    if (request.minutes == 0) return {};
    if (!request.reboot)
        return fail(ErrorCode::kUsage, "only a node that reboots comes back for the groups that wait for it",
                    "use `kagami node reboot " + request.subject + " --reserve 10min`, or leave --reserve out");
    if (request.minutes > kMost)
        return fail(ErrorCode::kUsage, "groups wait for a day at most", "reserve fewer minutes");
    return {};
}

Status Plan::node_shutdown(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Node*> found = find_node(request.subject);
    if (!found) return tl::unexpected(found.error());
    NodeEntry& entry = next_.nodes[(*found)->id];
    if (entry.state != NodeState::kMember)
        return fail(ErrorCode::kRefused,
                    request.subject + " is not a member of the cluster: there is nothing to shut down",
                    "stop its services on the node itself");
    if (const Status may = may_reserve(request); !may) return may;
    entry.leaving = leaving_of(request);
    entry.reserved_minutes = request.minutes;
    memory_.counts.erase("reserved" + request.subject);
    reply(owed, OperatorOutcome::kAccepted,
          request.subject + (request.minutes == 0 ? " leaves the cluster: its groups move or stop first."
                                                  : " reboots: its groups stop and wait for it for " +
                                                        std::to_string(request.minutes) + " min at most."));
    if (request.minutes != 0)
        say(Reason::kNodeReserved, "node " + request.subject,
            "The groups of " + request.subject + " stop there and wait for it for " + std::to_string(request.minutes) +
                " min, while it reboots.");
    say(Reason::kOperatorAccepted, "node " + request.subject,
        "Shutdown of " + request.subject + " asked for by " + request.person + ".");
    return {};
}

Status Plan::node_return(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Node*> found = find_node(request.subject);
    if (!found) return tl::unexpected(found.error());
    NodeEntry& entry = next_.nodes[(*found)->id];
    const bool cancels = entry.leaving != Leaving::kNo && !next_.cluster_stopped;
    if (entry.state != NodeState::kMember)
        return fail(ErrorCode::kRefused, request.subject + " has not joined the cluster in its present boot",
                    "start its daemon and its guard; it joins by itself");
    if (!entry.isolated && !cancels)
        return fail(ErrorCode::kRefused, request.subject + " is not isolated", "there is nothing to return");
    entry.isolated = false;
    entry.leaving = Leaving::kNo;
    entry.reserved_minutes = 0;
    reply(owed, OperatorOutcome::kAccepted, request.subject + " is returned to the cluster.");
    say(Reason::kNodeReturned, "node " + request.subject,
        request.subject + " was returned to the cluster by " + request.person + ".");
    return {};
}

Status Plan::cluster_start(OwedReply& owed) {
    if (next_.cluster_stopped) {
        next_.cluster_stopped = false;
        for (auto& [node, entry] : next_.nodes)
            if (entry.state == NodeState::kMember) entry.leaving = Leaving::kNo;
        for (auto& [group, entry] : next_.groups) entry.held = false;
    }
    reply(owed, OperatorOutcome::kAccepted, "The cluster starts.");
    return {};
}

Status Plan::cluster_stop(const OperatorRequest& request, OwedReply& owed) {
    next_.cluster_stopped = true;
    for (auto& [node, entry] : next_.nodes)
        if (entry.state == NodeState::kMember) entry.leaving = leaving_of(request);
    reply(owed, OperatorOutcome::kAccepted, "The cluster stops: all groups first, then all nodes together.");
    say(Reason::kOperatorAccepted, "cluster", "Stop of the cluster asked for by " + request.person + ".");
    return {};
}

// Proof P5: a person's word, on record.
Status Plan::confirm_down(const OperatorRequest& request, OwedReply& owed) {
    const Result<const config::Node*> found = find_node(request.subject);
    if (!found) return tl::unexpected(found.error());
    NodeEntry& entry = next_.nodes[(*found)->id];
    if (is_heard((*found)->id))
        return fail(ErrorCode::kRefused, request.subject + " is alive: its heartbeats arrive",
                    "shut it down with `kagami node shutdown " + request.subject + "`");
    if (entry.state == NodeState::kAbsent || entry.state == NodeState::kLeft || entry.state == NodeState::kFenced)
        return fail(ErrorCode::kRefused, request.subject + " runs nothing as far as the cluster knows",
                    "there is nothing to confirm");
    entry.state = NodeState::kFenced;
    reply(owed, OperatorOutcome::kAccepted, request.subject + " is recorded as down on your word.");
    say(Reason::kConfirmedDown, "node " + request.subject,
        request.subject + " was confirmed down by " + (request.person.empty() ? "a person" : request.person) + ".");
    return {};
}

Status Plan::config_apply(const OperatorRequest& request, OwedReply& owed) {
    constexpr uint32_t kShortest = 10;
    constexpr uint32_t kLongest = 24 * 60 * 60;
    const bool goes_back =
        next_.unconfirmed && sha256(request.bundle) == next_.unconfirmed->previous.hash && request.amount == 0;
    if (next_.pending)
        return fail(ErrorCode::kRefused, "another change of the configuration is being carried out",
                    "wait until it has ended: `kagami status` shows it");
    if (next_.unconfirmed && !goes_back)
        return fail(ErrorCode::kRefused,
                    "configuration " + std::to_string(chosen_.config.version) + " has not been confirmed yet",
                    "confirm it with `kagami config confirm`, or go back with `kagami config rollback " +
                        std::to_string(next_.unconfirmed->previous.version) + "`");
    if (request.expected != Hash{} && request.expected != chosen_.config.hash)
        return fail(ErrorCode::kRefused, "the configuration in force has changed since yours was made from it",
                    "take the present one with `kagami config show`, make your change again and apply it");
    if (request.amount != 0 && (request.amount < kShortest || request.amount > kLongest))
        return fail(ErrorCode::kUsage, "the time to confirm a configuration is 10 s at least and a day at most",
                    "choose another --confirm-within");
    const auto wanted = input_.parse_config != nullptr ? (*input_.parse_config)(request.bundle) : nullptr;
    if (!wanted) return fail(ErrorCode::kUsage, "the configuration is not valid here", "run `kagami config check`");
    const Result<Impact> impact = accept_config(*wanted, request);
    if (!impact) return tl::unexpected(impact.error());
    PendingChange change;
    change.wanted = {chosen_.config.version + 1, sha256(request.bundle), request.bundle};
    change.person = request.person;
    change.confirm_within = request.amount;
    owed.config = change.wanted.hash;
    begin_change(std::move(change), *impact, *wanted);
    const bool kept_beside = request.amount != 0 || !impact->stops.empty();  // the former one, or the new one
    const size_t size = encode(next_).size() - (kept_beside ? 0 : next_.config.packed.size());
    if (size + kSpareBytes > kMaxDocumentBytes && !kept_beside)
        return fail(ErrorCode::kRefused, "the configuration with its scripts is too large for the cluster document",
                    "make the scripts smaller");
    if (size + kSpareBytes > kMaxDocumentBytes)
        return fail(ErrorCode::kRefused, "the configuration with its scripts is too large to be kept beside the former",
                    request.amount != 0 ? "apply it without --confirm-within"
                                        : "stop the groups that it restarts first, then apply it");
    owed.things = next_.pending->ran;
    owed.deadline = input_.now + 4 * input_.timing->hold;
    for (const std::string& group : impact->stops)
        if (const config::Group* known = input_.config->group(group)) owed.deadline += 2 * limit_of(*known);
    reply(owed, OperatorOutcome::kAccepted,
          "Configuration " + std::to_string(chosen_.config.version + 1) +
              " is accepted: " + impact_words(*impact, *wanted) + ".");
    return {};
}

Status Plan::config_confirm(const OperatorRequest& request, OwedReply& owed) {
    const std::string version = std::to_string(chosen_.config.version);
    if (!next_.unconfirmed)
        return fail(ErrorCode::kRefused, "configuration " + version + " needs no confirmation",
                    "there is nothing to confirm");
    if (next_.pending)
        return fail(ErrorCode::kRefused,
                    next_.pending->goes_back ? "it is too late: the former configuration comes back"
                                             : "its groups are being restarted still",
                    next_.pending->goes_back ? "apply it again once that has ended" : "try again when they run");
    next_.unconfirmed.reset();
    accept(request, owed, Reason::kConfigConfirmed, "cluster", "Configuration " + version + " is confirmed",
           "Configuration " + version + " stays in force.");
    return {};
}

}  // namespace kagami::engine
