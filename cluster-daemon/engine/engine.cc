#include "cluster-daemon/engine/engine.h"

#include <algorithm>

#include "cluster-daemon/engine/coder.h"
#include "cluster-daemon/engine/engine_impl.h"
#include "cluster-daemon/engine/replicas.h"

namespace kagami::engine {
namespace {

constexpr Duration kTellWaitAfter = 5s;
constexpr uint64_t kDrawsSalt = 0x6d6972726f72ULL;  // the policy draws from another sequence than the register

// Brings something of a group into being: only under a lease.
bool activates(const Command& command) {
    if (const auto* run = std::get_if<RunResource>(&command)) return run->action == ResourceAction::kActivate;
    const auto* script = std::get_if<RunResourceScript>(&command);
    return script != nullptr && (script->moment == ScriptMoment::kBeforeActivation ||
                                 script->moment == ScriptMoment::kAfterActivation);
}

std::string group_of(const Command& activation) {
    if (const auto* run = std::get_if<RunResource>(&activation)) return run->group;
    const auto* script = std::get_if<RunResourceScript>(&activation);
    return script != nullptr ? script->group : "";
}

}  // namespace

DurableState initial_state(NodeId self, const Document& document) {
    DurableState state;
    const Voter* voter = document.voter(self);
    state.voter = voter != nullptr ? voter->id : VoterId{self, 0};
    state.promised = document.version.epoch;
    state.accepted = document.version;
    state.document = encode(document);
    state.silence = Timing::derive(document.timing).grant;
    return state;
}

Engine::Impl::Impl(Settings given)
    : settings(std::move(given)),
      ledger(settings.durable),
      reg({settings.self, settings.witness, settings.seed, settings.booted}, ledger, out),
      requests(settings.self.node, out),
      draws(settings.seed ^ kDrawsSalt) {
    const bool same_boot = settings.durable.boot == settings.self.boot;
    if (!settings.witness) {
        local.restore(settings.durable.groups, same_boot);
        local.restore(LocalCounts{settings.durable.final_actions, settings.durable.final_actions_cleared});
        if (local.groups() != settings.durable.groups) ledger.change().groups = local.groups();
        local_serial = ledger.serial();
    }
    own_report.serial = static_cast<uint64_t>(
        settings.booted.time_since_epoch().count());  // above those of an earlier daemon of this boot
    follow_config();
}

void Engine::Impl::step(const Event& event, Instant now) {
    stepped_at = now;
    std::visit([&](const auto& e) { on(e, now); }, event);
    settle(now);
}

void Engine::Impl::settle(Instant now) {
    reg.advance(now);
    // Words about nodes that are down belong to one start: under a leader, or later, they may no longer be true.
    if (reg.leader() != kNobody || now - confirmed_down_at > reg.timing().grant) confirmed_down.clear();
    follow_config();
    requests.advance({reg.leader(), reg.acceptor().promised(), reg.leading(now)}, reg.timing(), now);
    lead(now);
    tell_wait(now);
    if (!settings.witness) {
        follow_unmanaged(now);
        local.advance(local_input(now));
        take_local();
        publish_guard();
        begin_activations(now);
        report(now);
        publish_guard();
        publish_mirrors(now);
    }
    for (const OperatorReply& reply : requests.take_answers()) commands.push_back({Answer{reply}, 0});
    beat(now);
}

// ---- events ----

void Engine::Impl::on(const Received& e, Instant now) {
    if (!may_send(e.from, e.message)) return;
    reg.on_message(e.from, e.message, now);
    std::visit([&](const auto& m) { on_message(e.from, m, now); }, e.message);
}

void Engine::Impl::on(const Persisted& e, Instant /*now*/) {
    ledger.on_persisted(e.serial);
}

void Engine::Impl::on(const PeerConnected& e, Instant /*now*/) {
    connected[e.peer] = e.connected;
    if (e.connected && !settings.witness) send_report(e.peer);
}

void Engine::Impl::on(const ResourceDone& e, Instant now) {
    local.on_resource_done(e, local_input(now));
    take_local();
}

void Engine::Impl::on(const MonitorDone& e, Instant now) {
    local.on_monitor_done(e, local_input(now));
    take_local();
}

void Engine::Impl::on(const MonitorStirred& e, Instant now) {
    local.on_monitor_stirred(e, local_input(now));
    take_local();
}

void Engine::Impl::on(const ScriptDone& e, Instant now) {
    local.on_script_done(e, local_input(now));
    take_local();
}

void Engine::Impl::on(const GuardObserved& e, Instant now) {
    const GuardObserved before = std::exchange(guard, e);
    const std::string who = out.name(settings.self.node);
    if (e.pause_suspected) reg.on_pause(now);  // each one: a second pause may follow the first at once
    if (before.alive && !e.alive)
        out.say(Reason::kGuardLost, who, "The guard of " + who + " does not run: nothing may run here without it.");
    if (!before.alive && e.alive) out.say(Reason::kGuardRestored, who, "The guard of " + who + " runs.");
    if (before.alive != e.alive || before.armed != e.armed) look_again = true;
    local.on_guard(e, local_input(now));
    take_local();
}

void Engine::Impl::on(const Asked& e, Instant now) {
    if (!ask_here(e.request, now)) requests.ask(e.request, now);
}

// Told at once, to a leader here within this very step: a stalled primary waits for the answer.
void Engine::Impl::on(const MirrorReported& e, Instant now) {
    if (settings.witness || !out.config || !has_mirror(*out.config, e.report.mirror)) return;
    if (mirrors.size() >= kMaxMirrors && !mirrors.contains(e.report.mirror)) return;
    mirrors[e.report.mirror] = e.report;
    report(now);
}

void Engine::Impl::on(const MachineMeasured& e, Instant /*now*/) {
    measured = e;
}

void Engine::Impl::on(const PathsSeen& e, Instant /*now*/) {
    std::vector<PathReport> seen = e.bad;
    if (seen.size() > kMaxPaths) seen.resize(kMaxPaths);
    const auto tell = [&](const std::vector<PathReport>& these, const std::vector<PathReport>& those, Reason reason,
                          const std::string& words) {
        for (const PathReport& path : these)
            if (std::find(those.begin(), those.end(), path) == those.end())
                out.say(reason, "network " + path.network,
                        "The " + std::string(path.control ? "control" : "heartbeat") + " path of " +
                            out.name(settings.self.node) + " to " + out.name(path.peer) + " on network " +
                            path.network + words);
    };
    tell(seen, bad_paths, Reason::kPathLost, " is lost: nothing arrives on it.");
    tell(bad_paths, seen, Reason::kPathRestored, " is back.");
    bad_paths = std::move(seen);
}

// Short waits are the rule at every start; a longer one a person should know of, once for each that it waits for.
void Engine::Impl::tell_wait(Instant now) {
    const std::string& wait = reg.startup().waiting_for;
    const std::string whom = wait.substr(0, wait.find(", for "));  // without the seconds that are left
    if (settings.witness || wait.empty() || reg.leader() != kNobody || whom != waits_for) {
        waits_for = whom;
        waits_since = now;
        wait_told = false;
        return;
    }
    if (wait_told || now - waits_since < kTellWaitAfter) return;
    wait_told = true;
    out.say(Reason::kWaitingForStartup, out.name(settings.self.node), out.name(settings.self.node) + " may not start yet. " + wait);
}

void Engine::Impl::on(const ConfigStored& e, Instant /*now*/) {
    stored_hash = e.hash;
}

// Words that are for this node alone: a start without the others, as long as there is no leader to ask.
bool Engine::Impl::ask_here(const OperatorRequest& request, Instant now) {
    if (reg.leader() != kNobody) return false;
    const auto answer = [&](const Status& done, const std::string& message) {
        OperatorReply reply{request.id, OperatorOutcome::kDone, 0, message, {}};
        if (!done)
            reply = {request.id, OperatorOutcome::kRefused, static_cast<uint8_t>(done.error().code),
                     done.error().message, done.error().remedy};
        commands.push_back({Answer{reply}, 0});
        return true;
    };
    if (request.verb == OperatorVerb::kConfirmDown) {
        const config::Node* node = out.config ? out.config->node(request.subject) : nullptr;
        if (node == nullptr)
            return answer(fail(ErrorCode::kNotFound, "There is no node \"" + request.subject + "\"."), {});
        if (request.dry_run)
            return answer({}, "Nothing was done. It would be: " + node->name + " is noted as down.");
        confirmed_down.insert(node->id);
        confirmed_down_at = now;
        out.say(Reason::kConfirmedDown, "node " + node->name,
                node->name + " was confirmed down by " + request.person + ".");
        return answer({}, request.subject +
                              " is noted as down; `kagami cluster start --alone --confirm-down` goes on without it.");
    }
    if (request.verb != OperatorVerb::kClusterStart || !(request.force || request.alone)) return false;
    if (request.dry_run)
        return answer({}, request.alone ? "Nothing was done. It would be: the cluster starts without the nodes confirmed "
                                          "down, if every other one is heard."
                                        : "Nothing was done. It would be: the cluster starts without waiting for the "
                                          "nodes that are not heard, if a majority is.");
    if (request.alone && !confirmed_down.empty())
        return answer(reg.force_start(std::exchange(confirmed_down, {}), now),
                      "The cluster starts without the nodes confirmed down.");
    reg.cancel_startup_wait();
    reg.advance(now);
    if (reg.startup().may_contend)
        return answer({}, "The cluster starts without waiting for the nodes that are not heard.");
    return answer(fail(ErrorCode::kNoQuorum, reg.startup().waiting_for, "bring the other nodes or the networks back"),
                  {});
}

// ---- messages beyond the register ----

void Engine::Impl::on_message(NodeId from, const Heartbeat& m, Instant /*now*/) {
    if (m.incarnation.node != from || settings.witness) return;
    const auto known = reports.find(from);
    // Its first heartbeat of this boot: it knows no report of this node yet.
    if (from != kWitnessId && (known == reports.end() || known->second.incarnation.boot != m.incarnation.boot) &&
        m.joining)
        send_report(from);
    look_again = look_again || m.joining || m.leaving || !m.guard_alive || m.next_nonce.value != 0;
}

void Engine::Impl::on_message(NodeId from, const NodeReport& m, Instant /*now*/) {
    if (m.incarnation.node != from) return;
    const auto known = reports.find(from);
    if (known != reports.end() && known->second.incarnation == m.incarnation && m.serial <= known->second.serial)
        return;
    const auto peer = reg.peers().all().find(from);
    const bool present = peer == reg.peers().all().end() || peer->second.heartbeat.incarnation == m.incarnation;
    if (known != reports.end() && known->second.incarnation != m.incarnation && !present)
        return;  // of an earlier boot, late
    reports[from] = m;
    look_again = true;
}

void Engine::Impl::on_message(NodeId /*from*/, const StartGroup& m, Instant now) {
    if (settings.witness || m.token.epoch.node() == kNobody) return;
    local.on_start(m, local_input(now));
    take_local();
}

void Engine::Impl::on_message(NodeId /*from*/, const StopGroup& m, Instant now) {
    if (settings.witness) return;
    local.on_stop(m, local_input(now));
    take_local();
}

void Engine::Impl::on_message(NodeId from, const OperatorRequest& m, Instant now) {
    if (!reg.leading(now)) return;  // it is asked again, then from whoever leads
    if (!reg.chosen().nodes.contains(from)) return;  // not a node of this cluster, or no more
    requests.on_request(from, m);
}

void Engine::Impl::on_message(NodeId from, const OperatorReply& m, Instant /*now*/) {
    requests.on_reply(from, m);
}

// ---- configuration and the local manager ----

void Engine::Impl::follow_config() {
    const ConfigEntry& wanted = reg.document().config;
    if (tried_hash == wanted.hash) return;
    tried_hash = wanted.hash;
    auto parsed = settings.parse_config(wanted.packed);
    if (!parsed) {
        out.say(Reason::kConfigRefused, "cluster", "The configuration in the document cannot be read here.");
        return;
    }
    out.config = std::move(parsed);
    config_hash = wanted.hash;
    reg.set_startup_wait(out.config->startup_wait);
    std::erase_if(mirrors, [&](const auto& item) { return !has_mirror(*out.config, item.first); });
    look_again = true;
    if (!settings.witness && stored_hash != wanted.hash)
        commands.push_back({StoreConfig{wanted.hash, wanted.packed, wanted.version}, 0});
}

LocalInput Engine::Impl::local_input(Instant now) const {
    const bool readable = out.config && config_hash == reg.document().config.hash;
    LocalInput input;
    input.document = &reg.document();
    input.config = readable ? out.config.get() : nullptr;
    input.timing = &reg.timing();
    input.self = settings.self;
    input.now = now;
    input.run_until = guard.alive ? reg.run_until() : Instant{};
    input.lease_sent_at = reg.run_lease_sent_at();
    input.config_stored = stored_hash == reg.document().config.hash;
    input.unmanaged = unmanaged;
    for (const NodeId node : reg.peers().heard(reg.timing().detect, now)) {
        const Heartbeat& beat = reg.peers().all().at(node).heartbeat;
        if (node != kWitnessId && beat.guard_alive && !beat.leaving && reg.document().names(beat.incarnation))
            input.healthy.insert(node);
    }
    return input;
}

// A person runs this node by hand: so says the document that was accepted, and the one known to be chosen (before that
// nobody else counts this node as unarmed). Being lost does not end it: nobody takes over without a person's word. When
// it is over, it goes on until there is a lease: a guard that covers its groups before would suspend them.
void Engine::Impl::follow_unmanaged(Instant now) {
    const auto runs_here = [&](const Document& document) {
        const NodeEntry& entry = document.node(settings.self.node);
        return entry.boot == settings.self.boot &&
               (entry.state == NodeState::kMember || entry.state == NodeState::kLost);
    };
    const auto says = [&](const Document& document) {
        return runs_here(document) &&
               document.node(settings.self.node).maintenance.kind == MaintenanceKind::kUnmanaged;
    };
    // What is known to be chosen may be older than the end of an earlier such time.
    if (!says(reg.document())) managed_at = reg.document().version;
    const bool wanted = says(reg.document()) && says(reg.chosen()) && reg.chosen().version > managed_at;
    const bool lingers = unmanaged && runs_here(reg.document()) && now >= reg.run_until();
    unmanaged = wanted ? unmanaged || !local.anything_suspended() : lingers;
}

void Engine::Impl::take_local() {
    LocalOutput made = local.take_output();
    if (made.durable_changed) {
        DurableState& durable = ledger.change();
        durable.groups = local.groups();
        durable.final_actions = local.counts().final_actions;
        durable.final_actions_cleared = local.counts().final_actions_cleared;
        local_serial = ledger.serial();
    }
    if (!made.commands.empty()) publish_guard();  // the guard covers a group before anything of it runs
    for (Command& command : made.commands) {
        if (activates(command))
            activations.push_back({std::move(command), local_serial});
        else
            commands.push_back({std::move(command), ledger.wait_for(local_serial)});
    }
    for (Decision& decision : made.decisions) out.decisions.push_back(std::move(decision));
    if (made.report_changed) report_at = {};
    local_wake = made.wake_at;
}

// The lease is looked at again just before anything starts (protocol.md 10): the write of the mark may have outlasted it.
// Until there is one again the activation waits; when the guard has killed the group meanwhile, it never begins.
void Engine::Impl::begin_activations(Instant now) {
    if (activations.empty() || !published) return;
    for (HeldCommand& held : std::exchange(activations, {})) {
        const GuardGroupState state = guard_state_of(group_of(held.command));
        const bool covered =
            guard.alive && !unmanaged && now < reg.run_until() && state != GuardGroupState::kSuspended;
        if (state == GuardGroupState::kKilled || state == GuardGroupState::kKillFailed) {
            never_begun(held.command, now);
        } else if (covered && ledger.is_durable(held.after_persist)) {
            commands.push_back({std::move(held.command), 0});
        } else {
            activations.push_back(std::move(held));
        }
    }
}

// What the guard says of the group in its present token.
GuardGroupState Engine::Impl::guard_state_of(const std::string& group) const {
    const auto known = std::find_if(published->groups.begin(), published->groups.end(),
                                    [&](const GuardedGroup& g) { return g.group == group; });
    for (const auto& [name, token, state] : guard.groups)
        if (name == group && known != published->groups.end() && known->token == token) return state;
    return GuardGroupState::kRunning;
}

void Engine::Impl::never_begun(const Command& command, Instant now) {
    const std::string why = "the lease ran out before it began";
    if (const auto* run = std::get_if<RunResource>(&command))
        local.on_resource_done({run->operation, false, ProbeResult::kInactive, why}, local_input(now));
    if (const auto* script = std::get_if<RunResourceScript>(&command))
        local.on_script_done({script->operation, false, why}, local_input(now));
    take_local();
}

// ---- the class ----

Engine::Engine(Settings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::step(const Event& event, Instant now) {
    impl_->step(event, now);
}
Output Engine::take_output() {
    return impl_->take_output();
}
Snapshot Engine::snapshot(Instant now) const {
    return impl_->snapshot(now);
}
const Document& Engine::document() const {
    return impl_->reg.document();
}
const Document& Engine::chosen() const {
    return impl_->reg.chosen();
}
Instant Engine::run_until() const {
    return impl_->reg.run_until();
}
bool Engine::leading(Instant now) const {
    return impl_->reg.leading(now);
}
Epoch Engine::epoch() const {
    return impl_->ledger.durable_promise();
}

}  // namespace kagami::engine
