// The reconnect decision (mirror.md 6): one total, pure function of what both sides have said. Both sides compute it and
// compare before either acts; mirrored(decide(a, b)) == decide(b, a).
#pragma once

#include <string>

#include "mirror-driver/engine/frames.h"

namespace kagami::mirror {

enum class Outcome : uint8_t {
    kRefuse,      // not the same mirror, or not the same size: no connection; the sentence names what differs
    kRetry,       // the two rest on different documents, or the ids changed: again after a moment
    kInSync,      // nothing to copy
    kIdle,        // stay connected, copy nothing: no primary, or a hold, or the register names no source yet
    kEven,        // both are current: copy the in-doubt blocks from the primary; the target stays current
    kCatchUp,     // bitmap resync: the target is inconsistent until its end
    kFull,        // full copy: the target is inconsistent until its end
    kSoloFirst,   // the primary's peer has been away for a boot: the primary needs a solo grant before it may resync
    kSplitBrain,  // both wrote alone: a person decides
    kUnrelated,   // no common ancestor: a person decides
};
enum class Part : uint8_t { kNone, kSource, kTarget };

struct HandshakeDecision {
    Outcome outcome = Outcome::kRefuse;
    Part me = Part::kNone;
    uint8_t rule = 0;      // row of mirror.md 6 that matched first; 14 = a veto behind the table
    std::string sentence;  // for a person
    bool operator==(const HandshakeDecision&) const = default;
};

// `mine.record` and `theirs.record` come from the register; a decision rests on the newer of the two, and is kRetry
// where the older side would decide otherwise.
HandshakeDecision decide(const Hello& mine, const Hello& theirs);
HandshakeDecision mirrored(const HandshakeDecision& decision);  // as the peer must see it (sentence left empty)

Bytes encode(const HandshakeDecision& decision);
Result<HandshakeDecision> decode_decision(std::span<const uint8_t> body);

}  // namespace kagami::mirror
