// A change of configuration under way. States, all in the document, so that another leader goes on with it:
//   pending            its groups stop; nothing is changed yet. A stop that fails or takes too long, or the loss of the
//                      node, gives it up: the groups start again as they were
//   pending, installed the new one is in force, as a whole; the groups start again where they ran
//   unconfirmed        it goes back by itself, the same way, unless a person confirms it
// Without groups to stop, the first two are passed within one plan.
#include <algorithm>

#include "cluster-daemon/engine/policy_plan.h"
#include "common/hash.h"

namespace kagami::engine {
namespace {

constexpr uint32_t kCountStep = 5;  // seconds: a commit each
constexpr auto kCountEvery = std::chrono::seconds(kCountStep);

std::string listed(const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

}  // namespace

bool Plan::is_changing(const std::string& group) const {
    return next_.pending && next_.pending->stops.contains(group);
}

void Plan::stop_for(PendingChange& change, const std::string& group) {
    GroupEntry& entry = next_.groups.at(group);
    change.stops.insert(group);
    if (entry.goal == Goal::kStarted || entry.target != kNobody) change.ran.insert(group);
    entry.goal = Goal::kStopped;
    entry.target = kNobody;
}

void Plan::begin_change(PendingChange change, const Impact& impact, const config::Config& wanted) {
    for (const std::string& name : impact.stops) stop_for(change, name);
    memory_.change_since.reset();
    memory_.change_failed.clear();
    next_.pending = std::move(change);
    if (!next_.pending->stops.empty() || !impact.monitors.empty())
        say(Reason::kConfigChangeBegun, "cluster",
            "Configuration " + std::to_string(chosen_.config.version + 1) + ", asked for by " + next_.pending->person +
                ": " + impact_words(impact, wanted) + ".");
}

void Plan::plan_change() {
    if (!next_.pending) return;
    if (next_.pending->installed) {
        if (chosen_.pending && chosen_.pending->installed) start_after_change();
        return;
    }
    if (next_.cluster_stopped) return give_change_up("the cluster is being stopped");
    stop_for_change();
}

void Plan::stop_for_change() {
    PendingChange& change = *next_.pending;
    if (!memory_.change_since) memory_.change_since = input_.now;
    Instant deadline = *memory_.change_since;
    std::set<std::string> waiting;
    for (const std::string& name : change.stops) {
        const auto at = next_.groups.find(name);
        if (at == next_.groups.end()) continue;
        if (at->second.stop_failed)
            return give_change_up("group " + name + " could not be stopped on " + name_of(owner_of(at->second).node));
        if (!at->second.owner && at->second.crashed && !change.goes_back)  // it did not stop, it was lost
            return give_change_up("group " + name + " was lost with " + name_of(at->second.last_owner));
        if (at->second.owner) waiting.insert(name);
        if (const config::Group* group = input_.config->group(name)) deadline += limit_of(*group);
    }
    if (!waiting.empty()) {
        if (input_.now < deadline || change.goes_back) return consider(deadline);
        return give_change_up("group " + listed(waiting) + " did not stop in time");
    }
    const Bytes& packed = change.goes_back ? next_.unconfirmed->previous.packed : change.wanted.packed;
    const auto wanted = input_.parse_config != nullptr ? (*input_.parse_config)(packed) : nullptr;
    if (!wanted) return give_change_up("the configuration cannot be read here");
    if (stops_more(*wanted)) return;
    if (const Status kept = keeps_current_copies(*wanted); !kept) return give_change_up(kept.error().message);
    if (const Status nodes = may_change_nodes(*wanted, false); !nodes) return give_change_up(nodes.error().message);
    install_config(*wanted);
    std::erase_if(change.ran, [&](const std::string& name) { return wanted->group(name) == nullptr; });
    change.wanted.packed.clear();
    change.installed = true;
    if (change.ran.empty()) next_.pending.reset();
}

// A group that was not running when the change was asked for may have been started since: nothing that the change
// restarts, moves or removes may have effects when it is installed.
bool Plan::stops_more(const config::Config& wanted) {
    const Impact late = impact_of(wanted);
    for (const std::string& name : late.stops) stop_for(*next_.pending, name);
    if (late.stops.empty()) return false;
    memory_.change_since.reset();
    say(Reason::kConfigChangeBegun, "cluster",
        "The change of the configuration stops what was started meanwhile as well: group " + listed(late.stops) + ".");
    return true;
}

// Nothing of it was applied; what was stopped for it runs again.
void Plan::give_change_up(const std::string& why) {
    const PendingChange change = *next_.pending;
    memory_.change_failed = why;
    memory_.change_since.reset();
    next_.pending.reset();
    say(Reason::kConfigRefused, "cluster",
        (change.goes_back ? "The former configuration does not come back, because "
                          : "The new configuration is not applied, because ") +
            why + ": everything stays as it " + (change.goes_back ? "is." : "was."));
    if (change.goes_back) next_.unconfirmed.reset();
    if (next_.cluster_stopped) return;
    for (const std::string& name : change.ran) {
        const auto at = next_.groups.find(name);
        if (at == next_.groups.end() || at->second.held || at->second.stop_failed) continue;
        GroupEntry& entry = at->second;
        if (entry.owner)
            entry.target = owner_of(entry).node;  // it stops, and starts there again
        else
            entry.goal = Goal::kStarted;
    }
}

// Where they ran; where that is not possible any more, by the rules of placement.
void Plan::start_after_change() {
    if (!input_.startup_complete && !next_.cluster_stopped) return;
    const PendingChange change = *next_.pending;
    next_.pending.reset();
    memory_.change_since.reset();
    for (const std::string& name : change.ran) {
        const config::Group* group = input_.config->group(name);
        if (group == nullptr || next_.cluster_stopped) continue;
        GroupEntry& entry = next_.groups[name];
        if (entry.owner || entry.held) continue;
        entry.goal = Goal::kStarted;
        if (judge(input_, next_, *group, entry.last_owner).fitness == Fitness::kFit)
            assign(*group, entry, entry.last_owner, false, true);
    }
}

// Counted in the document in steps; at the end the former configuration comes back like any other change.
void Plan::count_confirmation() {
    if (!next_.unconfirmed || next_.pending) return;
    Unconfirmed& entry = *next_.unconfirmed;
    const auto step = std::min(kCountStep, entry.seconds_left);
    if (step != 0 && !count_down("confirm", entry.seconds_left, step, std::chrono::seconds(step))) return;
    const auto wanted = input_.parse_config != nullptr ? (*input_.parse_config)(entry.previous.packed) : nullptr;
    const auto refuse = [&](const std::string& why) {
        say_once("confirm", Reason::kConfigUnconfirmed, "cluster",
                 "Configuration " + std::to_string(chosen_.config.version) +
                     " was not confirmed in time, but cannot be taken back yet: " + why + ".");
    };
    if (!wanted) return refuse("the former one cannot be read here");
    const Impact impact = impact_of(*wanted);
    for (const std::string& group : impact.stops)
        if (const Status may = may_stop_for_change(group, "it has to restart"); !may)
            return refuse(may.error().message);
    PendingChange change;
    change.wanted = entry.previous;
    change.wanted.packed.clear();
    change.goes_back = true;
    change.person = "the cluster, for want of a confirmation";
    begin_change(std::move(change), impact, *wanted);
}

// ---- the end of an order ----

bool Plan::settle_apply(const OwedReply& owed) {
    const std::string number = std::to_string(chosen_.config.version);
    if (chosen_.config.hash != owed.config) {
        if (chosen_.pending && chosen_.pending->wanted.hash == owed.config) return false;
        reply(owed, OperatorOutcome::kFailed,
              "The configuration was not applied" +
                  (memory_.change_failed.empty() ? "." : ": " + memory_.change_failed + "."),
              "configuration " + number + " stays in force; repair that and apply it again");
        return true;
    }
    if (chosen_.pending) return false;
    std::set<std::string> missing;
    for (const std::string& name : owed.things) {
        const auto at = chosen_.groups.find(name);
        if (at == chosen_.groups.end() || at->second.held || chosen_.cluster_stopped) continue;
        const GroupReport* report = at->second.owner ? report_of(owner_of(at->second), name) : nullptr;
        const bool current = report != nullptr && report->token == at->second.token;
        if (current && report->state == GroupState::kActive) continue;
        missing.insert(name);
        if (!current || report->state != GroupState::kStartFailed || report->wants_failover) continue;
        reply(owed, OperatorOutcome::kFailed,
              "Configuration " + number + " is in force, but group " + name +
                  " could not be started again: " + report->cause,
              "repair it and run `kagami group start " + name + "`, or go back with `kagami config rollback`");
        return true;
    }
    if (!missing.empty() && input_.now < owed.deadline) {
        consider(owed.deadline);
        return false;
    }
    const std::string confirm = chosen_.unconfirmed
                                    ? " It goes back in " + std::to_string(chosen_.unconfirmed->seconds_left) +
                                          " s unless you confirm it: `kagami config confirm`."
                                    : "";
    reply(owed, missing.empty() ? OperatorOutcome::kDone : OperatorOutcome::kFailed,
          "Configuration " + number + " is in force" +
              (missing.empty() ? "." : ", but group " + listed(missing) + " does not run yet.") + confirm,
          missing.empty() ? "" : "look at `kagami why`", ErrorCode::kTimedOut);
    return true;
}

}  // namespace kagami::engine
