#include "tests/sim/node.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "tests/sim/world.h"

namespace kagami::sim {

Node::Node(World& world, NodeId id, size_t slot)
    : world_(world),
      id_(id),
      slot_(slot),
      disk_(
          world.queue(), world.random(),
          [this](const engine::DurableState& state) { world_.checker().on_durable(*this, state); },
          [this](uint64_t serial) { on_confirmed(serial); }),
      machine_(world.queue(), world.random(),
               {[this](const engine::Event& event) { feed(event); }, [this] { return daemon_life_; },
                [this](const std::string& group) { world_.checker().on_effects_changed(*this, group); },
                [this](const engine::RunResource& command, uint64_t ticket) { return order_mirror(command, ticket); },
                [this](const std::string& group) { mirrors_killed(group); },
                [this](const std::string& resource) { return probe_mirror(resource); }}),
      guard_(world.queue(), world.random(), machine_,
             {[this] { return local_now(); }, [this](Instant at) { return clock_.when(at); },
              [this] { tell_daemon_of_guard(); },
              [this] {
                  world_.note_fault("the watchdog resets " + world_.name(id_));
                  power_off();
                  world_.queue().after(world_.timing().inputs.reset + 10s, [this] { power_on(); });
              },
              [this](const std::string& what) {
                  if (!world_.checker().unmanaged(*this)) world_.checker().violation("I15", world_.name(id_) + ": " + what);
              }}) {
}

Instant Node::local_now() const {
    return clock_.local(world_.now());
}

engine::Timing Node::timing() const {
    return world_.timing();
}

bool Node::woke_lately(Duration within) const {
    return thawed_at_ != Moment{} && world_.now() - thawed_at_ <= within;
}

void Node::power_on() {
    if (powered_) return;
    powered_ = true;
    ++power_life_;
    ++boots_;
    booted_at_ = world_.now();
    for (size_t i = 0; i < boot_.size(); ++i) boot_[i] = 0;
    boot_[0] = static_cast<uint8_t>(id_.value);
    boot_[1] = static_cast<uint8_t>(id_.value >> 8U);
    boot_[2] = static_cast<uint8_t>(boots_);
    boot_[3] = static_cast<uint8_t>(boots_ >> 8U);
    const Duration shown = world_.calm() ? Duration(10s) : world_.random().between(5s, 100000s);
    clock_ = NodeClock(skew_, Instant(shown), world_.now());
    guard_.set_timing(timing());
    guard_.set_calm(world_.calm());
    if (!witness()) guard_.start();
    world_.checker().on_boot(*this);
    for (Driver* driver : drivers_) driver->power_on();
    const Duration wait = world_.calm() ? Duration(50ms) : world_.random().between(20ms, 500ms);
    world_.queue().after(wait, [this, life = power_life_] {
        if (powered_ && life == power_life_) start_daemon();
    });
}

void Node::power_off() {
    if (!powered_) return;
    end_daemon(true);
    powered_ = frozen_ = false;
    ++power_life_;
    guard_.power_off();
    machine_.power_off();
    for (Driver* driver : drivers_) driver->power_off();
    world_.checker().on_power_off(*this);
}

void Node::start_daemon() {
    if (!powered_ || running()) return;
    if (frozen_) {
        world_.queue().after(10ms, [this, life = power_life_] {
            if (life == power_life_) start_daemon();
        });
        return;
    }
    const auto loaded = engine::decode_durable_state(engine::encode(disk_.durable()));
    KAGAMI_ASSERT(loaded.has_value(), "the store does not read back");
    engine::Settings settings;
    settings.self = incarnation();
    settings.witness = witness();
    settings.seed = world_.random().next();
    settings.booted = local_now();
    settings.durable = *loaded;
    settings.parse_config = parse_packed;
    ++daemon_life_;
    confirmed_ = 0;
    engine_ = std::make_unique<engine::Engine>(std::move(settings));
    world_.checker().on_daemon_start(*this);
    world_.network().process_started(slot_);
    for (Driver* driver : drivers_) driver->daemon_started();
    if (!witness()) feed(guard_.observed());
    if (running()) feed(engine::Woken{});
}

void Node::end_daemon(bool silent) {
    if (!running()) return;
    engine_.reset();
    ++daemon_life_;
    held_messages_.clear();
    held_commands_.clear();
    inbox_.clear();
    wake_at_ = kNever;
    wake_entered_ = Moment::max();
    machine_.daemon_ended();
    disk_.lose_unwritten(world_.random().chance(0.5));
    world_.network().process_ended(slot_, silent);
}

void Node::kill_daemon() {
    end_daemon(false);
}

void Node::crash_guard(Duration away) {
    if (!powered_ || !guard_.alive() || witness()) return;
    guard_.crash();
    world_.queue().after(away, [this, life = power_life_] {
        if (powered_ && life == power_life_ && !guard_.alive()) guard_.start();
    });
}

void Node::tell_daemon_of_guard() {
    world_.queue().after(200us, [this, life = daemon_life_] {
        if (life == daemon_life_) feed(guard_.observed());
    });
}

void Node::freeze() {
    if (!powered_ || frozen_) return;
    frozen_ = true;
    frozen_at_ = world_.now();
    guard_.freeze();
    machine_.set_frozen(true);
}

// The guard is the first to run. Then the daemon meets everything that came in meanwhile.
void Node::thaw() {
    if (!frozen_) return;
    frozen_ = false;
    thawed_at_ = world_.now();
    machine_.set_frozen(false);
    guard_.thaw();
    if (!witness() && thawed_at_ - frozen_at_ > timing().hold / 4) guard_.pause_found();
    for (const std::string& group : machine_.groups()) world_.checker().on_effects_changed(*this, group);
    for (Driver* driver : drivers_) driver->thaw();
    const std::vector<engine::Event> waiting = std::move(inbox_);
    inbox_.clear();
    for (const engine::Event& event : waiting) feed(event);
    if (running()) feed(engine::Woken{});
}

void Node::receive(NodeId from, const Bytes& bytes) {
    if (!running()) return;
    auto message = engine::decode_message(bytes);
    KAGAMI_ASSERT(message.has_value(), "a message does not read back");
    world_.checker().on_delivered(from, *this, *message);
    feed(engine::Received{from, std::move(*message)});
}

void Node::feed(const engine::Event& event) {
    if (!running()) return;
    if (frozen_) {
        inbox_.push_back(event);
    } else {
        step(event);
    }
}

void Node::step(const engine::Event& event) {
    engine_->step(event, local_now());
    handle(engine_->take_output());
}

void Node::handle(engine::Output output) {
    const uint64_t life = daemon_life_;
    for (const engine::Decision& decision : output.decisions) world_.note(*this, decision);
    if (output.persist) disk_.write(output.persist->serial, std::move(output.persist->state));
    const bool impatient = world_.options().mutation == Mutation::kImpatientShell;
    for (engine::Envelope& envelope : output.messages) {
        if (envelope.after_persist > confirmed_ && !impatient) {
            held_messages_.push_back(std::move(envelope));
        } else {
            send(envelope);
        }
    }
    arm_wake(output.wake_at);
    world_.checker().on_stepped(*this);
    for (engine::HeldCommand& command : output.commands) {
        if (command.after_persist > confirmed_ && !impatient) {
            held_commands_.push_back(std::move(command));
        } else {
            run(command.command);
        }
        if (life != daemon_life_) return;
    }
}

void Node::on_confirmed(uint64_t serial) {
    if (!running()) return;
    confirmed_ = std::max(confirmed_, serial);
    const auto release = [this](auto& held, const auto& use) {
        auto waiting = std::move(held);
        held.clear();
        for (auto& one : waiting) {
            if (one.after_persist > confirmed_) {
                held.push_back(std::move(one));
            } else {
                use(one);
            }
        }
    };
    release(held_messages_, [this](const engine::Envelope& envelope) { send(envelope); });
    release(held_commands_, [this](const engine::HeldCommand& command) { run(command.command); });
    feed(engine::Persisted{serial});
}

void Node::send(const engine::Envelope& envelope) {
    Node* peer = world_.find(envelope.to);
    if (peer == nullptr || peer == this) return;
    world_.checker().on_sent(*this, envelope.to, envelope.message);
    world_.note_message(id_, envelope.to, engine::name_of(envelope.message));
    Bytes bytes = engine::encode(envelope.message);
    if (engine::is_datagram(envelope.message)) {
        KAGAMI_ASSERT(bytes.size() <= engine::kMaxDatagramBytes, "a datagram is too large");
        world_.network().send_datagram(slot_, peer->slot(), std::move(bytes));
    } else {
        world_.network().send_stream(slot_, peer->slot(), std::move(bytes));
    }
}

void Node::run(const engine::Command& command) {
    struct Runner {
        Node& node;
        void operator()(const engine::RunResource& c) const {
            node.world_.checker().on_run(node, c);
            node.machine_.run(c);
        }
        void operator()(const engine::CheckMonitor& c) const { node.machine_.check(c); }
        void operator()(const engine::WatchMonitor& c) const { node.machine_.watch(c); }
        void operator()(const engine::RunRecoveryScript& c) const { script(c.operation, c.monitor); }
        void operator()(const engine::RunResourceScript& c) const {
            engine::RunResource step;  // of a script beside an activation the same is true
            step.group = c.group;
            step.resource = c.resource;
            step.action = c.deactivating || c.moment == engine::ScriptMoment::kBeforeFinal
                              ? engine::ResourceAction::kDeactivate
                              : engine::ResourceAction::kActivate;
            node.world_.checker().on_run(node, step);
            script(c.operation, c.resource);
        }
        void script(uint64_t operation, const std::string& name) const {
            const bool calm = node.world_.calm();
            const bool bad_luck = !calm && node.world_.random().chance(0.06);
            const bool ok = !bad_luck && node.machine_.next_script_ends_well(name);
            const Duration takes = calm ? Duration(20ms) : node.world_.random().between(5ms, 3s);
            node.world_.queue().after(takes, [n = &node, operation, ok, life = node.daemon_life_] {
                if (life == n->daemon_life_) n->feed(engine::ScriptDone{operation, ok, ok ? "" : "it ended with 1"});
            });
        }
        void operator()(const engine::SetGuard& c) const {
            node.world_.checker().on_publish(node, c);
            const bool was_armed = node.guard_.armed();
            node.guard_.publish(c);
            for (Driver* driver : node.drivers_) driver->page_changed();
            if (node.guard_.armed() != was_armed) node.tell_daemon_of_guard();
        }
        void operator()(const engine::ActOnSystem& c) const { node.act(c); }
        void operator()(const engine::Answer& c) const { node.world_.note_reply(node, c.reply); }
        void operator()(const engine::SetMirror& c) const { node.tell_driver(c.authority); }
        void operator()(const engine::StoreConfig& c) const {
            node.machine_.set_config(parse_packed(c.packed));
            node.world_.queue().after(5ms, [n = &node, hash = c.hash, life = node.daemon_life_] {
                if (life == n->daemon_life_) n->feed(engine::ConfigStored{hash});
            });
        }
    };
    std::visit(Runner{*this}, command);
}

// ---- mirrors ----

void Node::tell_driver(const mirror::Authority& authority) {
    world_.queue().after(200us, [this, authority, life = daemon_life_] {
        MirrorPair* pair = world_.mirror(authority.mirror);
        if (life == daemon_life_ && pair != nullptr) pair->driver_of(id_)->authority_is(authority);
    });
}

bool Node::order_mirror(const engine::RunResource& command, uint64_t ticket) {
    MirrorPair* pair = world_.mirror(command.resource);
    if (pair == nullptr) return false;
    world_.queue().after(300us, [this, pair, ticket, activate = command.action == engine::ResourceAction::kActivate,
                                 life = power_life_] {
        if (life != power_life_) return;
        const auto answer = [this, ticket, life](bool ok, const std::string& message) {
            world_.queue().after(100us, [this, ticket, ok, message, life] {
                if (life == power_life_) machine_.ordered_done(ticket, ok, message);
            });
        };
        activate ? pair->activate(id_, answer) : pair->deactivate(id_, answer);
    });
    return true;
}

std::optional<engine::ProbeResult> Node::probe_mirror(const std::string& resource) {
    MirrorPair* pair = world_.mirror(resource);
    if (pair == nullptr) return std::nullopt;
    return pair->probe(id_);
}

void Node::mirrors_killed(const std::string& group) {
    for (const auto& pair : world_.mirrors()) {
        if (pair->spec().group == group) pair->killed(id_);
    }
}

void Node::act(const engine::ActOnSystem& action) {
    world_.checker().on_system_action(*this, action);
    // Not from within the engine's own step.
    world_.queue().after(1ms, [this, action, life = daemon_life_] {
        if (life != daemon_life_) return;
        switch (action.action) {
            case engine::SystemAction::kStopDaemon:
                world_.note_fault(world_.name(id_) + " stops its daemon: " + action.why);
                kill_daemon();
                break;
            case engine::SystemAction::kHalt:
            case engine::SystemAction::kBmcPowerOff:
                world_.note_fault(world_.name(id_) + " shuts down: " + action.why);
                power_off();
                break;
            case engine::SystemAction::kReboot:
            case engine::SystemAction::kSysrqPanic:
            case engine::SystemAction::kReset:
            case engine::SystemAction::kBmcReset:
            case engine::SystemAction::kBmcPowerCycle:
            case engine::SystemAction::kBmcNmi:
                world_.note_fault(world_.name(id_) + " reboots: " + action.why);
                power_off();
                world_.queue().after(world_.calm() ? Duration(5s) : world_.random().between(2s, 30s),
                                     [this] { power_on(); });
                break;
        }
    });
}

void Node::arm_wake(std::optional<Instant> wake_at) {
    if (wake_at) wake_at_ = *wake_at;
    if (wake_at_ == kNever) return;
    const Moment at = std::max(clock_.when(wake_at_), world_.now() + 1us);
    if (wake_entered_ <= at) return;  // comes by then anyway, and looks at wake_at_ again
    wake_entered_ = at;
    world_.queue().at(at, [this, at, life = daemon_life_] { wake(at, life); });
}

void Node::wake(Moment entered, uint64_t life) {
    if (life != daemon_life_ || entered != wake_entered_) return;
    wake_entered_ = Moment::max();
    if (frozen_) return;  // thaw() wakes the daemon
    if (local_now() < wake_at_) {
        arm_wake(std::nullopt);
        return;
    }
    wake_asked_ = std::exchange(wake_at_, kNever);
    if (world_.now() - spin_since_ > 1ms) {
        spin_since_ = world_.now();
        spins_ = 0;
    }
    if (++spins_ > 500)
        world_.checker().violation("spin", world_.name(id_) +
                                               ": the engine asks to be woken again and again at once (at " +
                                               std::to_string(wake_asked_.time_since_epoch().count()) + " ns, it is " +
                                               std::to_string(local_now().time_since_epoch().count()) + " ns)");
    step(engine::Woken{});
}

}  // namespace kagami::sim
