// A machine for the guard's engine: groups that freeze, die and unmount after a delay, and a clock that only the test
// moves.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "cluster-daemon/guard/guard_engine.h"

namespace kagami::guard::test {

constexpr Duration kHold = 2s, kGuard = 200ms, kKill = 500ms;
constexpr BootId kBoot{1, 2, 3};

struct Machine {  // what one group really does
    bool populated = true;
    bool freeze_wanted = false;
    Instant frozen_from = kNever;
    uint16_t addresses = 0;
    bool mounted = false;
};

class World {
 public:
    World() {
        plan.terms.boot = kBoot;
        plan.terms.t_hold = kHold;
        plan.terms.t_guard = kGuard;
        plan.terms.t_kill = kKill;
        plan.terms.watchdog_timeout = 5s;
        plan.terms.armed = 1;
    }

    GuardGroup& add(const char* name, GroupKind kind = GroupKind::kData, uint64_t token = 1) {
        GuardGroup group;
        group.name = name;
        group.cgroup = name;
        group.kind = kind;
        group.token = Token{{1}, token};
        for (uint8_t i = 0; i < 2; ++i) group.addresses.push_back({4, 24, {10, 0, 0, i}, "eth0"});
        if (kind == GroupKind::kStrict) group.mounts.push_back("/mnt/data");
        plan.groups.push_back(group);
        machine(name) = {.populated = true, .addresses = 3, .mounted = kind == GroupKind::kStrict};
        return plan.groups[plan.groups.size() - 1];
    }
    GuardGroup& group(std::string_view name) {
        return *std::find_if(plan.groups.begin(), plan.groups.end(), [&](auto& g) { return g.name.view() == name; });
    }
    void remove(std::string_view name) {
        auto left = plan.groups;
        plan.groups.clear();
        for (const auto& g : left) {
            if (g.name.view() != name) plan.groups.push_back(g);
        }
    }

    // A renewal sent now and acknowledged at once.
    void renew() {
        plan.terms.lease_sent_at = now;
        plan.terms.deadline = now + kHold;
        publish();
    }
    void publish() {
        ++plan.serial;
        engine->learn(&plan);
    }
    void damage() { engine->learn(nullptr); }
    void restart() {
        before = report();
        engine.emplace(kBoot, &before);
        outcomes = {};
        engine->learn(&plan);
    }

    bool frozen(const Machine& m) const { return m.freeze_wanted && now >= m.frozen_from; }
    bool runs(std::string_view name) const {
        const auto& m = machines[index(name)].second;
        return m.populated && !frozen(m);
    }
    Machine& machine(std::string_view name) { return machines[index(name, true)].second; }

    Orders step() {
        std::array<Sight, kMaxGroups> seen;
        for (size_t i = 0; i < kMaxGroups; ++i) {
            if (const auto* g = engine->at(i)) seen[i] = look(i, machine(g->name.view()));
        }
        orders = engine->step({now, now.time_since_epoch() - monotonic_lag, now.time_since_epoch() - raw_lag}, seen);
        for (size_t i = 0; i < kMaxGroups; ++i) {
            if (const auto* g = engine->at(i)) act(i, machine(g->name.view()), orders.groups[i]);
        }
        return orders;
    }
    // Steps whenever the engine wants to, up to and including `until`.
    void run(Duration length) {
        const Instant until = now + length;
        for (step(); orders.wake_at <= until; step()) now = orders.wake_at;
        now = until;
        step();
    }

    GuardReport report() const {
        GuardReport r;
        engine->report(r);
        return r;
    }
    std::optional<GroupReport> reported(std::string_view name) const {
        for (const auto& g : report().groups) {
            if (g.name.view() == name) return g;
        }
        return std::nullopt;
    }
    GroupState state(std::string_view name) const { return reported(name).value().state; }
    GroupOrders ordered(std::string_view name) const {
        for (size_t i = 0; i < kMaxGroups; ++i) {
            if (engine->at(i) != nullptr && engine->at(i)->name.view() == name) return orders.groups[i];
        }
        return {};
    }

    Instant now{100s};
    Duration monotonic_lag{}, raw_lag{};
    Duration freeze_takes = 5ms;
    bool kills_work = true, unmounts_work = true, withdrawals_work = true;
    GuardPlan plan;
    std::optional<Engine> engine{std::in_place, kBoot, nullptr};
    Orders orders;

 private:
    size_t index(std::string_view name, bool make = false) {
        for (size_t i = 0; i < machines.size(); ++i) {
            if (machines[i].first == name) return i;
        }
        if (make) machines.emplace_back(name, Machine{});
        return machines.size() - 1;
    }
    size_t index(std::string_view name) const { return const_cast<World*>(this)->index(name); }

    Sight look(size_t place, const Machine& m) {
        Sight sight = outcomes[place];
        sight.frozen = frozen(m);
        sight.populated = m.populated;
        return sight;
    }
    void act(size_t place, Machine& m, const GroupOrders& o) {
        Sight& outcome = outcomes[place];
        outcome = {};
        if (o.kill && kills_work) m.populated = false;
        if (o.freeze && !m.freeze_wanted) {
            m.freeze_wanted = true;
            m.frozen_from = now + freeze_takes;
        }
        if (o.withdraw && withdrawals_work) {
            outcome.addresses_gone = true;
            outcome.withdrawn = std::exchange(m.addresses, uint16_t{0});
        }
        if (o.thaw) m.freeze_wanted = false;
        m.addresses = static_cast<uint16_t>(m.addresses | (o.restore & 3U));
        if (o.unmount && unmounts_work) m.mounted = false;
        outcome.mounts_gone = o.unmount && !m.mounted;
    }

    std::vector<std::pair<std::string, Machine>> machines;
    std::array<Sight, kMaxGroups> outcomes{};
    GuardReport before;
};

}  // namespace kagami::guard::test
