#include "cluster-daemon/engine/what_if_world.h"

#include <algorithm>

#include "cluster-daemon/engine/replicas.h"
#include "cluster-daemon/engine/what_if.h"

namespace kagami::engine {
namespace {

constexpr int kMaxSteps = 3000;
constexpr Duration kHorizon = 30min;  // later nothing of it belongs to the events any more

}  // namespace

WhatIfWorld::WhatIfWorld(const Snapshot& snapshot, Instant now)
    : config_(snapshot.config),
      document_(snapshot.document),
      timing_(Timing::derive(snapshot.document.timing)),
      now_(now),
      leading_since_(now - 1h) {
    std::map<NodeId, NodeReport> reports;
    std::set<NodeId> heard = {snapshot.self.node};
    reports[snapshot.self.node] = snapshot.own_report;
    for (const auto& [node, peer] : snapshot.peers) {
        if (peer.heartbeat && peer.heard_at != Instant{} && now < peer.heard_at + timing_.detect) heard.insert(node);
        if (peer.report) reports[node] = *peer.report;
    }
    for (const auto& [node, entry] : document_.nodes) {
        Machine& machine = machines_[node];
        machine.up = heard.contains(node);
        machine.boot = entry.boot;
        if (const auto at = reports.find(node); at != reports.end()) machine.base = at->second;
        if (!machine.up) machine.lost_at = now - 1h;
    }
    if (document_.voter(kWitnessId) != nullptr) machines_[kWitnessId].up = heard.contains(kWitnessId);
    if (!machines_.contains(kWitnessId) || !machines_[kWitnessId].up) machines_[kWitnessId].lost_at = now - 1h;
    machines_[kWitnessId].up = machines_[kWitnessId].up && document_.voter(kWitnessId) != nullptr;
    for (const auto& [name, entry] : document_.groups) {
        if (!entry.owner || !machines_.contains(entry.owner->node)) continue;
        Machine& machine = machines_[entry.owner->node];
        Running& running = machine.groups[name];
        running.report.group = name;
        running.report.token = entry.token;
        running.report.state = entry.goal == Goal::kStarted ? GroupState::kActive : GroupState::kStopping;
        for (const GroupReport& known : machine.base.groups)
            if (known.group == name && known.token == entry.token) running.report = known;
        const GroupState state = running.report.state;
        if (state == GroupState::kStarting || state == GroupState::kStopping) running.ends = now + kStepGuess;
    }
    if (snapshot.leader != kNobody && machines_.contains(snapshot.leader)) leader_ = snapshot.leader;
    note_service();
}

// ---- what happens to it ----

void WhatIfWorld::power_off(NodeId node) {
    Machine& machine = machines_[node];
    machine.up = false;
    machine.groups.clear();
}

void WhatIfWorld::cut(NodeId a, NodeId b) {
    cuts_.insert({std::min(a, b), std::max(a, b)});
}

void WhatIfWorld::isolate(NodeId node) {
    for (const auto& [other, machine] : machines_)
        if (other != node) cut(node, other);
}

void WhatIfWorld::fail_group(const std::string& group, const std::string& cause) {
    for (auto& [node, machine] : machines_) {
        const auto at = machine.groups.find(group);
        if (at == machine.groups.end()) continue;
        at->second.report.state = GroupState::kStartFailed;
        at->second.report.wants_failover = true;
        at->second.report.cause = cause;
    }
}

void WhatIfWorld::restart_group(const std::string& group) {
    for (auto& [node, machine] : machines_) {
        const auto at = machine.groups.find(group);
        if (at == machine.groups.end()) continue;
        at->second.report.state = GroupState::kStarting;
        at->second.ends = now_ + 2 * kStepGuess;
    }
}

Status WhatIfWorld::ask(OperatorRequest request) {
    if (!leader_) return fail(ErrorCode::kNoQuorum, "the cluster has no leader", "bring nodes or networks back");
    note_contact();
    request.id = replies_.size() + 1;
    request.person = "you";
    requests_.push_back({std::move(request), *leader_});
    replies_.clear();
    plan();
    for (const auto& [origin, reply] : replies_)
        if (reply.outcome == OperatorOutcome::kRefused)
            return fail(static_cast<ErrorCode>(reply.code), reply.message, reply.remedy);
    return {};
}

// ---- who reaches whom ----

bool WhatIfWorld::is_up(NodeId node) const {
    const auto at = machines_.find(node);
    return at != machines_.end() && at->second.up;
}

bool WhatIfWorld::connected(NodeId a, NodeId b) const {
    return is_up(a) && is_up(b) && (a == b || !cuts_.contains({std::min(a, b), std::max(a, b)}));
}

std::set<NodeId> WhatIfWorld::reach(NodeId from) const {
    std::set<NodeId> found;
    for (const auto& [node, machine] : machines_)
        if (connected(from, node)) found.insert(node);
    return found;
}

bool WhatIfWorld::has_quorum(NodeId from, const Document& document) const {
    return is_quorum(document, ids_of(document, reach(from)));
}

bool WhatIfWorld::has_lease(NodeId node) const {
    const Machine& machine = machines_.at(node);
    if (!machine.up) return false;
    if (leader_ && connected(*leader_, node) && has_quorum(*leader_, document_)) return true;
    const Instant lost = leader_ && *leader_ != node ? machine.lost_at : leader_lost_at_;
    return lost != kNever && now_ < lost + timing_.hold;
}

// Since when the leader misses whom, and the cluster a leader.
void WhatIfWorld::note_contact() {
    const bool leads = leader_ && is_up(*leader_) && has_quorum(*leader_, document_);
    if (!leads && leader_lost_at_ == kNever) leader_lost_at_ = now_;
    if (leads) leader_lost_at_ = kNever;
    for (auto& [node, machine] : machines_) {
        const bool heard = leads && connected(*leader_, node);
        if (heard) machine.lost_at = kNever;
        if (!heard && machine.lost_at == kNever) machine.lost_at = now_;
    }
}

// The voters' promise to the former leader ends, then the one that owns most groups takes over.
void WhatIfWorld::follow_leader() {
    if (leader_lost_at_ == kNever || now_ < leader_lost_at_ + timing_.grant) return;
    NodeId best = kNobody;
    size_t most = 0;
    for (const auto& [node, machine] : machines_) {
        if (node == kWitnessId || !machine.up || document_.node(node).state != NodeState::kMember ||
            !has_quorum(node, document_))
            continue;
        if (best == kNobody || machine.groups.size() > most) {
            best = node;
            most = machine.groups.size();
        }
    }
    if (best == kNobody) {
        leader_.reset();
        return;
    }
    leader_ = best;
    leading_since_ = now_;
    policy_.reset();
    document_.version.epoch = Epoch::make(document_.version.epoch.counter() + 1, best);
    plan_at_ = now_;
    note_contact();
}

// ---- nodes ----

void WhatIfWorld::settle_machines() {
    for (auto& [node, machine] : machines_) {
        if (!machine.up && now_ >= machine.back_at) {
            machine.up = true;
            machine.back_at = kNever;
            machine.boot = BootId{};
            machine.boot[0] = static_cast<uint8_t>(++boots_);
            machine.boot[15] = 0x5a;
            for (mirror::Report& report : machine.base.mirrors) report.role = mirror::Role::kSecondary;
            plan_at_ = now_;
        }
        for (auto& [name, running] : machine.groups) {
            if (now_ < running.ends) continue;
            running.ends = kNever;
            running.report.state =
                running.report.state == GroupState::kStarting ? GroupState::kActive : GroupState::kStopped;
            plan_at_ = now_;
        }
        settle_left(node, machine);
    }
}

void WhatIfWorld::settle_left(NodeId node, Machine& machine) {
    const NodeEntry& entry = document_.node(node);
    if (!machine.up || entry.state != NodeState::kLeft || entry.boot != machine.boot) return;
    power_off(node);
    if (entry.leaving == Leaving::kReboot) machine.back_at = now_ + kRebootGuess;
}

void WhatIfWorld::obey(const Envelope& order) {
    Machine& machine = machines_[order.to];
    if (const auto* start = std::get_if<StartGroup>(&order.message)) {
        Running& running = machine.groups[start->group];
        if (start->token <= running.report.token) return;
        running = {{start->group, GroupState::kStarting, start->token, false, false, "", {}}, now_ + kStepGuess};
        const config::Group* group = config_->group(start->group);
        for (mirror::Report& report : machine.base.mirrors) {
            const auto names = group == nullptr ? std::vector<std::string>{} : mirrors_of(*group);
            if (std::find(names.begin(), names.end(), report.mirror) == names.end()) continue;
            report.role = mirror::Role::kPrimary;
            report.token = start->token;
            report.generation = document_.mirrors.at(report.mirror).generation;
        }
    }
    if (const auto* stop = std::get_if<StopGroup>(&order.message)) {
        Running& running = machine.groups[stop->group];
        const GroupState state = running.report.state;
        if (state == GroupState::kStopping || state == GroupState::kStopped) return;
        running.report.group = stop->group;
        running.report.token = std::max(running.report.token, stop->token);
        running.report.state = GroupState::kStopping;
        running.report.wants_failover = false;
        running.ends = now_ + kStepGuess;
        for (mirror::Report& report : machine.base.mirrors) report.wish = {};
    }
}

// ---- the leader ----

NodeReport WhatIfWorld::report_of(NodeId node) const {
    const Machine& machine = machines_.at(node);
    NodeReport report = machine.base;
    report.incarnation = {node, machine.boot};
    report.version = document_.version;
    report.leaving = false;
    report.groups.clear();
    for (const auto& [name, running] : machine.groups) report.groups.push_back(running.report);
    return report;
}

NodeFacts WhatIfWorld::facts_of(NodeId node) {
    const Machine& machine = machines_.at(node);
    NodeFacts facts;
    Heartbeat beat;
    beat.incarnation = {node, machine.boot};
    beat.joining = node != kWitnessId && !document_.names(beat.incarnation);
    beat.guard_alive = true;
    const NodeEntry& entry = document_.node(node);
    beat.leaving = entry.boot == machine.boot && entry.leaving != Leaving::kNo;
    beat.timing_digest = timing_.digest;
    for (const NodeId other : reach(node))
        if (other.value >= 1 && other.value <= 32) beat.heard |= 1U << (other.value - 1U);
    if (const Voter* voter = document_.voter(node)) {
        beat.voter = voter->id;
        beat.nonce = voter->nonce;
    }
    const bool heard = leader_ && connected(*leader_, node);
    facts.heartbeat = beat;
    facts.heard_at = heard ? now_ : machine.lost_at;
    facts.votes_now = heard;
    facts.may_run_until = heard ? now_ + timing_.hold : std::max(machine.lost_at + timing_.hold, leading_since_);
    if (node != kWitnessId) facts.report = report_of(node);
    return facts;
}

PolicyInput WhatIfWorld::input() {
    PolicyInput input;
    input.document = &document_;
    input.config = config_.get();
    input.timing = &timing_;
    input.self = leader_.value_or(kNobody);
    input.now = now_;
    input.leading_since = leading_since_;
    input.random = ++draws_;
    for (const auto& [node, machine] : machines_) input.facts[node] = facts_of(node);
    if (leader_) input.facts[*leader_].may_run_until = kNever;
    return input;
}

VoterFacts WhatIfWorld::voter_facts() const {
    VoterFacts facts;
    facts.self = *leader_;
    facts.voting = reach(*leader_);
    facts.witness_configured = document_.voter(kWitnessId) != nullptr;
    const Machine& witness = machines_.at(kWitnessId);
    facts.witness_given_up = witness.lost_at != kNever && now_ >= witness.lost_at + witness_patience(timing_.hold);
    for (const NodeId node : facts.voting) {
        const Voter* voter = document_.voter(node);
        Heartbeat& beat = facts.heartbeats[node];
        if (voter == nullptr) continue;
        beat.voter = voter->id;
        beat.nonce = voter->nonce;
    }
    return facts;
}

void WhatIfWorld::choose(Document next) {
    next.version = {document_.version.epoch, document_.version.seq + 1};
    for (auto& [name, entry] : next.groups)
        if (entry.owner && entry.token == Token{}) entry.token = next.version;
    document_ = std::move(next);
}

// One call of the policy; true when it changed the document.
bool WhatIfWorld::plan() {
    PolicyInput given = input();
    given.requests = std::exchange(requests_, {});
    PolicyOutput out = policy_.plan(given);
    plan_at_ = out.wake_at.value_or(kNever);
    replies_.insert(replies_.end(), out.replies.begin(), out.replies.end());
    for (Decision& decision : out.decisions) decisions_.push_back(std::move(decision));
    for (const Envelope& order : out.orders) obey(order);
    Document next = out.next ? std::move(*out.next) : document_;
    for (Decision& decision : keep_voters(next, voter_facts())) decisions_.push_back(std::move(decision));
    const bool changed = next != document_;
    if (changed && has_quorum(*leader_, next)) choose(std::move(next));
    if (!changed && out.hand_over_to && connected(*leader_, *out.hand_over_to)) {
        leader_ = *out.hand_over_to;
        leading_since_ = now_;
        policy_.reset();
        plan_at_ = now_;
    }
    return changed;
}

// ---- time ----

NodeId WhatIfWorld::serving(const std::string& group) const {
    for (const auto& [node, machine] : machines_) {
        const auto at = machine.groups.find(group);
        if (at != machine.groups.end() && at->second.report.state == GroupState::kActive && has_lease(node))
            return node;
    }
    return kNobody;
}

void WhatIfWorld::note_service() {
    for (const auto& [name, entry] : document_.groups) {
        Service& service = service_[name];
        const bool serves = serving(name) != kNobody;
        if (!serves && service.down_since == kNever) service.down_since = now_;
        if (!serves || service.down_since == kNever) continue;
        service.gap += now_ - service.down_since;
        service.down_since = kNever;
    }
}

Duration WhatIfWorld::gap(const std::string& group) const {
    const auto at = service_.find(group);
    if (at == service_.end()) return {};
    return at->second.gap + (at->second.down_since == kNever ? Duration{} : now_ - at->second.down_since);
}

Instant WhatIfWorld::next_moment() const {
    Instant at = kNever;
    const auto consider = [&](Instant t) {
        if (t > now_ && t < at) at = t;
    };
    consider(plan_at_);
    if (leader_lost_at_ != kNever) consider(leader_lost_at_ + timing_.grant);
    if (leader_lost_at_ != kNever) consider(leader_lost_at_ + timing_.hold);
    for (const auto& [node, machine] : machines_) {
        consider(machine.back_at);
        for (const auto& [name, running] : machine.groups) consider(running.ends);
        if (machine.lost_at == kNever) continue;
        consider(machine.lost_at + timing_.detect);
        consider(machine.lost_at + timing_.hold);
        consider(machine.lost_at + timing_.hold + timing_.strict);
        if (node == kWitnessId) consider(machine.lost_at + witness_patience(timing_.hold));
    }
    return at;
}

// Level-triggered: the policy is asked at every moment at which something may have changed, until it has no more to
// say.
void WhatIfWorld::run() {
    const Instant end = now_ + kHorizon;
    for (int i = 0; i < kMaxSteps; ++i) {
        note_contact();
        follow_leader();
        settle_machines();
        note_contact();
        const bool leads = leader_ && leader_lost_at_ == kNever;
        const bool changed = leads && plan();
        note_service();
        if (changed) continue;
        const Instant next = next_moment();
        const bool waits = std::any_of(document_.groups.begin(), document_.groups.end(), [&](const auto& item) {
            return item.second.goal == Goal::kStarted && serving(item.first) == kNobody;
        });
        if (next > end) return;
        const bool calm = !waits && next > now_ + 5min;
        if (calm) return;
        now_ = next;
    }
}

}  // namespace kagami::engine
