// The vote, rule by rule (protocol.md 10).
#include "cluster-daemon/engine/acceptor.h"

#include <catch2/catch.hpp>

#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

const Timing kTiming = Timing::derive({2s, 5s, 1s, 0s});
const Instant kBooted{1000s};
const Instant kAwake = kBooted + kTiming.grant;  // end of the silence after the start
const Incarnation kLeader{kOne, boot_of(kOne, 1)};
const Incarnation kRival{kTwo, boot_of(kTwo, 1)};

struct Vote {
    Vote()
        : ledger(initial_state(kThree, document_of(3, false))),
          acceptor(ledger, {kThree, boot_of(kThree, 1)}, kBooted, 1) {}
    Answered<AcceptReply> accept(Epoch epoch, uint64_t seq, Instant now, bool stopped = false) {
        Document d = document_of(3, false);
        d.version = {epoch, seq};
        d.leader = {epoch.node(), boot_of(epoch.node(), 1)};
        d.cluster_stopped = stopped;
        return acceptor.on_accept(epoch.node(), {d.version, encode(d), kTiming.digest}, now);
    }
    bool promises(const Incarnation& candidate, uint64_t counter, Instant now, bool hand_over = false) {
        return acceptor.on_prepare(candidate.node, {Epoch::make(counter, candidate.node), candidate, hand_over}, now)
            .reply.promised_it;
    }
    RenewAck renew(Epoch epoch, Instant now) {
        return acceptor.on_renew(epoch.node(), {epoch, 7, kTiming.digest, {}}, now).reply;
    }
    Ledger ledger;
    Acceptor acceptor;
};

const Epoch kFive = Epoch::make(5, kOne);

}  // namespace

TEST_CASE("after a start a voter grants nothing new for T_grant, but acknowledges the present leader") {
    Vote v;
    CHECK_FALSE(v.promises(kRival, 9, kAwake - 1ms));
    CHECK(v.renew(kFive, kBooted + 1ms).acknowledged);
    Vote fresh;
    CHECK(fresh.promises(kRival, 9, kAwake));
}

TEST_CASE("a voter that acknowledged refuses any other candidate for T_grant and says for how long") {
    Vote v;
    REQUIRE(v.accept(kFive, 0, kAwake).reply.accepted);
    const auto answer = v.acceptor.on_prepare(kTwo, {Epoch::make(6, kTwo), kRival, false}, kAwake + 1s).reply;
    CHECK_FALSE(answer.promised_it);
    CHECK(answer.lease_left == kTiming.grant - 1s);
    CHECK(answer.document.empty());
    CHECK_FALSE(v.promises(kRival, 6, kAwake + kTiming.grant - Duration(1)));
    CHECK(v.promises(kRival, 6, kAwake + kTiming.grant));
}

TEST_CASE("a renewal extends the promise") {
    Vote v;
    v.accept(kFive, 0, kAwake);
    v.renew(kFive, kAwake + 1s);
    CHECK_FALSE(v.promises(kRival, 6, kAwake + kTiming.grant));
    CHECK(v.promises(kRival, 6, kAwake + 1s + kTiming.grant));
}

TEST_CASE("the incarnation that holds the promise may prepare at once, another boot of the same node may not") {
    Vote v;
    v.accept(kFive, 0, kAwake);
    CHECK_FALSE(v.promises({kOne, boot_of(kOne, 2)}, 6, kAwake + 1s));
    CHECK(v.promises(kLeader, 6, kAwake + 1s));
}

TEST_CASE("a release by the leader lets the named candidate in, and only it") {
    Vote v;
    v.accept(kFive, 0, kAwake);
    v.acceptor.on_release(kThree, {kFive, kTwo});  // not from the leader
    CHECK_FALSE(v.promises(kRival, 6, kAwake + 1s, true));
    v.acceptor.on_release(kOne, {kFive, kTwo});
    CHECK_FALSE(v.promises({kThree, boot_of(kThree, 1)}, 6, kAwake + 1s, true));
    CHECK_FALSE(v.promises(kRival, 6, kAwake + 1s, false));
    CHECK(v.promises(kRival, 6, kAwake + 1s, true));
}

TEST_CASE("a release is void once another leader was acknowledged") {
    Vote v;
    v.accept(kFive, 0, kAwake);
    v.acceptor.on_release(kOne, {kFive, kTwo});
    REQUIRE(v.accept(Epoch::make(6, kThree), 0, kAwake + 1s).reply.accepted);
    CHECK_FALSE(v.promises(kRival, 7, kAwake + 2s, true));
}

TEST_CASE("a promised epoch never decreases: lower renewals, accepts and prepares are refused") {
    Vote v;
    REQUIRE(v.promises(kRival, 9, kAwake));
    const Epoch nine = Epoch::make(9, kTwo);
    CHECK_FALSE(v.renew(kFive, kAwake + 1s).acknowledged);
    CHECK(v.renew(kFive, kAwake + 1s).promised == nine);
    const auto accept = v.accept(kFive, 0, kAwake + 1s).reply;
    CHECK_FALSE(accept.accepted);
    CHECK(accept.promised == nine);
    CHECK_FALSE(v.promises(kLeader, 8, kAwake + 1s));
}

TEST_CASE("a lost promise is repeated to the same candidate") {
    Vote v;
    REQUIRE(v.promises(kRival, 9, kAwake));
    CHECK(v.promises(kRival, 9, kAwake + 1ms));
    CHECK_FALSE(v.promises({kTwo, boot_of(kTwo, 2)}, 9, kAwake + 2ms));
}

TEST_CASE("an older document never replaces a newer one, the same one is acknowledged again") {
    Vote v;
    REQUIRE(v.accept(kFive, 1, kAwake).reply.accepted);
    CHECK_FALSE(v.accept(kFive, 0, kAwake).reply.accepted);
    CHECK(v.accept(kFive, 1, kAwake).reply.accepted);
    CHECK(v.acceptor.document().version == Version{kFive, 1});
    CHECK(v.renew(kFive, kAwake).newest == Version{kFive, 1});
}

TEST_CASE("answers wait for what must be durable; a renewal waits only when it raises the promise") {
    Vote v;
    v.ledger.on_persisted(v.ledger.take()->serial);  // the nonce of the boot
    const auto accepted = v.accept(kFive, 0, kAwake);
    CHECK(accepted.after_persist == v.ledger.serial());
    v.ledger.on_persisted(v.ledger.take()->serial);
    CHECK(v.acceptor.on_renew(kOne, {kFive, 1, kTiming.digest, {}}, kAwake).after_persist == 0);
    const Epoch six = Epoch::make(6, kTwo);
    const auto raised = v.acceptor.on_renew(kTwo, {six, 1, kTiming.digest, {}}, kAwake);
    CHECK(raised.reply.acknowledged);
    CHECK(raised.after_persist == v.ledger.serial());
    CHECK(v.ledger.take().has_value());
}

TEST_CASE("nothing is acknowledged across different timing") {
    Vote v;
    CHECK_FALSE(v.acceptor.on_renew(kOne, {kFive, 1, Hash{1}, {}}, kAwake).reply.acknowledged);
    Document d = document_of(3, false);
    d.version = {kFive, 0};
    d.leader = kLeader;
    CHECK_FALSE(v.acceptor.on_accept(kOne, {d.version, encode(d), Hash{1}}, kAwake).reply.accepted);
}

TEST_CASE(
    "new timing comes with the document; a shorter one does not shorten what was promised, across a restart too") {
    Vote v;
    Document d = document_of(3, false);
    d.version = {kFive, 0};
    d.leader = kLeader;
    d.timing.hold = 200ms;
    const Timing shorter = Timing::derive(d.timing);
    v.renew(kFive, kAwake);
    REQUIRE(v.acceptor.on_accept(kOne, {d.version, encode(d), shorter.digest}, kAwake + 1ms).reply.accepted);
    CHECK(v.acceptor.timing().digest == shorter.digest);
    CHECK_FALSE(v.promises(kRival, 6, kAwake + 1s));
    Ledger again(v.ledger.state());
    Acceptor restarted(again, {kThree, boot_of(kThree, 1)}, kAwake + 10ms, 1);
    CHECK(restarted.willing_at(kRival, false) >= kAwake + kTiming.grant);
}

TEST_CASE("what is not genuine is refused: a foreign cluster, another sender, another version, damaged bytes") {
    Vote v;
    Document d = document_of(3, false);
    d.version = {kFive, 0};
    d.leader = kLeader;
    const Bytes good = encode(d);
    CHECK_FALSE(v.acceptor.on_accept(kTwo, {d.version, good, kTiming.digest}, kAwake).reply.accepted);
    CHECK_FALSE(v.acceptor.on_accept(kOne, {{kFive, 1}, good, kTiming.digest}, kAwake).reply.accepted);
    CHECK_FALSE(v.acceptor.on_accept(kOne, {d.version, Bytes(10), kTiming.digest}, kAwake).reply.accepted);
    d.cluster = Uuid{9};
    CHECK_FALSE(v.acceptor.on_accept(kOne, {d.version, encode(d), kTiming.digest}, kAwake).reply.accepted);
    CHECK_FALSE(v.acceptor.on_prepare(kTwo, {Epoch::make(9, kOne), kLeader, false}, kAwake).reply.promised_it);
    CHECK(v.accept(kFive, 0, kAwake).reply.accepted);
}

TEST_CASE("PreVote answers as PREPARE would, and changes nothing") {
    Vote v;
    v.accept(kFive, 0, kAwake);
    const auto refused = v.acceptor.on_pre_vote(kTwo, {Epoch::make(6, kTwo), kRival, false}, kAwake + 1s);
    CHECK_FALSE(refused.granted);
    CHECK(refused.lease_left == kTiming.grant - 1s);
    CHECK(v.acceptor.on_pre_vote(kTwo, {Epoch::make(6, kTwo), kRival, false}, kAwake + kTiming.grant).granted);
    CHECK_FALSE(v.acceptor.on_pre_vote(kTwo, {Epoch::make(4, kTwo), kRival, false}, kAwake + kTiming.grant).granted);
    CHECK(v.acceptor.promised() == kFive);
}

TEST_CASE("each boot announces a new nonce, which becomes the voter's once it is chosen") {
    Vote v;
    const Nonce next = v.acceptor.next_nonce();
    REQUIRE(next != Nonce{});
    Document d = document_of(3, false);
    d.version = {kFive, 0};
    d.leader = kLeader;
    d.voters[2].next_nonce = next;
    REQUIRE(v.acceptor.on_accept(kOne, {d.version, encode(d), kTiming.digest}, kAwake).reply.accepted);
    CHECK(v.acceptor.nonce() == Nonce{});  // accepted is not chosen
    CHECK(counts_for(d, v.acceptor.id(), v.acceptor.nonce()));
    v.acceptor.on_renew(kOne, {kFive, 1, kTiming.digest, d.version}, kAwake);
    CHECK(v.acceptor.nonce() == next);
    CHECK(counts_for(d, v.acceptor.id(), v.acceptor.nonce()));
    CHECK_FALSE(counts_for(d, v.acceptor.id(), Nonce{4711}));
    CHECK_FALSE(counts_for(d, {kThree, 1}, next));
}

TEST_CASE("a copy of an accept that another node relays is stored, but promises nothing") {
    Vote v;
    Document d = document_of(3, false);
    d.version = {kFive, 3};
    d.leader = kLeader;
    v.acceptor.on_document({encode(d)}, kAwake);
    CHECK(v.acceptor.document() == d);
    CHECK(v.acceptor.promised() == kFive);
    CHECK(v.promises(kRival, 6, kAwake));
    d.version = {Epoch::make(2, kOne), 9};
    v.acceptor.on_document({encode(d)}, kAwake);
    CHECK(v.acceptor.document().version == Version{kFive, 3});
}

TEST_CASE("another document under an accepted version is refused, whoever brings it") {
    Vote v;
    REQUIRE(v.accept(kFive, 1, kAwake).reply.accepted);
    const Document before = v.acceptor.document();
    CHECK_FALSE(v.accept(kFive, 1, kAwake, true).reply.accepted);
    Document d = before;
    d.cluster_stopped = true;
    v.acceptor.on_document({encode(d)}, kAwake);
    CHECK(v.acceptor.document() == before);
    CHECK(v.accept(kFive, 1, kAwake).reply.accepted);
}

TEST_CASE("nobody brings a leader documents of its own epoch") {
    Vote v;
    Document d = document_of(3, false);
    d.version = {Epoch::make(5, kThree), 0};
    d.leader = {kThree, boot_of(kThree, 1)};
    REQUIRE(v.acceptor.accept_own(d, encode(d), kAwake));
    d.version.seq = 7;
    v.acceptor.on_document({encode(d)}, kAwake);
    CHECK(v.acceptor.document().version.seq == 0);
    d.version.epoch = Epoch::make(6, kTwo);
    v.acceptor.on_document({encode(d)}, kAwake);
    CHECK(v.acceptor.document().version == d.version);
}
