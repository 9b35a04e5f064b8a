#include "cluster-daemon/runtime/daemon/mirror_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <mutex>

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

Error refusal(const mirror_link::Answer& answer) {
    return {answer.not_yet ? ErrorCode::kTimedOut : ErrorCode::kRefused, answer.message, answer.remedy};
}

std::optional<host::MirrorDevice> device_of(const mirror_link::MirrorStatus& status) {
    if (status.report.role != mirror::Role::kPrimary) return std::nullopt;
    return host::MirrorDevice{status.device, status.front_end};
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
    Impl(const std::string& socket, const mirror_link::Welcome& welcome, Post posted)
        : self(welcome.self),
          post(std::move(posted)),
          client(socket, welcome,
                 {[this](const mirror::Report& report) { take(report); }, [this](bool up) { connected_is(up); }}) {}

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
    static constexpr const char* kNoDriver = "the mirror driver does not run";

    NodeId self;
    Post post;
    std::mutex mutex;
    std::map<std::string, mirror::Report> reports;  // of the configuration in force
    bool connected = false;
    std::mutex callback_mutex;  // held while callbacks run: a handle that is gone calls no more
    uint64_t last_id = 0;
    std::map<std::string, std::map<uint64_t, std::function<void()>>> callbacks;
    mirror_link::Client client;  // last: its thread uses what stands above
};

MirrorLink::MirrorLink(const std::string& socket, const mirror_link::Welcome& welcome, Post post)
    : impl_(std::make_unique<Impl>(socket, welcome, std::move(post))) {}
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
    const auto answer = impl_->client.ask(mirror_link::Verb::kPromote, mirror, deadline);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (!answer->ok) return tl::unexpected<Error>(refusal(*answer));
    const auto device = device_of(answer->status);
    if (device && !device->path.empty()) return *device;
    return fail("mirror " + mirror + ": the mirror driver promoted it, but named no device", "look at its log: journalctl -u kagami-mirrord");
}

Status MirrorLink::demote(const std::string& mirror, Instant deadline) {
    const auto answer = impl_->client.ask(mirror_link::Verb::kDemote, mirror, deadline);
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (!answer->ok) return tl::unexpected<Error>(refusal(*answer));
    return {};
}

Result<mirror::Report> MirrorLink::report(const std::string& mirror) {
    const std::lock_guard lock(impl_->mutex);
    const auto at = impl_->reports.find(mirror);
    if (at != impl_->reports.end()) return at->second;
    return fail(ErrorCode::kNotFound, "mirror " + mirror + " is not in the configuration in force on this node");
}

Result<std::optional<host::MirrorDevice>> MirrorLink::device(const std::string& mirror) {
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
