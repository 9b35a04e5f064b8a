#include "mirror-driver/engine/handshake.h"

#include <algorithm>

namespace kagami::mirror {
namespace {

constexpr uint32_t kMaxSentenceBytes = 1024;
constexpr uint8_t kLastRule = 14;  // 14: a veto behind the table
constexpr uint8_t kVeto = 14;

std::string name(const Hello& side) {
    return to_string(side.context.self);
}

HandshakeDecision decision(Outcome outcome, Part me, uint8_t rule, std::string sentence) {
    return {outcome, me, rule, std::move(sentence)};
}
HandshakeDecision alike(Outcome outcome, uint8_t rule, std::string sentence) {
    return decision(outcome, Part::kNone, rule, std::move(sentence));
}

bool in_history(const Generation& generation, const Context& of) {
    return !generation.none() && std::any_of(of.history.begin(), of.history.end(),
                                             [&](const Ancestor& each) { return each.generation == generation; });
}

// The bitmap of `of` counts from its base: does it name every block in which a copy of `generation` may differ? History
// is newest first, so what stands before the base is younger than it.
bool bitmap_reaches(const Context& of, const Generation& generation) {
    if (generation.none()) return false;
    if (generation == of.current || generation == of.base) return true;
    for (const Ancestor& each : of.history) {
        if (each.generation == of.base) return false;
        if (each.generation == generation) return !of.base.none();
    }
    return false;
}

bool whole(const Flags& flags) {
    return flags.constructed && !flags.inconsistent && !flags.full_sync && !flags.suspect;
}

// ---- one side is the only current one ----

// Source and target are settled by the register; how much must be copied is left.
HandshakeDecision extent_of_copy(const Hello& source, const Hello& target, Standing standing, Part me) {
    const Context& s = source.context;
    const Context& t = target.context;
    const auto copy = [&](Outcome outcome, uint8_t rule, const std::string& why) {
        const char* how = outcome == Outcome::kFull ? ": full copy to it" : ": its blocks are brought up to date";
        return decision(outcome, me, rule, name(target) + "'s copy " + why + how);
    };
    if (standing == Standing::kSuspect) return copy(Outcome::kFull, 1, "is not known to the register, or failed");
    if (standing == Standing::kUnbuilt || !t.flags.constructed) return copy(Outcome::kFull, 3, "is new");
    if (t.flags.full_sync || t.flags.suspect) return copy(Outcome::kFull, 1, "waits for a full copy");
    if (s.current == t.current) return copy(Outcome::kCatchUp, t.flags.inconsistent ? 8 : 4, "is stale");
    if (bitmap_reaches(s, t.current)) return copy(Outcome::kCatchUp, 9, "is stale");
    if (in_history(t.current, s)) return copy(Outcome::kFull, 10, "is older than the bitmap");
    const Generation& eldest = s.history.back().generation;
    if (!eldest.none() && t.current.counter < eldest.counter)
        return copy(Outcome::kFull, 10, "is older than the history");
    const auto person = [&](Outcome outcome, uint8_t rule, const std::string& why) {
        return alike(outcome, rule,
                     name(source) + " and " + name(target) + why + ": a person must say which copy to keep");
    };
    if (in_history(s.current, t))
        return person(Outcome::kSplitBrain, 10, " disagree with the register about who is newer");
    if (!s.base.none() && s.base == t.base) return person(Outcome::kSplitBrain, 11, " have both written alone");
    const bool kin = std::any_of(s.history.begin(), s.history.end(),
                                 [&](const Ancestor& each) { return in_history(each.generation, t); });
    if (kin) return person(Outcome::kSplitBrain, 12, " have both written alone, without a bitmap in common");
    return person(Outcome::kUnrelated, 13, " hold unrelated data");
}

HandshakeDecision one_current(const Record& record, const Hello& source, const Hello& target, Part me) {
    if (source.context.current != record.generation) {
        return alike(Outcome::kRetry, kVeto, name(source) + " has yet to take over the register's generation");
    }
    if (target.promoted > Token{}) return alike(Outcome::kRetry, kVeto, name(target) + " is primary and not current");
    if (target.context.flags.failed) return alike(Outcome::kIdle, kVeto, name(target) + "'s disk failed");
    const Standing standing = record.standing(target.context.self);
    HandshakeDecision copy = extent_of_copy(source, target, standing, me);
    if (copy.me == Part::kNone) return copy;
    if (!whole(source.context.flags)) {
        return alike(Outcome::kIdle, kVeto, name(source) + "'s copy is the register's current one and is not whole");
    }
    if (source.promoted == Token{})
        return alike(Outcome::kIdle, copy.rule, copy.sentence + " once the mirror is active");
    if (record.hold != Hold::kNone)
        return alike(Outcome::kIdle, copy.rule, copy.sentence + " once a person resumes it");
    return copy;
}

// ---- both are current ----

uint8_t rule_of_equals(const Hello& a, const Hello& b) {
    if (a.crashed_primary != b.crashed_primary) return 5;
    if (a.crashed_primary) return 6;
    return a.dirty_blocks + b.dirty_blocks == 0 ? 7 : 8;
}

HandshakeDecision with_primary(const Record& record, const Hello& primary, const Hello& other, Part me, uint8_t rule) {
    const BootId& known = primary.context.peer_boot;
    if (known != BootId{} && known != other.boot) {
        return decision(Outcome::kSoloFirst, me, rule,
                        name(other) + " has rebooted and may lack what it had not flushed");
    }
    if (!whole(other.context.flags)) {
        return decision(Outcome::kSoloFirst, me, rule, name(other) + "'s copy is not whole");
    }
    if (primary.dirty_blocks + other.dirty_blocks == 0) {
        return decision(Outcome::kInSync, me, rule, "both copies are equal");
    }
    if (record.hold != Hold::kNone) {
        return decision(Outcome::kSoloFirst, me, rule, "blocks are in doubt, and a person holds back resyncs");
    }
    return decision(Outcome::kEven, me, rule,
                    "both copies are current: blocks in doubt are copied from " + name(primary));
}

HandshakeDecision both_current(const Record& record, const Hello& mine, const Hello& theirs) {
    if (mine.context.current != theirs.context.current || mine.context.current != record.generation) {
        return alike(Outcome::kRetry, kVeto, "a side has yet to take over the register's generation");
    }
    const uint8_t rule = rule_of_equals(mine, theirs);
    const bool i_am = mine.promoted > Token{};
    const bool it_is = theirs.promoted > Token{};
    if (i_am || it_is) {
        const Hello& primary = i_am ? mine : theirs;
        if (!whole(primary.context.flags))
            return alike(Outcome::kIdle, kVeto, name(primary) + " is primary and not whole");
        return with_primary(record, primary, i_am ? theirs : mine, i_am ? Part::kSource : Part::kTarget, rule);
    }
    const bool clean =
        mine.dirty_blocks + theirs.dirty_blocks == 0 && whole(mine.context.flags) && whole(theirs.context.flags);
    if (clean && rule == 7) return alike(Outcome::kInSync, rule, "both copies are equal");
    return alike(Outcome::kIdle, rule, "blocks are in doubt: copied once the mirror is active");
}

// ---- both ----

HandshakeDecision by_record(const Record& record, const Hello& mine, const Hello& theirs) {
    if (record.uuid == Uuid{}) return alike(Outcome::kRetry, 0, "the register has not told of this mirror yet");
    if (record.uuid != mine.context.mirror) {
        return alike(Outcome::kRefuse, 0, "the register's mirror of that name is another one than the metadata's");
    }
    if (record.hold == Hold::kBroken) return alike(Outcome::kIdle, 0, "the mirror is broken by a person");
    if (record.generation.none()) return alike(Outcome::kIdle, 2, "the mirror has not been constructed");
    const bool i_am = record.standing(mine.context.self) == Standing::kCurrent;
    const bool it_is = record.standing(theirs.context.self) == Standing::kCurrent;
    if (i_am && it_is) return both_current(record, mine, theirs);
    if (i_am) return one_current(record, mine, theirs, Part::kSource);
    if (it_is) return one_current(record, theirs, mine, Part::kTarget);
    return alike(Outcome::kIdle, 1, "the register names no current copy: a person must say which one to use");
}

std::string difference(const Context& mine, const Context& theirs) {
    if (mine.cluster != theirs.cluster) return "the peer's metadata belong to another cluster";
    if (mine.mirror != theirs.mirror) return "the peer's metadata belong to another mirror";
    if (mine.self != theirs.peer || mine.peer != theirs.self) return "the peer's metadata were made for other nodes";
    if (mine.size_bytes != theirs.size_bytes) {
        const uint64_t less = std::min(mine.size_bytes, theirs.size_bytes);
        const uint64_t more = std::max(mine.size_bytes, theirs.size_bytes);
        return "the disks differ in size: " + std::to_string(less) + " and " + std::to_string(more) + " bytes";
    }
    return {};
}

bool alike_but_for_words(HandshakeDecision a, HandshakeDecision b) {
    a.sentence.clear();
    b.sentence.clear();
    return a == b;
}

}  // namespace

HandshakeDecision decide(const Hello& mine, const Hello& theirs) {
    if (const std::string differs = difference(mine.context, theirs.context); !differs.empty()) {
        return alike(Outcome::kRefuse, 0, differs);
    }
    if (mine.promoted > Token{} && theirs.promoted > Token{}) {
        return alike(Outcome::kRetry, 0, "both sides say that they are primary: the older token must give way");
    }
    const bool newer = mine.version > theirs.version;
    HandshakeDecision last = by_record(newer ? mine.record : theirs.record, mine, theirs);
    const HandshakeDecision before = by_record(newer ? theirs.record : mine.record, mine, theirs);
    if (!alike_but_for_words(last, before)) {
        return alike(Outcome::kRetry, 0, "one side has an older document of the register");
    }
    return last;
}

HandshakeDecision mirrored(const HandshakeDecision& decision) {
    HandshakeDecision seen = decision;
    seen.sentence.clear();
    if (decision.me == Part::kSource) seen.me = Part::kTarget;
    if (decision.me == Part::kTarget) seen.me = Part::kSource;
    return seen;
}

Bytes encode(const HandshakeDecision& decision) {
    ByteWriter out;
    out.u8(static_cast<uint8_t>(decision.outcome));
    out.u8(static_cast<uint8_t>(decision.me));
    out.u8(decision.rule);
    out.string(std::string_view(decision.sentence).substr(0, kMaxSentenceBytes));
    return out.take();
}

Result<HandshakeDecision> decode_decision(std::span<const uint8_t> body) {
    ByteReader in(body);
    const uint8_t outcome = in.u8();
    const uint8_t part = in.u8();
    const uint8_t rule = in.u8();
    std::string sentence = in.string(kMaxSentenceBytes);
    const bool known = outcome <= static_cast<uint8_t>(Outcome::kUnrelated) &&
                       part <= static_cast<uint8_t>(Part::kTarget) && rule <= kLastRule;
    if (!in.finished() || !known) return fail("the peer sent a handshake verdict that is not valid");
    return HandshakeDecision{static_cast<Outcome>(outcome), static_cast<Part>(part), rule, std::move(sentence)};
}

}  // namespace kagami::mirror
