// What goes out by itself: heartbeats, reports, the guard's page, and the output of a step.
#include <algorithm>

#include "cluster-daemon/engine/engine_impl.h"
#include "cluster-daemon/engine/replicas.h"
#include "common/assert.h"

namespace kagami::engine {
namespace {

constexpr int kReportEvery = 10;  // T_renew
constexpr Duration kProgressEvery = 1s;

}  // namespace

Heartbeat Engine::Impl::heartbeat(Instant now) const {
    const Acceptor& acceptor = reg.acceptor();
    Heartbeat beat;
    beat.incarnation = settings.self;
    beat.joining = !settings.witness && !reg.document().names(settings.self);
    beat.guard_alive = guard.alive;
    beat.leaving = own_report.leaving;
    beat.epoch = acceptor.promised();
    beat.leader = reg.leader();
    beat.version = reg.document().version;
    beat.timing_digest = reg.timing().digest;
    beat.voter = acceptor.id();
    beat.nonce = acceptor.nonce();
    beat.next_nonce = acceptor.next_nonce();
    for (const NodeId node : reg.peers().heard(reg.timing().detect, now)) {
        if (node == kWitnessId) beat.hears_witness = true;
        if (node.value >= 1 && node.value <= 32) beat.heard |= 1U << (node.value - 1U);
    }
    return beat;
}

void Engine::Impl::beat(Instant now) {
    if (now < beat_at) return;
    beat_at = now + reg.timing().renew;
    const Heartbeat own = heartbeat(now);
    for (const NodeId node : voting_nodes(reg.document()))
        if (node != settings.self.node) out.send(node, own, reg.acceptor().identity_serial());
}

void Engine::Impl::report(Instant now) {
    NodeReport fresh = local.report();
    fresh.incarnation = settings.self;
    fresh.version = reg.document().version;
    fresh.guard_armed = guard.armed;
    fresh.guarded = published && !published->unmanaged;
    fresh.memory_free_mib = coarse_mib(measured.memory_free_mib);
    fresh.disk_free_mib = coarse_mib(measured.disk_free_mib);
    fresh.bad_paths = bad_paths;
    for (const auto& [name, replica] : mirrors) fresh.mirrors.push_back(replica);
    fresh.serial = own_report.serial;
    const bool changed = news(fresh, now);
    if (!changed && now < report_at) return;
    progress_at = now + kProgressEvery;
    if (changed) look_again = true;
    report_at = now + kReportEvery * reg.timing().renew;
    own_report = std::move(fresh);
    ++own_report.serial;
    for (const NodeId node : voting_nodes(reg.document())) send_report(node);
}

// The progress of a resync changes all the time: it is told once a second, or with the next news.
bool Engine::Impl::news(const NodeReport& fresh, Instant now) const {
    if (fresh == own_report) return false;
    if (now >= progress_at || fresh.mirrors.size() != own_report.mirrors.size()) return true;
    NodeReport calm = fresh;
    for (size_t i = 0; i < calm.mirrors.size(); ++i) {
        calm.mirrors[i].percent = own_report.mirrors[i].percent;
        calm.mirrors[i].dirty_bytes = own_report.mirrors[i].dirty_bytes;
    }
    return calm != own_report;
}

// STOPPED is a proof only once the highest token is durable.
void Engine::Impl::send_report(NodeId to) {
    if (to != settings.self.node && to != kWitnessId) out.send(to, own_report, ledger.wait_for(local_serial));
}

// No guard, no lease. Disarmed only after a clean leave with nothing left that runs, and on an unmanaged node.
void Engine::Impl::publish_guard() {
    const NodeEntry& entry = reg.document().node(settings.self.node);
    const bool left = entry.state == NodeState::kLeft && entry.boot == settings.self.boot;
    SetGuard page;
    page.deadline = guard.alive ? reg.run_until() : Instant{};
    page.lease_sent_at = reg.run_lease_sent_at();
    page.groups = local.guarded();
    page.armed = !left || local.anything_active() || !page.groups.empty();
    if (unmanaged) {
        page = SetGuard{};
        page.unmanaged = true;
    }
    // A restarted daemon leaves the page of its former life alone until it has a lease, so that what it re-adopts goes
    // on running.
    const bool condemned = std::any_of(page.groups.begin(), page.groups.end(),
                                       [](const GuardedGroup& g) { return g.verdict == Verdict::kKill; });
    if (!published && page.deadline == Instant{} && !page.groups.empty() && !condemned) return;
    // Nor does it let go of anything before it knows that everybody else does.
    if (!published && page.unmanaged && reg.acceptor().known_chosen() == Version{}) return;
    if (published && *published == page) return;
    published = page;
    commands.push_back({std::move(page), 0});
}

// What the chosen document means for the replicas of this node: told again when that document, the configuration or the
// right to rely on them changes.
void Engine::Impl::publish_mirrors(Instant now) {
    // A daemon that has just started knows what was accepted, not what was chosen: a driver must not act on a grant that
    // perhaps nobody else has.
    if (!out.config || reg.acceptor().known_chosen() == Version{}) return;
    const Document& chosen = reg.chosen();
    const bool member = chosen.names(settings.self);
    const bool fresh = member && now < reg.run_until() && chosen.version == reg.document().version;
    MirrorBasis basis{chosen.version, config_hash, fresh};
    if (basis == mirror_basis) return;
    mirror_basis = basis;
    std::map<std::string, mirror::Authority> told;
    for (const config::Group& group : out.config->groups) {
        if (std::find(group.nodes.begin(), group.nodes.end(), settings.self.node) == group.nodes.end()) continue;
        for (const std::string& name : mirrors_of(group)) {
            const auto record = chosen.mirrors.find(name);
            if (record == chosen.mirrors.end()) continue;
            told[name] = {name, record->second, chosen.version, member, fresh, {}, reg.timing().detect};
            told[name].token = mirror_token(group);
        }
    }
    for (const auto& [name, authority] : told)
        if (const auto at = authorities.find(name); at == authorities.end() || at->second != authority)
            commands.push_back({SetMirror{authority}, 0});
    authorities = std::move(told);
}

// The token stays while the group is being stopped: its last writes need it.
Token Engine::Impl::mirror_token(const config::Group& group) const {
    const auto entry = reg.chosen().groups.find(group.name);
    return entry != reg.chosen().groups.end() && entry->second.owner == settings.self ? entry->second.token : Token{};
}

Instant Engine::Impl::wake_at(Instant now) const {
    Instant at = std::min({reg.wake_at(), beat_at, requests.wake_at()});
    if (!settings.witness) at = std::min(at, report_at);
    if (local_wake) at = std::min(at, *local_wake);
    if (reg.leading(now) && !reg.busy()) at = std::min(at, plan_at);
    return at;
}

Output Engine::Impl::take_output() {
    Output output;
    output.persist = ledger.take();
    output.messages = std::exchange(out.messages, {});
    output.commands = std::exchange(commands, {});
    output.decisions = std::exchange(out.decisions, {});
    output.wake_at = wake_at(stepped_at);
    return output;
}

Snapshot Engine::Impl::snapshot(Instant now) const {
    Snapshot view;
    view.self = settings.self;
    view.document = reg.chosen();
    view.config = out.config;
    view.leader = reg.leader();
    view.leading = reg.leading(now);
    view.quorum = reg.has_quorum(now);
    view.epoch = reg.acceptor().promised();
    view.run_until = reg.run_until();
    view.guard_alive = guard.alive;
    view.guard_armed = guard.armed;
    view.startup_complete = reg.startup().complete;
    view.waiting_for = reg.startup().waiting_for;
    view.own_report = own_report;
    for (const NodeId node : voting_nodes(reg.document())) {
        if (node == settings.self.node) continue;
        PeerView& peer = view.peers[node];
        peer.id = node;
        if (const auto at = reg.peers().all().find(node); at != reg.peers().all().end()) {
            peer.heard_at = at->second.heard_at;
            peer.heartbeat = at->second.heartbeat;
        }
        if (const auto at = reports.find(node); at != reports.end()) peer.report = at->second;
    }
    return view;
}

}  // namespace kagami::engine
