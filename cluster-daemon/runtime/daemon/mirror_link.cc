#include "cluster-daemon/runtime/daemon/mirror_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "cluster-daemon/runtime/daemon/driver_watcher.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/link/client.h"

namespace kagami::runtime {
namespace {

constexpr Duration kDriverWait = 5s;  // for a driver that is just being restarted

mirror::Report detached(const std::string& name, const std::string& why) {
    mirror::Report report;
    report.mirror = name;
    report.message = why;
    return report;
}

std::vector<mirror_link::Path> paths_between(const config::Config& config, NodeId self, NodeId peer) {
    const config::Node* own = config.node(self);
    const config::Node* other = config.node(peer);
    const bool chosen = std::any_of(config.networks.begin(), config.networks.end(), [](const auto& n) { return n.mirror; });
    std::vector<mirror_link::Path> paths;
    for (const config::Network& network : config.networks) {
        if (own == nullptr || other == nullptr || (chosen && !network.mirror)) continue;
        const auto here = own->address.find(network.name);
        const auto there = other->address.find(network.name);
        if (here == own->address.end() || there == other->address.end()) continue;
        if (paths.size() < mirror_link::kMaxPaths) paths.push_back({network.name, here->second, there->second});
    }
    return paths;
}

mirror_link::MirrorConfig mirror_config(const config::Config& config, const config::Group& group,
                                        const config::Resource& resource, NodeId self) {
    mirror_link::MirrorConfig mirror;
    mirror.name = resource.name;
    mirror.group = group.name;
    const auto peer = std::find_if(group.nodes.begin(), group.nodes.end(), [&](NodeId node) { return node != self; });
    if (peer != group.nodes.end()) mirror.peer = *peer;
    mirror.peer_name = config.node_name(mirror.peer);
    const config::Values& values = resource.values.at(self);
    mirror.data = values.text("data");
    mirror.metadata = values.text("metadata");
    mirror.port = static_cast<uint16_t>(values.integer("port"));
    mirror.paths = paths_between(config, self, mirror.peer);
    mirror.automatic_resync = values.boolean("automatic_resync");
    return mirror;
}

std::map<std::string, Duration> driver_timeouts(const config::Config& config, NodeId self) {
    std::map<std::string, Duration> limits;
    for (const config::Group& group : config.groups) {
        for (const config::Resource& resource : group.resources) {
            const auto values = resource.values.find(self);
            if (resource.type == "md" && values != resource.values.end())
                limits[resource.name] = values->second.duration("driver_timeout");
        }
    }
    return limits;
}

Error refusal(const mirror_link::Answer& answer) {
    return {answer.not_yet ? ErrorCode::kTimedOut : ErrorCode::kRefused, answer.message, answer.remedy};
}

std::optional<host::MirrorDevice> device_of(const mirror_link::MirrorStatus& status) {
    if (status.report.role != mirror::Role::kPrimary) return std::nullopt;
    return host::MirrorDevice{status.device, status.front_end, status.report.generation};
}

}  // namespace

mirror_link::Configure mirror_configuration(const config::Config& config, NodeId self) {
    mirror_link::Configure configure;
    for (const config::Group& group : config.groups) {
        if (std::find(group.nodes.begin(), group.nodes.end(), self) == group.nodes.end()) continue;
        for (const config::Resource& resource : group.resources) {
            if (resource.type == "md") configure.mirrors.push_back(mirror_config(config, group, resource, self));
        }
    }
    return configure;
}

struct MirrorLink::Impl {
    Impl(const std::string& socket, const mirror_link::Welcome& welcome, Post posted, Tell tell)
        : self(welcome.self),
          post(std::move(posted)),
          watcher(socket, {[this](const std::string& mirror) { ask_for_life(mirror); },
                           [this](const std::string& mirror) { given_up(mirror); }, std::move(tell)}),
          client(socket, welcome,
                 {[this](const mirror::Report& report) { take(report); }, [this](bool up) { connected_is(up); }}) {
        watcher.start();
    }
    ~Impl() { watcher.stop(); }

    // On the client's thread.
    void take(const mirror::Report& report) {
        {
            const std::lock_guard lock(mutex);
            const auto at = reports.find(report.mirror);
            if (at == reports.end()) return;  // not of the configuration in force
            at->second = report;
        }
        announce(report);
    }
    void connected_is(bool up) {
        std::map<std::string, mirror::Report> lost;
        {
            const std::lock_guard lock(mutex);
            connected = up;
            if (!up) {
                for (auto& [name, report] : reports) report = detached(name, kNoDriver);
                lost = reports;
            }
        }
        if (!lost.empty() && !up) spdlog::warn("the mirror driver does not run, or has just been restarted");
        for (const auto& [name, report] : lost) announce(report);
    }
    void announce(const mirror::Report& report) {
        post(engine::MirrorReported{report});
        const std::lock_guard lock(callback_mutex);
        for (const auto& [id, callback] : callbacks[report.mirror]) callback();
    }
    // On the watcher's thread.
    void ask_for_life(const std::string& mirror) {
        client.ask_for_life(mirror, [this, mirror](const mirror_link::Answer& answer) {
            watcher.answered(mirror, answer.ok && answer.status.report.role == mirror::Role::kPrimary);
        });
    }
    void given_up(const std::string& mirror) {
        client.abandon(mirror);
        const mirror::Report report = detached(mirror, kGivenUp);
        {
            const std::lock_guard lock(mutex);
            const auto at = reports.find(mirror);
            if (at == reports.end() || at->second == report) return;
            at->second = report;
        }
        announce(report);
    }
    // Nobody acknowledges anything any more, and nobody will before the next promotion: the device is dead, and so is who
    // served it. A later driver goes by the register's word.
    bool nobody_serves(const std::string& mirror) const { return watcher.given_up(mirror) && !watcher.driver_runs(); }
    static Error no_life(const std::string& mirror) {
        return {ErrorCode::kUnreachable, "mirror " + mirror + ": " + kGivenUp, "see why: journalctl -u kagami-mirrord"};
    }
    static constexpr const char* kNoDriver = "the mirror driver does not run";
    static constexpr const char* kGivenUp = "the mirror driver gives no sign of life, and the I/O of its device was failed";

    NodeId self;
    Post post;
    std::mutex mutex;
    std::map<std::string, mirror::Report> reports;  // of the configuration in force
    bool connected = false;
    std::mutex callback_mutex;  // held while callbacks run: a handle that is gone calls no more
    uint64_t last_id = 0;
    std::map<std::string, std::map<uint64_t, std::function<void()>>> callbacks;
    // Last, because their threads use what stands above, and each other.
    DriverWatcher watcher;
    mirror_link::Client client;
};

MirrorLink::MirrorLink(const std::string& socket, const mirror_link::Welcome& welcome, Post post, Tell tell)
    : impl_(std::make_unique<Impl>(socket, welcome, std::move(post), std::move(tell))) {}
MirrorLink::~MirrorLink() = default;

void MirrorLink::set_config(const config::Config& config) {
    const mirror_link::Configure configure = mirror_configuration(config, impl_->self);
    {
        const std::lock_guard lock(impl_->mutex);
        std::map<std::string, mirror::Report> known;
        for (const auto& mirror : configure.mirrors) {
            const auto at = impl_->reports.find(mirror.name);
            known[mirror.name] = at != impl_->reports.end() ? at->second : detached(mirror.name, "");
        }
        impl_->reports = std::move(known);
    }
    impl_->client.configure(configure);
    impl_->watcher.set_limits(driver_timeouts(config, impl_->self));
}

void MirrorLink::tell(const mirror::Authority& authority) { impl_->client.tell(authority); }

Result<mirror_link::MirrorStatus> MirrorLink::status(const std::string& mirror, Duration patience) {
    {
        const std::lock_guard lock(impl_->mutex);
        if (!impl_->connected) return fail(ErrorCode::kUnreachable, "mirror " + mirror + ": " + Impl::kNoDriver);
    }
    auto answer = impl_->client.ask(mirror_link::Verb::kStatus, mirror, host::boot_now() + patience);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (!answer->ok) return tl::unexpected<Error>(refusal(*answer));
    return std::move(answer->status);
}

Result<host::MirrorDevice> MirrorLink::promote(const std::string& mirror, Instant deadline) {
    if (impl_->watcher.given_up(mirror)) return tl::unexpected<Error>(Impl::no_life(mirror));
    const auto answer = impl_->client.ask(mirror_link::Verb::kPromote, mirror, deadline);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (!answer->ok) return tl::unexpected<Error>(refusal(*answer));
    const auto device = device_of(answer->status);
    if (device && !device->path.empty()) return *device;
    return fail("mirror " + mirror + ": the mirror driver promoted it, but named no device", "look at its log: journalctl -u kagami-mirrord");
}

Status MirrorLink::demote(const std::string& mirror, Instant deadline) {
    for (;;) {
        if (impl_->nobody_serves(mirror)) return {};
        const auto answer = impl_->client.ask(mirror_link::Verb::kDemote, mirror, deadline);
        if (answer && answer->ok) return {};
        if (answer) return tl::unexpected<Error>(refusal(*answer));
        // A driver that hangs has been killed, and may need a moment to die. Questions of a mirror that was given up end
        // at the watcher's next look.
        const bool again = impl_->watcher.given_up(mirror) && host::boot_now() + DriverWatch::kPeriod < deadline;
        if (!again && !impl_->nobody_serves(mirror)) return tl::unexpected<Error>(answer.error());
    }
}

Result<mirror::Report> MirrorLink::report(const std::string& mirror) {
    const std::lock_guard lock(impl_->mutex);
    const auto at = impl_->reports.find(mirror);
    if (at != impl_->reports.end()) return at->second;
    return fail(ErrorCode::kNotFound, "mirror " + mirror + " is not in the configuration in force on this node");
}

Result<std::optional<host::MirrorDevice>> MirrorLink::device(const std::string& mirror) {
    if (impl_->nobody_serves(mirror)) return std::nullopt;
    const auto answer = impl_->client.ask(mirror_link::Verb::kStatus, mirror, host::boot_now() + kDriverWait);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (!answer->ok) return tl::unexpected<Error>(refusal(*answer));
    return device_of(answer->status);
}

std::shared_ptr<void> MirrorLink::on_change(const std::string& mirror, std::function<void()> callback) {
    const std::lock_guard lock(impl_->callback_mutex);
    const uint64_t id = ++impl_->last_id;
    impl_->callbacks[mirror][id] = std::move(callback);
    return {impl_.get(), [impl = impl_.get(), mirror, id](void*) {
                const std::lock_guard handle_lock(impl->callback_mutex);
                impl->callbacks[mirror].erase(id);
            }};
}

}  // namespace kagami::runtime
