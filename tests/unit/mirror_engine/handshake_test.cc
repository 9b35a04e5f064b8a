// The reconnect table (mirror.md 6): a case per row, and every combination of what it looks at.
#include <catch2/catch.hpp>

#include <functional>

#include "mirror-driver/engine/handshake.h"

using namespace kagami;
using namespace kagami::mirror;

namespace {

Generation generation(uint8_t n) {
    return {n, Uuid{n}};
}
const Token kToken{Epoch::make(3, NodeId{1}), 5};

// Two sides that agree on everything: constructed, current, generation 3, node 1 primary.
struct Pair {
    Hello a;
    Hello b;
    Pair() {
        Record record;
        record.uuid = Uuid{2};
        record.generation = generation(3);
        for (auto* side : {&a, &b}) {
            const bool first = side == &a;
            side->context.cluster = Uuid{1};
            side->context.mirror = Uuid{2};
            side->context.self = NodeId{static_cast<uint16_t>(first ? 1 : 2)};
            side->context.peer = NodeId{static_cast<uint16_t>(first ? 2 : 1)};
            side->context.size_bytes = uint64_t{64} << 20U;
            side->context.current = generation(3);
            side->context.flags.constructed = true;
            side->boot = Uuid{static_cast<uint8_t>(first ? 10 : 20)};
            side->version = {Epoch::make(2, NodeId{1}), 9};
            record.replicas[side->context.self].standing = Standing::kCurrent;
        }
        a.promoted = kToken;
        in_both([&](Record& each) { each = record; });
    }
    void in_both(const std::function<void(Record&)>& change) {
        change(a.record);
        change(b.record);
    }
    void standing_of_b(Standing standing) {
        in_both([&](Record& record) { record.replicas[NodeId{2}].standing = standing; });
    }
    void hold(Hold held) {
        in_both([&](Record& record) { record.hold = held; });
    }
};

void older(Hello& side) {  // went away in generation 2; the primary has gone on alone in 3
    side.context.current = generation(2);
}
void alone_since_2(Hello& side) {
    side.context.base = generation(2);
    side.context.history[0] = {generation(2), Cause::kSolo};
    side.dirty_blocks = 7;
}

struct Seen {
    Outcome outcome;
    Part me;
    int rule;
};
Seen decided(const Pair& pair) {
    const HandshakeDecision mine = decide(pair.a, pair.b);
    const HandshakeDecision theirs = decide(pair.b, pair.a);
    HandshakeDecision expected = mirrored(mine);
    expected.sentence = theirs.sentence;
    REQUIRE(expected == theirs);
    REQUIRE_FALSE(mine.sentence.empty());
    return {mine.outcome, mine.me, mine.rule};
}
void expect(const Pair& pair, Outcome outcome, Part me, int rule) {
    const Seen seen = decided(pair);
    CHECK(static_cast<int>(seen.outcome) == static_cast<int>(outcome));
    CHECK(static_cast<int>(seen.me) == static_cast<int>(me));
    CHECK(seen.rule == rule);
}

}  // namespace

TEST_CASE("row 0: another cluster, mirror, pair of nodes or size is refused") {
    const std::vector<std::function<void(Hello&)>> changes = {
        [](Hello& side) { side.context.cluster = Uuid{9}; },         [](Hello& side) { side.context.mirror = Uuid{9}; },
        [](Hello& side) { side.context.self = NodeId{3}; },          [](Hello& side) { side.context.peer = NodeId{3}; },
        [](Hello& side) { side.context.size_bytes += kBlockBytes; },
    };
    for (const auto& change : changes) {
        Pair pair;
        change(pair.b);
        expect(pair, Outcome::kRefuse, Part::kNone, 0);
    }
}

TEST_CASE("row 0: metadata of another mirror than the register's are refused") {
    Pair pair;
    pair.in_both([](Record& record) { record.uuid = Uuid{9}; });
    expect(pair, Outcome::kRefuse, Part::kNone, 0);
}

TEST_CASE("row 0: two primaries retry until the older one has given way") {
    Pair pair;
    pair.b.promoted = kToken;
    expect(pair, Outcome::kRetry, Part::kNone, 0);
}

TEST_CASE("row 0: sides whose documents lead to different decisions retry") {
    Pair pair;
    pair.a.version.seq += 1;
    pair.a.record.replicas[NodeId{2}].standing = Standing::kStale;
    expect(pair, Outcome::kRetry, Part::kNone, 0);
}

TEST_CASE("documents of different age that lead to the same decision are no obstacle") {
    Pair pair;
    pair.a.version.seq += 1;
    pair.a.record.replicas[NodeId{2}].next_nonce = Nonce{4};
    expect(pair, Outcome::kInSync, Part::kSource, 7);
}

TEST_CASE("row 0: nothing is decided before the register has told of the mirror") {
    Pair pair;
    pair.in_both([](Record& record) { record = {}; });
    expect(pair, Outcome::kRetry, Part::kNone, 0);
}

TEST_CASE("row 1: a suspect copy gets a full copy even if its generation is the current one") {
    Pair pair;
    pair.standing_of_b(Standing::kSuspect);
    expect(pair, Outcome::kFull, Part::kSource, 1);
}

TEST_CASE("row 1: two suspect copies wait for a person") {
    Pair pair;
    pair.in_both([](Record& record) {
        for (auto& [node, replica] : record.replicas) replica.standing = Standing::kSuspect;
    });
    expect(pair, Outcome::kIdle, Part::kNone, 1);
}

TEST_CASE("row 1: a copy that waits for a full copy is not brought back by a bitmap") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.b.context.flags.full_sync = true;
    expect(pair, Outcome::kFull, Part::kSource, 1);
}

TEST_CASE("row 2: a mirror that was never constructed waits for its construction") {
    Pair pair;
    pair.in_both([](Record& record) {
        record.generation = {};
        for (auto& [node, replica] : record.replicas) replica.standing = Standing::kUnbuilt;
    });
    pair.a.context.flags.constructed = pair.b.context.flags.constructed = false;
    pair.a.promoted = {};
    expect(pair, Outcome::kIdle, Part::kNone, 2);
}

TEST_CASE("row 3: only one new: full copy to it") {
    Pair pair;
    pair.standing_of_b(Standing::kUnbuilt);
    pair.b.context.flags.constructed = false;
    pair.b.context.current = {};
    expect(pair, Outcome::kFull, Part::kSource, 3);
}

TEST_CASE("row 4: a target that had finished and was not added any more catches up in the old direction") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    expect(pair, Outcome::kCatchUp, Part::kSource, 4);
}

TEST_CASE("row 5: exactly one crashed primary: what is in doubt comes from the primary of now") {
    Pair pair;
    pair.a.promoted = {};
    pair.b.promoted = kToken;
    pair.a.crashed_primary = true;
    pair.a.dirty_blocks = 1024;
    expect(pair, Outcome::kEven, Part::kTarget, 5);
}

TEST_CASE("row 6: both crashed as primary: what is in doubt comes from the primary of now") {
    Pair pair;
    pair.a.crashed_primary = pair.b.crashed_primary = true;
    pair.a.dirty_blocks = pair.b.dirty_blocks = 1024;
    expect(pair, Outcome::kEven, Part::kSource, 6);
}

TEST_CASE("row 7: equal generations, clean, no bits: in sync, with a primary and without") {
    Pair pair;
    expect(pair, Outcome::kInSync, Part::kSource, 7);
    pair.a.promoted = {};
    expect(pair, Outcome::kInSync, Part::kNone, 7);
}

TEST_CASE("row 8: bits that remain anywhere are copied, never cleared") {
    Pair pair;
    pair.b.dirty_blocks = 1;
    expect(pair, Outcome::kEven, Part::kSource, 8);
    pair.a.promoted = {};
    expect(pair, Outcome::kIdle, Part::kNone, 8);
}

TEST_CASE("row 8: an unfinished catch-up goes on") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    pair.b.context.flags.inconsistent = true;
    pair.b.context.aim = generation(3);
    expect(pair, Outcome::kCatchUp, Part::kSource, 8);
}

TEST_CASE("row 9: the target's generation is the source's base: bitmap resync") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    older(pair.b);
    expect(pair, Outcome::kCatchUp, Part::kSource, 9);
}

TEST_CASE("row 9: a generation between the base and now is reached by the bitmap as well") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.a.context.base = generation(1);
    pair.a.context.history[0] = {generation(2), Cause::kSolo};
    pair.a.context.history[1] = {generation(1), Cause::kSolo};
    older(pair.b);
    expect(pair, Outcome::kCatchUp, Part::kSource, 9);
}

TEST_CASE("row 10: a generation older than the bitmap gets a full copy") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.a.context.base = generation(2);
    pair.a.context.history[0] = {generation(2), Cause::kSolo};
    pair.a.context.history[1] = {generation(1), Cause::kSolo};
    pair.b.context.current = generation(1);
    expect(pair, Outcome::kFull, Part::kSource, 10);
}

TEST_CASE("row 10: a generation that has dropped out of a full history gets a full copy") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.in_both([](Record& record) { record.generation = generation(20); });
    pair.a.context.current = generation(20);
    pair.a.context.base = generation(2);
    for (uint8_t i = 0; i < 8; ++i)
        pair.a.context.history[i] = {generation(static_cast<uint8_t>(19 - i)), Cause::kSolo};
    pair.b.context.current = generation(5);
    expect(pair, Outcome::kFull, Part::kSource, 10);
}

TEST_CASE("row 10: a target that is ahead of what the register calls current waits for a person") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.b.context.current = generation(4);
    pair.b.context.history[0] = {generation(3), Cause::kForce};
    expect(pair, Outcome::kSplitBrain, Part::kNone, 10);
}

TEST_CASE("row 11: the same base on both sides and different generations: split brain") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    pair.b.context.current = generation(9);
    pair.b.context.base = generation(2);
    expect(pair, Outcome::kSplitBrain, Part::kNone, 11);
}

TEST_CASE("row 12: a common ancestor without a usable bitmap: split brain") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    pair.b.context.current = generation(9);
    pair.b.context.history[0] = {generation(2), Cause::kForce};
    expect(pair, Outcome::kSplitBrain, Part::kNone, 12);
}

TEST_CASE("row 13: no common ancestor: never automatic") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    pair.b.context.current = generation(9);
    expect(pair, Outcome::kUnrelated, Part::kNone, 13);
}

TEST_CASE("a live primary whose peer has rebooted goes alone first") {
    Pair pair;
    pair.a.context.peer_boot = Uuid{21};
    expect(pair, Outcome::kSoloFirst, Part::kSource, 7);
    pair.a.context.peer_boot = pair.b.boot;
    expect(pair, Outcome::kInSync, Part::kSource, 7);
}

TEST_CASE("a current copy that is not whole is never connected as it is") {
    Pair pair;
    pair.b.context.flags.inconsistent = true;
    expect(pair, Outcome::kSoloFirst, Part::kSource, 7);
}

TEST_CASE("no resync starts without a primary, or against a hold") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    alone_since_2(pair.a);
    older(pair.b);
    pair.a.promoted = {};
    expect(pair, Outcome::kIdle, Part::kNone, 9);
    pair.a.promoted = kToken;
    pair.hold(Hold::kCancelled);
    expect(pair, Outcome::kIdle, Part::kNone, 9);
    pair.hold(Hold::kBroken);
    expect(pair, Outcome::kIdle, Part::kNone, 0);
}

TEST_CASE("a hold does not part copies that are equal, but keeps those in doubt from being made equal") {
    Pair pair;
    pair.hold(Hold::kCancelled);
    expect(pair, Outcome::kInSync, Part::kSource, 7);
    pair.a.dirty_blocks = 3;
    expect(pair, Outcome::kSoloFirst, Part::kSource, 8);
}

TEST_CASE("a source that is not whole, or whose target's disk failed, copies nothing") {
    Pair pair;
    pair.standing_of_b(Standing::kStale);
    pair.a.context.flags.full_sync = true;
    expect(pair, Outcome::kIdle, Part::kNone, 14);
    pair.a.context.flags.full_sync = false;
    pair.b.context.flags.failed = true;
    expect(pair, Outcome::kIdle, Part::kNone, 14);
}

TEST_CASE("whoever has not written the register's generation yet is waited for") {
    Pair pair;
    pair.in_both([](Record& record) { record.generation = generation(4); });
    expect(pair, Outcome::kRetry, Part::kNone, 14);
    pair.standing_of_b(Standing::kStale);
    expect(pair, Outcome::kRetry, Part::kNone, 14);
}

// ---- every combination ----

namespace {

struct Side {  // what the table looks at, of one side
    Standing standing;
    bool promoted;
    int lineage;
    int flags;
    int doubt;
    bool peer_rebooted;
};

std::vector<Side> sides() {
    std::vector<Side> all;
    for (const Standing standing : {Standing::kUnbuilt, Standing::kCurrent, Standing::kStale, Standing::kSuspect}) {
        for (int rest = 0; rest < 2 * 5 * 4 * 3 * 2; ++rest) {
            all.push_back({standing, rest % 2 == 1, rest / 2 % 5, rest / 10 % 4, rest / 40 % 3, rest / 120 % 2 == 1});
        }
    }
    return all;
}

void put(const Side& side, Hello& hello, Record& record) {
    Context& context = hello.context;
    record.replicas[context.self].standing = side.standing;
    hello.promoted = side.promoted ? kToken : Token{};
    context.base = {};
    context.history = {};
    context.current = generation(3);
    if (side.lineage == 1) context.current = generation(2);
    if (side.lineage == 2) context.base = generation(2);
    if (side.lineage >= 2) context.history[0] = {generation(2), Cause::kSolo};
    if (side.lineage == 3) context.current = generation(9);
    if (side.lineage == 4) context.current = {};
    context.flags = {};
    context.flags.constructed = side.flags != 3;
    context.flags.inconsistent = side.flags == 1;
    context.flags.full_sync = side.flags == 2;
    hello.dirty_blocks = side.doubt == 0 ? 0 : 5;
    hello.crashed_primary = side.doubt == 2;
    context.peer_boot = side.peer_rebooted ? Uuid{99} : Uuid{};
}

bool is_whole(const Hello& hello) {
    const Flags& flags = hello.context.flags;
    return flags.constructed && !flags.inconsistent && !flags.full_sync && !flags.suspect;
}

const char* wrong(const Hello& mine, const Hello& theirs, const HandshakeDecision& mine_says,
                  const HandshakeDecision& their_says) {
    HandshakeDecision expected = mirrored(mine_says);
    expected.sentence = their_says.sentence;
    if (!(expected == their_says)) return "the two sides differ";
    const Outcome outcome = mine_says.outcome;
    const bool copies = outcome == Outcome::kEven || outcome == Outcome::kCatchUp || outcome == Outcome::kFull;
    if (!copies && outcome != Outcome::kInSync) return nullptr;
    if (mine_says.me == Part::kNone) return copies ? "a copy without a direction" : nullptr;
    const Hello& source = mine_says.me == Part::kSource ? mine : theirs;
    const Hello& target = mine_says.me == Part::kSource ? theirs : mine;
    const Record& record = mine.record;
    if (record.standing(source.context.self) != Standing::kCurrent) return "the source is not current";
    if (source.promoted == Token{} || target.promoted > Token{}) return "the source is not the one primary";
    if (!is_whole(source)) return "the source is not whole";
    if (source.context.current != record.generation) return "the source is not of the register's generation";
    const Standing standing = record.standing(target.context.self);
    const bool even = outcome == Outcome::kEven || outcome == Outcome::kInSync;
    if (even != (standing == Standing::kCurrent)) return "only a current target stays current";
    if (even && (!is_whole(target) || target.context.current != source.context.current))
        return "unequal copies are joined";
    if (even && source.context.peer_boot != BootId{}) return "a rebooted peer is joined without a grant";
    if (outcome == Outcome::kInSync && source.dirty_blocks + target.dirty_blocks > 0) return "bits are forgotten";
    if (outcome == Outcome::kCatchUp && standing != Standing::kStale) return "a bitmap for a copy that needs all";
    if (outcome == Outcome::kCatchUp && target.context.flags.full_sync) return "a bitmap for a copy that waits for all";
    if (copies && record.hold != Hold::kNone) return "copies against a hold";
    return nullptr;
}

}  // namespace

TEST_CASE("the table is total, both sides see the same, and nothing unsafe is decided, whatever is combined") {
    const std::vector<Side> all = sides();
    size_t combinations = 0;
    Pair pair;
    for (const Hold hold : {Hold::kNone, Hold::kCancelled}) {
        for (size_t i = 0; i < all.size(); ++i) {
            for (size_t j = i % 3; j < all.size(); j += hold == Hold::kNone ? 1 : 3) {
                Record record = pair.a.record;
                record.hold = hold;
                put(all[i], pair.a, record);
                put(all[j], pair.b, record);
                pair.a.record = pair.b.record = record;
                const char* why = wrong(pair.a, pair.b, decide(pair.a, pair.b), decide(pair.b, pair.a));
                ++combinations;
                if (why == nullptr) continue;
                CAPTURE(i, j, static_cast<int>(hold));
                FAIL(why);
            }
        }
    }
    CHECK(combinations > 500000);
}

// ---- words on the wire ----

TEST_CASE("a verdict survives the wire") {
    const HandshakeDecision decision{Outcome::kCatchUp, Part::kTarget, 9, "node 2's copy is stale"};
    const auto read = decode_decision(encode(decision));
    REQUIRE(read);
    CHECK(*read == decision);
}

TEST_CASE("a verdict that is cut, too long or out of range is refused") {
    const Bytes good = encode(HandshakeDecision{Outcome::kFull, Part::kSource, 3, "new"});
    for (size_t length = 0; length < good.size(); ++length) CHECK_FALSE(decode_decision(std::span(good).first(length)));
    for (size_t at = 0; at < 3; ++at) {
        Bytes bad = good;
        bad[at] = 200;
        CHECK_FALSE(decode_decision(bad));
    }
    Bytes longer = good;
    longer.push_back(0);
    CHECK_FALSE(decode_decision(longer));
}
