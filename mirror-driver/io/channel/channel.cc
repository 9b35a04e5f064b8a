#include "mirror-driver/io/channel.h"

#include <utility>

#include "cluster-daemon/runtime/socket_address.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/io/channel/connection.h"

namespace kagami::mirror {
namespace {

Status check(const ChannelSettings& settings) {
    if (settings.paths.empty())
        return fail(ErrorCode::kUsage, "mirror " + settings.name + ": has no network to its peer",
                    "give both nodes an address on a network of the mirror");
    for (const mirror_link::Path& path : settings.paths)
        for (const std::string& address : {path.own_address, path.peer_address})
            if (const auto parsed = runtime::parse_socket_address(endpoint(address, settings.port)); !parsed)
                return tl::unexpected(parsed.error());
    return {};
}

}  // namespace

struct PeerChannel::Impl {
    Impl(ChannelSettings s, Buffers& b, Handlers h, Poller p)
        : settings(std::move(s)), buffers(b), handlers(std::move(h)), poller(std::move(p)) {
        deliver = [this](ConnectionId id, Frame& frame) { handlers.frame(id, frame); };
    }
    void join(Instant now);
    void adopt(Pair pair, Instant now);
    void retire(const std::string& why, bool path_failed, Instant now, Instant from);
    void tell_ended();
    bool up() const { return live && !live->ended(); }

    struct Ended {
        ConnectionId id;
        std::string why;
    };
    ChannelSettings settings;
    Buffers& buffers;
    Handlers handlers;
    Poller poller;
    Connection::Deliver deliver;
    std::unique_ptr<TlsContext> tls;
    std::unique_ptr<Joiner> joiner;
    std::unique_ptr<Connection> live;
    std::vector<std::unique_ptr<Connection>> retired;  // may be on the stack still; gone with the next advance()
    std::vector<Ended> ended;                          // down() is still to be called
    ConnectionId last_id;
    uint64_t sent_before = 0;  // by connections that are gone
    uint64_t received_before = 0;
    std::string last_why;
    bool unflushed = false;
};

Result<std::unique_ptr<PeerChannel>> PeerChannel::open(ChannelSettings settings, Buffers& buffers, Handlers handlers) {
    if (const Status checked = check(settings); !checked) return tl::unexpected(checked.error());
    auto poller = Poller::make();
    if (!poller) return tl::unexpected(poller.error());
    auto impl = std::make_unique<Impl>(std::move(settings), buffers, std::move(handlers), std::move(*poller));
    const ChannelSettings& kept = impl->settings;
    if (kept.tls) {
        auto tls = TlsContext::load(kept.pki_directory, kept.cluster, kept.self, kept.peer);
        if (!tls) return tl::unexpected(tls.error());
        impl->tls = std::move(*tls);
    }
    const JoinerSettings joining{&kept, impl->tls.get(), &impl->poller};
    impl->joiner = kept.self.value < kept.peer.value ? make_dialler(joining) : make_acceptor(joining);
    impl->poller.ring();
    return std::unique_ptr<PeerChannel>(new PeerChannel(std::move(impl)));
}

PeerChannel::PeerChannel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerChannel::~PeerChannel() {
    if (impl_->live) impl_->live->retire("closed");
}

// ---- coming up, going down ----

void PeerChannel::Impl::join(Instant now) {
    if (tls) tls->refresh();
    auto pair = joiner->advance(now);
    if (pair) adopt(std::move(*pair), now);
}

void PeerChannel::Impl::adopt(Pair pair, Instant now) {
    if (live) retire("replaced by a newer connection of the peer", false, now, now);
    tell_ended();
    const size_t path = pair.path;
    last_id = ConnectionId{last_id.value + 1};
    live = std::make_unique<Connection>(last_id, std::move(pair), settings.size_bytes, buffers, poller);
    handlers.up(last_id, settings.paths[path].network);
    // What came right behind the answer lies in the streams' buffers, where no socket announces it.
    if (up()) live->receive(deliver);
}

void PeerChannel::Impl::retire(const std::string& why, bool path_failed, Instant now, Instant from) {
    live->retire(why);
    sent_before += live->sent_bytes();
    received_before += live->received_bytes();
    last_why = live->why();
    joiner->lost(live->path(), path_failed, now, from);
    ended.push_back({live->id(), live->why()});
    retired.push_back(std::move(live));
    poller.ring();
}

void PeerChannel::Impl::tell_ended() {
    while (!ended.empty()) {
        const Ended first = std::move(ended.front());
        ended.erase(ended.begin());
        handlers.down(first.id, first.why);
    }
}

void PeerChannel::advance(Instant now) {
    Impl& self = *impl_;
    self.retired.clear();
    const uint32_t awake = self.poller.collect();
    const auto wake = self.joiner->wake_at();
    if ((awake & (kAwakeJoiner | kAwakeBell)) != 0 || (wake && *wake <= now)) self.join(now);
    if (self.up() && (awake & (kAwakeBulk | kAwakeControl | kAwakeBell)) != 0) self.live->receive(self.deliver);
    if (self.up()) self.live->flush(awake);
    self.unflushed = false;
    if (self.live && self.live->ended()) self.retire(self.live->why(), self.live->path_failed(), now, now);
    self.tell_ended();
}

void PeerChannel::disconnect(ConnectionId connection, const std::string& why, Duration back_off) {
    if (!impl_->live || impl_->live->id() != connection) return;
    const Instant now = host::boot_now();
    impl_->retire(why, back_off == Duration::zero(), now, now + back_off);
}

// ---- frames ----

void PeerChannel::send(Frame frame, bool release_payload) {
    if (!impl_->up()) {
        if (release_payload && frame.payload != kNoBuffer) impl_->buffers.release(frame.payload);
        return;
    }
    impl_->live->send(std::move(frame), release_payload);
    impl_->unflushed = true;
}

void PeerChannel::flush() {
    impl_->unflushed = false;
    if (impl_->up()) impl_->live->flush(0);
}

void PeerChannel::buffers_released() {
    if (impl_->up()) impl_->live->buffers_released();
}

// ---- to the loop and to people ----

int PeerChannel::descriptor() const {
    return impl_->poller.descriptor();
}

std::optional<Instant> PeerChannel::wake_at() const {
    if (impl_->unflushed) return Instant{};
    return impl_->joiner->wake_at();
}

std::string PeerChannel::state() const {
    if (impl_->up()) return "connected over " + impl_->settings.paths[impl_->live->path()].network;
    const std::string text = impl_->joiner->state();
    return impl_->last_why.empty() ? text : text + "; connection lost: " + impl_->last_why;
}

uint64_t PeerChannel::sent_bytes() const {
    return impl_->sent_before + (impl_->live ? impl_->live->sent_bytes() : 0);
}

uint64_t PeerChannel::received_bytes() const {
    return impl_->received_before + (impl_->live ? impl_->live->received_bytes() : 0);
}

}  // namespace kagami::mirror
