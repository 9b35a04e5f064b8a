#include "tests/unit/engine/cluster_harness.h"

#include <catch2/catch.hpp>

namespace kagami::engine::testing {
namespace {

config::Config config_of(int nodes, bool witness) {
    config::Config config;
    config.cluster_name = "demo";
    config.timing = {2s, 5s, 1s, 0s};
    for (uint16_t n = 1; n <= nodes; ++n) config.nodes.push_back({NodeId{n}, "node" + std::to_string(n), "", {}});
    if (witness) config.arbitration.witness_address["net1"] = "10.0.0.9";
    return config;
}

Heartbeat heartbeat_of(const Member& m, Instant now) {
    Heartbeat beat;
    beat.incarnation = m.self;
    beat.joining = !m.reg->document().names(m.self);
    beat.guard_alive = true;
    beat.epoch = m.reg->acceptor().promised();
    beat.leader = m.reg->leader();
    beat.version = m.reg->document().version;
    beat.timing_digest = m.reg->timing().digest;
    beat.voter = m.reg->acceptor().id();
    beat.nonce = m.reg->acceptor().nonce();
    beat.next_nonce = m.reg->acceptor().next_nonce();
    static_cast<void>(now);
    return beat;
}

}  // namespace

Document document_of(int nodes, bool witness) {
    return genesis(Uuid{1}, config_of(nodes, witness), Bytes{1, 2, 3});
}

BootId boot_of(NodeId node, int boot) {
    return BootId{static_cast<uint8_t>(node.value), static_cast<uint8_t>(node.value >> 8U), static_cast<uint8_t>(boot)};
}

Cluster::Cluster(int nodes, bool witness) {
    const Document document = document_of(nodes, witness);
    for (const NodeId id : voting_nodes(document)) {
        Member& m = members_[id];
        m.self = {id, boot_of(id, 1)};
        m.offset = id.value * 100000s;  // stamps of different machines must never meet
        m.disk = initial_state(id, document);
        open(m);
    }
}

Instant Cluster::now_of(NodeId id) const {
    const Member& m = members_.at(id);
    return Instant(m.offset + Duration(static_cast<Duration::rep>(static_cast<double>(real_.count()) * m.rate)));
}

void Cluster::open(Member& m) {
    m.ledger.emplace(m.disk);
    m.out = {};
    m.writing.clear();
    m.held.clear();
    m.reg = std::make_unique<Register>(
        RegisterSettings{m.self, m.self.node == kWitnessId, m.self.node.value * 7919U + static_cast<uint64_t>(m.boot),
                         now_of(m.self.node)},
        *m.ledger, m.out);
    m.reg->set_startup_wait(300s);
    m.beat_at = {};
}

void Cluster::crash(NodeId id) {
    member(id).on = false;
    member(id).reg.reset();
}

void Cluster::boot(NodeId id) {
    Member& m = member(id);
    m.on = true;
    m.self.boot = boot_of(id, ++m.boot);
    open(m);
}

void Cluster::restart(NodeId id) {
    open(member(id));
}

void Cluster::cut(NodeId a, NodeId b) {
    cut_.insert({a, b});
    cut_.insert({b, a});
}

void Cluster::isolate(NodeId id) {
    for (const auto& [other, m] : members_)
        if (other != id) cut(id, other);
}

void Cluster::lead(Member& m) {
    const Instant now = now_of(m.self.node);
    if (!m.reg->leading(now) || m.reg->busy()) return;
    Document next = m.reg->chosen();
    for (const auto& [node, peer] : m.reg->peers().all())
        if (node != kWitnessId && peer.heartbeat.joining && now - peer.heard_at < 500ms &&
            next.node(node).state != NodeState::kLeft)
            next.nodes[node] = {NodeState::kMember, peer.heartbeat.incarnation.boot, true, false, 0, Leaving::kNo, {}, 0, 0};
    if (!next.names(m.self)) next.nodes[m.self.node] = {NodeState::kMember, m.self.boot, true, false, 0, Leaving::kNo, {}, 0, 0};
    if (also) std::exchange(also, nullptr)(next);
    VoterFacts facts;
    facts.self = m.self.node;
    facts.witness_configured = members_.contains(kWitnessId);
    facts.heartbeats[m.self.node] = heartbeat_of(m, now);
    facts.voting.insert(m.self.node);
    for (const NodeId node : m.reg->peers().heard(1s, now)) {
        facts.heartbeats[node] = m.reg->peers().all().at(node).heartbeat;
        if (m.reg->votes_now(node, now)) facts.voting.insert(node);
    }
    facts.witness_given_up = facts.witness_configured && !facts.voting.contains(kWitnessId);
    if (upkeep) keep_voters(next, facts);
    if (next != m.reg->chosen()) REQUIRE(m.reg->propose(std::move(next), now).has_value());
}

void Cluster::beat(Member& m) {
    const Instant now = now_of(m.self.node);
    if (now < m.beat_at) return;
    m.beat_at = now + m.reg->timing().renew;
    for (const auto& [id, other] : members_)
        if (id != m.self.node) m.out.send(id, heartbeat_of(m, now), m.reg->acceptor().identity_serial());
}

void Cluster::post(Member& m) {
    if (auto persist = m.ledger->take()) m.writing.push_back(std::move(*persist));
    while (!m.slow_disk && !m.writing.empty()) {
        m.disk = m.writing.front().state;
        m.ledger->on_persisted(m.writing.front().serial);
        m.writing.pop_front();
        m.reg->advance(now_of(m.self.node));
        if (auto persist = m.ledger->take()) m.writing.push_back(std::move(*persist));
    }
    auto envelopes = std::exchange(m.held, {});
    for (Envelope& e : m.out.messages) envelopes.push_back(std::move(e));
    m.out.messages.clear();
    for (Envelope& e : envelopes) {
        if (!m.ledger->is_durable(e.after_persist)) {
            m.held.push_back(std::move(e));
        } else {
            wire_.emplace_back(m.self.node, e.to, encode(e.message));
        }
    }
    for (Decision& d : m.out.decisions) m.said.push_back(std::move(d));
    m.out.decisions.clear();
}

void Cluster::settle(Member& m) {
    m.reg->advance(now_of(m.self.node));
    post(m);
    lead(m);
    beat(m);
    post(m);
}

void Cluster::deliver() {
    while (!wire_.empty()) {
        const auto [from, to, bytes] = wire_.front();
        wire_.pop_front();
        if (cut_.contains({from, to}) || !members_.contains(to) || !member(to).on) continue;
        const auto message = decode_message(bytes);
        REQUIRE(message.has_value());
        member(to).reg->on_message(from, *message, now_of(to));
        settle(member(to));
    }
}

void Cluster::run(Duration real) {
    for (const Duration end = real_ + real; real_ < end;) {
        real_ += kTick;
        for (auto& [id, m] : members_)
            if (m.on) settle(m);
        deliver();
        static_cast<void>(leader());
    }
}

NodeId Cluster::leader() {
    NodeId found = kNobody;
    for (auto& [id, m] : members_) {
        if (!leads(id)) continue;
        REQUIRE(found == kNobody);
        found = id;
    }
    return found;
}

bool Cluster::said(NodeId id, Reason reason) {
    for (const Decision& d : member(id).said)
        if (d.reason == reason) return true;
    return false;
}

void Cluster::start(Duration limit) {
    const bool started = run_until(
        [&] {
            for (auto& [id, m] : members_)
                if (m.on && id != kWitnessId && !may_run(id)) return false;
            return leader() != kNobody && reg(leader()).chosen().previous_voters.empty();
        },
        limit);
    REQUIRE(started);
    run(1s);  // nonces and weights settle
}

}  // namespace kagami::engine::testing
