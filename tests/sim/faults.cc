#include "tests/sim/faults.h"

#include "common/config/parameter.h"

namespace kagami::sim {

Faults::Faults(World& world, Shape shape) : world_(world), persons_(world, std::move(shape)), mirrors_(world) {}

void Faults::schedule(int count, Moment from, Moment to) {
    for (int i = 0; i < count; ++i) {
        world_.queue().at(from + random().between(Duration::zero(), to - from), [this] {
            if (!over_) inject();
        });
    }
    caretaker(to);
}

void Faults::inject() {
    ++injected_;
    if (mirrors_.possible() && random().chance(0.35)) return mirrors_.inject();
    const uint64_t dice = random().below(100);
    if (dice < 25) return machine_fault();
    if (dice < 38) return process_fault();
    if (dice < 65) return network_fault();
    if (dice < 75) return store_fault();
    if (dice < 88) return service_fault();
    persons_.act();
}

void Faults::one() {
    ++injected_;
    if (mirrors_.possible() && random().chance(0.35)) return mirrors_.one();
    switch (random().below(4)) {
        case 0: return machine_fault();
        case 1: return process_fault();
        case 2: return cut_something();  // bad weather is many faults
        default: return service_fault();
    }
}

Node* Faults::someone_running() {
    Node& first = any_node();
    for (size_t i = 0; i < world_.configured(); ++i) {
        Node& node = world_.at((first.slot() + i) % world_.configured());
        if (node.running()) return &node;
    }
    return nullptr;
}

std::string Faults::any_group() {
    return random().pick(world_.config().groups).name;
}

// ---- machines and processes ----

void Faults::power_cycle(Node& node, Duration away) {
    world_.note_fault(world_.name(node.id()) + " loses power for " + config::format_duration(away));
    node.power_off();
    world_.queue().after(away, [n = &node] { n->power_on(); });
}

void Faults::everybody_loses_power() {
    world_.note_fault("the whole site loses power");
    for (size_t i = 0; i < world_.count(); ++i) power_cycle(world_.at(i), random().between(1s, 40s));
}

void Faults::freeze(Node& node) {
    const Duration hold = world_.timing().hold;
    const Duration away = random().chance(0.5)   ? random().between(hold / 10, hold * 9 / 10)
                          : random().chance(0.8) ? random().between(hold, 5 * hold)
                                                 : random().between(1s, 100s);
    world_.note_fault(world_.name(node.id()) + " stands still for " + config::format_duration(away));
    node.freeze();
    world_.queue().after(away, [n = &node] { n->thaw(); });
}

void Faults::machine_fault() {
    const uint64_t dice = random().below(20);
    if (dice == 0) return everybody_loses_power();
    if (dice < 11)
        return power_cycle(any(), random().chance(0.5) ? random().between(100ms, 5s) : random().between(5s, 120s));
    if (dice < 18) return freeze(any());
    slow_disk(any());
}

void Faults::process_fault() {
    Node& node = any();
    const uint64_t dice = random().below(10);
    if (node.witness() || dice < 6) {
        const Duration away = random().chance(0.7) ? random().between(10ms, 200ms) : random().between(200ms, 20s);
        world_.note_fault("the daemon of " + world_.name(node.id()) + " dies, back in " +
                          config::format_duration(away));
        node.kill_daemon();
        world_.queue().after(away, [n = &node] { n->start_daemon(); });
    } else if (dice == 6) {
        world_.note_fault("the guard of " + world_.name(node.id()) + " can kill nothing for a minute");
        node.guard().set_kill_fails(true);
        world_.queue().after(1min, [n = &node] { n->guard().set_kill_fails(false); });
    } else {
        world_.note_fault("the guard of " + world_.name(node.id()) + " dies");
        node.crash_guard(random().between(1ms, world_.timing().guard / 2));
    }
}

void Faults::slow_disk(Node& node) {
    const Duration slowest = random().between(10ms, 2 * world_.timing().hold);
    world_.note_fault("the disk of " + world_.name(node.id()) + " takes up to " + config::format_duration(slowest));
    node.disk().set_speed({1ms, slowest});
    world_.queue().after(random().between(1s, 60s), [n = &node] { n->disk().set_speed({}); });
}

// ---- networks ----

void Faults::cut_something() {
    const NodeId a = any().id();
    const NodeId b = any().id();
    const Duration away =
        random().chance(0.5) ? random().between(50ms, 3 * world_.timing().hold) : random().between(1s, 90s);
    const bool one_way = random().chance(0.3);
    const std::string until = " for " + config::format_duration(away);
    if (a == b) {
        world_.note_fault(world_.name(a) + " is cut off from everybody" + until);
        world_.isolate(a, true);
        world_.queue().after(away, [this, a] { world_.isolate(a, false); });
        return;
    }
    world_.note_fault("no way from " + world_.name(a) + (one_way ? " to " : " to and from ") + world_.name(b) + until);
    world_.cut(a, b, true, one_way);
    world_.queue().after(away, [this, a, b, one_way] { world_.cut(a, b, false, one_way); });
}

void Faults::bad_weather() {
    const double loss = random().chance(0.5) ? 0.05 : 0.4;
    const Duration jitter = random().between(1ms, world_.timing().hold);
    world_.note_fault("bad weather on all networks: loss " + std::to_string(loss) + ", jitter up to " +
                      config::format_duration(jitter));
    world_.network().for_all([&](PathQuality& path) {
        path.loss = loss;
        path.duplicates = 0.2;
        path.jitter = jitter;
    });
    world_.queue().after(random().between(1s, 60s), [this] {
        world_.network().for_all([](PathQuality& path) {
            path.loss = path.duplicates = 0;
            path.jitter = 500us;
        });
    });
}

void Faults::network_fault() {
    const uint64_t dice = random().below(10);
    if (dice < 6) return cut_something();
    if (dice < 8) return bad_weather();
    const Node& a = any();
    const Node& b = any();
    if (&a == &b) return cut_something();
    const size_t path = random().below(world_.network().paths());
    world_.note_fault("network " + std::to_string(path + 1) + " between " + world_.name(a.id()) + " and " +
                      world_.name(b.id()) + " is cut");
    world_.network().cut_path(a.slot(), b.slot(), path, true);
    world_.queue().after(random().between(1s, 60s),
                         [this, x = a.slot(), y = b.slot(), path] { world_.network().cut_path(x, y, path, false); });
}

// ---- stores ----

// Without this node's vote the others must be able to go on: who loses the store of the tie holder needs a person.
bool Faults::others_sound(const Node& node) const {
    std::set<engine::VoterId> others;
    for (const engine::Voter& voter : world_.checker().chosen().voters) {
        if (voter.id.node != node.id()) others.insert(voter.id);
    }
    if (!is_quorum(world_.checker().chosen(), others)) return false;
    for (size_t i = 0; i < world_.count(); ++i) {
        const Node& other = world_.at(i);
        if (&other != &node && (!other.running() || !world_.checker().store_sound(other))) return false;
    }
    return world_.checker().store_sound(node);
}

void Faults::restore(Node& node) {
    const engine::Voter* voter = world_.checker().chosen().voter(node.id());
    const Moment taken = world_.now() - random().between(5s, 600s);
    const auto image = node.disk().image(taken);
    if (voter == nullptr || !image) return;
    if (image->nonce == voter->nonce || image->nonce == voter->next_nonce || voter->id != image->voter) return;
    if (image->next_nonce != Nonce{} && (image->next_nonce == voter->nonce || image->next_nonce == voter->next_nonce))
        return;
    node.power_off();
    world_.restore_store(node, taken);
    if (random().chance(0.6)) mirrors_.put_back_with(node, taken);
    world_.queue().after(random().between(1s, 20s), [n = &node] { n->power_on(); });
}

void Faults::lose(Node& node) {
    node.power_off();
    world_.lose_store(node);
    world_.queue().after(random().between(1s, 20s), [n = &node] { n->power_on(); });
}

void Faults::store_fault() {
    Node& node = any_node();
    if (!others_sound(node)) return slow_disk(any());
    if (random().chance(0.6)) return restore(node);
    lose(node);
}

// ---- services ----

void Faults::service_fault() {
    const config::Group& group = random().pick(world_.config().groups);
    const std::string resource = random().pick(group.resources).name;
    Machine& machine = any_node().machine();
    const int times = 1 + static_cast<int>(random().below(4));
    switch (random().below(5)) {
        case 0:
            world_.note_fault("the start of " + resource + " fails " + std::to_string(times) + " times on one node");
            return machine.trouble(
                resource, {engine::ResourceAction::kActivate, times, random().chance(0.2), random().chance(0.5)});
        case 1:
            world_.note_fault("the stop of " + resource + " fails " + std::to_string(times) + " times on one node");
            return machine.trouble(resource, {engine::ResourceAction::kDeactivate, times, random().chance(0.2), false});
        default:
            const auto config = parse_packed(world_.checker().chosen().config.packed);
            if (config->monitors.empty()) return network_fault();
            const std::string watched = random().pick(config->monitors).target;
            world_.note_fault("the process of " + watched + " ends");
            for (const config::Group& one : config->groups) {
                for (size_t i = 0; i < world_.configured(); ++i) world_.at(i).machine().service_dies(one.name, watched);
            }
    }
}

// ---- people ----

void Faults::caretaker(Moment until) {
    if (over_ || world_.now() >= until) return;
    world_.queue().after(random().between(20s, 90s), [this, until] {
        if (over_) return;
        for (size_t i = 0; i < world_.count(); ++i) {
            Node& node = world_.at(i);
            if (random().chance(0.5)) continue;
            node.power_on();
            node.start_daemon();
        }
        caretaker(until);
    });
}

void Faults::heal() {
    over_ = true;
    world_.heal_network();
    world_.network().for_all([](PathQuality& path) { path.jitter = 500us; });
    for (size_t i = 0; i < world_.count(); ++i) {
        Node& node = world_.at(i);
        node.disk().set_speed({});
        node.machine().forget_troubles();
        node.guard().set_kill_fails(false);
        node.thaw();
        node.power_on();
        node.start_daemon();
    }
    mirrors_.heal();
    world_.note_fault("everything works again");
}

}  // namespace kagami::sim
