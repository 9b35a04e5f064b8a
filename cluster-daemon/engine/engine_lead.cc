// The leader's planning: facts for the policy and for the voters' rules, what they want carried out.
#include <algorithm>

#include "cluster-daemon/engine/engine_impl.h"

namespace kagami::engine {

void Engine::Impl::lead(Instant now) {
    const bool leading = reg.leading(now);
    if (!leading) requests.forget_incoming();
    if (!leading && was_leading) policy.reset();
    if (leading && !was_leading) {
        witness_voted_at = now;
        look_again = true;
    }
    was_leading = leading;
    if (!leading || reg.busy()) return;
    if (reg.votes_now(kWitnessId, now)) witness_voted_at = now;
    if (planned_for != reg.chosen().version || requests.waiting()) look_again = true;
    if (look_again || now >= plan_at) plan(now);
}

void Engine::Impl::plan(Instant now) {
    look_again = false;
    planned_for = reg.chosen().version;
    // What only time changes (who is heard, who votes) is looked at every T_renew.
    plan_at = now + reg.timing().renew;
    if (!out.config || config_hash != reg.chosen().config.hash) return;
    PolicyOutput planned = policy.plan(policy_input(now));
    if (planned.wake_at) plan_at = std::min(plan_at, *planned.wake_at);
    carry_out(std::move(planned), now);
}

PolicyInput Engine::Impl::policy_input(Instant now) {
    PolicyInput input;
    const Document& document = reg.chosen();
    input.document = &document;
    input.config = out.config.get();
    input.timing = &reg.timing();
    input.self = settings.self.node;
    input.now = now;
    input.leading_since = reg.leading_since();
    input.random = draws.next();
    input.parse_config = &settings.parse_config;
    input.requests = requests.take_incoming();
    input.facts[settings.self.node] = {heartbeat(now), now, own_report, kNever, true};
    for (const NodeId node : voting_nodes(document)) {
        if (node == settings.self.node) continue;
        NodeFacts& facts = input.facts[node];
        facts.votes_now = reg.votes_now(node, now);
        facts.may_run_until = reg.may_run_until({node, document.node(node).boot});
        const auto peer = reg.peers().all().find(node);
        if (peer == reg.peers().all().end()) continue;
        facts.heard_at = peer->second.heard_at;
        const Duration detect = reg.timing().detect;
        if (reg.peers().alive_twice(node, detect, now) && twice.insert(node).second)
            out.say(
                Reason::kDuplicateIncarnation, out.name(node),
                out.name(node) +
                    " is alive twice, in two boots at once: neither gets a lease, a person has to end one of them.");
        if (reg.peers().ambiguous(node, detect, now))
            continue;  // no heartbeat: neither is admitted, and no boot id proves anything
        twice.erase(node);
        facts.heartbeat = peer->second.heartbeat;
        const auto report = reports.find(node);
        if (report != reports.end() && report->second.incarnation == peer->second.heartbeat.incarnation)
            facts.report = report->second;
    }
    return input;
}

VoterFacts Engine::Impl::voter_facts(Instant now) const {
    VoterFacts facts;
    facts.self = settings.self.node;
    facts.witness_configured = !out.config->arbitration.witness_address.empty();
    facts.witness_given_up = now - witness_voted_at >= witness_patience(reg.timing().hold);
    facts.heartbeats[settings.self.node] = heartbeat(now);
    facts.voting.insert(settings.self.node);
    for (const NodeId node : reg.peers().heard(reg.timing().detect, now)) {
        facts.heartbeats[node] = reg.peers().all().at(node).heartbeat;
        if (reg.votes_now(node, now)) facts.voting.insert(node);
    }
    return facts;
}

void Engine::Impl::carry_out(PolicyOutput planned, Instant now) {
    for (Decision& decision : planned.decisions) out.decisions.push_back(std::move(decision));
    for (const auto& [origin, reply] : planned.replies) requests.reply(origin, reply);
    for (Envelope& order : planned.orders) {
        if (order.to != settings.self.node) {
            out.send(order.to, std::move(order.message));
            continue;
        }
        if (const auto* start = std::get_if<StartGroup>(&order.message)) local.on_start(*start, local_input(now));
        if (const auto* stop = std::get_if<StopGroup>(&order.message)) local.on_stop(*stop, local_input(now));
        take_local();
    }
    Document next = planned.next ? std::move(*planned.next) : reg.chosen();
    for (Decision& decision : keep_voters(next, voter_facts(now))) out.decisions.push_back(std::move(decision));
    if (next != reg.chosen()) return propose(std::move(next), now);
    if (planned.hand_over_to) reg.hand_over(*planned.hand_over_to, now);
}

void Engine::Impl::propose(Document next, Instant now) {
    const Status done = reg.propose(std::move(next), now);
    if (!done) out.say(Reason::kConfigRefused, "cluster", "A change is not made: " + done.error().message + ".");
    follow_config();
}

}  // namespace kagami::engine
