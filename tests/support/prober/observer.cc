#include "tests/support/prober/observer.h"

#include <algorithm>

namespace kagami::prober {

void Observer::on_failure(const std::string& target) {
    ++targets_[target].attempts;
}

bool Observer::on_answer(const Answer& answer) {
    record(answer);
    while (!recent_.empty() && recent_.front().received < answer.received - window_) recent_.pop_front();
    const auto other = other_side(answer);
    recent_.push_back(answer);
    return other && extend_episodes(answer, *other);
}

void Observer::record(const Answer& answer) {
    TargetRecord& target = targets_[answer.target];
    ++target.attempts;
    ++target.good;
    target.servers.insert(answer.server);
    if (target.last_good && answer.received - target.last_good->received > threshold_) {
        target.gaps.push_back({target.last_good->received, answer.received, target.last_good->server, answer.server});
    }
    target.last_good = answer;
}

// recent_ is sorted by `received`, so the first answer of our own server is the one that any other can follow.
std::optional<std::string> Observer::other_side(const Answer& answer) const {
    const auto own =
        std::find_if(recent_.begin(), recent_.end(), [&](const Answer& a) { return a.server == answer.server; });
    if (own == recent_.end()) return std::nullopt;
    for (const Answer& between : recent_) {
        const bool follows = own->received <= between.sent && between.received <= answer.sent;
        if (between.server != answer.server && follows) return between.server;
    }
    return std::nullopt;
}

bool Observer::extend_episodes(const Answer& answer, const std::string& other) {
    const bool fresh = episodes_.empty() || answer.received - episodes_.back().last > window_;
    if (fresh) episodes_.push_back({answer.received, answer.received, {}, 0});
    Episode& episode = episodes_.back();
    episode.last = answer.received;
    episode.servers.insert({answer.server, other});
    ++episode.sightings;
    return fresh;
}

}  // namespace kagami::prober
