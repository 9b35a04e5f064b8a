// The connection to the peer: greeting, verdict, pings, limits, and who gets which frame. Whatever would need a new
// decision (a promotion, a hold, another standing) ends the connection: the next one starts from a handshake.
#include <algorithm>

#include "mirror-driver/engine/mirror_impl.h"

namespace kagami::mirror {

namespace {

bool copies_blocks(Outcome outcome) {
    return outcome == Outcome::kEven || outcome == Outcome::kCatchUp || outcome == Outcome::kFull;
}

// What may not change between a Hello and the verdict that rests on it.
bool same_claims(const Hello& a, const Hello& b) {
    return a.promoted == b.promoted && a.record == b.record && a.context.current == b.context.current &&
           a.context.base == b.context.base && a.context.flags == b.context.flags;
}

}  // namespace

// ---- coming and going ----

void Mirror::Impl::handle(const LinkUp& event) {
    if (link.up) connection_ended(false);
    link = {};
    link.id = event.connection;
    link.up = true;
    link.since = link.heard = link.pinged = now;
    if (broken || ctx.flags.failed) disconnect("the disk of this side failed", kRefusedBackOff);
}

void Mirror::Impl::handle(const LinkDown& event) {
    if (!link.up || event.connection != link.id) return;
    note("connection lost: " + event.why);
    connection_ended(false);
}

void Mirror::Impl::disconnect(const std::string& why, Duration back_off) {
    if (!link.up) return;
    note("disconnects: " + why);
    out.disconnect = Disconnect{link.id, why, back_off};
    connection_ended(false);
}

void Mirror::Impl::connection_ended(bool peer_left) {
    link.up = link.established = link.sending = false;
    link.decision.reset();
    abort_source();
    target = {};
    drop_waiting_foreign();
    rounds.far_under_way = false;
    log.lost(bits);
    if (promoted()) {
        forget_peer();
        if (mode == Mode::kConnected || mode == Mode::kJoining) stall(peer_left || mode == Mode::kJoining);
        if (mode == Mode::kSyncing) mode = Mode::kSolo;
        if (mode == Mode::kStalled && peer_left) at_once = true;
    }
    pump = true;
    changed();
}

// ---- sending ----

Seq Mirror::Impl::send(Frame frame, Owner owner, size_t index, bool release_payload) {
    frame.seq = ++link.frames << 16U | static_cast<uint64_t>(owner) << kOwnerShift | index;
    if (frame.payload != kNoBuffer) counters.sent_bytes += frame.length;
    const Seq seq = frame.seq;
    out.frames.push_back({std::move(frame), release_payload});
    return seq;
}

void Mirror::Impl::answer(FrameType type, Seq seq, int error) {
    Frame frame{.type = type, .seq = seq};
    frame.error = error;
    out.frames.push_back({std::move(frame), false});
}

void Mirror::Impl::ping() {
    link.pinged = now;
    send({.type = FrameType::kPing});
}

void Mirror::Impl::check_limits() {
    const std::string& peer = settings.peer_name;
    if (now > link.heard + detect()) {
        at_once = promoted();  // it had its time
        return disconnect(peer + " is silent", {});
    }
    if (!link.established && now > link.since + kGreetingLimit) return disconnect("no handshake", kRetryBackOff);
    const auto late = [&](Instant since) { return now > since + kPeerWorkLimit; };
    const Duration write_limit = mode == Mode::kSyncing ? kSyncingWriteLimit : kPeerWorkLimit;
    bool disk = rounds.far_under_way && late(rounds.far_since);
    for (const uint16_t index : active_) {
        disk = disk || (requests[index].far == Request::Far::kSent && now > requests[index].sent + write_limit);
    }
    for (const Copy& copy : copies) disk = disk || (copy.stage == Copy::Stage::kSent && late(copy.sent));
    const bool waits = source.phase == Source::Phase::kAwaitReady || source.phase == Source::Phase::kEnding;
    if (disk || (waits && late(source.phase_since)))
        disconnect("the disk of " + peer + " does not answer", kErrorBackOff);
}

// ---- handshake ----

bool Mirror::Impl::may_greet() const {
    const bool ending = demotion && demotion->step > Demotion::Step::kFlushing;
    return attached && opened && !broken && !ctx.flags.failed && record_known() && !promotion && !ending && !failing &&
           !detaching && !solo && !granting && authority.record.hold != Hold::kBroken;
}

Hello Mirror::Impl::make_hello() const {
    Hello hello;
    hello.context = ctx;
    hello.context.device_identity.clear();
    hello.context.nonce = hello.context.next_nonce = {};
    hello.boot = settings.boot;
    hello.instance = settings.instance;
    hello.promoted = token;
    hello.crashed_primary = crashed_primary && bits.count() > 0;
    hello.dirty_blocks = bits.count();
    hello.version = authority.version;
    hello.record = authority.record;
    return hello;
}

void Mirror::Impl::on_hello(const Frame& frame) {
    if (link.theirs) return disconnect("a second greeting", kErrorBackOff);
    Result<Hello> hello = decode_hello(frame.body);
    if (!hello) return disconnect(hello.error().message, kErrorBackOff);
    if (promoted() && hello->promoted > token && hello->context.mirror == ctx.mirror) {
        halt(settings.peer_name + " is primary under a newer token");
        return;
    }
    link.theirs = std::move(*hello);
}

// Before our verdict leaves, what the answer to it may rest on is durable: the token of the peer, so that no older
// primary is obeyed after a crash; the boot of the peer, so that a restarted driver knows whether the peer has rebooted
// since.
void Mirror::Impl::settle_verdict() {
    if (!link.decision) {
        link.decision = decide(*link.mine, *link.theirs);
        const Outcome outcome = link.decision->outcome;
        const bool joins = outcome == Outcome::kInSync || copies_blocks(outcome);
        const Context before = ctx;
        if (link.theirs->promoted > ctx.highest_token) ctx.highest_token = link.theirs->promoted;
        // Of a first even resync it is told at the end: until then nothing rests on the peer.
        if (joins && promoted() && outcome != Outcome::kEven) ctx.peer_boot = link.theirs->boot;
        if (joins) ctx.peer_last = link.theirs->context.current;
        // The bitmap reaches the peer's generation; counted from there it outlives the history.
        if (promoted() && outcome == Outcome::kCatchUp)
            link.mine->context.base = ctx.base = link.theirs->context.current;
        link.before_verdict = ctx == before ? Barrier{} : meta.persist_context();
        changed();
    }
    if (!link.verdict_sent && meta.reached(link.before_verdict)) {
        if (!same_claims(*link.mine, make_hello())) return disconnect("something changed during the handshake", {});
        Frame frame{.type = FrameType::kVerdict};
        frame.body = encode(*link.decision);
        send(std::move(frame));
        link.verdict_sent = true;
    }
    if (!link.verdict_sent || !link.their_verdict) return;
    HandshakeDecision expected = mirrored(*link.decision);
    expected.sentence = link.their_verdict->sentence;
    if (expected != *link.their_verdict) return disconnect("the two sides decide differently", kRetryBackOff);
    if (!same_claims(*link.mine, make_hello())) return disconnect("something changed during the handshake", {});
    take_up(HandshakeDecision(*link.decision));
    changed();
}

void Mirror::Impl::on_verdict(const Frame& frame) {
    Result<HandshakeDecision> verdict = decode_decision(frame.body);
    if (!verdict) return disconnect(verdict.error().message, kErrorBackOff);
    if (link.their_verdict) return disconnect("a second verdict", kErrorBackOff);
    link.their_verdict = std::move(*verdict);
}

void Mirror::Impl::take_up(const HandshakeDecision& decision) {
    note("handshake with " + settings.peer_name + ": " + decision.sentence);
    problem.clear();
    link.established = true;
    switch (decision.outcome) {
        case Outcome::kRefuse:
        case Outcome::kSplitBrain:
        case Outcome::kUnrelated:
            problem = settings.name + ": " + decision.sentence;
            return disconnect(decision.sentence, kRefusedBackOff);
        case Outcome::kRetry: return disconnect(decision.sentence, kRetryBackOff);
        case Outcome::kIdle: return;
        case Outcome::kSoloFirst:
            if (!promoted()) return;
            at_once = true;
            return disconnect(decision.sentence, kRetryBackOff);
        case Outcome::kInSync:
            if (!ctx.base.none() && bits.count() == 0) {
                ctx.base = {};
                meta.persist_context();
            }
            if (promoted() && mode == Mode::kStalled) enter_connected();
            return;
        case Outcome::kEven:
        case Outcome::kCatchUp:
        case Outcome::kFull:
            if (decision.me == Part::kSource) begin_source(decision.outcome);
            return;
    }
}

// A person's hold, or what an idle connection waits for, has come.
void Mirror::Impl::notice_new_record() {
    const Record& then = link.mine->record;
    const Record& is = authority.record;
    const bool idle_link = link.decision && link.decision->outcome == Outcome::kIdle;
    const bool copying = source.phase != Source::Phase::kOff || target.phase != Target::Phase::kOff;
    if (then.hold != is.hold && (is.hold == Hold::kBroken || idle_link || copying)) {
        at_once = at_once || (promoted() && is.hold == Hold::kBroken);
        return disconnect("a person changed what is held back", {});
    }
    if (!idle_link) return;
    const auto moved = [&](NodeId node) { return then.standing(node) != is.standing(node); };
    if (then.generation == is.generation && !moved(settings.self) && !moved(settings.peer)) return;
    disconnect("the register has changed", {});
}

void Mirror::Impl::settle_link() {
    if (!link.up) return;
    if (record_known() && authority.record.hold == Hold::kBroken && !solo && !granting &&
        (!promoted() || mode == Mode::kSolo || mode == Mode::kHalted)) {
        return disconnect("the mirror is broken by a person", kErrorBackOff);
    }
    if (!link.mine && may_greet()) {
        link.mine = make_hello();
        Frame frame{.type = FrameType::kHello};
        frame.body = encode(*link.mine);
        send(std::move(frame));
    }
    if (link.mine && link.theirs && !link.established) settle_verdict();
    if (link.established && link.mine && record_known()) notice_new_record();
    if (!link.up || now < link.pinged + detect() / 4) return;
    check_limits();
    if (link.up) ping();
}

// ---- frames ----

void Mirror::Impl::handle(const FrameReceived& event) {
    const Frame& frame = event.frame;
    if (!link.up || event.connection != link.id) return release(frame.payload);
    link.heard = now;
    if (frame.payload != kNoBuffer) counters.received_bytes += frame.length;
    switch (frame.type) {
        case FrameType::kWrite:
        case FrameType::kZero:
        case FrameType::kCopy:
        case FrameType::kCopyZero:
        case FrameType::kFlush:
        case FrameType::kResyncEnd:
        case FrameType::kRead: return take_foreign(frame);
        case FrameType::kReadReply: return on_read_reply(frame);
        case FrameType::kHello: return on_hello(frame);
        case FrameType::kVerdict: return on_verdict(frame);
        case FrameType::kAck: return on_ack(frame);
        case FrameType::kResyncBegin: return on_resync_begin(frame);
        case FrameType::kDirty: return on_dirty(frame);
        case FrameType::kResyncReady: return on_resync_ready();
        case FrameType::kCurrent: return on_current(frame);
        case FrameType::kRole: return on_role(frame);
        case FrameType::kPing: return answer(FrameType::kPong, frame.seq);
        case FrameType::kPong: return;
        case FrameType::kGoodbye:
            note(settings.peer_name + " says goodbye: " + std::string(frame.body.begin(), frame.body.end()));
            out.disconnect = Disconnect{link.id, "the peer left", kRetryBackOff};
            return connection_ended(true);
    }
}

// The primary demoted itself, everything flushed on both sides: the copies rest equal.
void Mirror::Impl::on_role(const Frame& frame) {
    if (promoted() || frame.token != Token{} || !link.theirs) {
        return disconnect("a change of roles that cannot be", kRetryBackOff);
    }
    link.theirs->promoted = {};
    note(settings.peer_name + " is not primary any more");
}

void Mirror::Impl::on_ack(const Frame& frame) {
    const auto owner = static_cast<Owner>(frame.seq >> kOwnerShift & 0xfU);
    const auto index = static_cast<size_t>(frame.seq & kIndexMask);
    if (frame.error != 0 && owner != Owner::kNone) {
        at_once = true;
        problem = settings.name + ": the disk of " + settings.peer_name + " failed";
        return disconnect("the disk of " + settings.peer_name + " failed", kRefusedBackOff);
    }
    switch (owner) {
        case Owner::kClient:
            if (index < requests.size()) client_acked(index, frame);
            return;
        case Owner::kCopy:
            if (index < copies.size()) copy_acked(index, frame);
            return;
        case Owner::kFlush:
            if (rounds.far_under_way && rounds.seq == frame.seq) far_round_done();
            return;
        case Owner::kEnd: return source_end_acked(frame);
        case Owner::kDirty:
            if (target.unanswered > 0) --target.unanswered;
            return changed();
        case Owner::kNone:
        case Owner::kForeign:
        case Owner::kPromotion: return;
    }
}

}  // namespace kagami::mirror
