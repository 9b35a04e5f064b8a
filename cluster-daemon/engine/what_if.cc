#include "cluster-daemon/engine/what_if.h"

#include <algorithm>
#include <sstream>

#include "cluster-daemon/engine/what_if_world.h"
#include "common/config/nearest.h"

namespace kagami::engine {
namespace {

using Words = std::vector<std::string>;

std::vector<Words> parse(const std::string& events) {
    std::vector<Words> parsed;
    std::istringstream parts(events);
    for (std::string part; std::getline(parts, part, ',');) {
        std::istringstream in(part);
        Words words;
        for (std::string word; in >> word;) words.push_back(word);
        if (!words.empty()) parsed.push_back(std::move(words));
    }
    return parsed;
}

template <typename Named>
std::string suggestion(const std::string& name, const std::vector<Named>& known, std::string_view plural) {
    std::vector<std::string_view> names;
    for (const Named& item : known) names.emplace_back(item.name);
    return names.empty() ? "none is configured" : config::nearest(name, names, plural);
}

tl::unexpected<Error> usage(const std::string& form) {
    return fail(ErrorCode::kUsage, "this is not understood as an event", "write: " + form);
}

// One question: the events are carried out, the world runs on, and the answer is read off.
class Asking {
 public:
    Asking(const Snapshot& snapshot, Instant now) : snapshot_(snapshot), world_(snapshot, now), began_(now) {}

    Status carry_out(const Words& words);
    WhatIf answer();
    void look();  // just after the events: who could take each group

 private:
    Result<NodeId> node(const std::string& name, bool witness) const;
    Status ask_node(const Words& words, bool reboot);
    Status ask_move(const Words& words);
    Status cut(const Words& words);
    Status kill_resource(const std::string& name);
    std::string name_of(NodeId node) const { return snapshot_.config->node_name(node); }
    std::string why(const std::string& group) const;
    void judge_data(WhatIf& found);
    void judge_end(WhatIf& found);

    const Snapshot& snapshot_;
    WhatIfWorld world_;
    Instant began_;
    std::vector<WhatIfGroup> groups_;
    std::vector<std::string> unmet_;
    std::map<std::string, std::string> noted_;  // of a group: what its node does by itself
};

Result<NodeId> Asking::node(const std::string& name, bool witness) const {
    if (witness && name == "witness" && snapshot_.document.voter(kWitnessId) != nullptr) return kWitnessId;
    if (const config::Node* known = snapshot_.config->node(name); known != nullptr) return known->id;
    return fail(ErrorCode::kNotFound, "there is no node \"" + name + "\"",
                suggestion(name, snapshot_.config->nodes, "nodes"));
}

Status Asking::ask_node(const Words& words, bool reboot) {
    OperatorRequest request;
    request.verb = OperatorVerb::kNodeShutdown;
    request.subject = words[1];
    request.reboot = reboot;
    request.halt = !reboot;
    return world_.ask(request);
}

Status Asking::ask_move(const Words& words) {
    OperatorRequest request;
    request.verb = words[0] == "stop" ? OperatorVerb::kGroupStop : OperatorVerb::kGroupMove;
    request.subject = words[1];
    if (words.size() == 3) {
        const Result<NodeId> target = node(words[2], false);
        if (!target) return tl::unexpected(target.error());
        request.node = *target;
    }
    return world_.ask(request);
}

Status Asking::cut(const Words& words) {
    const Result<NodeId> one = node(words[1], true);
    if (!one) return tl::unexpected(one.error());
    if (words[2] == "all") {
        world_.isolate(*one);
        return {};
    }
    const Result<NodeId> other = node(words[2], true);
    if (!other) return tl::unexpected(other.error());
    if (*one == *other) return usage("cut NODE NODE, of two different nodes");
    world_.cut(*one, *other);
    return {};
}

// What its monitor does about it: nothing without one, a restart while it may, else a failover.
Status Asking::kill_resource(const std::string& name) {
    std::vector<std::string_view> known;
    for (const config::Group& group : snapshot_.config->groups) {
        for (const config::Resource& resource : group.resources) {
            known.emplace_back(resource.name);
            if (resource.name != name) continue;
            if (world_.serving(group.name) == kNobody)
                return fail(ErrorCode::kRefused,
                            "resource " + name + " does not run: its group " + group.name + " is not active",
                            "ask about a resource of a group that runs");
            for (const config::Monitor& monitor : snapshot_.config->monitors) {
                if (monitor.target != name && monitor.target_group != group.name) continue;
                if (monitor.on_error.restart > 0) {
                    noted_[group.name] = "Monitor " + monitor.name + " finds it and restarts it in place.";
                    world_.restart_group(group.name);
                } else if (monitor.on_error.failover > 0) {
                    world_.fail_group(group.name, "monitor " + monitor.name + " found resource " + name + " broken");
                } else {
                    unmet_.push_back("monitor " + monitor.name + " has neither a restart nor a failover: resource " +
                                     name + " stays broken");
                }
                return {};
            }
            unmet_.push_back("no monitor watches resource " + name + ": nobody would notice");
            return {};
        }
    }
    return fail(ErrorCode::kNotFound, "there is no resource \"" + name + "\"",
                known.empty() ? "none is configured" : config::nearest(name, known, "resources"));
}

Status Asking::carry_out(const Words& words) {
    const std::string& verb = words[0];
    if (verb == "power-off" && words.size() == 2) {
        const Result<NodeId> found = node(words[1], true);
        if (!found) return tl::unexpected(found.error());
        world_.power_off(*found);
        return {};
    }
    if ((verb == "reboot" || verb == "shutdown") && words.size() == 2) return ask_node(words, verb == "reboot");
    if (verb == "move" && (words.size() == 2 || words.size() == 3)) return ask_move(words);
    if (verb == "stop" && words.size() == 2) return ask_move(words);
    if (verb == "cut" && words.size() == 3) return cut(words);
    if (verb == "kill-resource" && words.size() == 2) return kill_resource(words[1]);
    return usage(
        "power-off NODE, reboot NODE, shutdown NODE, cut NODE NODE, cut NODE all, move GROUP [NODE], stop GROUP or "
        "kill-resource RESOURCE; several with a comma between");
}

// ---- the answer ----

void Asking::look() {
    for (const config::Group& group : snapshot_.config->groups) {
        WhatIfGroup& found = groups_.emplace_back();
        found.group = group.name;
        found.from = world_.serving(group.name);
    }
}

std::string Asking::why(const std::string& group) const {
    std::string text;
    if (const auto at = noted_.find(group); at != noted_.end()) text = at->second;
    for (const Decision& decision : world_.decisions())
        if (decision.subject == "group " + group && text.find(decision.sentence) == std::string::npos)
            text += (text.empty() ? "" : " ") + decision.sentence;
    return text;
}

// A copy that is current holds every acknowledged write; what counts is whether one of them can still be reached.
void Asking::judge_data(WhatIf& found) {
    for (const auto& [name, record] : snapshot_.document.mirrors) {
        std::string current;
        bool kept = false;
        size_t left = 0;
        for (const auto& [node, replica] : record.replicas) {
            if (replica.standing != mirror::Standing::kCurrent) continue;
            current += (current.empty() ? "" : " and ") + name_of(node);
            kept = kept || world_.is_up(node);
            left += world_.is_up(node) ? 1 : 0;
        }
        if (current.empty()) continue;
        found.data_sentence += found.data_sentence.empty() ? "" : " ";
        if (!kept) {
            found.data_risk = true;
            found.data_sentence += "Mirror " + name + ": every current copy (" + current +
                                   ") is away; what was written last is nowhere else.";
            unmet_.push_back("a current copy of mirror " + name);
        } else {
            found.data_sentence +=
                "Mirror " + name + ": nothing acknowledged is lost" + (left == 1 ? "; one current copy is left." : ".");
        }
    }
    if (found.data_sentence.empty()) found.data_sentence = "No mirror disk is concerned.";
}

void Asking::judge_end(WhatIf& found) {
    const bool leads = world_.leader().has_value();
    if (!leads)
        unmet_.insert(unmet_.begin(),
                      "a majority: no part of the cluster has one, so nothing runs until nodes or "
                      "networks are back");
    size_t moved = 0;
    size_t down = 0;
    for (WhatIfGroup& group : groups_) {
        group.to = world_.serving(group.group);
        group.gap = world_.gap(group.group);
        if (group.from == kNobody && group.to == kNobody) group.gap = {};
        group.why = why(group.group);
        const config::Group& known = *snapshot_.config->group(group.group);
        const PolicyInput input = world_.input();
        for (const NodeId node : known.nodes)
            group.candidates.push_back(leads ? judge(input, world_.document(), known, node)
                                             : Candidate{node, Fitness::kUnfit, "no leader decides"});
        if (group.from != kNobody && group.to == kNobody) {
            ++down;
            const auto at = world_.document().groups.find(group.group);
            if (leads && at != world_.document().groups.end() && at->second.goal == Goal::kStarted)
                unmet_.push_back("a place for group " + group.group + (group.why.empty() ? "" : ": " + group.why));
        } else if (group.from != group.to) {
            ++moved;
        }
    }
    found.outcome = !leads      ? "The cluster has no majority: nothing runs."
                    : down != 0 ? std::to_string(down) + " of " + std::to_string(groups_.size()) +
                                      " groups would run nowhere, " + std::to_string(moved) + " would change places."
                    : moved != 0 ? std::to_string(moved) + " of " + std::to_string(groups_.size()) +
                                       " groups would change places; all that ran would run."
                                 : "Every group would stay where it is.";
}

WhatIf Asking::answer() {
    world_.run();
    WhatIf found;
    judge_end(found);
    judge_data(found);
    found.groups = std::move(groups_);
    found.unmet = std::move(unmet_);
    found.decisions = world_.decisions();
    found.took = world_.now() - began_;
    return found;
}

}  // namespace

Result<WhatIf> what_if(const Snapshot& snapshot, const std::string& events, Instant now) {
    if (!snapshot.config)
        return fail(ErrorCode::kRefused, "this node has no configuration yet", "wait until it has joined");
    const auto parsed = parse(events);
    if (parsed.empty()) return usage("what happens, such as: power-off " + snapshot.config->nodes.front().name);
    Asking asking(snapshot, now);
    asking.look();
    for (const Words& words : parsed)
        if (const Status done = asking.carry_out(words); !done) return tl::unexpected(done.error());
    return asking.answer();
}

}  // namespace kagami::engine
