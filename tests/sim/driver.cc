#include "tests/sim/driver.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/assert.h"
#include "tests/sim/mirror_pair.h"
#include "tests/sim/world.h"

namespace kagami::sim {

using mirror::Operation;
using mirror::OrderKind;

namespace {

constexpr size_t kImages = 6;
constexpr int kTries = 100;
constexpr Duration kTryEvery = 100ms;

bool writes(const mirror::DataIo& io) {
    return io.operation == Operation::kWrite || io.operation == Operation::kZero;
}

// A client's read may run beside a write; what a resync reads in order to copy it may not.
bool collide(const mirror::DataIo& a, const mirror::DataIo& b) {
    const auto copies = [](const mirror::DataIo& io) {
        return io.operation == Operation::kRead && io.buffer == mirror::kNoBuffer;
    };
    return (writes(a) && (writes(b) || copies(b))) || (copies(a) && writes(b));
}

uint64_t first_block(const mirror::Extent& extent) {
    return extent.offset / mirror::kBlockBytes;
}
uint64_t block_count(const mirror::Extent& extent) {
    return extent.length / mirror::kBlockBytes;
}

}  // namespace

Driver::Driver(World& world, MirrorPair& pair, Node& node, Side side)
    : world_(world), pair_(pair), node_(node), side_(side), data_(pair.spec().blocks) {}

// ---- the process ----

void Driver::later(Duration delay, std::function<void()> action) {
    world_.queue().after(delay, [this, life = life_, action = std::move(action)] {
        if (process_ && life == life_) action();
    });
}

void Driver::power_on() {
    ++power_;
    start_process();
}

void Driver::start_process() {
    if (process_) return;
    process_ = true;
    ++life_;
    later(world_.calm() ? Duration(5ms) : world_.random().between(1ms, 50ms), [this] { attach(); });
}

void Driver::end_process(bool power) {
    if (!process_) return;
    process_ = false;
    ++life_;
    for (const auto& [number, io] : io_) {
        if (io.io.operation == Operation::kRead || io.io.operation == Operation::kFlush) continue;
        const uint64_t first = first_block(io.io.extent);
        for (uint64_t i = 0; i < block_count(io.io.extent); ++i) {
            if (world_.random().chance(0.5)) data_.write(first + i, io.payload ? (*io.payload)[i] : 0);
        }
    }
    io_.clear();
    metadata_.crash(world_.random(), power);
    engine_.reset();
    layout_.reset();
    serial_under_way_ = 0;
    inbox_.clear();
    buffers_.clear();
    request_buffers_.clear();
    lease_ = {};
    wake_at_ = kNever;
    wake_entered_ = Moment::max();
    pair_.wire().process_ended(side_, power);
    auto owed = std::exchange(orders_, {});
    for (auto& [id, answer] : owed) answer(false, "the mirror driver has ended");
    at_rest_.reset();
    if (auto loaded = mirror::Metadata::load(metadata_.reader(), pair_.spec().metadata_bytes)) at_rest_ = *loaded;
}

void Driver::power_off() {
    end_process(true);
    ++power_;
    front_open_ = heard_authority_ = false;
    authority_ = {};
    data_.lose_power(world_.random());
    lost_at_ = world_.now();
    pair_.checker().on_lost(side_);
    pair_.client(side_).power_off();
}

void Driver::kill(Duration away) {
    if (!process_) return;
    end_process(false);
    mirror::Report gone;
    gone.mirror = pair_.spec().name;
    gone.message = "the mirror driver does not answer";
    tell_daemon(gone);
    world_.queue().after(away, [this, power = power_] {
        if (power == power_ && node_.powered()) start_process();
    });
}

void Driver::restart() {
    if (!node_.powered()) return;
    if (process_) return kill(50ms);
    start_process();
}

void Driver::thaw() {
    drain();
    feed(mirror::Woken{});
}

void Driver::daemon_started() {
    heard_authority_ = false;
    later(1ms, [this] {
        if (attached()) tell_daemon(engine_->report());
        attach();
    });
}

void Driver::authority_is(const mirror::Authority& authority) {
    authority_ = authority;
    heard_authority_ = true;
    if (world_.options().verbose)
        world_.note_mirror(node_.id(), pair_.spec().name + ": hears of document " + to_string(authority.version) +
                                           ", generation " + to_string(authority.record.generation) +
                                           (authority.fresh ? ", fresh" : "") +
                                           (authority.token == Token{} ? "" : ", token " + to_string(authority.token)));
    if (!process_) return;
    if (!attached()) return attach();
    feed(mirror::AuthorityIs{authority});
    feed_lease();
}

// ---- attach ----

bool Driver::may_resume(const mirror::Context& context) const {
    return front_open_ && authority_.token != Token{} && authority_.token == context.highest_token &&
           context.flags.primary_indicated;
}

// A person's `mirror init`, as soon as it is known what the mirror is called in the register.
void Driver::make_metadata() {
    const MirrorSpec& spec = pair_.spec();
    mirror::Context context;
    context.cluster = spec.cluster;
    context.mirror = authority_.record.uuid;
    context.self = node_.id();
    context.peer = pair_.driver(other(side_)).node().id();
    context.size_bytes = spec.blocks * mirror::kBlockBytes;
    context.device_identity = "file=simulated";
    context.hot_extents = spec.hot_extents;
    for (const auto& batch : mirror::Metadata::create(context, spec.metadata_bytes)) metadata_.write_now(batch);
    known_ = false;
}

void Driver::attach() {
    if (!process_ || attached() || broken_ || !node_.running()) return;
    if (node_.frozen()) return later(10ms, [this] { attach(); });
    if ((metadata_.blank() || front_open_) && !heard_authority_) return;
    if (metadata_.blank()) make_metadata();
    auto loaded = mirror::Metadata::load(metadata_.reader(), pair_.spec().metadata_bytes);
    if (!loaded) {
        pair_.violation("I10", world_.name(node_.id()) + ": the metadata do not read back: " + loaded.error().message);
        broken_ = true;
        return;
    }
    if (known_ && loaded->context != confirmed_ && !(under_way_ && loaded->context == *under_way_))
        pair_.violation("I10", world_.name(node_.id()) + ": the metadata read as neither before nor after the crash");
    const bool resume = may_resume(loaded->context);
    if (front_open_ && !resume) fail_outstanding();
    confirmed_ = loaded->context;
    under_way_.reset();
    known_ = true;
    mirror::Settings settings;
    settings.self = node_.id();
    settings.peer = loaded->context.peer;
    settings.boot = node_.boot();
    for (auto& byte : settings.instance) byte = static_cast<uint8_t>(world_.random().next());
    settings.seed = world_.random().next();
    settings.resume_primary = resume;
    settings.name = pair_.spec().name;
    settings.peer_name = world_.name(settings.peer);
    layout_ = std::make_unique<mirror::Metadata>(*loaded, pair_.spec().metadata_bytes);
    settings.loaded = std::move(*loaded);
    engine_ = std::make_unique<mirror::Mirror>(std::move(settings), node_.local_now());
    if (heard_authority_) feed(mirror::AuthorityIs{authority_});
    feed_lease();
    feed(mirror::Woken{});
    report();
    pair_.wire().process_started(side_);
    if (resume) pair_.client(side_).resend();
}

void Driver::fail_outstanding() {
    front_open_ = false;
    pair_.client(side_).fail_all();
}

bool Driver::covered(const mirror::Extent& extent) const {
    if (attached()) return engine_->covered(extent);
    if (!at_rest_ || at_rest_->log_incomplete) return true;
    const mirror::Flags& flags = at_rest_->context.flags;
    if (flags.full_sync || flags.suspect || at_rest_->bitmap.any(extent)) return true;
    const auto hot = static_cast<uint32_t>(extent.offset / mirror::kHotExtentBytes);
    const auto& slots = at_rest_->slots;
    return flags.primary_indicated && std::find(slots.begin(), slots.end(), hot) != slots.end();
}

std::string Driver::state() const {
    std::string text = world_.name(node_.id()) + ": ";
    if (!attached()) return text + (process_ ? "not attached" : "no driver");
    const mirror::Report r = engine_->report();
    return text + mirror::word(r.role) + ", " + mirror::word(r.mode) + ", disk " + mirror::word(r.disk) + ", " +
           to_string(r.generation) + (r.connected ? ", connected" : ", alone") +
           (r.resync == mirror::Resync::kNone     ? ""
            : r.resync == mirror::Resync::kSource ? ", source"
                                                  : ", target") +
           ", " + std::to_string(engine_->bitmap().count()) + " dirty, wish " +
           std::to_string(static_cast<int>(r.wish.kind)) + ", " + std::to_string(pair_.client(side_).waiting()) +
           " requests, " + std::to_string(io_.size()) + " I/Os" + (engine_->idle() ? ", idle" : "") +
           (r.message.empty() ? "" : ", " + r.message);
}

// ---- the engine ----

void Driver::feed(mirror::Event event) {
    if (!attached()) return;
    inbox_.push_back(std::move(event));
    drain();
}

void Driver::drain() {
    if (stepping_) return;
    stepping_ = true;
    const uint64_t life = life_;
    while (!inbox_.empty() && life == life_ && !node_.frozen()) {
        const mirror::Event event = std::move(inbox_.front());
        inbox_.pop_front();
        engine_->step(event, node_.local_now());
        engine_->take_output(out_);
        carry_out(out_);
    }
    stepping_ = false;
}

void Driver::carry_out(mirror::Output& out) {
    for (const std::string& note : out.notes) world_.note_mirror(node_.id(), pair_.spec().name + ": " + note);
    if (out.metadata) write_metadata(*out.metadata);
    for (const mirror::DataIo& io : out.data) run_io(io);
    for (const mirror::SendFrame& frame : out.frames) send(frame);
    for (const mirror::Completion& completion : out.completions) complete(completion);
    for (const mirror::BufferId buffer : out.released) {
        if (buffers_.erase(buffer) == 0) pair_.violation("buffers", "a buffer was released twice");
    }
    if (out.disconnect) {
        pair_.wire().disconnect(side_, out.disconnect->connection, out.disconnect->back_off);
        feed(mirror::LinkDown{out.disconnect->connection, out.disconnect->why});
    }
    for (const mirror::OrderDone& done : out.orders) answer(done);
    if (out.report_changed) report();
    arm_wake(out.wake_at);
}

void Driver::arm_wake(std::optional<Instant> at) {
    wake_at_ = at.value_or(kNever);
    if (wake_at_ == kNever) return;
    const Moment when = std::max(node_.clock().when(wake_at_), world_.now() + 1us);
    if (wake_entered_ <= when) return;
    wake_entered_ = when;
    world_.queue().at(when, [this, when, life = life_] {
        if (life != life_ || when != wake_entered_) return;
        wake_entered_ = Moment::max();
        if (node_.frozen() || wake_at_ == kNever) return;
        if (node_.local_now() < wake_at_) return arm_wake(wake_at_);
        wake_at_ = kNever;
        if (world_.now() - spin_since_ > 1ms) {
            spin_since_ = world_.now();
            spins_ = 0;
        }
        if (++spins_ > 500) pair_.violation("spin", "the mirror engine asks to be woken again and again at once: " + state());
        feed(mirror::Woken{});
    });
}

// ---- metadata ----

void Driver::write_metadata(const mirror::MetadataBatch& batch) {
    if (serial_under_way_ != 0) pair_.violation("batch", "two batches of metadata at a time");
    mirror::MetadataBatch taken = batch;
    if (pair_.mutation() == Mutation::kDroppedBits) taken.bitmap_pages.clear();
    layout_->encode(taken, engine_->context(), engine_->bitmap(), blocks_);
    if (pair_.mutation() == Mutation::kEarlyMetadata) {
        known_ = false;
        later(5s, [this, blocks = blocks_] { metadata_.write_now(blocks); });
        return feed(mirror::MetadataDone{batch.serial, true});
    }
    serial_under_way_ = batch.serial;
    if (batch.context) under_way_ = engine_->context();
    metadata_.begin(blocks_);
    const Duration takes = world_.calm() ? Duration(1ms) : world_.random().between(100us, 4ms);
    later(takes, [this, serial = batch.serial] { end_batch(serial, metadata_errors_ <= 0); });
}

void Driver::end_batch(uint64_t serial, bool ok) {
    if (serial != serial_under_way_) return;
    serial_under_way_ = 0;
    if (ok) {
        metadata_.end();
        if (under_way_) confirmed_ = *std::exchange(under_way_, std::nullopt);
    } else {
        --metadata_errors_;
        metadata_.crash(world_.random(), false);
        known_ = false;
    }
    feed(mirror::MetadataDone{serial, ok});
}

// ---- data ----

int Driver::draw_error(Operation operation) {
    int& left = data_errors_[operation];
    if (left <= 0) return 0;
    --left;
    return EIO;
}

void Driver::run_io(const mirror::DataIo& io) {
    for (const auto& [number, other] : io_) {
        if (io.extent.overlaps(other.io.extent) && collide(io, other.io))
            pair_.violation("order", world_.name(node_.id()) + ": two overlapping requests are under way at once");
    }
    Io at;
    at.io = io;
    at.error = draw_error(io.operation);
    at.mark = data_.mark();
    if (io.operation == Operation::kWrite) {
        at.payload = buffers_[io.buffer];
        KAGAMI_ASSERT(at.payload && at.payload->size() == block_count(io.extent), "a write without its data");
    }
    const uint64_t number = ++io_numbers_;
    io_.emplace(number, std::move(at));
    const Duration longest = io.operation == Operation::kFlush ? 6ms : 2ms;
    later(world_.calm() ? Duration(200us) : world_.random().between(30us, longest), [this, number] { end_io(number); });
}

void Driver::end_io(uint64_t number) {
    Io at = std::move(io_.at(number));
    io_.erase(number);
    mirror::IoDone done;
    done.id = at.io.id;
    done.error = at.error;
    if (at.error != 0)
        world_.note_mirror(node_.id(), pair_.spec().name + ": the data disk fails, operation " +
                                           std::to_string(static_cast<int>(at.io.operation)));
    const uint64_t first = first_block(at.io.extent);
    const uint64_t count = block_count(at.io.extent);
    switch (at.io.operation) {
        case Operation::kRead: {
            auto contents = std::make_shared<Contents>();
            for (uint64_t i = 0; i < count && at.error == 0; ++i) contents->push_back(data_.seen(first + i));
            if (at.io.buffer == mirror::kNoBuffer) {
                done.buffer = new_buffer(std::move(contents));
            } else {
                buffers_[at.io.buffer] = std::move(contents);
            }
            break;
        }
        case Operation::kWrite:
        case Operation::kZero:
            for (uint64_t i = 0; i < count; ++i) {
                if (at.error == 0 || world_.random().chance(0.5))
                    data_.write(first + i, at.payload ? (*at.payload)[i] : 0);
            }
            break;
        case Operation::kFlush:
            if (at.error == 0 && pair_.mutation() != Mutation::kUnflushedData) data_.flushed(at.mark);
            break;
    }
    feed(done);
}

void Driver::heal_disks() {
    data_errors_.clear();
    metadata_errors_ = 0;
}

mirror::BufferId Driver::new_buffer(Payload payload) {
    const mirror::BufferId id{++buffer_ids_};
    buffers_.emplace(id, std::move(payload));
    return id;
}

void Driver::initialise() {
    KAGAMI_ASSERT(!process_, "disks are exchanged while nobody uses them");
    data_ = DataDisk(pair_.spec().blocks);
    metadata_ = MetadataDisk();
    known_ = broken_ = false;
    at_rest_.reset();
    heal_disks();
    lost_at_ = world_.now();
    pair_.checker().on_exchanged(side_);
}

void Driver::take_image() {
    if (metadata_.blank() || !known_) return;
    images_.push_back({world_.now(), data_, metadata_, confirmed_});
    images_.back().data.flushed(data_.mark());
    if (images_.size() > kImages) images_.pop_front();
}

void Driver::put_back(const Image& image) {
    KAGAMI_ASSERT(!process_, "disks are exchanged while nobody uses them");
    data_ = image.data;
    metadata_ = image.metadata;
    known_ = broken_ = false;
    lost_at_ = world_.now();
    auto loaded = mirror::Metadata::load(metadata_.reader(), pair_.spec().metadata_bytes);
    if (forged_ && loaded) {
        mirror::Metadata layout(*loaded, pair_.spec().metadata_bytes);
        loaded->context.nonce = forged_->nonce;
        loaded->context.next_nonce = forged_->next_nonce;
        loaded->context.current = forged_->current;
        mirror::MetadataBatch batch;
        batch.serial = 1;
        batch.context = true;
        layout.encode(batch, loaded->context, loaded->bitmap, blocks_);
        metadata_.write_now(blocks_);
        forged_.reset();
    }
    at_rest_.reset();
    if (loaded) at_rest_ = *loaded;
    pair_.checker().on_exchanged(side_);
}

// ---- frames ----

void Driver::send(const mirror::SendFrame& out) {
    Payload payload;
    if (out.frame.payload != mirror::kNoBuffer) {
        payload = buffers_[out.frame.payload];
        if (!payload)
            pair_.violation("buffers", std::string("a frame without its payload: ") + name_of(out.frame.type));
    }
    if (out.release) buffers_.erase(out.frame.payload);
    pair_.send(side_, out.frame, payload);
}

void Driver::link_up(mirror::ConnectionId connection) {
    feed(mirror::LinkUp{connection});
}

void Driver::link_down(mirror::ConnectionId connection, const std::string& why) {
    feed(mirror::LinkDown{connection, why});
}

void Driver::frame(mirror::ConnectionId connection, const mirror::Frame& frame, const Payload& payload) {
    if (!attached()) return;
    mirror::Frame copy = frame;
    copy.payload = payload ? new_buffer(payload) : mirror::kNoBuffer;
    feed(mirror::FrameReceived{connection, std::move(copy)});
}

// ---- the front end and the md resource ----

void Driver::submit(const mirror::ClientRequest& request, Payload payload) {
    if (!attached()) return;
    mirror::ClientRequest given = request;
    given.buffer = mirror::kNoBuffer;
    if (request.operation == Operation::kRead || request.operation == Operation::kWrite) {
        given.buffer = new_buffer(std::move(payload));
        request_buffers_[request.id] = given.buffer;
    }
    feed(given);
}

void Driver::complete(const mirror::Completion& completion) {
    Payload payload;
    const auto at = request_buffers_.find(completion.id);
    if (at != request_buffers_.end()) {
        payload = buffers_[at->second];
        buffers_.erase(at->second);
        request_buffers_.erase(at);
    }
    if (completion.data != mirror::kNoBuffer) payload = buffers_[completion.data];
    pair_.client(side_).completed(completion.id, completion.error, payload);
}

void Driver::order(OrderKind kind, Answer answer) {
    mirror::Order order;
    order.id = ++order_ids_;
    order.kind = kind;
    if (answer) orders_[order.id] = std::move(answer);
    feed(order);
}

void Driver::answer(const mirror::OrderDone& done) {
    const auto at = orders_.find(done.id);
    if (at == orders_.end()) return;
    Answer answer = std::move(at->second);
    orders_.erase(at);
    answer(done.status.has_value(), done.status ? "" : done.status.error().message);
}

void Driver::when_attached(int tries, std::function<void()> action, const Answer& answer) {
    if (attached()) return action();
    if (tries == 0 || !node_.powered()) return answer(false, "the mirror driver does not answer");
    world_.queue().after(kTryEvery, [this, tries, action = std::move(action), answer, power = power_] {
        if (power == power_) when_attached(tries - 1, action, answer);
    });
}

void Driver::promote(Answer answer) {
    when_attached(
        kTries,
        [this, answer] {
            order(OrderKind::kPromote, [this, answer](bool ok, const std::string& message) {
                if (ok) {
                    front_open_ = true;
                    pair_.checker().on_promoted(*this);
                    feed_lease();
                }
                answer(ok, message);
            });
        },
        answer);
}

void Driver::demote(Answer answer) {
    front_open_ = false;
    if (broken_) return answer(true, "");
    when_attached(
        kTries, [this, answer] { order(OrderKind::kDemote, answer); }, answer);
}

void Driver::abort_front() {
    front_open_ = false;
    if (!attached()) return;
    order(OrderKind::kFailAll, nullptr);
    order(OrderKind::kDemote, nullptr);
}

// ---- daemon and guard ----

void Driver::report() {
    const mirror::Report fresh = engine_->report();
    pair_.checker().on_report(*this, fresh);
    tell_daemon(fresh);
    if (pair_.mutation() == Mutation::kForgedSolo && fresh.wish.kind == mirror::WishKind::kSolo)
        forge_grant(fresh.wish);
}

// A mutation: the register is never asked.
void Driver::forge_grant(const mirror::Wish& wish) {
    mirror::Authority forged = authority_;
    forged.record.generation = wish.next;
    for (auto& [node, replica] : forged.record.replicas) {
        if (node != node_.id() && replica.standing == mirror::Standing::kCurrent)
            replica.standing = mirror::Standing::kStale;
    }
    later(1ms, [this, forged] { feed(mirror::AuthorityIs{forged}); });
}

void Driver::tell_daemon(const mirror::Report& report) {
    last_report_ = report;
    world_.queue().after(200us, [this, report, daemon = node_.daemon_life(), power = power_] {
        if (node_.daemon_life() == daemon && power == power_) node_.feed(engine::MirrorReported{report});
    });
}

// Until when it may acknowledge: the deadline of a page that names the group under our token and wants it to live.
void Driver::feed_lease() {
    if (!attached()) return;
    Instant until{};
    const engine::SetGuard& page = node_.guard().page();
    for (const engine::GuardedGroup& group : page.groups) {
        if (group.group == pair_.spec().group && group.token == authority_.token && authority_.token != Token{} &&
            group.verdict != engine::Verdict::kKill)
            until = page.deadline;
    }
    if (pair_.mutation() == Mutation::kNoLease && authority_.token != Token{}) until = kNever;
    if (until == lease_) return;
    lease_ = until;
    feed(mirror::Lease{until});
}

void Driver::page_changed() {
    feed_lease();
}

}  // namespace kagami::sim
