#include "cluster-daemon/engine/peers.h"

#include <algorithm>

namespace kagami::engine {

namespace {

constexpr size_t kRememberedBoots = 16;

void forget_oldest(std::map<BootId, std::pair<Instant, Instant>>& boots) {
    if (boots.size() <= kRememberedBoots) return;
    boots.erase(std::min_element(boots.begin(), boots.end(),
                                 [](const auto& a, const auto& b) { return a.second.second < b.second.second; }));
}

}  // namespace

Peers::Peer& Peers::on_heartbeat(NodeId from, const Heartbeat& heartbeat, Instant now) {
    Peer& peer = peers_[from];
    const auto [at, fresh] = peer.boots.try_emplace(heartbeat.incarnation.boot, now, now);
    at->second.second = now;
    const auto shown = peer.boots.find(peer.heartbeat.incarnation.boot);
    if (shown == peer.boots.end() || shown->second.first <= at->second.first) {
        peer.heartbeat = heartbeat;
        peer.heard_at = now;
    }
    if (fresh) forget_oldest(peer.boots);
    return peer;
}

bool Peers::hears(NodeId node, Duration within, Instant now) const {
    const auto at = peers_.find(node);
    return at != peers_.end() && now - at->second.heard_at <= within;
}

std::set<NodeId> Peers::heard(Duration within, Instant now) const {
    std::set<NodeId> nodes;
    for (const auto& [node, peer] : peers_)
        if (now - peer.heard_at <= within) nodes.insert(node);
    return nodes;
}

bool Peers::ambiguous(NodeId node, Duration within, Instant now) const {
    const auto at = peers_.find(node);
    if (at == peers_.end()) return false;
    return std::count_if(at->second.boots.begin(), at->second.boots.end(),
                         [&](const auto& boot) { return now - boot.second.second <= within; }) > 1;
}

bool Peers::alive_twice(NodeId node, Duration within, Instant now) const {
    if (!ambiguous(node, within, now)) return false;
    const auto& boots = peers_.at(node).boots;
    return std::any_of(boots.begin(), boots.end(), [&](const auto& later) {
        return std::any_of(boots.begin(), boots.end(), [&](const auto& earlier) {
            return earlier.second.first < later.second.first && earlier.second.second - later.second.first > within;
        });
    });
}

}  // namespace kagami::engine
