// The lower node id's part: attempts, a path at a time.
#include <openssl/rand.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>

#include "cluster-daemon/runtime/socket_address.h"
#include "common/assert.h"
#include "mirror-driver/io/channel/joiner.h"

namespace kagami::mirror {
namespace {

template <typename T>
T drawn() {
    T value{};
    const int done = RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value);
    KAGAMI_ASSERT(done == 1, "the kernel has random bytes");
    return value;
}

class Dialler : public Joiner {
 public:
    explicit Dialler(const JoinerSettings& settings)
        : settings_(settings), round_(settings.channel->paths.size()), random_(drawn<uint32_t>()) {
        std::iota(round_.begin(), round_.end(), size_t{0});
    }

    std::optional<Pair> advance(Instant now) override {
        if (connected_) return std::nullopt;
        while (!bulk_ || !under_way(now)) {
            if (bulk_ && ready()) return pair(now);
            if (bulk_) give_up(now);
            if (now < next_try_) return std::nullopt;
            dial(now);
        }
        bulk_->watch(*settings_.poller);
        control_->watch(*settings_.poller);
        return std::nullopt;
    }

    void lost(size_t path, bool path_failed, Instant now, Instant from) override {
        connected_ = false;
        new_round();
        if (path_failed)
            std::rotate(round_.begin() + static_cast<std::ptrdiff_t>(path),
                        round_.begin() + static_cast<std::ptrdiff_t>(path) + 1, round_.end());
        // A connection that broke at once must not be made again and again without a pause.
        if (now - up_since_ >= kLongestBackOff) failures_ = 0;
        next_try_ = std::max(from, failures_ == 0 ? now : now + back_off());
        ++failures_;
    }

    std::optional<Instant> wake_at() const override {
        if (connected_) return std::nullopt;
        return bulk_ ? bulk_->deadline : next_try_;
    }

    std::string state() const override {
        const auto& paths = settings_.channel->paths;
        const std::string target = endpoint(paths[path_].peer_address, settings_.channel->port);
        if (problem_.empty()) return "connects to " + to_string(settings_.channel->peer) + " on " + target;
        return to_string(settings_.channel->peer) + " does not answer on " + problem_;
    }

 private:
    bool ready() const {
        return bulk_->state() == Joining::State::kReady && control_->state() == Joining::State::kReady;
    }
    bool under_way(Instant now) {
        const bool failed =
            bulk_->advance() == Joining::State::kFailed || control_->advance() == Joining::State::kFailed;
        return !failed && !ready() && now < bulk_->deadline;
    }

    void new_round() {
        std::iota(round_.begin(), round_.end(), size_t{0});
        position_ = 0;
    }
    Duration back_off() {
        const Duration whole = std::min(kLongestBackOff, kFirstBackOff * (1 << std::min(failures_, 8U)));
        return whole / 2 + Duration(random_() % static_cast<uint64_t>((whole / 2).count()));
    }

    // The next path of the round at once, a new round after a pause.
    void give_up(Instant now) {
        const Joining& half = bulk_->why().empty() ? *control_ : *bulk_;
        const std::string why =
            half.why().empty() ? "no answer within " + std::to_string(milliseconds(kJoinLimit)) + " ms" : half.why();
        failed(path_, why, now);
    }
    void failed(size_t path, const std::string& why, Instant now) {
        problem_ = endpoint(settings_.channel->paths[path].peer_address, settings_.channel->port) + ": " + why;
        bulk_.reset();
        control_.reset();
        if (++position_ < round_.size()) return;
        new_round();
        next_try_ = now + back_off();
        ++failures_;
    }

    void dial(Instant now) {
        path_ = round_[position_];
        const Uuid pair = drawn<Uuid>();
        for (const Channel channel : {Channel::kBulk, Channel::kControl}) {
            auto socket = connect_socket();
            if (!socket) return failed(path_, socket.error().message, now);
            auto& half = channel == Channel::kBulk ? bulk_ : control_;
            half.emplace(make_stream(std::move(*socket), settings_.tls, Side::kDialler, channel), Side::kDialler,
                         Preamble{pair, channel, false, settings_.channel->name});
            half->deadline = now + kJoinLimit;
        }
    }
    Result<UniqueFd> connect_socket() const {
        const mirror_link::Path& path = settings_.channel->paths[path_];
        auto socket = runtime::open_bound_socket(SOCK_STREAM, endpoint(path.own_address, 0));
        const auto target = runtime::parse_socket_address(endpoint(path.peer_address, settings_.channel->port));
        if (!socket) return socket;
        if (!target) return tl::unexpected(target.error());
        prepare_socket(socket->get());
        if (::connect(socket->get(), target->get(), target->length_bytes) != 0 && errno != EINPROGRESS)
            return fail(errno_text(errno));
        return socket;
    }

    Pair pair(Instant now) {
        Pair made;
        made.bulk = bulk_->take(made.bulk_watched);
        made.control = control_->take(made.control_watched);
        made.path = path_;
        bulk_.reset();
        control_.reset();
        problem_.clear();
        connected_ = true;
        up_since_ = now;
        return made;
    }

    JoinerSettings settings_;
    bool connected_ = false;
    Instant up_since_;
    Instant next_try_;
    std::vector<size_t> round_;  // indices of paths, in the order of this round
    size_t position_ = 0;
    size_t path_ = 0;
    unsigned failures_ = 0;
    std::optional<Joining> bulk_;  // both or none
    std::optional<Joining> control_;
    std::string problem_;  // of the last attempt
    std::minstd_rand random_;
};

}  // namespace

std::unique_ptr<Joiner> make_dialler(const JoinerSettings& settings) {
    return std::make_unique<Dialler>(settings);
}

}  // namespace kagami::mirror
