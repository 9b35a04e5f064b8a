#include "tests/sim/checker.h"

#include <algorithm>

#include "cluster-daemon/engine/acceptor.h"
#include "common/assert.h"
#include "common/hash.h"
#include "tests/sim/world.h"

namespace kagami::sim {

using engine::Document;
using engine::NodeState;

namespace {

constexpr Duration kGrain = 1ms;    // rounding of clocks
constexpr size_t kRemembered = 24;  // renewals a node
constexpr uint64_t kForcedStep = 1U << 24U;

void trim(auto& by_stamp) {
    while (by_stamp.size() > kRemembered) by_stamp.erase(by_stamp.begin());
}

}  // namespace

Checker::Checker(World& world) : world_(world) {}

void Checker::begin(const Document& genesis) {
    chosen_ = genesis;
    chosen_hash_ = hash_of(genesis);
    by_version_[genesis.version] = chosen_hash_;
    known_[chosen_hash_] = {genesis.version, genesis.previous};
}

void Checker::violation(const std::string& invariant, const std::string& text) {
    if (!violated_.empty()) return;
    invariant_ = invariant;
    violated_ = invariant + " broken: " + text;
    world_.queue().stop();
}

Checker::View& Checker::view(const Node& node) {
    return views_[node.id()];
}

bool Checker::excused(const Node& node) const {
    return node.woke_lately(world_.timing().guard + kGrain);
}

// ---- the register ----

void Checker::on_stepped(const Node& node) {
    View& v = view(node);
    const Epoch epoch = node.engine().epoch();
    if (v.boot == node.boot() && epoch < v.promised_in_memory && !v.tampered) {
        violation("I1", "the epoch of " + world_.name(node.id()) + " went back from " +
                            to_string(v.promised_in_memory) + " to " + to_string(epoch));
    }
    v.promised_in_memory = epoch;
    v.boot = node.boot();
    if (!node.witness() && node.engine().leading(node.local_now())) check_leader(node);
}

void Checker::check_leader(const Node& node) {
    const auto [known, fresh] = leaders_.emplace(node.engine().epoch(), node.incarnation());
    if (!fresh && known->second != node.incarnation()) {
        violation("I1", "epoch " + to_string(known->first) + " has two leaders: " + world_.name(known->second.node) +
                            " and " + world_.name(node.id()));
    }
    for (size_t i = 0; i < world_.configured(); ++i) {
        const Node& other = world_.at(i);
        if (&other == &node || !other.running() || other.frozen()) continue;
        if (other.engine().leading(other.local_now())) {
            violation("I14",
                      world_.name(node.id()) + " and " + world_.name(other.id()) + " both lead with a valid lease");
        }
    }
}

void Checker::on_durable(const Node& node, const engine::DurableState& state) {
    View& v = view(node);
    if (state.promised < v.promised && !v.tampered) {
        violation("I1", "the durable epoch of " + world_.name(node.id()) + " went back from " + to_string(v.promised) +
                            " to " + to_string(state.promised));
    }
    v.promised = state.promised;
    for (const auto& [name, group] : state.groups) {
        Token& seen = v.max_tokens[name];
        if (group.max_token < seen && !v.tampered) {
            violation("I3", world_.name(node.id()) + " forgot the token " + to_string(seen) + " of group " + name +
                                ", it has " + to_string(group.max_token));
        }
        seen = std::max(seen, group.max_token);
    }
    if (state.accepted == v.accepted && state.document == v.accepted_bytes) {
        count_acceptance(state);  // under another nonce or voter id, perhaps
        return;
    }
    if (state.accepted < v.accepted && !v.tampered) {
        violation("I1", "the accepted version of " + world_.name(node.id()) + " went back from " +
                            to_string(v.accepted) + " to " + to_string(state.accepted));
    }
    v.accepted = state.accepted;
    v.accepted_bytes = state.document;
    accept(node, state);
}

void Checker::accept(const Node& node, const engine::DurableState& state) {
    const Hash hash = sha256(state.document);
    const auto [known, fresh] = by_version_.emplace(state.accepted, hash);
    if (!fresh && known->second != hash) {
        violation("I2", "two different documents of version " + to_string(state.accepted) + ", the second on " +
                            world_.name(node.id()));
        return;
    }
    if (fresh) {
        const auto document = engine::decode_document(state.document);
        KAGAMI_ASSERT(document.has_value(), "a stored document does not read back");
        if (document->version != state.accepted)
            violation("I2", "a document of version " + to_string(document->version) + " stored as " +
                                to_string(state.accepted));
        known_[hash] = {document->version, document->previous};
        open_.emplace(state.accepted, *document);
    }
    count_acceptance(state);
}

void Checker::count_acceptance(const engine::DurableState& state) {
    const auto open = open_.find(state.accepted);
    if (open == open_.end() || !counts_for(open->second, state.voter, state.nonce)) return;
    auto& voters = acceptances_[state.accepted];
    voters.insert(state.voter);
    if (!is_quorum(open->second, voters)) return;
    const Document document = open->second;
    open_.erase(open);
    choose(document, by_version_.at(state.accepted));
}

bool Checker::descends(Hash from, const Hash& ancestor) const {
    for (int steps = 0; steps < 100000; ++steps) {
        if (from == ancestor) return true;
        const auto known = known_.find(from);
        if (known == known_.end()) return false;
        from = known->second.previous;
    }
    return false;
}

void Checker::choose(const Document& document, const Hash& hash) {
    const bool newer = document.version > chosen_.version;
    // A person's forced start begins a new chain, which wins (protocol.md 7).
    const bool forced = document.version.epoch.counter() >= chosen_.version.epoch.counter() + kForcedStep / 2 &&
                        !confirmed_down_.empty();
    if (forced) chosen_hash_ = hash;
    if (!(newer ? descends(hash, chosen_hash_) : descends(chosen_hash_, hash))) {
        violation("I2", "the chosen documents " + to_string(chosen_.version) + " and " + to_string(document.version) +
                            " are not in one chain");
        return;
    }
    if (!newer) return;
    const Document before = std::move(chosen_);
    chosen_ = document;
    chosen_hash_ = hash;
    if (chosen_.last_standing) left_last_ = chosen_.last_standing->node;
    check_next(before, chosen_);
}

void Checker::check_next(const Document& before, const Document& next) {
    check_voters(next);
    for (const auto& pair : world_.mirrors()) pair->checker().on_chosen(before, next);
    for (const auto& [name, entry] : before.groups) {
        if (next.groups.contains(name)) check_owner(before, next, name);
    }
    for (const auto& [id, entry] : next.nodes) {
        if (entry.state != NodeState::kFenced || before.node(id).state == NodeState::kFenced) continue;
        if (!confirmed_down_.contains(id))
            violation("I21", world_.name(id) + " is recorded as fenced, nobody had verified or said that it is off");
    }
}

void Checker::check_voters(const Document& next) {
    uint32_t weight = 0;
    for (const engine::Voter& voter : next.voters) weight += voter.weight;
    if (weight % 2 == 0) violation("I13", "the weight of all voters is even: " + std::to_string(weight));
    for (auto& [id, v] : views_) {
        const engine::Voter* voter = next.voter(id);
        if (!v.tampered || voter == nullptr) continue;
        if (voter->id != *v.tampered) {
            v.tampered.reset();  // replaced by a new voter: sound again
        } else if (const Node* node = world_.find(id); node != nullptr && voter->nonce == node->durable().nonce) {
            violation("I13", "the voter of " + world_.name(id) +
                                 " was admitted again although its store had been put back or lost");
        }
    }
}

bool Checker::store_sound(const Node& node) const {
    const auto v = views_.find(node.id());
    return v == views_.end() || !v->second.tampered;
}

void Checker::on_store_tampered(const Node& node) {
    View& v = view(node);
    const engine::Voter* voter = chosen_.voter(node.id());
    v.tampered = voter == nullptr ? engine::VoterId{node.id(), 0} : voter->id;
    v.promised = v.promised_in_memory = {};
    v.accepted = {};
    v.accepted_bytes.clear();
    v.max_tokens.clear();
}

// ---- who runs what ----

// I16: the former owner is left behind only with a proof that it has stopped.
void Checker::check_owner(const Document& before, const Document& next, const std::string& group) {
    const engine::GroupEntry& old = before.groups.at(group);
    const engine::GroupEntry& now = next.groups.at(group);
    if (now.owner && (!old.owner || old.owner->node != now.owner->node) && old.last_owner != kNobody &&
        old.last_owner != now.owner->node) {
        ++moves_[group];
    }
    if (now.owner && now.owner != old.owner) check_apart(next, group);
    if (!old.owner || now.owner == old.owner) return;
    const Node* node = world_.find(old.owner->node);
    if (node == nullptr || !node->powered() || node->boot() != old.owner->boot) return;  // P2, P3
    if (!node->machine().anything(group)) return;                                        // P1
    const std::string text = "group " + group + " leaves " + world_.name(old.owner->node);
    if (next.names(*old.owner)) {
        violation("I16", text + " without a proof: the node is a member and something of the group is there");
    } else if (!before.node(old.owner->node).armed) {
        violation("I16", text + " by expiry although its watchdog was not armed");
    } else if (node->machine().effects(group) && !excused(*node)) {
        violation("I16", text + " while it still has effects there");
    } else if (world_.config().group(group) != nullptr &&
               world_.config().group(group)->exclusion == config::ExclusionKind::kStrict) {
        violation("I16", text + ", it is strict and something of it is still there");
    }
}

// An absolute rule holds for every group that is given an owner.
void Checker::check_apart(const Document& next, const std::string& group) {
    const auto config = parse_packed(next.config.packed);
    if (!config) return;
    for (const config::ExclusiveRule& rule : config->exclusive_rules) {
        const auto named = [&](const std::string& name) {
            return std::find(rule.groups.begin(), rule.groups.end(), name) != rule.groups.end();
        };
        if (!rule.absolute || !named(group)) continue;
        for (const auto& [name, entry] : next.groups) {
            if (name == group || !named(name) || !entry.owner) continue;
            if (entry.owner->node == next.groups.at(group).owner->node)
                violation("apart", "group " + group + " was given to the node of group " + name + " against rule " + rule.name);
        }
    }
}

void Checker::check_single_effects(const std::string& group) {
    const Node* first = nullptr;
    for (size_t i = 0; i < world_.configured(); ++i) {
        const Node& node = world_.at(i);
        if (!node.powered() || !node.machine().effects(group) || excused(node)) continue;
        if (first != nullptr) {
            violation("I14", "group " + group + " has effects on " + world_.name(first->id()) + " and on " +
                                 world_.name(node.id()));
        }
        first = &node;
    }
}

void Checker::on_effects_changed(const Node& node, const std::string& group) {
    View& v = view(node);
    if (node.machine().suspended(group)) {
        if (v.suspended.insert(group).second && node.machine().anything(group)) ++suspensions_;
    } else {
        v.suspended.erase(group);
    }
    check_single_effects(group);
}

void Checker::on_run(const Node& node, const engine::RunResource& command) {
    if (command.action != engine::ResourceAction::kActivate) return;
    const std::string text =
        "group " + command.group + ", resource " + command.resource + " on " + world_.name(node.id()) + ": ";
    const Instant now = node.local_now();
    const engine::SetGuard& page = node.guard().page();
    // The write of the mark may outlast the lease; then the group is suspended already, and what starts is so too.
    const bool in_time = now < std::min(page.deadline, node.engine().run_until()) + world_.timing().guard;
    if (!in_time && !node.machine().suspended(command.group)) violation("I15", text + "activated without a lease");
    const bool covered =
        std::any_of(page.groups.begin(), page.groups.end(), [&](const auto& g) { return g.group == command.group; });
    if (!covered) violation("I15", text + "activated, but the guard's page does not name the group");
    if (!page.armed) violation("I18", text + "activated while the guard is not armed");
    const engine::DurableState& durable = node.durable();
    const auto mark = durable.groups.find(command.group);
    if (mark == durable.groups.end() || mark->second.mark == engine::RunMark::kNone || durable.boot != node.boot()) {
        violation("I3", text + "activated before the mark of the start was durable");
    } else if (mark->second.running < mark->second.max_token) {
        violation("I3", text + "activated under token " + to_string(mark->second.running) + " although it has seen " +
                            to_string(mark->second.max_token));
    }
    check_startup(node);
}

// The chosen document has let its services run whatever becomes of the daemon: nobody takes them over by expiry.
bool Checker::unmanaged(const Node& node) const {
    const engine::NodeEntry& entry = chosen_.node(node.id());
    return entry.boot == node.boot() && !entry.armed && entry.maintenance.kind == engine::MaintenanceKind::kUnmanaged;
}

void Checker::on_publish(const Node& node, const engine::SetGuard& plan) {
    for (const std::string& group : node.machine().groups()) {
        if (!plan.armed && !unmanaged(node) && node.machine().anything(group))
            violation("I19", world_.name(node.id()) + " disarms its watchdog while group " + group + " is there");
    }
    if (plan.deadline > node.local_now()) check_lease(node, plan);
}

// I17: what is published rests on a renewal or a grant that really was sent then and acknowledged. I12 and "no stale
// document" besides.
void Checker::check_lease(const Node& node, const engine::SetGuard& plan) {
    const std::string text = world_.name(node.id()) + " publishes a lease ";
    if (plan.deadline > plan.lease_sent_at + world_.timing().hold) {
        violation("I17", text + "longer than T_hold");
        return;
    }
    View& v = view(node);
    const auto stamp = static_cast<uint64_t>(plan.lease_sent_at.time_since_epoch().count());
    if (const auto grant = v.grants.find(stamp); grant != v.grants.end()) {
        if (plan.deadline > plan.lease_sent_at + grant->second.length)
            violation("I17", text + "longer than what was granted");
        if (node.engine().document().version < grant->second.newest)
            violation("I12", text + "although a newer document is known to exist");
        return;
    }
    const auto renewal = v.renewals.find(stamp);
    if (renewal == v.renewals.end()) {
        violation("I17", text + "that rests on no renewal and no grant (sent at " + std::to_string(stamp) + ")");
        return;
    }
    if (!majority_acknowledged(node, renewal->second.second))
        violation("I17", text + "that no majority has acknowledged");
}

bool Checker::majority_acknowledged(const Node& node, std::set<engine::VoterId> who) const {
    who.insert(node.durable().voter);
    return is_quorum(node.engine().document(), who) || is_quorum(node.engine().chosen(), who);
}

// Until when `node` may lead: its newest renewal that a majority acknowledged + T_hold. What has counted under the
// voters of its moment still counts when they change.
Instant Checker::leader_lease(const Node& node) {
    View& v = view(node);
    for (auto renewal = v.renewals.rbegin(); renewal != v.renewals.rend(); ++renewal) {
        const Instant until = Instant(Duration(static_cast<Duration::rep>(renewal->first))) + world_.timing().hold;
        if (until <= v.leads_until) break;
        if (majority_acknowledged(node, renewal->second.second)) v.leads_until = until;
    }
    return v.leads_until;
}

void Checker::on_system_action(const Node& node, const engine::ActOnSystem& action) {
    if (action.action != engine::SystemAction::kStopDaemon || unmanaged(node)) return;
    for (const std::string& group : node.machine().groups()) {
        if (node.machine().effects(group))
            violation("I19", world_.name(node.id()) + " stops its daemon while group " + group + " runs");
    }
}

// ---- messages ----

void Checker::on_sent(const Node& from, NodeId to, const engine::Message& message) {
    if (const auto* renew = std::get_if<engine::Renew>(&message)) {
        View& v = view(from);
        v.renewals[renew->stamp].first = renew->epoch;
        trim(v.renewals);
    } else if (const auto* grant = std::get_if<engine::LeaseGrant>(&message)) {
        const Instant now = from.local_now();
        if (grant->length <= Duration::zero()) return;
        if (now + grant->length > leader_lease(from)) {
            violation("I17",
                      world_.name(from.id()) + " grants " + world_.name(to) + " more than is left of its own lease");
        }
    } else {
        if (const auto* accept = std::get_if<engine::Accept>(&message)) know(accept->document);
        check_durable_first(from, message);
    }
}

// A link of the chain may never become durable anywhere: the next document can overtake it in the queue of a slow disk.
void Checker::know(const Bytes& document) {
    const Hash hash = sha256(document);
    if (known_.contains(hash)) return;
    const auto read = engine::decode_document(document);
    KAGAMI_ASSERT(read.has_value(), "a proposed document does not read back");
    known_[hash] = {read->version, read->previous};
}

// What a voter says must survive its crash.
void Checker::check_durable_first(const Node& from, const engine::Message& message) {
    const engine::DurableState& durable = from.durable();
    const std::string text = world_.name(from.id()) + " answers before it is durable: ";
    if (const auto* promise = std::get_if<engine::PrepareReply>(&message); promise != nullptr && promise->promised_it) {
        if (durable.promised < promise->epoch) violation("I1", text + "a promise for " + to_string(promise->epoch));
    } else if (const auto* accept = std::get_if<engine::AcceptReply>(&message); accept != nullptr && accept->accepted) {
        if (durable.accepted < accept->version) violation("I2", text + "it has accepted " + to_string(accept->version));
    } else if (const auto* ack = std::get_if<engine::RenewAck>(&message); ack != nullptr && ack->acknowledged) {
        if (durable.promised < ack->epoch) violation("I1", text + "it acknowledges " + to_string(ack->epoch));
    }
}

void Checker::on_delivered(NodeId /*from*/, const Node& to, const engine::Message& message) {
    View& v = view(to);
    if (const auto* ack = std::get_if<engine::RenewAck>(&message)) {
        const auto at = v.renewals.find(ack->stamp);
        if (ack->acknowledged && at != v.renewals.end() && at->second.first == ack->epoch)
            at->second.second.insert(ack->voter);
        leader_lease(to);
    } else if (const auto* grant = std::get_if<engine::LeaseGrant>(&message)) {
        if (to.engine().document().version < grant->newest) return;  // it must not count
        engine::LeaseGrant& known = v.grants.emplace(grant->stamp, *grant).first->second;
        if (grant->length > known.length) known = *grant;
        trim(v.grants);
    }
}

// ---- start-up ----

bool Checker::cluster_lives() const {
    for (size_t i = 0; i < world_.configured(); ++i) {
        if (world_.at(i).powered() && chosen_.names(world_.at(i).incarnation())) return true;
    }
    return false;
}

void Checker::note_cold() {
    if (cluster_lives()) return;
    if (!cold_) seen_since_cold_.clear();
    cold_ = true;
    for (size_t i = 0; i < world_.configured(); ++i) {
        if (world_.at(i).powered()) seen_since_cold_.insert(world_.at(i).id());
    }
}

void Checker::on_boot(const Node& node) {
    View& v = view(node);
    v.promised_in_memory = {};
    v.grants.clear();
    v.renewals.clear();
    v.leads_until = {};
    v.suspended.clear();
    note_cold();
    seen_since_cold_.insert(node.id());
}

void Checker::on_daemon_start(const Node& node) {
    view(node).promised_in_memory = {};
}

void Checker::on_power_off(const Node& node) {
    view(node).suspended.clear();
    note_cold();
}

// I20: after everybody was away, one of the conditions (a) to (d) of protocol.md 8.
void Checker::check_startup(const Node& node) {
    if (!cold_) return;
    const bool everybody = seen_since_cold_.size() >= world_.configured();
    bool waited = false;
    for (size_t i = 0; i < world_.configured(); ++i) {
        const Node& other = world_.at(i);
        waited =
            waited || (other.powered() && world_.now() - other.booted_at() >= world_.config().startup_wait * 99 / 100);
    }
    const bool certificate = left_last_ == chosen_.leader.node;
    if (!everybody && !waited && !certificate && !start_now_) {
        violation("I20", world_.name(node.id()) + " starts a group before any start-up condition holds");
    }
    cold_ = false;
    start_now_ = false;
    left_last_ = kNobody;
}

// ---- time ----

void Checker::tick() {
    for (size_t i = 0; i < world_.configured(); ++i) {
        const Node& node = world_.at(i);
        // Without a guard the watchdog resets the machine; until then its lease goes on or I14 tells.
        if (!node.powered() || node.frozen() || excused(node) || !node.guard().alive() || unmanaged(node)) continue;
        for (const std::string& group : node.machine().groups()) {
            if (!node.machine().effects(group)) continue;
            const Instant deadline = node.guard().page().deadline;
            if (node.local_now() > deadline + world_.timing().guard + kGrain) {
                violation("I15", "group " + group + " has effects on " + world_.name(node.id()) +
                                     " later than deadline + T_guard");
            }
        }
    }
}

uint64_t Checker::moves(const std::string& group) const {
    const auto at = moves_.find(group);
    return at == moves_.end() ? 0 : at->second;
}

}  // namespace kagami::sim
