#include "cluster-daemon/runtime/daemon/guard_link.h"

#include <arpa/inet.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>

#include "cluster-daemon/guard/guard_page.h"
#include "common/files.h"
#include "common/host/cgroup.h"

namespace kagami::runtime {
namespace {

std::optional<guard::GuardAddress> to_guard(const host::Address& address) {
    guard::GuardAddress out;
    out.family = address.text.find(':') == std::string::npos ? 4 : 6;
    if (::inet_pton(out.family == 4 ? AF_INET : AF_INET6, address.text.c_str(), out.bytes.data()) != 1) return std::nullopt;
    out.prefix_bits = static_cast<uint8_t>(address.prefix_bits);
    out.interface = guard::Text<15>(address.interface);
    return out;
}

guard::Verdict to_guard(engine::Verdict verdict) {
    switch (verdict) {
        case engine::Verdict::kNone: return guard::Verdict::kNone;
        case engine::Verdict::kResume: return guard::Verdict::kResume;
        case engine::Verdict::kKill: return guard::Verdict::kKill;
    }
    return guard::Verdict::kNone;
}

engine::GuardGroupState to_engine(guard::GroupState state) {
    switch (state) {
        case guard::GroupState::kRunning: return engine::GuardGroupState::kRunning;
        case guard::GroupState::kSuspending:
        case guard::GroupState::kSuspended:
        case guard::GroupState::kKilling: return engine::GuardGroupState::kSuspended;
        case guard::GroupState::kResumed: return engine::GuardGroupState::kResumed;
        case guard::GroupState::kKilled: return engine::GuardGroupState::kKilled;
        case guard::GroupState::kKillFailed: return engine::GuardGroupState::kKillFailed;
    }
    return engine::GuardGroupState::kSuspended;
}

std::string watchdog_text(const guard::GuardReport& report) {
    switch (report.watchdog) {
        case guard::WatchdogKind::kNone: return "none";
        case guard::WatchdogKind::kHardware: return "hardware " + std::string(report.device.view());
        case guard::WatchdogKind::kSimulated: return "simulated";
    }
    return "none";
}

void freeze(const std::string& directory) {
    const UniqueFd file(::open((directory + "/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC));
    if (file.valid() && ::write(file.get(), "1", 1) != 1) spdlog::error("{}: cannot freeze: {}", directory, errno_text(errno));
}

}  // namespace

struct GuardLink::Impl {
    Impl(guard::GuardPageWriter<guard::GuardPlan> plan_writer, guard::GuardPageReader<guard::GuardReport> report_reader,
         const BootId& boot_id, Footprints footprints_of)
        : writer(std::move(plan_writer)), reader(std::move(report_reader)), boot(boot_id), footprints(std::move(footprints_of)) {}

    // Only a whole footprint is remembered; what is known of a group that is not wholly known is still better than nothing.
    resources::Footprint footprint(const std::string& group, std::map<std::string, std::string>& missing) {
        const auto known = cached.find(group);
        if (known != cached.end()) return known->second;
        auto found = footprints(group);
        if (found) return cached[group] = std::move(*found);
        missing[group] = found.error().message;
        return {};
    }

    guard::GuardGroup to_page(const engine::GuardedGroup& group, std::map<std::string, std::string>& missing) {
        guard::GuardGroup out;
        out.name = guard::Text<31>(group.group);
        out.token = group.token;
        out.kind = group.strict ? guard::GroupKind::kStrict : guard::GroupKind::kData;
        out.verdict = to_guard(group.verdict);
        out.cgroup = guard::Text<127>(group.group);
        const resources::Footprint covered = footprint(group.group, missing);
        for (const auto& address : covered.addresses) {
            if (const auto known = to_guard(address)) out.addresses.push_back(*known);
        }
        for (const auto& mount : covered.mounts) out.mounts.push_back(guard::Text<255>(mount));
        for (const auto& unit : covered.units) out.units.push_back(guard::Text<127>(unit));
        for (const auto& mirror : covered.mirrors) out.mirrors.push_back(guard::Text<31>(mirror));
        return out;
    }

    bool alive(Instant now) const {
        // The guard beats every T_guard / 2; a missing beat is counted from when the next one was due. A guard that cannot be told the
        // plan is as good as none.
        return published && now - reader.value().alive_at <= 2 * timing.guard;
    }

    void note_lateness(Instant now) {
        const Duration late = now - reader.value().alive_at - timing.guard / 2;
        int64_t known = lateness_ns;
        while (late.count() > known && !lateness_ns.compare_exchange_weak(known, late.count())) {
        }
    }

    engine::GuardObserved observe(bool is_alive) {
        const guard::GuardReport& report = reader.value();
        engine::GuardObserved observed;
        observed.alive = is_alive;
        observed.armed = report.armed != 0 && report.condemned == 0;
        observed.pause_suspected = report.pauses != pauses_seen;
        pauses_seen = report.pauses;
        for (const auto& group : report.groups) {
            observed.groups.emplace_back(std::string(group.name.view()), group.token, to_engine(group.state));
        }
        return observed;
    }

    void suspend_without_guard() {
        const auto root = host::cgroup_root();
        if (!root) return;
        for (const auto& group : last_plan.groups) freeze(*root + "/" + group.group);
    }

    guard::GuardPageWriter<guard::GuardPlan> writer;
    guard::GuardPageReader<guard::GuardReport> reader;
    BootId boot;
    Footprints footprints;
    std::map<std::string, resources::Footprint> cached;
    engine::Timing timing = engine::Timing::derive({});
    engine::SetGuard last_plan;
    std::optional<engine::GuardObserved> last_observed;
    uint32_t pauses_seen = 0;
    bool published = true;  // the newest plan lies on the page
    mutable std::mutex mutex;
    std::map<std::string, std::string> uncovered;  // group -> why the page does not say all of it
    std::atomic<int64_t> lateness_ns = 0;
};

GuardLink::GuardLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GuardLink::~GuardLink() = default;

Result<std::unique_ptr<GuardLink>> GuardLink::open(const std::string& page_path, const BootId& boot, Footprints footprints) {
    auto writer = guard::GuardPageWriter<guard::GuardPlan>::open(page_path.c_str());
    if (!writer) return tl::unexpected<Error>(writer.error());
    auto reader = guard::GuardPageReader<guard::GuardReport>::open(page_path.c_str());
    if (!reader) return tl::unexpected<Error>(reader.error());
    return std::unique_ptr<GuardLink>(
        new GuardLink(std::make_unique<Impl>(std::move(*writer), std::move(*reader), boot, std::move(footprints))));
}

void GuardLink::set_timing(const engine::Timing& timing) { impl_->timing = timing; }

void GuardLink::forget_footprints() { impl_->cached.clear(); }

void GuardLink::publish(const engine::SetGuard& plan) {
    guard::GuardPlan page;
    page.terms.boot = impl_->boot;
    page.terms.lease_sent_at = plan.lease_sent_at;
    page.terms.deadline = plan.deadline;
    page.terms.t_hold = impl_->timing.hold;
    page.terms.t_guard = impl_->timing.guard;
    page.terms.t_kill = impl_->timing.kill;
    page.terms.watchdog_timeout = impl_->timing.inputs.watchdog;
    page.terms.armed = plan.armed ? 1 : 0;
    page.terms.unmanaged = plan.unmanaged ? 1 : 0;
    std::map<std::string, std::string> missing;
    for (const auto& group : plan.groups) page.groups.push_back(impl_->to_page(group, missing));
    impl_->last_plan = plan;
    const Status published = impl_->writer.publish(page);
    impl_->published = published.has_value();
    if (!published) {
        spdlog::error("{} {}", published.error().message, published.error().remedy);
        for (const auto& group : plan.groups) missing[group.group] = published.error().message;
    }
    const std::lock_guard lock(impl_->mutex);
    impl_->uncovered = std::move(missing);
}

std::optional<std::string> GuardLink::uncovered(const std::string& group) const {
    const std::lock_guard lock(impl_->mutex);
    const auto at = impl_->uncovered.find(group);
    if (at == impl_->uncovered.end()) return std::nullopt;
    return at->second;
}

std::optional<engine::GuardObserved> GuardLink::poll(Instant now) {
    impl_->reader.read();
    const bool alive = impl_->alive(now);
    if (alive) impl_->note_lateness(now);
    if (!alive && impl_->last_observed && impl_->last_observed->alive) impl_->suspend_without_guard();
    engine::GuardObserved observed = impl_->observe(alive);
    const auto& last = impl_->last_observed;
    if (last && last->alive == observed.alive && last->armed == observed.armed && !observed.pause_suspected &&
        last->groups == observed.groups) {
        return std::nullopt;
    }
    impl_->last_observed = observed;
    return observed;
}

Duration GuardLink::take_lateness() { return Duration(impl_->lateness_ns.exchange(0)); }

GuardSummary GuardLink::summary() const {
    const guard::GuardReport& report = impl_->reader.value();
    return {impl_->last_observed && impl_->last_observed->alive, report.armed != 0, watchdog_text(report), report.watchdog_tested != 0, report.realtime != 0,
            report.memory_locked != 0};
}

}  // namespace kagami::runtime
