#include "cluster-daemon/runtime/daemon/driver_watch.h"

#include <algorithm>
#include <utility>

namespace kagami::runtime {

void DriverWatch::set_limits(std::map<std::string, Duration> limits) {
    limits_ = std::move(limits);
    std::erase_if(watched_, [this](const auto& mirror) { return !limits_.contains(mirror.first); });
}

void DriverWatch::answered(const std::string& mirror, bool serves) {
    const auto at = watched_.find(mirror);
    if (at == watched_.end()) return;
    Watched& watched = at->second;
    watched.asked = false;
    watched.answer_seen = true;
    watched.serves = serves;
    watched.given_up = false;
}

bool DriverWatch::given_up(const std::string& mirror) const {
    const auto at = watched_.find(mirror);
    return at != watched_.end() && at->second.given_up;
}

std::vector<DriverWatch::Action> DriverWatch::look(const std::map<std::string, uint32_t>& devices, Instant now) {
    const Duration passed = last_look_ ? std::clamp(now - *last_look_, Duration(0), 2 * kPeriod) : Duration(0);
    last_look_ = now;
    std::erase_if(watched_, [&](const auto& mirror) { return !devices.contains(mirror.first); });
    std::vector<Action> actions;
    for (const auto& [name, connection] : devices) {
        if (!limits_.contains(name)) continue;
        Watched& mirror = watched_[name];
        if (mirror.connection != connection) {
            const bool asked = mirror.asked;  // that question still stands
            mirror = {};
            mirror.connection = connection;
            mirror.asked = asked;
        }
        look_at(name, mirror, passed, actions);
    }
    // One kill is for all mirrors, and a driver that is killed has its time anew with each of them.
    const auto kill = [](const Action& action) { return action.step == Step::kKill; };
    const auto first = std::find_if(actions.begin(), actions.end(), kill);
    if (first == actions.end()) return actions;
    actions.erase(std::remove_if(first + 1, actions.end(), kill), actions.end());
    for (auto& [name, mirror] : watched_) mirror.silent = {};
    return actions;
}

void DriverWatch::look_at(const std::string& name, Watched& mirror, Duration passed, std::vector<Action>& actions) {
    const Duration limit = limits_.at(name);
    if (std::exchange(mirror.answer_seen, false)) {
        mirror.silent = {};
        mirror.calm += passed;
        if (mirror.serves || mirror.calm >= limit / 4) mirror.away = {};
    } else {
        mirror.silent += passed;
        mirror.away += passed;
        mirror.calm = {};
        if (mirror.silent >= limit / 4) actions.push_back({Step::kKill, name, mirror.silent});
        if (mirror.away >= limit && !mirror.aborted) {
            mirror.aborted = mirror.given_up = true;
            actions.push_back({Step::kAbort, name, mirror.away});
        }
    }
    if (!std::exchange(mirror.asked, true)) actions.push_back({Step::kAsk, name, {}});
}

}  // namespace kagami::runtime
