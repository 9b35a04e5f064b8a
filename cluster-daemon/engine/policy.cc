#include "cluster-daemon/engine/policy.h"

#include "cluster-daemon/engine/policy_plan.h"

namespace kagami::engine {

Policy::Policy() : memory_(std::make_shared<PolicyMemory>()) {}

PolicyOutput Policy::plan(const PolicyInput& input) {
    return Plan(input, *memory_).run();
}

void Policy::reset() {
    *memory_ = PolicyMemory{};
}

const char* words_of(Proof proof) {
    switch (proof) {
        case Proof::kNone: return "no proof";
        case Proof::kStopped: return "its former node has reported it stopped";
        case Proof::kRebooted: return "its former node has rebooted";
        case Proof::kFenced: return "its former node was confirmed down";
        case Proof::kExpired: return "the lease of its former node has run out";
    }
    return "";
}

Plan::Plan(const PolicyInput& input, PolicyMemory& memory)
    : input_(input), memory_(memory), chosen_(*input.document), next_(*input.document), random_(input.random) {}

PolicyOutput Plan::run() {
    if (acting_leave()) {  // this node has left: it only tells those who asked
        settle_replies();
        return std::move(out_);
    }
    find_doubles();
    take_requests();
    plan_nodes();
    plan_switches();
    plan_mirrors();
    plan_change();
    plan_groups();
    forget_stopped_resources();
    plan_leaving();
    send_orders();
    settle_replies();
    check_mirrors();
    if (next_ != chosen_) out_.next = next_;
    plan_hand_over();
    std::erase_if(memory_.said, [&](const auto& item) { return !standing_.contains(item.first); });
    return std::move(out_);
}

void Plan::consider(Instant t) {
    if (t <= input_.now) return;
    if (!out_.wake_at || t < *out_.wake_at) out_.wake_at = t;
}

void Plan::say(Reason reason, std::string subject, std::string sentence, std::vector<std::string> rejected) {
    out_.decisions.push_back({reason, std::move(subject), std::move(sentence), std::move(rejected)});
}

void Plan::say_once(const std::string& key, Reason reason, std::string subject, std::string sentence,
                    std::vector<std::string> rejected) {
    standing_.insert(key);
    std::string whole = sentence + joined(rejected);
    if (memory_.said[key] == whole) return;
    memory_.said[key] = std::move(whole);
    say(reason, std::move(subject), std::move(sentence), std::move(rejected));
}

const NodeFacts* Plan::facts_of(NodeId node) const {
    const auto at = input_.facts.find(node);
    return at == input_.facts.end() ? nullptr : &at->second;
}

const Heartbeat* Plan::heartbeat_of(NodeId node) const {
    const NodeFacts* facts = facts_of(node);
    return facts != nullptr && facts->heartbeat ? &*facts->heartbeat : nullptr;
}

const NodeReport* Plan::report_of(const Incarnation& who) const {
    const NodeFacts* facts = facts_of(who.node);
    if (facts == nullptr || !facts->report || facts->report->incarnation != who) return nullptr;
    return &*facts->report;
}

const GroupReport* Plan::report_of(const Incarnation& who, const std::string& group) const {
    const NodeReport* report = report_of(who);
    if (report == nullptr) return nullptr;
    for (const GroupReport& item : report->groups)
        if (item.group == group) return &item;
    return nullptr;
}

std::set<NodeId> Plan::members() const {
    std::set<NodeId> found;
    for (const auto& [node, entry] : next_.nodes)
        if (entry.state == NodeState::kMember) found.insert(node);
    return found;
}

// The chosen document says that this incarnation has left, and it means to go.
bool Plan::acting_leave() const {
    const Heartbeat* own = heartbeat_of(input_.self);
    const NodeEntry& entry = chosen_.node(input_.self);
    return entry.state == NodeState::kLeft && own != nullptr && own->leaving && own->incarnation.boot == entry.boot;
}

}  // namespace kagami::engine
