#include "tests/sim/network.h"

namespace kagami::sim {

Network::Network(Queue& queue, Random& random, size_t endpoints, size_t paths, Hooks hooks)
    : queue_(queue),
      random_(random),
      endpoints_(endpoints),
      paths_(paths),
      hooks_(std::move(hooks)),
      paths_between_(endpoints * endpoints * paths),
      streams_(endpoints * endpoints) {}

void Network::for_all(const std::function<void(PathQuality&)>& change) {
    for (PathQuality& path : paths_between_) change(path);
}

void Network::cut(size_t from, size_t to, bool on) {
    for (size_t path = 0; path < paths_; ++path) quality(from, to, path).cut = on;
    review(from, to);
}

void Network::cut_path(size_t a, size_t b, size_t path, bool on) {
    quality(a, b, path).cut = on;
    quality(b, a, path).cut = on;
    review(a, b);
}

bool Network::open(size_t from, size_t to) const {
    for (size_t path = 0; path < paths_; ++path) {
        if (!at(from, to, path).cut) return true;
    }
    return false;
}

void Network::set_stream_patience(Duration breaks_after, Duration connects_after) {
    breaks_after_ = breaks_after;
    connects_after_ = connects_after;
}

void Network::send_datagram(size_t from, size_t to, Bytes message) {
    Duration first = Duration::max();
    double duplicates = 0;
    for (size_t path = 0; path < paths_; ++path) {
        const PathQuality& q = at(from, to, path);
        if (q.cut || random_.chance(q.loss)) continue;
        first = std::min(first, q.delay + random_.between(Duration::zero(), q.jitter));
        duplicates = std::max(duplicates, q.duplicates);
    }
    if (first == Duration::max()) return;
    if (random_.chance(duplicates)) {
        const Duration second = first + random_.between(Duration::zero(), 5 * first + 50ms);
        queue_.after(second, [this, from, to, message] { hooks_.deliver(from, to, message); });
    }
    queue_.after(first, [this, from, to, message = std::move(message)] { hooks_.deliver(from, to, message); });
}

void Network::send_stream(size_t from, size_t to, Bytes message) {
    Stream& s = stream(from, to);
    if (!s.up) return;
    for (size_t path = 0; path < paths_; ++path) {
        const PathQuality& q = at(from, to, path);
        if (q.cut) continue;
        // A lost segment costs a retransmission, never the message.
        const Duration again = random_.chance(q.loss) ? 200ms : Duration::zero();
        Moment& last = s.last_arrival[from < to ? 0 : 1];
        last = std::max(last + 1us, queue_.now() + q.delay + random_.between(Duration::zero(), q.jitter) + again);
        queue_.at(last, [this, from, to, number = s.number, message = std::move(message)] {
            const Stream& then = stream(from, to);
            if (then.up && then.number == number && open(from, to)) hooks_.deliver(from, to, message);
        });
        return;
    }
}

bool Network::possible(size_t a, size_t b) const {
    if (!hooks_.process_up(a) || !hooks_.process_up(b)) return false;
    for (size_t path = 0; path < paths_; ++path) {
        if (!at(a, b, path).cut && !at(b, a, path).cut) return true;
    }
    return false;
}

void Network::review() {
    for (size_t a = 0; a < endpoints_; ++a) {
        for (size_t b = a + 1; b < endpoints_; ++b) review(a, b);
    }
}

void Network::process_started(size_t endpoint) {
    for (size_t other = 0; other < endpoints_; ++other) {
        if (other != endpoint) review(std::min(endpoint, other), std::max(endpoint, other));
    }
}

// An ended process resets its connections where the packets get through; a silent peer is noticed by the keepalive
// only.
void Network::process_ended(size_t endpoint, bool silent) {
    for (size_t other = 0; other < endpoints_; ++other) {
        Stream& s = stream(endpoint, other);
        if (other == endpoint || !s.up) continue;
        s.up = false;
        s.changing = true;
        ++s.number;
        const Duration patience = open(endpoint, other) && !silent ? 1ms : breaks_after_;
        queue_.after(patience, [this, endpoint, other] {
            stream(endpoint, other).changing = false;
            if (hooks_.process_up(other)) hooks_.connected(other, endpoint, false);
            review(std::min(endpoint, other), std::max(endpoint, other));
        });
    }
}

void Network::review(size_t a, size_t b) {
    Stream& s = stream(a, b);
    const bool wanted = possible(a, b);
    if (wanted == s.up || s.changing) return;
    s.changing = true;
    const Duration patience = wanted ? connects_after_ : breaks_after_;
    queue_.after(patience + random_.between(Duration::zero(), patience / 2), [this, a, b] {
        Stream& then = stream(a, b);
        then.changing = false;
        const bool now_possible = possible(a, b);
        if (now_possible != then.up) change(a, b, now_possible);
    });
}

void Network::change(size_t a, size_t b, bool up) {
    Stream& s = stream(a, b);
    s.up = up;
    ++s.number;
    if (hooks_.process_up(a)) hooks_.connected(a, b, up);
    if (hooks_.process_up(b)) hooks_.connected(b, a, up);
}

}  // namespace kagami::sim
