// What the engine tells of itself: the report for the register and displays, the progress of a resync, the wish.
#include <algorithm>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20U;

DiskState disk_state(const Context& ctx, bool broken) {
    if (ctx.flags.failed || broken) return DiskState::kFailed;
    if (ctx.flags.inconsistent || ctx.flags.full_sync || ctx.flags.suspect) return DiskState::kInconsistent;
    return ctx.flags.constructed ? DiskState::kConsistent : DiskState::kNew;
}

}  // namespace

// One wish at a time, the most urgent one. What was asked stays asked until the register answers.
Wish Mirror::Impl::wish() const {
    if (solo) return *solo;
    const bool gone = ctx.flags.failed || broken;
    if (gone && record_known() && standing() == Standing::kCurrent) {
        return {.kind = WishKind::kGiveUp, .token = token, .base = authority.record.generation};
    }
    if (mode == Mode::kJoining && rounds.far_done >= source.add_round)
        return {.kind = WishKind::kAdd, .token = token, .base = ctx.current, .peer = settings.peer};
    if (attach == AttachStep::kAsking) return {.kind = WishKind::kAttach};
    if (attach == AttachStep::kSettling) return {.kind = WishKind::kSettle};
    return {};
}

Mirror::Impl::Reported Mirror::Impl::summary() const {
    Reported now_is;
    now_is.role = promoted() ? Role::kPrimary : attached ? Role::kSecondary : Role::kDetached;
    now_is.disk = disk_state(ctx, broken);
    now_is.mode = mode;
    now_is.token = token;
    now_is.nonce = ctx.nonce;
    now_is.next_nonce = ctx.next_nonce;
    now_is.generation = ctx.current;
    now_is.connected = link.established;
    if (source_active()) now_is.resync = Resync::kSource;
    if (target.phase != Target::Phase::kOff) now_is.resync = Resync::kTarget;
    if (source_active() && source.total_bytes > 0) {
        const uint64_t left = std::min(source.total_bytes, todo.count() * kBlockBytes);
        now_is.percent = static_cast<uint8_t>((source.total_bytes - left) * 100 / source.total_bytes);
    }
    const uint64_t dirty = std::max(bits.count(), todo.count()) * kBlockBytes;
    now_is.dirty_bytes = (dirty + kMiB - 1) / kMiB * kMiB;
    const Wish wanted = wish();
    now_is.wish = wanted.kind;
    now_is.wished = wanted.kind == WishKind::kSolo ? wanted.next : wanted.base;
    now_is.problem = std::hash<std::string>{}(message());
    return now_is;
}

std::string Mirror::Impl::message() const {
    if (!flush_failed || ctx.flags.failed) return problem;
    return settings.name +
           ": the data disk of this node reported a failed flush: the newest data may be only in memory, and every "
           "flush is answered with an error; bring " +
           settings.peer_name +
           " back (it takes over once its copy is current), or stop the group and restore or replace the disk" +
           (problem.empty() ? "" : "; " + problem);
}

// What only counts up or down is told once in a while: writes alone do not make reports.
void Mirror::Impl::notice_report() {
    const Reported now_is = summary();
    report_due.reset();
    if (reported_once && now_is == reported) return;
    Reported but_for_counts = now_is;
    but_for_counts.percent = reported.percent;
    but_for_counts.dirty_bytes = reported.dirty_bytes;
    if (reported_once && but_for_counts == reported && now < reported_at + kReportCounts) {
        report_due = reported_at + kReportCounts;
        return;
    }
    reported = now_is;
    reported_at = now;
    reported_once = true;
    out.report_changed = true;
}

Report Mirror::Impl::report() const {
    const Reported is = summary();
    Report report;
    report.mirror = settings.name;
    report.role = is.role;
    report.disk = is.disk;
    report.mode = is.mode;
    report.token = is.token;
    report.nonce = is.nonce;
    report.next_nonce = is.next_nonce;
    report.generation = is.generation;
    report.size_bytes = ctx.size_bytes;
    report.connected = is.connected;
    report.resync = is.resync;
    report.percent = is.percent;
    report.dirty_bytes = is.dirty_bytes;
    report.wish = wish();
    report.message = message();
    return report;
}

Progress Mirror::Impl::progress() const {
    Progress progress;
    if (target.phase != Target::Phase::kOff) {
        progress.direction = Resync::kTarget;
        progress.full = target.full;
        progress.total_bytes = target.full ? ctx.size_bytes : 0;
        progress.done_bytes = target.copied_bytes;
        progress.since = target.since;
        return progress;
    }
    if (source.phase == Source::Phase::kOff) return progress;
    progress.direction = Resync::kSource;
    progress.full = source.kind == Outcome::kFull;
    progress.total_bytes = source.total_bytes;
    progress.done_bytes = source.total_bytes - std::min(source.total_bytes, todo.count() * kBlockBytes);
    progress.since = source.since;
    switch (source.phase) {
        case Source::Phase::kWaiting:
            progress.stall = "automatic resync is off: `kagami mirror resync` starts it";
            break;
        case Source::Phase::kAwaitReady:
            progress.stall = "waits for " + settings.peer_name + " to mark its copy";
            break;
        case Source::Phase::kMarking: progress.stall = "waits for the metadata device"; break;
        case Source::Phase::kEnding: progress.stall = "waits for " + settings.peer_name + " to flush its copy"; break;
        case Source::Phase::kAdding: progress.stall = "waits for the register to name the copy current"; break;
        case Source::Phase::kOff:
        case Source::Phase::kCopying: break;
    }
    return progress;
}

}  // namespace kagami::mirror
