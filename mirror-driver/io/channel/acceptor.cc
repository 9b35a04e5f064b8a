// The higher node id's part: a listener on its own address of each path, and those who came in.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <utility>

#include "cluster-daemon/runtime/socket_address.h"
#include "mirror-driver/io/channel/joiner.h"

namespace kagami::mirror {
namespace {

constexpr Duration kListenAgain = 1s;
constexpr int kMostAtOnce = 16;  // accepted in one go
constexpr int kBacklog = 128;    // a flood must not cost the peer a second attempt of its kernel

struct Listener {
    UniqueFd socket;
    uint32_t watched = 0;
    Instant retry_at;
    std::string problem;
};

// Ports differ with every connection; only the address says where it comes from.
std::string host_of(const std::string& text) {
    return text.substr(0, text.rfind(':'));
}

class Acceptor : public Joiner {
 public:
    explicit Acceptor(const JoinerSettings& settings)
        : settings_(settings), listeners_(settings.channel->paths.size()) {}

    std::optional<Pair> advance(Instant now) override {
        for (size_t path = 0; path < listeners_.size(); ++path) {
            if (!listeners_[path].socket.valid() && now >= listeners_[path].retry_at) listen(path, now);
            if (listeners_[path].socket.valid()) accept_all(path, now);
        }
        for (auto arrival = arrivals_.begin(); arrival != arrivals_.end();) {
            const Joining::State state = arrival->advance();
            const bool late = now >= arrival->deadline;
            if (state == Joining::State::kFailed || late) {
                refusal_ = state == Joining::State::kFailed ? arrival->why() : "said nothing of use in time";
                arrival = arrivals_.erase(arrival);
            } else {
                arrival->watch(*settings_.poller);
                ++arrival;
            }
        }
        return match();
    }

    void lost(size_t, bool, Instant, Instant from) override { closed_until_ = from; }

    std::optional<Instant> wake_at() const override {
        std::optional<Instant> first;
        const auto consider = [&](Instant when) { first = first ? std::min(*first, when) : when; };
        for (const Joining& arrival : arrivals_) consider(arrival.deadline);
        for (const Listener& listener : listeners_)
            if (!listener.socket.valid()) consider(listener.retry_at);
        return first;
    }

    std::string state() const override {
        std::string text = "waits for " + to_string(settings_.channel->peer);
        for (size_t i = 0; i < listeners_.size(); ++i) {
            text +=
                (i == 0 ? " on " : ", ") + endpoint(settings_.channel->paths[i].own_address, settings_.channel->port);
            if (!listeners_[i].problem.empty()) text += " (" + listeners_[i].problem + ")";
        }
        return refusal_.empty() ? text : text + "; refused last: " + refusal_;
    }

 private:
    void listen(size_t path, Instant now) {
        Listener& listener = listeners_[path];
        auto socket = runtime::open_bound_socket(
            SOCK_STREAM, endpoint(settings_.channel->paths[path].own_address, settings_.channel->port));
        listener = {};
        if (!socket) return again_later(listener, socket.error().message, now);
        prepare_socket(socket->get());
        if (::listen(socket->get(), kBacklog) != 0) return again_later(listener, errno_text(errno), now);
        listener.socket = std::move(*socket);
        settings_.poller->watch(listener.socket.get(), kAwakeJoiner, EPOLLIN, listener.watched);
    }
    static void again_later(Listener& listener, const std::string& why, Instant now) {
        listener = {};
        listener.problem = why;
        listener.retry_at = now + kListenAgain;
    }

    void accept_all(size_t path, Instant now) {
        for (int i = 0; i < kMostAtOnce; ++i) {
            runtime::SocketAddress from;
            from.length_bytes = sizeof from.storage;
            UniqueFd socket(::accept4(listeners_[path].socket.get(), reinterpret_cast<sockaddr*>(&from.storage),
                                      &from.length_bytes, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!socket.valid() && errno == EAGAIN) return;
            if (!socket.valid() && errno != ECONNABORTED && errno != EINTR)
                return again_later(listeners_[path], errno_text(errno), now);
            if (socket.valid() && now >= closed_until_) welcome(std::move(socket), runtime::to_text(from), path, now);
        }
    }
    void welcome(UniqueFd socket, const std::string& from, size_t path, Instant now) {
        if (host_of(from) != host_of(endpoint(settings_.channel->paths[path].peer_address, 0))) {
            refusal_ = from + " is not an address of " + to_string(settings_.channel->peer);
            return;
        }
        if (arrivals_.size() == kMaxArrivals) make_room();
        prepare_socket(socket.get());
        Preamble expected;
        expected.name = settings_.channel->name;
        // Which stream it will be is said later: room for data.
        arrivals_.emplace_back(make_stream(std::move(socket), settings_.tls, Side::kAcceptor, Channel::kBulk),
                               Side::kAcceptor, expected);
        arrivals_.back().deadline = now + kJoinLimit;
        arrivals_.back().path = path;
    }

    // The oldest gives way, of those whom nobody knows yet if there are any.
    void make_room() {
        const auto unknown = std::ranges::find_if(arrivals_, [](const Joining& one) { return !one.established(); });
        arrivals_.erase(unknown == arrivals_.end() ? arrivals_.begin() : unknown);
    }

    std::optional<Pair> match() {
        for (auto bulk = arrivals_.begin(); bulk != arrivals_.end(); ++bulk) {
            const auto mate = std::find_if(arrivals_.begin(), arrivals_.end(), [&](const Joining& other) {
                return is(*bulk, Channel::kBulk) && is(other, Channel::kControl) && other.path == bulk->path &&
                       other.preamble().pair == bulk->preamble().pair;
            });
            if (mate != arrivals_.end()) return join(bulk, mate);
        }
        return std::nullopt;
    }
    static bool is(const Joining& half, Channel channel) {
        return half.state() == Joining::State::kReady && half.preamble().channel == channel;
    }
    std::optional<Pair> join(std::list<Joining>::iterator bulk, std::list<Joining>::iterator control) {
        std::optional<Pair> pair;
        if (control->answer() && bulk->answer()) {
            pair.emplace();
            pair->bulk = bulk->take(pair->bulk_watched);
            pair->control = control->take(pair->control_watched);
            pair->path = bulk->path;
            refusal_.clear();
        }
        arrivals_.erase(bulk);
        arrivals_.erase(control);
        return pair;
    }

    JoinerSettings settings_;
    std::vector<Listener> listeners_;  // index = path
    std::list<Joining> arrivals_;      // oldest first
    Instant closed_until_;
    std::string refusal_;
};

}  // namespace

std::unique_ptr<Joiner> make_acceptor(const JoinerSettings& settings) {
    return std::make_unique<Acceptor>(settings);
}

}  // namespace kagami::mirror
