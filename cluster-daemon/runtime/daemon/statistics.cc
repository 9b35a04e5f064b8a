#include "cluster-daemon/runtime/daemon/statistics.h"

#include <algorithm>

#include "proto/control.pb.h"

namespace kagami::runtime {
namespace {

constexpr std::string_view kGroup = "group ";

double fine_milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

// What the configuration names stays, with what is known of it.
template <typename Entry, typename Named>
void keep(std::map<std::string, Entry>& entries, const std::vector<Named>& named) {
    std::map<std::string, Entry> kept;
    for (const Named& each : named) kept[each.name] = entries[each.name];
    entries = std::move(kept);
}

}  // namespace

void Statistics::Steps::end(Instant now) {
    if (!since) return;
    ++count;
    last = now - *since;
    longest = std::max(longest, last);
    since.reset();
}

void Statistics::set_config(const config::Config& config) {
    const std::lock_guard lock(mutex_);
    keep(groups_, config.groups);
    keep(monitors_, config.monitors);
}

void Statistics::decided(const engine::Decision& decision, Instant now) {
    if (!decision.subject.starts_with(kGroup)) return;
    const std::lock_guard lock(mutex_);
    const auto at = groups_.find(decision.subject.substr(kGroup.size()));
    if (at == groups_.end()) return;
    Group& group = at->second;
    if (decision.reason == engine::Reason::kStarting) {
        group.starts.begin(now);
    } else if (decision.reason == engine::Reason::kActive) {
        group.starts.end(now);
    } else if (decision.reason == engine::Reason::kStopping) {
        group.starts.since.reset();  // a start that was broken off
        group.stops.begin(now);
    } else if (decision.reason == engine::Reason::kStopped) {
        group.stops.end(now);
    }
}

void Statistics::checked(const std::string& monitor, Duration took, bool timed_out) {
    const std::lock_guard lock(mutex_);
    const auto at = monitors_.find(monitor);
    if (at == monitors_.end()) return;
    Monitor& entry = at->second;
    ++entry.checks;
    if (timed_out) ++entry.timeouts;
    entry.last = took;
    entry.sum += took;
    entry.longest = std::max(entry.longest, took);
}

void Statistics::fill(control::v1::Statistics& out) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, group] : groups_) {
        auto& line = *out.add_groups();
        line.set_group(name);
        line.set_starts(group.starts.count);
        line.set_last_start_ms(group.starts.count == 0 ? -1 : milliseconds(group.starts.last));
        line.set_longest_start_ms(group.starts.count == 0 ? -1 : milliseconds(group.starts.longest));
        line.set_stops(group.stops.count);
        line.set_last_stop_ms(group.stops.count == 0 ? -1 : milliseconds(group.stops.last));
        line.set_longest_stop_ms(group.stops.count == 0 ? -1 : milliseconds(group.stops.longest));
    }
    for (const auto& [name, monitor] : monitors_) {
        auto& line = *out.add_monitors();
        line.set_monitor(name);
        line.set_checks(monitor.checks);
        line.set_timeouts(monitor.timeouts);
        line.set_last_ms(monitor.checks == 0 ? -1 : fine_milliseconds(monitor.last));
        line.set_mean_ms(monitor.checks == 0 ? -1
                                             : fine_milliseconds(monitor.sum) / static_cast<double>(monitor.checks));
        line.set_longest_ms(monitor.checks == 0 ? -1 : fine_milliseconds(monitor.longest));
    }
}

}  // namespace kagami::runtime
