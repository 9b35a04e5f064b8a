#include "mirror-driver/driver/live_mirror.h"

#include <sys/random.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/assert.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/driver/lease_reader.h"
#include "mirror-driver/io/channel.h"
#include "mirror-driver/io/metadata_device.h"
#include "mirror-driver/io/ring.h"

namespace kagami::mirror {
namespace {

// 16 MiB: many small requests and a few of the largest.
constexpr uint32_t kSmallBuffers = 256;
constexpr uint32_t kLargeBuffers = 12;

constexpr uint32_t kDataRequests = 1024;  // more than an engine ever has under way
constexpr Duration kLeasePollBusy = 10ms;
constexpr Duration kLeasePollIdle = 250ms;
constexpr Duration kChannelRetry = 3s;
constexpr Duration kDetachLimit = 5s;
constexpr size_t kEventRoom = kMaxRequests * 2;

enum class Source : uint8_t { kData, kMetadata, kFront, kChannel, kWaker };

constexpr Ring::Tag tag(Source source, uint64_t number = 0) {
    return uint64_t{static_cast<uint8_t>(source)} << 56U | number;
}
constexpr uint64_t number_of(Ring::Tag tag) {
    return tag & ((uint64_t{1} << 56U) - 1);
}

uint64_t random_seed() {
    uint64_t seed = 0;
    KAGAMI_ASSERT(getrandom(&seed, sizeof seed, 0) == ssize_t{sizeof seed}, "the kernel has random bytes");
    return seed;
}

Settings engine_settings(Attachment& attachment, const LiveSettings& settings) {
    Settings s;
    s.loaded = std::move(attachment.loaded);
    s.self = settings.welcome.self;
    s.peer = settings.config.peer;
    s.boot = settings.welcome.boot;
    s.instance = settings.instance;
    s.seed = random_seed();
    s.resume_primary = settings.kept_descriptor >= 0;
    s.automatic_resync = settings.config.automatic_resync;
    s.name = settings.config.name;
    s.peer_name = settings.config.peer_name;
    return s;
}

const FrontEndType* front_end_named(const std::string& name) {
    for (const auto& type : front_ends()) {
        if (name == type.name) return &type;
    }
    return nullptr;
}

}  // namespace

struct LiveMirror::Impl {
    Impl(Attachment attachment, LiveSettings live, Buffers pool);

    Status open(const Loaded& loaded);
    void open_channel();
    Result<std::unique_ptr<FrontEnd>> open_front(int kept);

    // ---- events in ----
    void step(const Event& event);
    template <typename E>
    void queue(const E& event) {  // made in place: GCC 12 at -O2 sees uninitialised parts in a moved variant
        events.emplace_back(std::in_place_type<E>, event);
    }
    void drain();
    void look_at_lease();
    void ring_done(Ring::Tag tag, int error);
    void look_at_front();

    // ---- output ----
    void carry_out();
    void carry_out_rest();
    void start(const DataIo& io);
    void start_waiting();
    void send(SendFrame& frame);
    void complete(const Completion& completion);
    void done(const OrderDone& order);
    void release(BufferId buffer);
    void publish();
    void ask(OrderKind kind, Promotion::Reply reply);
    mirror_link::MirrorStatus status() const;

    // ---- the loop ----
    void arm();
    Instant deadline() const;

    LiveSettings settings;
    BlockDevice data;
    BlockDevice metadata_place;
    Buffers buffers;
    Mirror engine;
    std::unique_ptr<MetadataDevice> metadata;  // before the ring, which may still use its memory
    std::unique_ptr<Ring> ring;
    std::unique_ptr<PeerChannel> channel;
    std::string channel_trouble;
    std::string network;
    Instant channel_retry;
    LeaseReader lease;
    Instant lease_until;
    Promotion promotion;
    std::string shown_trouble;
    uint64_t front_number = 0;  // which of the front ends a poll belongs to

    std::vector<Event> events;
    Output out;
    std::optional<Instant> wake_at;
    Instant now;
    bool time_is_old = false;
    bool front_armed = false, front_ready = false;
    bool channel_armed = false, channel_ready = false;
    bool waker_armed = false, waker_ready = false;
    bool frames_queued = false;
    uint64_t releases_seen = 0;  // of the pool: the channel, the front end and this file release

    struct Io {
        IoId id;
        BufferId taken = kNoBuffer;
    };
    std::vector<Io> ios;
    std::vector<uint32_t> free_ios;
    std::vector<DataIo> waiting;  // reads of a resync that wait for a buffer

    struct Waiting {
        uint64_t id = 0;
        Promotion::Reply reply;
    };
    std::vector<Waiting> orders;               // other than promotion and demotion
    uint64_t last_order = uint64_t{1} << 32U;  // above those of the promotion
    std::function<void()> detached;
    Instant detach_until;
    Report last_report;
};

// ---- setting up ----

LiveMirror::Impl::Impl(Attachment attachment, LiveSettings live, Buffers pool)
    : settings(std::move(live)),
      data(std::move(attachment.data)),
      metadata_place(std::move(attachment.metadata)),
      buffers(std::move(pool)),
      engine(engine_settings(attachment, settings), host::boot_now()),
      lease(settings.guard_page, settings.config.group, settings.welcome.boot),
      promotion({[this](const Order& order) { queue(order); }, [this](int kept) { return open_front(kept); },
                 [this](const std::string& note) { settings.note(note); }}),
      now(host::boot_now()),
      ios(kDataRequests) {
    for (uint32_t i = kDataRequests; i-- > 0;) free_ios.push_back(i);
    events.reserve(kEventRoom);
    waiting.reserve(kMaxCopies);
    if (!buffers.locked()) settings.warnings.push_back("the buffers are not locked into memory (mlock was refused)");
}

Status LiveMirror::Impl::open(const Loaded& loaded) {
    auto made = Ring::make(buffers.memory());
    if (!made) return tl::unexpected(made.error());
    ring = std::move(*made);
    metadata = std::make_unique<MetadataDevice>(metadata_place, loaded, engine.bitmap(), *ring, tag(Source::kMetadata));
    open_channel();
    if (settings.kept_descriptor >= 0) promotion.resume(settings.kept_descriptor);
    engine.take_output(out);
    carry_out();
    publish();
    return {};
}

void LiveMirror::Impl::open_channel() {
    channel_retry = now + kChannelRetry;
    ChannelSettings s;
    s.name = settings.config.name;
    s.cluster = settings.welcome.cluster;
    s.self = settings.welcome.self;
    s.peer = settings.config.peer;
    s.port = settings.config.port;
    s.paths = settings.config.paths;
    s.pki_directory = settings.welcome.pki_directory;
    s.size_bytes = data.size_bytes();
    PeerChannel::Handlers handlers;
    handlers.up = [this](ConnectionId connection, const std::string& over) {
        network = over;
        step(LinkUp{connection});
    };
    handlers.down = [this](ConnectionId connection, const std::string& why) {
        network.clear();
        step(LinkDown{connection, why});
    };
    handlers.frame = [this](ConnectionId connection, Frame& frame) {
        step(FrameReceived{connection, std::move(frame)});
    };
    auto opened = PeerChannel::open(std::move(s), buffers, std::move(handlers));
    if (opened) {
        channel = std::move(*opened);
        channel_trouble.clear();
        return;
    }
    if (channel_trouble != opened.error().message)
        settings.note("the peer channel cannot be opened: " + opened.error().message);
    channel_trouble = opened.error().message;
}

Result<std::unique_ptr<FrontEnd>> LiveMirror::Impl::open_front(int kept) {
    const FrontEndType* type = front_end_named(settings.front_end);
    if (type == nullptr)
        return fail(ErrorCode::kUsage, "there is no front end " + settings.front_end, "correct --front-end");
    if (auto usable = type->usable(); !usable) return tl::unexpected(usable.error());
    FrontEndSettings s;
    s.mirror = settings.config.name;
    s.size_bytes = data.size_bytes();
    s.directory = settings.directory;
    s.kept_descriptor = kept;
    s.keep = settings.keep;
    s.submit = [this](const ClientRequest& request) { queue(request); };
    s.buffers = &buffers;
    s.wake = settings.wake;
    ++front_number;
    front_armed = front_ready = false;
    auto front = type->open(std::move(s));
    if (!front && kept >= 0) {
        settings.keep(-1);
        type->drop(settings.directory);
    }
    return front;
}

// ---- events in ----

void LiveMirror::Impl::step(const Event& event) {
    engine.step(event, now);
    engine.take_output(out);
    carry_out();
}

// What front end and promotion have asked for; carrying it out may let them ask for more.
void LiveMirror::Impl::drain() {
    for (size_t i = 0; i < events.size(); ++i) {
        const Event event = std::move(events[i]);
        step(event);
    }
    events.clear();
}

// Before anything of a round is completed: an acknowledgement must not rest on a lease that has ended.
void LiveMirror::Impl::look_at_lease() {
    if (promotion.secondary()) return;
    const Instant until =
        lease.until(engine.context().highest_token, now);  // while primary: what it was promoted under
    if (until == lease_until) return;
    lease_until = until;
    step(Lease{until});
}

void LiveMirror::Impl::ring_done(Ring::Tag which, int error) {
    if (std::exchange(time_is_old, false)) {
        now = host::boot_now();
        look_at_lease();
    }
    switch (static_cast<Source>(which >> 56U)) {
        case Source::kData: {
            const auto index = static_cast<uint32_t>(number_of(which));
            const Io io = std::exchange(ios[index], {});
            free_ios.push_back(index);
            return step(IoDone{io.id, error, io.taken});
        }
        case Source::kMetadata:
            if (const auto done_with = metadata->finished(error)) step(*done_with);
            return;
        case Source::kFront:
            if (number_of(which) != front_number) return;
            front_armed = false;
            front_ready = true;
            return;
        case Source::kChannel:
            channel_armed = false;
            channel_ready = true;
            return;
        case Source::kWaker:
            waker_armed = false;
            waker_ready = true;
            return;
    }
}

void LiveMirror::Impl::look_at_front() {
    FrontEnd* front = promotion.front();
    if (front != nullptr && (std::exchange(front_ready, false) || promotion.changing())) front->advance();
    drain();
    promotion.look(now);
    drain();
    if (promotion.trouble() != shown_trouble) {
        shown_trouble = promotion.trouble();
        publish();
    }
}

// ---- output ----

void LiveMirror::Impl::carry_out() {
    wake_at = out.wake_at;
    if (out.metadata) metadata->begin(*out.metadata, engine.context(), engine.bitmap());
    for (const auto& io : out.data) start(io);
    for (auto& frame : out.frames) send(frame);
    for (const auto& completion : out.completions) complete(completion);
    for (const auto buffer : out.released) release(buffer);
    if (!out.orders.empty() || out.disconnect || !out.notes.empty() || out.report_changed) carry_out_rest();
}

// State changes: not on the way of data.
void LiveMirror::Impl::carry_out_rest() {
    const auto finished = std::move(out.orders);
    const auto notes = std::move(out.notes);
    if (out.disconnect && channel)
        channel->disconnect(out.disconnect->connection, out.disconnect->why, out.disconnect->back_off);
    for (const auto& note : notes) settings.note(note);
    if (out.report_changed) publish();
    for (const auto& order : finished) done(order);
}

void LiveMirror::Impl::start(const DataIo& io) {
    BufferId taken = kNoBuffer;
    BufferId buffer = io.buffer;
    if (io.operation == Operation::kRead && buffer == kNoBuffer) {
        buffer = taken = buffers.take(static_cast<uint32_t>(io.extent.length), Use::kResync);
        if (buffer == kNoBuffer) return waiting.push_back(io);
    }
    KAGAMI_ASSERT(!free_ios.empty(), "an engine has a bounded number of requests");
    const uint32_t index = free_ios.back();
    free_ios.pop_back();
    ios[index] = {io.id, taken};
    const Ring::Tag mark = tag(Source::kData, index);
    const auto bytes = buffer == kNoBuffer ? std::span<uint8_t>() : buffers.bytes(buffer).first(io.extent.length);
    switch (io.operation) {
        case Operation::kRead: return ring->read(data.fd(), bytes, io.extent.offset, mark);
        case Operation::kWrite: return ring->write(data.fd(), bytes, io.extent.offset, false, mark);
        case Operation::kZero: return ring->zero(data.fd(), io.extent, mark);
        case Operation::kFlush: return ring->flush(data.fd(), mark);
    }
}

void LiveMirror::Impl::start_waiting() {
    for (size_t left = waiting.size(); left > 0; --left) {
        if (!buffers.available(static_cast<uint32_t>(waiting.front().extent.length), Use::kResync)) return;
        const DataIo io = waiting.front();
        waiting.erase(waiting.begin());
        start(io);
    }
}

void LiveMirror::Impl::send(SendFrame& frame) {
    if (channel) {
        frames_queued = true;
        channel->send(std::move(frame.frame), frame.release);
    } else if (frame.release && frame.frame.payload != kNoBuffer) {
        release(frame.frame.payload);
    }
}

void LiveMirror::Impl::complete(const Completion& completion) {
    KAGAMI_ASSERT(promotion.front() != nullptr, "a front end stays until all of its requests are completed");
    promotion.front()->complete(completion);
}

void LiveMirror::Impl::done(const OrderDone& order) {
    const auto asked = std::find_if(orders.begin(), orders.end(), [&](const Waiting& w) { return w.id == order.id; });
    if (asked == orders.end()) return promotion.order_done(order);
    const auto reply = std::move(asked->reply);
    orders.erase(asked);
    reply(order.status, false);
}

void LiveMirror::Impl::release(BufferId buffer) {
    buffers.release(buffer);
}

void LiveMirror::Impl::publish() {
    Report report = engine.report();
    if (report.message.empty()) report.message = promotion.trouble();
    if (report == last_report) return;
    last_report = report;
    settings.report(report);
}

void LiveMirror::Impl::ask(OrderKind kind, Promotion::Reply reply) {
    orders.push_back({++last_order, std::move(reply)});
    queue(Order{last_order, kind});
}

mirror_link::MirrorStatus LiveMirror::Impl::status() const {
    mirror_link::MirrorStatus s;
    s.report = last_report;
    if (promotion.front() != nullptr) s.device = promotion.front()->device();
    s.front_end = settings.front_end;
    s.data = settings.config.data;
    s.metadata = settings.config.metadata;
    s.peer_message = channel ? channel->state() : channel_trouble;
    s.network = network;
    const Progress progress = engine.progress();
    s.full = progress.full;
    s.total_bytes = progress.total_bytes;
    s.done_bytes = progress.done_bytes;
    s.stall = progress.stall;
    s.remaining = Duration{-1};
    if (progress.direction != Resync::kNone) {
        s.elapsed = now - progress.since;
        s.bytes_per_second =
            s.elapsed > 0ns ? static_cast<uint64_t>(static_cast<double>(s.done_bytes) / seconds(s.elapsed)) : 0;
        const uint64_t left = s.total_bytes - std::min(s.done_bytes, s.total_bytes);
        if (s.bytes_per_second > 0) s.remaining = std::chrono::seconds(left / s.bytes_per_second);
    }
    const Counters& counters = engine.counters();
    s.writes = counters.writes;
    s.reads = counters.reads;
    s.flushes = counters.flushes;
    s.written_bytes = counters.written_bytes;
    s.read_bytes = counters.read_bytes;
    s.sent_bytes = counters.sent_bytes;
    s.received_bytes = counters.received_bytes;
    s.copied_bytes = counters.copied_bytes;
    s.longest_stall = counters.longest_stall;
    s.warnings = settings.warnings;
    if (!lease.trouble().empty()) s.warnings.push_back(lease.trouble());
    return s;
}

// ---- the loop ----

void LiveMirror::Impl::arm() {
    FrontEnd* front = promotion.front();
    if (!front_armed && front != nullptr && front->descriptor() >= 0) {
        front_armed = true;
        ring->when_readable(front->descriptor(), tag(Source::kFront, front_number));
    }
    if (!channel_armed && channel) {
        channel_armed = true;
        ring->when_readable(channel->descriptor(), tag(Source::kChannel));
    }
    if (!waker_armed) {
        waker_armed = true;
        ring->when_readable(settings.waker, tag(Source::kWaker));
    }
}

Instant LiveMirror::Impl::deadline() const {
    Instant until = wake_at.value_or(kNever);
    if (channel) until = std::min(until, channel->wake_at().value_or(kNever));
    if (!channel) until = std::min(until, channel_retry);
    if (!promotion.secondary())
        until = std::min(until, now + (engine.idle() && !promotion.changing() ? kLeasePollIdle : kLeasePollBusy));
    if (detached) until = std::min(until, detach_until);
    return until;
}

// ---- outside ----

LiveMirror::LiveMirror(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

// A disk that does not answer keeps the memory of its requests, and the devices too: they must not be attached anew
// while something old may still be written.
LiveMirror::~LiveMirror() {
    if (impl_->ring->settle(Ring::kSettleLimit)) return;
    impl_->settings.note(std::to_string(impl_->ring->under_way()) +
                         " requests to its disks do not end: devices and memory stay taken until kagami-mirrord is "
                         "restarted");
    impl_->channel.reset();
    std::ignore = impl_.release();
}

Result<std::unique_ptr<LiveMirror>> LiveMirror::make(Attachment attachment, LiveSettings settings) {
    auto buffers = Buffers::make(kSmallBuffers, kLargeBuffers);
    if (!buffers) return tl::unexpected(buffers.error());
    const Loaded loaded = attachment.loaded;  // for the metadata's positions; the engine takes the other copy
    auto impl = std::make_unique<Impl>(std::move(attachment), std::move(settings), std::move(*buffers));
    if (auto ready = impl->open(loaded); !ready) return tl::unexpected(ready.error());
    return std::unique_ptr<LiveMirror>(new LiveMirror(std::move(impl)));
}

Status LiveMirror::turn() {
    Impl& m = *impl_;
    m.arm();
    if (std::exchange(m.frames_queued, false) && m.channel) {
        m.ring->submit();  // the disk works while the frames are encrypted
        m.channel->flush();
    }
    m.time_is_old = true;
    const Instant until = m.events.empty() ? m.deadline() : m.now;
    const auto waited = m.ring->wait(until == kNever ? std::nullopt : std::optional(until),
                                     [&m](Ring::Tag tag, int error) { m.ring_done(tag, error); });
    if (!waited) return waited;
    if (std::exchange(m.time_is_old, false)) {
        m.now = host::boot_now();
        m.look_at_lease();
    }
    if (!m.channel && m.now >= m.channel_retry) m.open_channel();
    if (m.channel && (std::exchange(m.channel_ready, false) || m.channel->wake_at().value_or(kNever) <= m.now))
        m.channel->advance(m.now);
    m.look_at_front();
    if (m.wake_at && *m.wake_at <= m.now) m.step(Woken{});
    m.drain();
    if (m.releases_seen != m.buffers.releases()) {
        m.releases_seen = m.buffers.releases();
        m.start_waiting();
        if (m.channel) m.channel->buffers_released();
        if (m.promotion.front() != nullptr) m.promotion.front()->buffers_released();
        m.drain();
    }
    if (m.detached && m.now >= m.detach_until) std::exchange(m.detached, nullptr)();
    return {};
}

bool LiveMirror::woken() {
    return std::exchange(impl_->waker_ready, false);
}

void LiveMirror::authority(const Authority& authority) {
    impl_->now = host::boot_now();
    impl_->step(AuthorityIs{authority});
    impl_->drain();
}

void LiveMirror::promote(Promotion::Reply reply) {
    impl_->promotion.promote(std::move(reply), impl_->now);
    impl_->drain();
}

void LiveMirror::demote(Promotion::Reply reply) {
    impl_->promotion.demote(std::move(reply), impl_->now);
    impl_->drain();
}

void LiveMirror::resync(Promotion::Reply reply) {
    impl_->ask(OrderKind::kResync, std::move(reply));
    impl_->drain();
}

void LiveMirror::detach(std::function<void()> done) {
    impl_->detached = std::move(done);
    impl_->detach_until = impl_->now + kDetachLimit;
    impl_->ask(OrderKind::kDetach, [impl = impl_.get()](const Status&, bool) { impl->detach_until = {}; });
    impl_->drain();
}

bool LiveMirror::secondary() const {
    return impl_->promotion.secondary();
}

bool LiveMirror::failed() const {
    const Report& report = impl_->last_report;
    return secondary() && report.disk == DiskState::kFailed && report.wish.kind == WishKind::kNone;
}

const Context& LiveMirror::context() const {
    return impl_->engine.context();
}

mirror_link::MirrorStatus LiveMirror::status() const {
    return impl_->status();
}

}  // namespace kagami::mirror
