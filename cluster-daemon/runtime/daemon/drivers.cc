#include "cluster-daemon/runtime/daemon/drivers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <mutex>

#include "cluster-daemon/runtime/daemon/script_runs.h"
#include "monitors/monitor.h"

namespace kagami::runtime {
namespace {

namespace asio = boost::asio;
using ConfigPointer = std::shared_ptr<const config::Config>;

constexpr size_t kWorkers = 16;  // resources of one level start in parallel; a hanging script holds one until its time-out

const config::Monitor* find_monitor(const config::Config& config, const std::string& name) {
    const auto at = std::find_if(config.monitors.begin(), config.monitors.end(), [&](const auto& m) { return m.name == name; });
    return at == config.monitors.end() ? nullptr : &*at;
}

engine::ProbeResult to_engine(resources::Probe probe) {
    switch (probe) {
        case resources::Probe::kActive: return engine::ProbeResult::kActive;
        case resources::Probe::kInactive: return engine::ProbeResult::kInactive;
        case resources::Probe::kPartial: return engine::ProbeResult::kPartial;
    }
    return engine::ProbeResult::kPartial;
}

std::optional<monitors::Health> from_engine(engine::MonitorState state) {
    switch (state) {
        case engine::MonitorState::kNormal: return monitors::Health::kNormal;
        case engine::MonitorState::kCaution: return monitors::Health::kCaution;
        case engine::MonitorState::kError: return monitors::Health::kError;
        case engine::MonitorState::kUnused:
        case engine::MonitorState::kOffline:
        case engine::MonitorState::kUnknown:
        case engine::MonitorState::kSuspended: return std::nullopt;
    }
    return std::nullopt;
}

engine::MonitorState to_engine(monitors::Health health) {
    switch (health) {
        case monitors::Health::kNormal: return engine::MonitorState::kNormal;
        case monitors::Health::kCaution: return engine::MonitorState::kCaution;
        case monitors::Health::kError: return engine::MonitorState::kError;
    }
    return engine::MonitorState::kUnknown;
}

}  // namespace

struct Drivers::Impl {
    Impl(const host::Host& given, NodeId node, std::string scripts, Post posted)
        : host(given), self(node), script_directory(std::move(scripts)), post(std::move(posted)), pool(kWorkers) {}
    ~Impl() { pool.join(); }

    ConfigPointer current() const {
        const std::lock_guard lock(mutex);
        return config;
    }

    // Runs on a worker what needs the configuration in force; without one it answers at once.
    template <typename Work>
    void submit(Work work) {
        asio::post(pool, [this, work = std::move(work)] {
            const ConfigPointer now_in_force = current();
            static const config::Config kEmpty;
            work(now_in_force ? *now_in_force : kEmpty);
        });
    }

    resources::Context resource_context(const config::Config& in_force, const FoundResource& found,
                                        const engine::RunResource& command) const {
        resources::Context context;
        context.group = command.group;
        context.resource = command.resource;
        context.values = values_on(found.resource->values, self);
        context.environment = clp_environment(scene(in_force), *found.group, command);
        context.proven_stopped = command.proven_stopped;
        context.script_directory = script_directory;
        context.deadline = host.now() + command.timeout;
        return context;
    }

    engine::ResourceDone run(const config::Config& in_force, const engine::RunResource& command) {
        engine::ResourceDone done{command.operation, false, engine::ProbeResult::kInactive, {}};
        const FoundResource found = find_resource(in_force, command.group, command.resource);
        const resources::Type* type = found.resource != nullptr ? resources::find(found.resource->type) : nullptr;
        if (type == nullptr) {
            done.message = fmt::format("resource {} of group {} is not in the configuration in force", command.resource, command.group);
            return done;
        }
        const bool activates = command.action == engine::ResourceAction::kActivate;
        if (const auto why = activates && uncovered ? uncovered(command.group) : std::nullopt) {
            done.message = fmt::format("resource {} is not activated: {}", command.resource, *why);
            return done;
        }
        const auto driver = type->make(host);
        const auto context = resource_context(in_force, found, command);
        if (command.action == engine::ResourceAction::kProbe) {
            const auto probe = driver->probe(context);
            done.ok = probe.has_value();
            if (probe) done.probe = to_engine(*probe);
            if (!probe) done.message = sentence(probe.error());
            return done;
        }
        const Status status = activates ? driver->activate(context) : driver->deactivate(context);
        done.ok = status.has_value();
        if (!status) done.message = sentence(status.error());
        return done;
    }

    monitors::Context monitor_context(const config::Config& in_force, const config::Monitor& monitor, Duration timeout) const {
        monitors::Context context;
        context.monitor = monitor.name;
        context.target_group = monitor.target_group;
        context.target_resource = monitor.target;
        context.values = values_on(monitor.values, self);
        context.script_directory = script_directory;
        context.deadline = host.now() + timeout;
        const FoundResource target = find_resource(in_force, monitor.target_group, monitor.target);
        if (target.resource != nullptr) context.target_values = values_on(target.resource->values, self);
        return context;
    }

    engine::MonitorDone check(const config::Config& in_force, const engine::CheckMonitor& command) {
        engine::MonitorDone done{command.operation, engine::MonitorState::kUnknown, false, {}};
        const config::Monitor* monitor = find_monitor(in_force, command.monitor);
        const monitors::Type* type = monitor != nullptr ? monitors::find(monitor->type) : nullptr;
        if (type == nullptr) {
            done.message = fmt::format("monitor {} is not in the configuration in force", command.monitor);
            return done;
        }
        monitors::Context context = monitor_context(in_force, *monitor, command.timeout);
        for (const auto& [name, state] : command.others) {
            if (const auto health = from_engine(state)) context.others[name] = *health;
        }
        const auto finding = type->make(host)->check(context);
        if (finding) {
            done.state = to_engine(finding->health);
            done.message = finding->message;
        } else {
            done.state = engine::MonitorState::kError;
            done.timed_out = finding.error().code == ErrorCode::kTimedOut;
            done.message = sentence(finding.error());
        }
        return done;
    }

    // `serial` is the order to watch that it obeys: when the monitor was switched off or on again meanwhile, it is void.
    void subscribe(const config::Config& in_force, const std::string& name, uint64_t serial) {
        const config::Monitor* monitor = find_monitor(in_force, name);
        const monitors::Type* type = monitor != nullptr ? monitors::find(monitor->type) : nullptr;
        if (type == nullptr) return;
        const std::shared_ptr<monitors::Monitor> driver = type->make(host);
        monitors::Context context = monitor_context(in_force, *monitor, monitor->timeout);
        auto handle = driver->subscribe(context, [this, name] { post(engine::MonitorStirred{name}); });
        {
            const std::lock_guard lock(mutex);
            const auto at = watched.find(name);
            if (at != watched.end() && at->second == serial) {
                subscriptions[name] = {driver, std::move(handle), std::move(context)};
                return;
            }
        }
        handle.reset();
        stop(*driver, context);
    }

    // As it was configured when it was switched on: the configuration in force may not have it any more.
    static void stop(monitors::Monitor& driver, const monitors::Context& context) {
        if (const Status stopped = driver.stop(context); !stopped) spdlog::warn("monitor {}: {}", context.monitor, sentence(stopped.error()));
    }

    ScriptScene scene(const config::Config& in_force) const { return {in_force, self, script_directory, this_os()}; }

    engine::ScriptDone run_script(const config::Config& in_force, const engine::RunRecoveryScript& command) {
        return runtime::run_script(host, scene(in_force), command);
    }

    engine::ScriptDone run_script(const config::Config& in_force, const engine::RunResourceScript& command) {
        const auto why = !command.deactivating && uncovered ? uncovered(command.group) : std::nullopt;
        if (why) return {command.operation, false, fmt::format("resource {} is not activated: {}", command.resource, *why)};
        return runtime::run_script(host, scene(in_force), command);
    }

    host::Host host;
    NodeId self;
    std::string script_directory;
    Post post;
    mutable std::mutex mutex;
    ConfigPointer config;
    struct Subscription {
        std::shared_ptr<monitors::Monitor> driver;
        std::shared_ptr<void> handle;
        monitors::Context context;
    };
    std::map<std::string, Subscription> subscriptions;
    std::map<std::string, uint64_t> watched;  // by the order that switched it on
    uint64_t watch_orders = 0;
    std::function<std::optional<std::string>(const std::string& group)> uncovered;
    std::function<void(const std::string& monitor, Duration took, bool timed_out)> checked;
    asio::thread_pool pool;  // last: its workers use what stands above
};

Drivers::Drivers(const host::Host& host, NodeId self, std::string script_directory, Post post)
    : impl_(std::make_unique<Impl>(host, self, std::move(script_directory), std::move(post))) {}

Drivers::~Drivers() = default;

void Drivers::set_config(std::shared_ptr<const config::Config> config) {
    const std::lock_guard lock(impl_->mutex);
    impl_->config = std::move(config);
}

void Drivers::run(const engine::RunResource& command) {
    impl_->submit([this, command](const config::Config& config) { impl_->post(impl_->run(config, command)); });
}

void Drivers::check(const engine::CheckMonitor& command) {
    impl_->submit([this, command](const config::Config& config) {
        const Instant begun = impl_->host.now();
        engine::MonitorDone done = impl_->check(config, command);
        if (impl_->checked) impl_->checked(command.monitor, impl_->host.now() - begun, done.timed_out);
        impl_->post(std::move(done));
    });
}

void Drivers::watch(const engine::WatchMonitor& command) {
    if (command.on) {
        uint64_t serial = 0;
        {
            const std::lock_guard lock(impl_->mutex);
            serial = impl_->watched[command.monitor] = ++impl_->watch_orders;
        }
        impl_->submit([this, command, serial](const config::Config& config) {
            impl_->subscribe(config, command.monitor, serial);
        });
        return;
    }
    Impl::Subscription ended;
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->watched.erase(command.monitor);
        const auto at = impl_->subscriptions.find(command.monitor);
        if (at == impl_->subscriptions.end()) return;
        ended = std::move(at->second);
        impl_->subscriptions.erase(at);
    }
    // Outside the lock: its destructor may wait for a callback that is running.
    ended.handle.reset();
    impl_->submit([driver = ended.driver, context = ended.context](const config::Config&) { Impl::stop(*driver, context); });
}

void Drivers::run_script(const engine::RunRecoveryScript& command) {
    impl_->submit([this, command](const config::Config& config) { impl_->post(impl_->run_script(config, command)); });
}

void Drivers::run_script(const engine::RunResourceScript& command) {
    impl_->submit([this, command](const config::Config& config) { impl_->post(impl_->run_script(config, command)); });
}

void Drivers::announce(const std::string& group) {
    impl_->submit([this, group](const config::Config&) {
        const auto covered = footprint(group);
        if (!covered) return spdlog::warn("{}", covered.error().message);
        for (const host::Address& address : covered->addresses) {
            if (const Status told = impl_->host.network->announce(address); !told) spdlog::warn("group {}: {}", group, sentence(told.error()));
        }
    });
}

void Drivers::set_guard_check(std::function<std::optional<std::string>(const std::string& group)> uncovered) {
    impl_->uncovered = std::move(uncovered);
}

void Drivers::set_check_listener(std::function<void(const std::string& monitor, Duration took, bool timed_out)> checked) {
    impl_->checked = std::move(checked);
}

Result<resources::Footprint> Drivers::footprint(const std::string& group) const {
    resources::Footprint all;
    const ConfigPointer in_force = impl_->current();
    const config::Group* found = in_force ? in_force->group(group) : nullptr;
    if (found == nullptr) return all;
    for (const auto& resource : found->resources) {
        const resources::Type* type = resources::find(resource.type);
        if (type == nullptr) continue;
        resources::Context context;
        context.group = group;
        context.resource = resource.name;
        context.values = values_on(resource.values, impl_->self);
        const auto part = type->make(impl_->host)->footprint(context);
        if (!part) {
            return fail(fmt::format("the guard cannot cover resource {} of group {}: {}", resource.name, group, part.error().message),
                        part.error().remedy);
        }
        all.cgroup = all.cgroup || part->cgroup;
        all.addresses.insert(all.addresses.end(), part->addresses.begin(), part->addresses.end());
        all.mounts.insert(all.mounts.end(), part->mounts.begin(), part->mounts.end());
        all.units.insert(all.units.end(), part->units.begin(), part->units.end());
        all.mirrors.insert(all.mirrors.end(), part->mirrors.begin(), part->mirrors.end());
    }
    return all;
}

}  // namespace kagami::runtime
