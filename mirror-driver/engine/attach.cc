// How a replica becomes known to the register, and what the register says of it: nonces in two steps, the marks that
// follow from its standing, the first generation (protocol.md 9, mirror.md 6 rows 1 to 3).
#include <algorithm>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

const RecordReplica* Mirror::Impl::own_entry() const {
    const auto at = authority.record.replicas.find(settings.self);
    return at == authority.record.replicas.end() ? nullptr : &at->second;
}

bool Mirror::Impl::nonce_in_record() const {
    const RecordReplica* entry = own_entry();
    return entry != nullptr && ctx.nonce != Nonce{} && (entry->nonce == ctx.nonce || entry->next_nonce == ctx.nonce);
}

// A fresh nonce is drawn at every attach (but for a driver that goes on with the kept front end of its former life),
// written here as `next`, named in the record beside the one we hold, and only then made ours: at every crash in between
// the record holds the one that the disk holds.
void Mirror::Impl::settle_attach() {
    if (!record_known() || own_entry() == nullptr || broken || !opened) return;
    const RecordReplica& entry = *own_entry();
    const AttachStep before = attach;
    switch (attach) {
        case AttachStep::kStart:
            if (!authority.fresh || !authority.member) return;
            if (settings.resume_primary && nonce_in_record() && ctx.attached_in == settings.boot) {
                attached = true;
                lost = now;
                attach = entry.nonce == ctx.nonce ? AttachStep::kSettled : AttachStep::kSettling;
                break;
            }
            do ctx.next_nonce = Nonce{random()};
            while (ctx.next_nonce == Nonce{});
            attach_barrier = meta.persist_context();
            attach = AttachStep::kWritingNext;
            break;
        case AttachStep::kWritingNext:
            if (meta.reached(attach_barrier)) attach = AttachStep::kAsking;
            break;
        case AttachStep::kAsking:
            if (entry.next_nonce != ctx.next_nonce && entry.nonce != ctx.next_nonce) return;
            ctx.nonce = ctx.next_nonce;
            ctx.next_nonce = {};
            ctx.attached_in = settings.boot;
            attach_barrier = meta.persist_context();
            attach = AttachStep::kWritingOwn;
            break;
        case AttachStep::kWritingOwn:
            if (!meta.reached(attach_barrier)) return;
            attached = true;
            attach = AttachStep::kSettling;
            break;
        case AttachStep::kSettling:
            if (entry.nonce == ctx.nonce) attach = AttachStep::kSettled;
            break;
        case AttachStep::kSettled: break;
    }
    if (attached && authority.fresh && !nonce_in_record()) {
        note("the register does not know this disk any more: attaching again");
        attached = false;
        attach = AttachStep::kStart;
        if (promoted()) halt("the register does not know this disk any more");
        disconnect("attaching again", kRetryBackOff);
    }
    if (attach != before) changed();
}

// The marks that the register's word makes on this disk. They only ever add resync work, but for `outdated`.
void Mirror::Impl::settle_record() {
    if (!record_known() || authority.record.uuid != ctx.mirror || !attached) return;
    const Record& record = authority.record;
    const Flags before = ctx.flags;
    ctx.flags.outdated = standing() == Standing::kStale;
    if (standing() == Standing::kCurrent) completed = {};
    const bool just_copied = !completed.none() && completed == record.generation;
    if (standing() == Standing::kSuspect && !just_copied && !promoted()) ctx.flags.suspect = ctx.flags.full_sync = true;
    if (authority.fresh && !ctx.flags.constructed && standing() == Standing::kCurrent && !record.generation.none()) {
        ctx.flags.constructed = true;
        ctx.current = record.generation;
        ctx.flags.inconsistent = ctx.flags.full_sync = ctx.flags.suspect = false;  // a person may have forced this copy
        note("constructed: generation " + to_string(ctx.current));
    }
    // A takeover's, or a grant that came too late for its primary: nobody else has it, so it may be ours now as well as
    // at the promotion. What a person forced upon a copy that is not whole waits for the promotion.
    const bool whole = ctx.flags.constructed && !ctx.flags.inconsistent && !ctx.flags.full_sync && !ctx.flags.suspect;
    const bool newer = authority.fresh && record.generation.counter > ctx.current.counter && sole_current();
    if (whole && newer && !promoted() && !promotion) {
        adopt(record.generation, Cause::kTakeover);
    } else if (ctx.flags == before) {
        return;
    }
    meta.persist_context();
    changed();
}

bool Mirror::Impl::sole_current() const {
    return standing() == Standing::kCurrent && authority.record.current_count() == 1;
}

// A new lineage begins here. The bitmap goes on counting from where it began.
void Mirror::Impl::adopt(const Generation& generation, Cause cause) {
    if (!ctx.current.none()) {
        if (ctx.base.none()) ctx.base = ctx.current;
        std::move_backward(ctx.history.begin(), ctx.history.end() - 1, ctx.history.end());
        ctx.history.front() = {ctx.current, cause};
    }
    ctx.current = generation;
    note("generation " + to_string(generation));
}

}  // namespace kagami::mirror
