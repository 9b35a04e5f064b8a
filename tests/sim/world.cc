#include "tests/sim/world.h"

#include <cstdio>

#include "common/assert.h"

namespace kagami::sim {
namespace {

constexpr uint8_t kClusterByte = 0x42;
constexpr size_t kStory = 60;
constexpr size_t kTraffic = 40;
constexpr size_t kReplicas = 50;

Packed packed_or_abort(const std::string& toml) {
    Packed packed = pack_configuration(toml);
    if (!packed.config) std::fprintf(stderr, "%s", packed.problem.c_str());
    KAGAMI_ASSERT(packed.config != nullptr, "the simulated configuration has errors");
    return packed;
}

std::string time_text(Moment at) {
    char text[32];
    std::snprintf(text, sizeof text, "%11.6f s", seconds(at.time_since_epoch()));
    return text;
}

size_t endpoints(const config::Config& config) {
    return config.nodes.size() + (config.arbitration.witness_address.empty() ? 0 : 1);
}

}  // namespace

World::World(WorldOptions options)
    : options_(std::move(options)),
      packed_(packed_or_abort(options_.toml)),
      timing_(engine::Timing::derive(packed_.config->timing)),
      random_(options_.seed),
      configured_(packed_.config->nodes.size()),
      checker_(*this),
      network_(queue_, random_, endpoints(*packed_.config), options_.paths,
               {[this](size_t from, size_t to, const Bytes& message) { deliver(from, to, message); },
                [this](size_t where, size_t peer, bool connected) {
                    nodes_[where]->feed(engine::PeerConnected{nodes_[peer]->id(), connected});
                },
                [this](size_t endpoint) { return nodes_[endpoint]->running(); }}) {
    Uuid uuid{};
    uuid[0] = kClusterByte;
    const engine::Document genesis = engine::genesis(uuid, *packed_.config, packed_.bundle);
    checker_.begin(genesis);
    for (size_t slot = 0; slot < endpoints(*packed_.config); ++slot) {
        const NodeId id = slot < configured_ ? packed_.config->nodes[slot].id : kWitnessId;
        auto node = std::make_unique<Node>(*this, id, slot);
        const double skew = options_.mutation == Mutation::kWildClock
                                ? (slot % 2 == 0 ? 0.1 : -0.1)
                                : options_.max_skew / 2 * (2 * random_.fraction() - 1);
        node->set_skew(options_.calm ? 0 : skew);
        node->disk().replace(engine::initial_state(id, genesis));
        node->disk().set_speed(options_.calm ? DiskSpeed{1ms, 1ms} : DiskSpeed{});
        node->disk().lie(options_.mutation == Mutation::kLyingDisk);
        node->machine().set_config(packed_.config);
        if (options_.calm) node->machine().set_pace({50ms, 50ms, 2ms});
        node->guard().set_hardware_watchdog(options_.hardware_watchdog);
        if (options_.mutation == Mutation::kLateGuard) node->guard().set_late(timing_.hold);
        if (options_.mutation == Mutation::kDeafGuard) node->guard().set_late(24h);
        nodes_.push_back(std::move(node));
    }
    network_.set_stream_patience(timing_.detect + 100ms, options_.calm ? Duration(20ms) : Duration(50ms));
    network_.for_all([&](PathQuality& path) {
        path.delay = options_.calm ? Duration(1ms) : random_.between(50us, 2ms);
        path.jitter = options_.calm ? Duration(0) : random_.between(50us, 2ms);
    });
    if (options_.drivers) make_mirrors();
}

void World::make_mirrors() {
    for (const config::Group& group : packed_.config->groups) {
        for (const config::Resource& resource : group.resources) {
            if (resource.type != "md") continue;
            MirrorSpec spec = draw_mirror(resource.name, group.name, random_);
            spec.cluster[0] = kClusterByte;
            mirrors_.push_back(
                std::make_unique<MirrorPair>(*this, std::move(spec), *find(group.nodes[0]), *find(group.nodes[1])));
        }
    }
}

MirrorPair* World::mirror(const std::string& name) {
    for (const auto& pair : mirrors_) {
        if (pair->spec().name == name) return pair.get();
    }
    return nullptr;
}

Node* World::find(NodeId id) {
    for (auto& node : nodes_) {
        if (node->id() == id) return node.get();
    }
    return nullptr;
}

Node* World::leader() {
    for (size_t i = 0; i < configured_; ++i) {
        if (nodes_[i]->running() && !nodes_[i]->frozen() && nodes_[i]->engine().leading(nodes_[i]->local_now()))
            return nodes_[i].get();
    }
    return nullptr;
}

void World::boot_all(Duration spread) {
    for (auto& node : nodes_) {
        queue_.after(spread > Duration::zero() ? random_.between(Duration::zero(), spread) : Duration::zero(),
                     [n = node.get()] { n->power_on(); });
    }
}

void World::cut(NodeId a, NodeId b, bool on, bool one_way) {
    const Node* from = find(a);
    const Node* to = find(b);
    if (from == nullptr || to == nullptr || from == to) return;
    network_.cut(from->slot(), to->slot(), on);
    if (!one_way) network_.cut(to->slot(), from->slot(), on);
}

void World::isolate(NodeId node, bool on) {
    for (const auto& other : nodes_) cut(node, other->id(), on);
}

void World::heal_network() {
    network_.for_all([](PathQuality& path) {
        path.cut = false;
        path.loss = path.duplicates = 0;
    });
    network_.review();
}

bool World::restore_store(Node& node, Moment taken) {
    const auto image = node.disk().image(taken);
    if (node.running() || !image) return false;
    engine::DurableState state = *image;
    if (options_.mutation == Mutation::kForgedNonce) {
        state.nonce = node.durable().nonce;
        state.next_nonce = node.durable().next_nonce;
    }
    const bool forged = options_.mutation == Mutation::kForgedNonce;
    node.disk().replace(std::move(state));
    checker_.on_store_tampered(node);
    note_fault("an older image of its store is put back on " + name(node.id()) +
               (forged ? ", with the present nonce" : ""));
    return true;
}

void World::lose_store(Node& node) {
    if (node.running()) return;
    // A person joins the node again; it is handed the present document.
    engine::DurableState fresh = engine::initial_state(node.id(), checker_.chosen());
    if (options_.mutation == Mutation::kAmnesia) {
        fresh.voter = node.durable().voter;
        fresh.nonce = node.durable().nonce;
        fresh.next_nonce = node.durable().next_nonce;
        fresh.promised = {};
    }
    node.disk().replace(std::move(fresh));
    checker_.on_store_tampered(node);
    note_fault("the store of " + name(node.id()) + " is lost, the node is joined again");
}

uint64_t World::ask(Node& node, engine::OperatorRequest request) {
    request.id = ++requests_;
    if (request.person.empty()) request.person = "operator";
    if (request.verb == engine::OperatorVerb::kClusterStart) checker_.on_start_now();
    if (request.verb == engine::OperatorVerb::kConfirmDown) {
        for (const config::Node& known : packed_.config->nodes) {
            if (known.name == request.subject || known.id == request.node) checker_.on_confirmed_down(known.id);
        }
        checker_.on_start_now();
    }
    node.feed(engine::Asked{request});
    return request.id;
}

void World::run_until(Moment end) {
    const Duration step = timing_.renew;
    for (Moment next = now() + step; next < end && !queue_.stopped(); next += step) {
        queue_.run_until(next);
        checker_.tick();
        for (const auto& pair : mirrors_) pair->tick();
    }
    queue_.run_until(end);
}

void World::deliver(size_t from, size_t to, const Bytes& message) {
    ++messages_;
    nodes_[to]->receive(nodes_[from]->id(), message);
}

void World::keep(std::deque<Line>& lines, Line line) {
    if (options_.verbose) std::printf("%s\n", show(line).c_str());
    lines.push_back(std::move(line));
    if (lines.size() > (&lines == &story_ ? kStory : &lines == &traffic_ ? kTraffic : kReplicas)) lines.pop_front();
}

void World::note(const Node& node, const engine::Decision& decision) {
    if (on_decision) on_decision(node, decision);
    keep(story_, {now(), node.id(), kNobody, nullptr, decision.sentence});
}

void World::note_fault(const std::string& text) {
    ++faults_;
    keep(story_, {now(), kNobody, kNobody, nullptr, "*** " + text});
}

void World::note_mirror(NodeId node, const std::string& text) {
    keep(replicas_, {now(), node, kNobody, nullptr, text});
}

void World::note_message(NodeId from, NodeId to, const char* message) {
    keep(traffic_, {now(), from, to, message, {}});
}

void World::note_reply(const Node& node, const engine::OperatorReply& reply) {
    if (on_reply) on_reply(node, reply);
    keep(story_,
         {now(), node.id(), kNobody, nullptr, "answers request " + std::to_string(reply.id) + ": " + reply.message});
}

std::string World::show(const Line& line) const {
    std::string text = time_text(line.at) + "  ";
    if (line.node != kNobody)
        text += name(line.node) + (line.message != nullptr ? " -> " + name(line.peer) + " " + line.message : ": ");
    return text + line.text;
}

std::string World::last_lines() const {
    std::string text = "the last messages:\n";
    for (const Line& line : traffic_) text += "  " + show(line) + "\n";
    if (!replicas_.empty()) text += "the last of the mirrors:\n";
    for (const Line& line : replicas_) text += "  " + show(line) + "\n";
    text += "the last decisions and faults:\n";
    for (const Line& line : story_) text += "  " + show(line) + "\n";
    return text;
}

}  // namespace kagami::sim
