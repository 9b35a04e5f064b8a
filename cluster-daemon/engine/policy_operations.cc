// Resources, monitors, time-outs and final actions, as persons order them. Each order is intent in the document; it has
// ended when the nodes that are heard act on the document that holds it.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "common/config/nearest.h"

namespace kagami::engine {
namespace {

constexpr uint32_t kMaxRatio = 10000;
constexpr uint32_t kMaxRatioMinutes = 30 * 24 * 60;

// What comes after `name` in its group, near and far; or what it comes after.
std::set<std::string> related(const config::Group& group, const std::string& name, bool later) {
    std::set<std::string> found;
    std::vector<std::string> open = {name};
    while (!open.empty()) {
        const std::string one = open.back();
        open.pop_back();
        for (const config::Resource& resource : group.resources) {
            for (const std::string& earlier : resource.after) {
                const bool fits = later ? earlier == one : resource.name == one;
                const std::string& other = later ? resource.name : earlier;
                if (fits && found.insert(other).second) open.push_back(other);
            }
        }
    }
    return found;
}

std::string listed(const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

const ResourceReport* report_of_resource(const GroupReport* group, const std::string& name) {
    if (group == nullptr) return nullptr;
    const auto at = std::find_if(group->resources.begin(), group->resources.end(),
                                 [&](const ResourceReport& report) { return report.name == name; });
    return at == group->resources.end() ? nullptr : &*at;
}

bool is_empty(const MonitorEntry& entry) {
    return entry.suspended.empty() && entry.dummy_failure.empty() && entry.cleared == 0;
}

struct MonitorWords {
    Reason reason;
    std::string verb;    // "suspended"
    std::string effect;  // what follows
};
MonitorWords monitor_words(OperatorVerb verb) {
    if (verb == OperatorVerb::kMonitorSuspend) return {Reason::kMonitorSuspended, "suspended", "does not check"};
    if (verb == OperatorVerb::kMonitorResume) return {Reason::kMonitorResumed, "resumed", "checks again"};
    if (verb == OperatorVerb::kMonitorDummyOn)
        return {Reason::kDummyFailure, "told to report a failure", "reports a failure, whatever it finds"};
    if (verb == OperatorVerb::kMonitorDummyOff)
        return {Reason::kDummyFailure, "told to report what it finds", "reports what it finds"};
    return {Reason::kCountersCleared, "cleared of its counts of recoveries", "counts anew"};
}

// Why an order changes nothing, and what to do.
Error nothing_to_change(OperatorVerb verb, bool all, const std::string& what, const std::string& where) {
    if (verb == OperatorVerb::kMonitorResume || verb == OperatorVerb::kMonitorDummyOff) {
        const char* state = verb == OperatorVerb::kMonitorResume ? "suspended" : "told to report a failure";
        return {ErrorCode::kRefused, (all ? "no monitor is " : what + " is not ") + state + where,
                "there is nothing to take back; look at `kagami status`"};
    }
    return {ErrorCode::kRefused, what + " is " + monitor_words(verb).verb + where + " already",
            verb == OperatorVerb::kMonitorSuspend ? "to let it check again: `kagami monitor resume`"
                                                  : "to end the trial: `kagami monitor unfail`"};
}

}  // namespace

// ---- names ----

Result<Plan::Place> Plan::find_resource(const std::string& name) const {
    std::vector<std::string_view> known;
    for (const config::Group& group : input_.config->groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.name == name) return Place{group, resource};
            known.emplace_back(resource.name);
        }
    }
    return fail(ErrorCode::kNotFound, "there is no resource \"" + name + "\"",
                known.empty() ? "none is configured" : config::nearest(name, known, "resources"));
}

// No name stands for all of them.
Result<std::vector<const config::Monitor*>> Plan::find_monitors(const std::string& name) const {
    std::vector<const config::Monitor*> found;
    std::vector<std::string_view> known;
    for (const config::Monitor& monitor : input_.config->monitors) {
        if (name.empty() || monitor.name == name) found.push_back(&monitor);
        known.emplace_back(monitor.name);
    }
    if (!found.empty()) return found;
    return fail(ErrorCode::kNotFound, name.empty() ? "there are no monitors" : "there is no monitor \"" + name + "\"",
                known.empty() ? "none is configured" : config::nearest(name, known, "monitors"));
}

// Said and accepted; `done` follows when it has come to its end.
void Plan::accept(const OperatorRequest& request, OwedReply& owed, Reason reason, const std::string& subject,
                  const std::string& what, std::string done) {
    reply(owed, OperatorOutcome::kAccepted, what + ".");
    say(reason, subject, what + ": asked for by " + (request.person.empty() ? "a person" : request.person) + ".");
    owed.done = std::move(done);
    if (owed.deadline == kNever) owed.deadline = input_.now + 4 * input_.timing->hold;
}

// ---- resources ----

Status Plan::resource_request(const OperatorRequest& request, OwedReply& owed) {
    const Result<Place> place = find_resource(request.subject);
    if (!place) return tl::unexpected(place.error());
    const std::string group = place->group.name;
    const GroupEntry& entry = next_.groups[group];
    const GroupReport* report =
        entry.owner && entry.goal == Goal::kStarted ? report_of(owner_of(entry), group) : nullptr;
    if (report == nullptr || report->token != entry.token ||
        (report->state != GroupState::kActive && report->state != GroupState::kStartFailed))
        return fail(ErrorCode::kRefused, "group " + group + " is not active, so its resources are not handled singly",
                    "start it with `kagami group start " + group + "`, or wait until it has started");
    if (is_changing(group))
        return fail(ErrorCode::kRefused, "group " + group + " is being restarted for a new configuration",
                    "wait until that has ended");
    const std::string node = name_of(owner_of(entry).node);
    if (next_.node(owner_of(entry).node).maintenance.kind == MaintenanceKind::kUnmanaged)
        return fail(ErrorCode::kRefused, "group " + group + " is on " + node + ", which is unmanaged",
                    "stop and start it there by hand, or run `kagami maintenance end --node " + node + "` first");
    owed.subject = group;
    owed.deadline = input_.now + limit_of(place->group);
    return request.verb == OperatorVerb::kResourceStop ? resource_stop(*place, request, owed)
                                                       : resource_start(*place, request, owed);
}

Status Plan::resource_stop(const Place& place, const OperatorRequest& request, OwedReply& owed) {
    const std::string& name = place.resource.name;
    GroupEntry& entry = next_.groups[place.group.name];
    if (entry.stopped_resources.contains(name))
        return fail(ErrorCode::kRefused, "resource " + name + " is stopped already",
                    "to have it back: `kagami resource start " + name + "`");
    std::set<std::string> later = related(place.group, name, true);
    std::erase_if(later, [&](const std::string& other) { return entry.stopped_resources.contains(other); });
    if (!later.empty() && !request.force)
        return fail(ErrorCode::kRefused,
                    "resource " + name + " is needed by what comes after it in group " + place.group.name + ": " +
                        listed(later),
                    "stop that first, or all together: `kagami resource stop " + name + " --force`");
    later.insert(name);
    owed.things = later;
    entry.stopped_resources.merge(std::set<std::string>(later));
    const std::string where = name_of(owner_of(entry).node);
    accept(request, owed, Reason::kResourceStopWanted, "group " + place.group.name,
           "Of group " + place.group.name + " on " + where + " is stopped: " + listed(later), {});
    return {};
}

Status Plan::resource_start(const Place& place, const OperatorRequest& request, OwedReply& owed) {
    const std::string& name = place.resource.name;
    GroupEntry& entry = next_.groups[place.group.name];
    const ResourceReport* report = report_of_resource(report_of(owner_of(entry), place.group.name), name);
    if (!entry.stopped_resources.contains(name)) {
        const bool online = report != nullptr && report->state == ResourceState::kOnline;
        return fail(ErrorCode::kRefused,
                    "resource " + name + (online ? " is started already" : " was not stopped by a person"),
                    online ? "to stop it: `kagami resource stop " + name + "`"
                           : "to try its start again: `kagami resource stop " + name +
                                 "`, then `kagami resource start " + name + "`");
    }
    std::set<std::string> earlier = related(place.group, name, false);
    std::erase_if(earlier, [&](const std::string& other) { return !entry.stopped_resources.contains(other); });
    if (!earlier.empty() && !request.force)
        return fail(
            ErrorCode::kRefused,
            "resource " + name + " comes after what is stopped in group " + place.group.name + ": " + listed(earlier),
            "start that first, or all together: `kagami resource start " + name + " --force`");
    earlier.insert(name);
    owed.things = earlier;
    for (const std::string& started : earlier) entry.stopped_resources.erase(started);
    const std::string where = name_of(owner_of(entry).node);
    accept(request, owed, Reason::kResourceStartWanted, "group " + place.group.name,
           "Of group " + place.group.name + " on " + where + " is started: " + listed(earlier), {});
    return {};
}

// They belong to one run of the group: the next one starts them all.
void Plan::forget_stopped_resources() {
    for (auto& [name, entry] : next_.groups) {
        const auto before = chosen_.groups.find(name);
        const bool same_run = entry.owner && before != chosen_.groups.end() && before->second.owner == entry.owner &&
                              !(entry.token == Token{});
        if (!same_run) entry.stopped_resources.clear();
    }
}

bool Plan::settle_resources(const OwedReply& owed) {
    const auto at = chosen_.groups.find(owed.subject);
    const GroupEntry* entry = at == chosen_.groups.end() ? nullptr : &at->second;
    const std::string names = listed(owed.things);
    const bool stops = owed.verb == OperatorVerb::kResourceStop;
    if (entry == nullptr || !entry->owner || entry->goal != Goal::kStarted) {
        reply(owed, OperatorOutcome::kFailed, "group " + owed.subject + " was stopped meanwhile, with " + names,
              "look at `kagami why " + owed.subject + "`");
        return true;
    }
    const GroupReport* report = report_of(owner_of(*entry), owed.subject);
    const ResourceState wanted = stops ? ResourceState::kOffline : ResourceState::kOnline;
    const ResourceState broken = stops ? ResourceState::kOfflineFailure : ResourceState::kOnlineFailure;
    bool all = true;
    for (const std::string& name : owed.things) {
        const ResourceReport* resource = report_of_resource(report, name);
        all = all && resource != nullptr && resource->state == wanted;
        if (resource == nullptr || resource->state != broken) continue;
        reply(owed, OperatorOutcome::kFailed,
              "resource " + name + " could not be " + (stops ? "stopped: " : "started: ") + resource->message,
              "repair that, then give the command again");
        return true;
    }
    if (all) {
        reply(owed, OperatorOutcome::kDone,
              names + (owed.things.size() == 1 ? " is " : " are ") + (stops ? "stopped." : "started."));
        return true;
    }
    if (input_.now < owed.deadline) {
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kFailed, "the command took longer than the time-outs of group " + owed.subject,
          "look at `kagami why " + owed.subject + "`; the cluster goes on with it", ErrorCode::kTimedOut);
    return true;
}

// ---- monitors ----

bool Plan::change_monitor(const config::Monitor& monitor, const OperatorRequest& request) {
    MonitorEntry& entry = next_.monitors[monitor.name];
    const MonitorEntry before = entry;
    for (const auto& [node, values] : monitor.values) {
        if (request.node != kNobody && node != request.node) continue;
        if (request.verb == OperatorVerb::kMonitorSuspend) entry.suspended.insert(node);
        if (request.verb == OperatorVerb::kMonitorResume) entry.suspended.erase(node);
        if (request.verb == OperatorVerb::kMonitorDummyOn) entry.dummy_failure.insert(node);
        if (request.verb == OperatorVerb::kMonitorDummyOff) entry.dummy_failure.erase(node);
    }
    if (request.verb == OperatorVerb::kMonitorClear) ++entry.cleared;
    const bool changed = entry != before;
    if (is_empty(entry)) next_.monitors.erase(monitor.name);
    return changed;
}

Status Plan::monitor_request(const OperatorRequest& request, OwedReply& owed) {
    const auto found = find_monitors(request.subject);
    if (!found) return tl::unexpected(found.error());
    // Counters are cleared on every node, whichever was named: they belong to one monitor.
    const bool everywhere = request.node == kNobody || request.verb == OperatorVerb::kMonitorClear;
    const std::string where = everywhere ? "" : " on " + name_of(request.node);
    const bool all = request.subject.empty();
    const std::string what = all ? "every monitor" : "monitor " + request.subject;
    if (request.node != kNobody && input_.config->node(request.node) == nullptr)
        return fail(ErrorCode::kNotFound, "there is no such node", "look at `kagami status` for the nodes");
    if (request.node != kNobody && !all && !found->front()->values.contains(request.node))
        return fail(ErrorCode::kRefused, what + " does not run" + where,
                    "leave the node out, or name one of the monitor's nodes");
    bool changed = false;
    for (const config::Monitor* monitor : *found) changed = change_monitor(*monitor, request) || changed;
    const MonitorWords words = monitor_words(request.verb);
    if (!changed) return tl::unexpected(nothing_to_change(request.verb, all, what, where));
    std::string sentence = what + " is " + words.verb + where;
    sentence.front() = static_cast<char>(sentence.front() - 'a' + 'A');
    accept(request, owed, words.reason, all ? "cluster" : what, sentence, sentence + ": it " + words.effect + ".");
    return {};
}

// ---- time-outs and final actions ----

Status Plan::timeout_ratio(const OperatorRequest& request, OwedReply& owed) {
    TimeoutRatio& entry = next_.timeout_ratio;
    if (request.amount <= 1) {
        if (entry.ratio == 1)
            return fail(ErrorCode::kRefused, "the time-outs are as configured", "there is nothing to set back");
        entry = TimeoutRatio{};
        accept(request, owed, Reason::kTimeoutRatio, "cluster", "The time-outs are set back to what is configured",
               "The time-outs are as configured.");
        return {};
    }
    if (request.amount > kMaxRatio)
        return fail(ErrorCode::kUsage, "time-outs can be multiplied by 10000 at most", "choose a smaller number");
    if (request.minutes == 0 || request.minutes > kMaxRatioMinutes)
        return fail(ErrorCode::kUsage, "time-outs are multiplied for a minute at least and for 30 days at most",
                    "name how long: `kagami timeout-ratio set " + std::to_string(request.amount) + " --for 2h`");
    entry = {request.amount, request.minutes};
    memory_.counts.erase("ratio");
    const std::string factor = std::to_string(request.amount);
    accept(request, owed, Reason::kTimeoutRatio, "cluster",
           "The time-outs of monitors, resources and scripts are multiplied by " + factor + " for " +
               std::to_string(request.minutes) + " min",
           "The time-outs are multiplied by " + factor + ".");
    return {};
}

Status Plan::final_actions_clear(const OperatorRequest& request, OwedReply& owed) {
    if (request.node != kNobody && input_.config->node(request.node) == nullptr)
        return fail(ErrorCode::kNotFound, "there is no such node", "look at `kagami status` for the nodes");
    for (const config::Node& node : input_.config->nodes)
        if (request.node == kNobody || node.id == request.node) ++next_.nodes[node.id].final_actions_cleared;
    const std::string whose = request.node == kNobody ? "every node" : name_of(request.node);
    accept(request, owed, Reason::kCountersCleared, request.node == kNobody ? "cluster" : "node " + whose,
           "The count of final actions of " + whose + " begins anew",
           "The count of final actions of " + whose + " is 0.");
    return {};
}

// ---- the end of an order ----

// Every member that is heard acts on a document that holds it.
bool Plan::settle_followed(const OwedReply& owed) {
    std::string behind;
    for (const auto& [node, entry] : chosen_.nodes) {
        if (entry.state != NodeState::kMember || !is_heard(node)) continue;
        const NodeReport* report = report_of({node, entry.boot});
        if (report == nullptr || report->version <= owed.asked_at)
            behind += (behind.empty() ? "" : ", ") + name_of(node);
    }
    if (!behind.empty() && input_.now < owed.deadline) {
        consider(owed.deadline);
        return false;
    }
    reply(owed, OperatorOutcome::kDone, owed.done + (behind.empty() ? "" : " Not known of " + behind + " yet."));
    return true;
}

}  // namespace kagami::engine
