#include "cluster-daemon/runtime/daemon/peer_link.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cluster-daemon/runtime/daemon/enrolment.h"
#include "cluster-daemon/runtime/datagram_channel.h"

namespace kagami::runtime {
namespace {

enum class FrameKind : uint8_t { kEngineMessage = 1, kDatagramKey = 2, kQuestion = 3, kAnswer = 4 };

struct Machine {
    NodeId id;
    std::string name;
    std::vector<std::string> address;  // index = network; "" where it has none
};

std::string with_port(const std::string& address, uint16_t port) {
    if (address.empty()) return {};
    return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port) : fmt::format("[{}]:{}", address, port);
}

std::vector<std::string> with_port(const std::vector<std::string>& addresses, uint16_t port) {
    std::vector<std::string> all;
    all.reserve(addresses.size());
    for (const auto& address : addresses) all.push_back(with_port(address, port));
    return all;
}

Bytes key_frame(const PairKey& key) {
    ByteWriter w;
    w.u8(static_cast<uint8_t>(FrameKind::kDatagramKey));
    w.u64(key.id);
    w.raw(key.secret);
    return w.take();
}

std::optional<PairKey> read_key_frame(std::span<const uint8_t> frame) {
    ByteReader r(frame.subspan(1));
    PairKey key;
    key.id = r.u64();
    r.raw(key.secret);
    if (!r.finished()) return std::nullopt;
    return key;
}

Bytes frame_of(FrameKind kind, std::span<const uint8_t> encoded) {
    Bytes frame;
    frame.reserve(encoded.size() + 1);
    frame.push_back(static_cast<uint8_t>(kind));
    frame.insert(frame.end(), encoded.begin(), encoded.end());
    return frame;
}

// Nodes and witness on the networks that carry control and heartbeats; both channels use the same table and indices.
struct Table {
    std::vector<std::string> networks;
    std::vector<bool> control;
    std::vector<bool> heartbeat;
    std::vector<Machine> machines;

    explicit Table(const config::Config& config) {
        for (const auto& network : config.networks) {
            if (!network.control && !network.heartbeat) continue;
            networks.push_back(network.name);
            control.push_back(network.control);
            heartbeat.push_back(network.heartbeat);
        }
        for (const auto& node : config.nodes) machines.push_back({node.id, node.name, addresses_of(node.address)});
        if (!config.arbitration.witness_address.empty()) {
            machines.push_back({kWitnessId, config.node_name(kWitnessId), addresses_of(config.arbitration.witness_address)});
        }
    }

    const Machine* find(NodeId id) const {
        const auto at = std::find_if(machines.begin(), machines.end(), [&](const auto& m) { return m.id == id; });
        return at == machines.end() ? nullptr : &*at;
    }

    std::vector<PeerEntry> control_peers(NodeId self) const {
        std::vector<PeerEntry> peers;
        for (const Machine& machine : machines) {
            if (machine.id != self) peers.push_back({machine.id, machine.name, with_port(keep(machine.address, control), kPeerPort)});
        }
        return peers;
    }
    std::vector<DatagramPeer> heartbeat_peers(NodeId self) const {
        std::vector<DatagramPeer> peers;
        for (const Machine& machine : machines) {
            if (machine.id != self) peers.push_back({machine.id, with_port(keep(machine.address, heartbeat), kDatagramPort)});
        }
        return peers;
    }
    // What this node listens on: it is bound when it starts, and never again.
    bool binds_like(const Table& other, NodeId self) const {
        const Machine* here = find(self);
        const Machine* there = other.find(self);
        return here != nullptr && there != nullptr && here->address == there->address && networks == other.networks &&
               control == other.control && heartbeat == other.heartbeat;
    }

    static std::vector<std::string> keep(std::vector<std::string> addresses, const std::vector<bool>& used) {
        for (size_t i = 0; i < addresses.size(); ++i) {
            if (!used[i]) addresses[i].clear();
        }
        return addresses;
    }

 private:
    // An address without a network's name stands for the first network.
    std::vector<std::string> addresses_of(const std::map<std::string, std::string>& by_network) const {
        std::vector<std::string> all(networks.size());
        for (size_t i = 0; i < networks.size(); ++i) {
            const auto at = by_network.find(networks[i]);
            if (at != by_network.end()) all[i] = at->second;
        }
        const auto unnamed = by_network.find("");
        if (unnamed != by_network.end() && !all.empty()) all[0] = unnamed->second;
        return all;
    }
};

}  // namespace

struct PeerLink::Impl {
    Impl(Table given, NodeId node, const engine::Timing& timing, DatagramChannel channel, PeerLinkCallbacks given_callbacks)
        : table(std::move(given)), self(node), detect(timing.detect), datagrams(std::move(channel)), callbacks(std::move(given_callbacks)) {}

    PeerCallbacks channel_callbacks() {
        PeerCallbacks all;
        all.on_message = [this](NodeId from, const Bytes& frame) { on_frame(from, frame); };
        all.on_connected = [this](NodeId peer, size_t) {
            callbacks.run_on_loop([this, peer] { hand_over_key(peer); });
        };
        all.on_disconnected = [this](NodeId peer, const std::string& why) {
            spdlog::debug("connection to {} ended: {}", to_string(peer), why);
            callbacks.run_on_loop([this, peer] { callbacks.on_connection(peer, false); });
        };
        all.on_refused = [](const std::string& sentence) { spdlog::warn("{}", sentence); };
        all.on_join = callbacks.on_join;
        return all;
    }

    // A new connection gets a new key for what the peer sends us; from then on it can be heard.
    void hand_over_key(NodeId peer) {
        const auto key = make_key();
        if (!key) {
            spdlog::error("no key for the datagrams of {}: {}", to_string(peer), key.error().message);
            return;
        }
        datagrams.install_receive_key(peer, *key);
        network->send(peer, key_frame(*key));
        callbacks.on_connection(peer, true);
    }

    void on_frame(NodeId from, const Bytes& frame) {
        if (frame.empty()) return;
        const auto content = std::span<const uint8_t>(frame).subspan(1);
        switch (FrameKind{frame.front()}) {
            case FrameKind::kEngineMessage: return deliver(from, content);
            case FrameKind::kDatagramKey: return take_key(from, frame);
            case FrameKind::kQuestion: return on_word(from, PeerWord::kQuestion, content);
            case FrameKind::kAnswer: return on_word(from, PeerWord::kAnswer, content);
        }
    }

    void take_key(NodeId from, const Bytes& frame) {
        const auto key = read_key_frame(frame);
        if (key) callbacks.run_on_loop([this, from, key = *key] { datagrams.install_send_key(from, key); });
    }

    // The witness is a voter and nothing more: it neither asks nor answers.
    void on_word(NodeId from, PeerWord word, std::span<const uint8_t> content) {
        if (from != kWitnessId && callbacks.on_word) callbacks.on_word(from, word, content);
    }

    void deliver(NodeId from, std::span<const uint8_t> encoded) {
        auto message = engine::decode_message(encoded);
        if (!message) {
            spdlog::warn("a message of {} cannot be read: {}", to_string(from), message.error().message);
            return;
        }
        callbacks.on_message(from, std::move(*message));
    }

    Table table;
    NodeId self;
    Duration detect;
    DatagramChannel datagrams;
    PeerLinkCallbacks callbacks;
    std::unique_ptr<PeerNetwork> network;  // last: its threads use what stands above
};

PeerLink::PeerLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerLink::~PeerLink() = default;

Result<std::unique_ptr<PeerLink>> PeerLink::start(const KeyMaterial& keys, const config::Config& config,
                                                  const engine::Timing& timing, PeerLinkCallbacks callbacks) {
    const NodeId self = keys.info.identity.node;
    Table table(config);
    const Machine* own = table.find(self);
    if (own == nullptr) {
        return fail(fmt::format("{} is not in the configuration in force", keys.info.identity.name), "join again under a name that the configuration has");
    }
    auto datagrams = DatagramChannel::open(self, with_port(Table::keep(own->address, table.heartbeat), kDatagramPort));
    if (!datagrams) return tl::unexpected<Error>(datagrams.error());
    PeerNetworkOptions options;
    options.keys = keys;
    options.peers = table.control_peers(self);
    for (const auto& address : Table::keep(own->address, table.control)) {
        if (!address.empty()) options.listen.push_back(with_port(address, kPeerPort));
    }
    options.timing.backoff_cap = timing.renew;
    options.timing.attempt_timeout = std::max<Duration>(timing.hold / 2, 250ms);
    if (Status set = datagrams->set_peers(table.heartbeat_peers(self)); !set) return tl::unexpected<Error>(set.error());
    auto impl = std::make_unique<Impl>(std::move(table), self, timing, std::move(*datagrams), std::move(callbacks));
    auto network = PeerNetwork::start(std::move(options), impl->channel_callbacks());
    if (!network) return tl::unexpected<Error>(network.error());
    impl->network = std::move(*network);
    return std::unique_ptr<PeerLink>(new PeerLink(std::move(impl)));
}

void PeerLink::set_config(const config::Config& config) {
    Table next(config);
    if (!next.binds_like(impl_->table, impl_->self)) {
        spdlog::warn("this node's own addresses or the networks have changed: that takes effect when this service is restarted");
        return;
    }
    if (const Status set = impl_->datagrams.set_peers(next.heartbeat_peers(impl_->self)); !set) {
        return spdlog::error("the nodes of the new configuration cannot be reached: {}", set.error().message);
    }
    impl_->network->set_peers(next.control_peers(impl_->self));
    impl_->table = std::move(next);
}

void PeerLink::send(NodeId to, const engine::Message& message, Instant now) {
    const Bytes encoded = engine::encode(message);
    if (engine::is_datagram(message) && encoded.size() <= kDatagramPayloadLimitBytes) {
        impl_->datagrams.send(to, encoded, now);
    } else {
        impl_->network->send(to, frame_of(FrameKind::kEngineMessage, encoded));
    }
}

bool PeerLink::tell(NodeId to, PeerWord word, const Bytes& content) {
    const std::vector<PeerStatus> links = impl_->network->status();
    const auto link = std::find_if(links.begin(), links.end(), [&](const auto& l) { return l.node == to; });
    if (link == links.end() || link->outgoing != PeerLinkState::kUp) return false;
    return impl_->network->send(to, frame_of(word == PeerWord::kQuestion ? FrameKind::kQuestion : FrameKind::kAnswer, content));
}

std::vector<int> PeerLink::descriptors() const { return impl_->datagrams.descriptors(); }

void PeerLink::receive(Instant now) {
    impl_->datagrams.receive_all(now, [this](NodeId from, size_t, std::span<const uint8_t> payload) { impl_->deliver(from, payload); });
}

void PeerLink::watch_paths(Instant now) {
    for (const PeerStatus& peer : impl_->network->status()) {
        if (peer.outgoing == PeerLinkState::kWaiting || !peer.network) continue;
        const std::vector<PathStatus> paths = impl_->datagrams.paths(peer.node);
        const auto alive = [&](const PathStatus& path) { return path.last_seen && now - *path.last_seen <= 2 * impl_->detect; };
        const bool others_alive = std::any_of(paths.begin(), paths.end(), alive);
        // Heard elsewhere but not here: the network is lost, not the peer.
        if (others_alive && *peer.network < paths.size() && impl_->table.heartbeat[*peer.network] && !alive(paths[*peer.network])) {
            impl_->network->path_lost(peer.node, *peer.network);
        }
    }
}

std::vector<PathView> PeerLink::paths(Instant now) const {
    std::vector<PathView> all;
    const std::vector<PeerStatus> links = impl_->network->status();
    const Machine* own = impl_->table.find(impl_->self);
    for (const Machine& machine : impl_->table.machines) {
        if (machine.id == impl_->self) continue;
        const auto link = std::find_if(links.begin(), links.end(), [&](const auto& l) { return l.node == machine.id; });
        const std::vector<PathStatus> paths = impl_->datagrams.paths(machine.id);
        for (size_t i = 0; i < impl_->table.networks.size(); ++i) {
            if (own->address[i].empty() || machine.address[i].empty() || i >= paths.size()) continue;
            PathView view;
            view.peer = machine.id;
            view.network = impl_->table.networks[i];
            view.own_address = own->address[i];
            view.peer_address = machine.address[i];
            const PathStatus& path = paths[i];
            if (path.last_seen) view.last_seen = now - *path.last_seen;
            view.alive = path.last_seen && view.last_seen <= impl_->detect;
            if (path.rtt) view.rtt_ms = static_cast<double>(path.rtt->count()) / 1e6;
            if (path.recent_expected > 0) {
                view.loss_percent = 100.0 * (1.0 - static_cast<double>(path.recent_received) / static_cast<double>(path.recent_expected));
            }
            view.control = link != links.end() && link->outgoing == PeerLinkState::kUp && link->network == i;
            all.push_back(std::move(view));
        }
    }
    return all;
}

}  // namespace kagami::runtime
