#include "mirror-driver/engine/mirror.h"

#include <algorithm>
#include <cerrno>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

namespace {

Bitmap taken(Bitmap& loaded, uint64_t size_bytes) {
    return loaded.size_bytes() == size_bytes ? std::move(loaded) : Bitmap(size_bytes);
}

}  // namespace

void Output::clear() {
    metadata.reset();
    data.clear();
    frames.clear();
    completions.clear();
    released.clear();
    orders.clear();
    disconnect.reset();
    notes.clear();
    report_changed = false;
    wake_at.reset();
}

Mirror::Impl::Impl(Settings given, Instant at)
    : settings(std::move(given)),
      now(at),
      ctx(settings.loaded.context),
      bits(taken(settings.loaded.bitmap, ctx.size_bytes)),
      todo(ctx.size_bytes),
      log(ctx.size_bytes, settings.loaded.slots),
      meta(bits),
      intervals(kMaxRequests + kForeignSlots + kMaxCopies),
      random_state(settings.seed),
      crashed_primary(ctx.flags.primary_indicated),
      lost(at) {
    for (size_t i = kMaxRequests; i-- > 0;) free_requests_.push_back(static_cast<uint16_t>(i));
    for (size_t i = kForeignSlots; i-- > 0;) free_foreign_.push_back(static_cast<uint16_t>(i));
    active_.reserve(kMaxRequests);
    walk_.reserve(kMaxRequests);
    if (settings.loaded.log_incomplete) bits.set_all();
    if (crashed_primary) log.mark_hot(bits);
    if (ctx.flags.failed)
        problem = settings.name + ": the data device of this node failed; replace it and run `kagami mirror init`";
    open_barrier = meta.persist_pages();
    if (settings.resume_primary && crashed_primary && ctx.highest_token > Token{}) {
        token = ctx.highest_token;
        mode = Mode::kStalled;
        resumed = local_wanted = true;
        note("goes on as the primary of a former life of the driver");
    }
    settings.loaded = {};
    settle();
}

// ---- events ----

void Mirror::Impl::step(const Event& event, Instant at) {
    // Who was stopped himself cannot say that the peer was silent: what it sent may still wait in the socket.
    if (at > now + detect() / 2) link.heard = std::max(link.heard, at - detect() / 2);
    now = at;
    std::visit([this](const auto& each) { handle(each); }, event);
    settle();
}

void Mirror::Impl::settle() {
    do {
        again = false;
        settle_open();
        settle_attach();
        settle_record();
        settle_failed_flush();
        settle_promotion();
        settle_link();
        settle_primary();
        settle_source();
        settle_target();
        drain_granted();
        if (pump) {
            pump = false;
            advance_all();
        }
        start_rounds();
        settle_demotion();
        settle_other_orders();
    } while (again || pump);
    hand_out_batch();
    notice_report();
    out.wake_at = next_timer();
}

void Mirror::Impl::handle(const IoDone& event) {
    const auto owner = static_cast<Owner>(event.id.value >> kOwnerShift & 0xfU);
    const auto index = static_cast<size_t>(event.id.value & kIndexMask);
    switch (owner) {
        case Owner::kClient: return client_io_done(index, event);
        case Owner::kForeign: return foreign_io_done(index, event);
        case Owner::kCopy: return copy_read(index, event);
        case Owner::kFlush: return local_round_done(event.error);
        case Owner::kPromotion:
            if (!promotion || promotion->io != event.id) return;
            if (event.error != 0) flush_has_failed(event.error);
            if (flush_failed && !sole_current())
                return promotion_failed({ErrorCode::kFailed, "the data device cannot be flushed", "replace the disk"});
            return write_promotion();
        case Owner::kNone:
        case Owner::kEnd:
        case Owner::kDirty: return;
    }
}

void Mirror::Impl::handle(const MetadataDone& event) {
    if (!event.ok) return metadata_failed();
    if (!meta.done(event.serial)) return;
    log.batch_done();
    pump = true;
}

void Mirror::Impl::metadata_failed() {
    if (broken) return;
    broken = true;
    const std::string what = "the metadata device of this node cannot be written";
    problem = settings.name + ": " + what;
    note(what);
    if (promoted()) halt(what);
    disconnect(what, kRefusedBackOff);
    if (promotion) promotion_failed({ErrorCode::kFailed, problem, ""});
    pump = true;
}

void Mirror::Impl::handle(const AuthorityIs& event) {
    if (authority_known && event.authority.version < authority.version) return;
    authority = event.authority;
    authority_known = true;
    if (authority.record.uuid != Uuid{} && authority.record.uuid != ctx.mirror) {
        problem = settings.name + ": the metadata of this node belong to another mirror; run `kagami mirror init`";
    }
}

void Mirror::Impl::handle(const Lease& event) {
    lease = event.until;
    pump = true;
}

void Mirror::Impl::handle(const Woken&) {}

// ---- opening ----

// The bits of a crashed primary are durable before its log, and its mark, are given up; what a former life of this
// process wrote and did not flush is flushed before bits that cover it may go.
void Mirror::Impl::settle_open() {
    if (opened || broken || !meta.reached(open_barrier) || (resumed && rounds.local_done == 0)) return;
    opened = true;
    if (!flush_failed) log.retire();
    if (crashed_primary && !resumed) {
        ctx.flags.primary_indicated = false;
        meta.persist_context();
    }
    changed();
}

// ---- shared small things ----

uint64_t Mirror::Impl::random() {  // splitmix64
    random_state += 0x9e3779b97f4a7c15ULL;
    uint64_t x = random_state;
    x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27U) * 0x94d049bb133111ebULL;
    return x ^ x >> 31U;
}

Duration Mirror::Impl::detect() const {
    return authority_known && authority.detect > Duration{} ? authority.detect : kDetectUnknown;
}

IoId Mirror::Impl::next_io(Owner owner, size_t index) {
    return IoId{++io_count << 16U | static_cast<uint64_t>(owner) << kOwnerShift | index};
}

void Mirror::Impl::local_io(IoId id, Operation operation, const Extent& extent, BufferId buffer) {
    out.data.push_back({id, operation, extent, buffer});
}

void Mirror::Impl::release(BufferId buffer) {
    if (buffer != kNoBuffer) out.released.push_back(buffer);
}

void Mirror::Impl::drain_granted() {
    Holder holder;
    while (intervals.next_granted(holder)) {
        switch (holder.kind) {
            case HolderKind::kClient: interval_granted(holder.index); break;
            case HolderKind::kPeer: start_foreign(holder.index); break;
            case HolderKind::kCopy: start_copy(holder.index); break;
        }
        changed();
    }
}

void Mirror::Impl::hand_out_batch() {
    if (broken || out.metadata) return;
    const bool log_wanted = log.wants_batch();
    if (!meta.next(log, spare)) return;
    if (log_wanted) ++counters.log_transactions;
    counters.bitmap_pages += spare.bitmap_pages.size();
    out.metadata.emplace(std::move(spare));
    spare = {};
}

std::optional<Instant> Mirror::Impl::next_timer() const {
    std::optional<Instant> soonest;
    const auto at = [&](Instant when) {
        if (!soonest || when < *soonest) soonest = when;
    };
    if (report_due) at(*report_due);
    if (link.up) at(link.pinged + detect() / 4);
    if (promotion && promotion->step == Promotion::Step::kConditions) at(promotion->limit);
    if (mode == Mode::kStalled && !solo && !granting && lost + detect() > now) at(lost + detect());
    return soonest;
}

bool Mirror::Impl::idle() const {
    return active_.empty() && foreign_under_way() == 0 && source.copies == 0 && !rounds.local_under_way &&
           meta.idle() && !log.wants_batch() && !promotion && !demotion;
}

bool Mirror::Impl::covered(const Extent& extent) const {
    if (ctx.flags.full_sync || ctx.flags.inconsistent) return true;
    for (uint64_t at = extent.offset; at < extent.end(); at += kBlockBytes) {
        const Extent block{at, kBlockBytes};
        if (!bits.any(block) && !(promoted() && log.covers(block))) return false;
    }
    return true;
}

// ---- outside ----

Mirror::Mirror(Settings settings, Instant now) : impl_(std::make_unique<Impl>(std::move(settings), now)) {}
Mirror::~Mirror() = default;
Mirror::Mirror(Mirror&&) noexcept = default;
Mirror& Mirror::operator=(Mirror&&) noexcept = default;

void Mirror::step(const Event& event, Instant now) {
    impl_->step(event, now);
}

void Mirror::take_output(Output& into) {
    if (into.metadata) {  // its vectors serve again
        impl_->spare = std::move(*into.metadata);
        impl_->spare.slots.clear();
        impl_->spare.bitmap_pages.clear();
    }
    into.clear();
    std::swap(into, impl_->out);
}

const Context& Mirror::context() const {
    return impl_->ctx;
}
const Bitmap& Mirror::bitmap() const {
    return impl_->bits;
}
Report Mirror::report() const {
    return impl_->report();
}
Progress Mirror::progress() const {
    return impl_->progress();
}
const Counters& Mirror::counters() const {
    return impl_->counters;
}
bool Mirror::idle() const {
    return impl_->idle();
}
bool Mirror::covered(const Extent& extent) const {
    return impl_->covered(extent);
}

}  // namespace kagami::mirror
