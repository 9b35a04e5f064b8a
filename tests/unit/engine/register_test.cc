// The register of a few nodes, message by message: elections, leases, restarts, hand-over, voters.
#include <catch2/catch.hpp>

#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

const Timing kTiming = Timing::derive({2s, 5s, 1s, 0s});

NodeId other(NodeId node) {
    return node == kOne ? kTwo : kOne;
}

}  // namespace

TEST_CASE("two nodes and a witness elect one leader, and both nodes get a lease") {
    Cluster c(2, true);
    c.start();
    CHECK(c.leader() != kNobody);
    CHECK(c.reg(other(c.leader())).leader() == c.leader());
    CHECK(c.reg(kOne).chosen() == c.reg(kTwo).chosen());
    CHECK(c.reg(kWitnessId).document() == c.reg(kOne).document());
    // admitted nonces: each voter's own nonce is the document's
    for (const NodeId n : {kOne, kTwo, kWitnessId})
        CHECK(c.reg(n).acceptor().nonce() == c.reg(kOne).chosen().voter(n)->nonce);
}

TEST_CASE("a dead leader is replaced T_grant after its last renewal, and not before") {
    Cluster c(2, true);
    c.start();
    const NodeId first = c.leader();
    const NodeId second = other(first);
    const Instant last = c.reg(first).run_until() - kTiming.hold;
    c.crash(first);
    const Duration died = c.real();
    REQUIRE(c.run_until([&] { return c.leads(second); }, 5s));
    CHECK(c.real() - died <= kTiming.grant + 20ms);
    CHECK(c.real() - died >= kTiming.grant - kTiming.renew - 20ms);
    static_cast<void>(last);
    // P4 is proven at once: the promises had run out
    CHECK(c.reg(second).may_run_until({first, boot_of(first, 1)}) <= c.now_of(second));
}

TEST_CASE("the lease of a cut-off leader ends before anybody else can lead, with clocks that differ by rho") {
    for (const double rate : {0.9975, 1.0025}) {
        Cluster c(2, true);
        c.start();
        const NodeId first = c.leader();
        c.crash(other(first));
        c.boot(other(first));
        c.start();
        const NodeId leader = c.leader();
        c.member(leader).rate = rate;  // from here on its clock runs slow or fast
        c.member(leader).offset +=
            Duration(static_cast<Duration::rep>(static_cast<double>(c.real().count()) * (1.0 - rate)));
        c.run(3s);
        REQUIRE(c.leads(leader));
        c.isolate(leader);
        const NodeId next = other(leader);
        REQUIRE(c.run_until(
            [&] {
                REQUIRE_FALSE((c.may_run(leader) && c.leads(next)));
                return c.leads(next);
            },
            5s));
        CHECK(c.now_of(leader) >= c.reg(leader).run_until() + kTiming.guard / 2);
    }
}

TEST_CASE("without a majority nobody leads and no lease is given") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    c.crash(kWitnessId);
    c.upkeep = false;
    c.crash(other(leader));
    c.run(5s);
    CHECK(c.leader() == kNobody);
    CHECK_FALSE(c.may_run(leader));
    CHECK(c.said(leader, Reason::kQuorumLost));
    // The witness is back: the same leader goes on under the same epoch.
    const Epoch epoch = c.reg(leader).acceptor().promised();
    c.boot(kWitnessId);
    CHECK(c.run_until([&] { return c.leads(leader); }, 5s));
    CHECK(c.reg(leader).acceptor().promised() == epoch);
}

TEST_CASE("a leader whose daemon restarts within its lease goes on under its own epoch") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const Epoch epoch = c.reg(leader).acceptor().promised();
    c.restart(leader);
    REQUIRE(c.run_until([&] { return c.leads(leader); }, kTiming.hold));
    CHECK(c.reg(leader).acceptor().promised() == epoch);
    // It does not know what it granted before.
    CHECK(c.reg(leader).may_run_until({other(leader), boot_of(other(leader), 1)}) >
          c.now_of(leader) + kTiming.grant / 2);
}

TEST_CASE("a leader that reboots is another incarnation and does not go on under its old epoch") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const Epoch epoch = c.reg(leader).acceptor().promised();
    c.crash(leader);
    c.boot(leader);
    c.run(kTiming.grant / 2);
    CHECK_FALSE(c.leads(leader));
    REQUIRE(c.run_until([&] { return c.leader() != kNobody; }, 10s));
    CHECK(c.reg(c.leader()).acceptor().promised() > epoch);
}

TEST_CASE("a planned hand-over has no gap: the former leader's lease goes on, the target leads at once") {
    Cluster c(2, true);
    c.start();
    const NodeId from = c.leader();
    const NodeId to = other(from);
    const Duration at = c.real();
    c.reg(from).hand_over(to, c.now_of(from));
    REQUIRE(c.run_until(
        [&] {
            REQUIRE(c.may_run(from));
            REQUIRE(c.may_run(to));
            return c.leads(to);
        },
        1s));
    CHECK(c.real() - at <= 50ms);
    // Nobody counts as stopped before T_grant.
    CHECK(c.reg(to).may_run_until({from, boot_of(from, 1)}) >= c.now_of(to) + kTiming.grant - 50ms);
    c.run_until(
        [&] {
            REQUIRE(c.may_run(from));
            REQUIRE(c.may_run(to));
            return false;
        },
        5s);
    CHECK(c.leads(to));
}

TEST_CASE("a hand-over whose target is dead ends with the former leader leading again") {
    Cluster c(3, false);
    c.start();
    const NodeId from = c.leader();
    const NodeId to = from == kThree ? kTwo : kThree;
    c.crash(to);
    c.reg(from).hand_over(to, c.now_of(from));
    REQUIRE(c.run_until([&] { return c.leader() != kNobody; }, 5s));
    CHECK(c.leader() == from);
}

TEST_CASE("a hand-over that gets lost on the way costs nobody its lease") {
    Cluster c(2, true);
    c.start();
    const NodeId from = c.leader();
    const NodeId to = other(from);
    c.cut(from, to);
    c.reg(from).hand_over(to, c.now_of(from));
    c.run(10ms);
    c.heal();
    REQUIRE(c.run_until(
        [&] {
            REQUIRE(c.may_run(to));
            return c.leader() != kNobody;
        },
        3 * kTiming.renew));
    c.run_until(
        [&] {
            REQUIRE(c.may_run(from));
            REQUIRE(c.may_run(to));
            return false;
        },
        5s);
}

TEST_CASE("a restarted voter grants nothing new for T_grant but acknowledges the present leader") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    c.restart(kWitnessId);
    c.run(2 * kTiming.renew);
    CHECK(c.leads(leader));
    CHECK(c.reg(leader).votes_now(kWitnessId, c.now_of(leader)));
    CHECK(c.reg(kWitnessId).acceptor().willing_at({other(leader), boot_of(other(leader), 1)}, false) >
          c.now_of(kWitnessId));
    c.crash(leader);
    c.restart(kWitnessId);
    const Duration at = c.real();
    REQUIRE(c.run_until([&] { return c.leads(other(leader)); }, 5s));
    CHECK(c.real() - at >= kTiming.grant - 10ms);
}

TEST_CASE("a voter whose store is an older image does not count and is replaced by a voter of the next generation") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const NodeId victim = other(leader);
    const DurableState image = c.member(victim).disk;
    c.crash(victim);
    c.boot(victim);
    c.start();
    REQUIRE(c.leader() == leader);
    const Nonce admitted = c.reg(leader).chosen().voter(victim)->nonce;
    CHECK(admitted != image.nonce);
    c.crash(victim);
    c.member(victim).disk = image;  // restored
    c.boot(victim);
    CHECK_FALSE(counts_for(c.reg(leader).chosen(), c.reg(victim).acceptor().id(), c.reg(victim).acceptor().nonce()));
    c.start();
    CHECK(c.reg(leader).chosen().voter(victim)->id.generation == 1);
    CHECK(c.reg(victim).acceptor().id().generation == 1);
    CHECK(counts_for(c.reg(leader).chosen(), c.reg(victim).acceptor().id(), c.reg(victim).acceptor().nonce()));
    // and it can lead with that vote
    c.crash(leader);
    CHECK(c.run_until([&] { return c.leads(victim); }, 5s));
}

TEST_CASE("the promise of a restored store does not elect anybody") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const NodeId victim = other(leader);
    const DurableState image = c.member(victim).disk;
    c.crash(victim);
    c.boot(victim);
    c.start();
    c.crash(victim);
    c.crash(leader);
    c.member(victim).disk = image;
    c.boot(victim);
    c.reg(victim).cancel_startup_wait();
    c.run(15s);
    CHECK_FALSE(c.leads(victim));  // own vote void, the witness alone is no majority
}

TEST_CASE(
    "the witness dies: its weight goes to the tie holder, which survives the other node; it comes back with the "
    "witness") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    c.crash(kWitnessId);
    REQUIRE(c.run_until([&] { return c.reg(leader).chosen().voter(leader)->weight == 2; }, 5s));
    REQUIRE(c.run_until([&] { return c.reg(leader).chosen().previous_voters.empty() && !c.reg(leader).busy(); }, 5s));
    CHECK(c.reg(leader).chosen().voter(kWitnessId)->weight == 0);
    c.crash(other(leader));
    c.run(5s);
    CHECK(c.leads(leader));
    c.boot(kWitnessId);
    c.boot(other(leader));
    REQUIRE(c.run_until([&] { return c.reg(leader).chosen().voter(kWitnessId)->weight == 1; }, 10s));
    CHECK(c.reg(leader).chosen().voter(leader)->weight == 1);
}

TEST_CASE("three nodes: the survivors of a dead leader elect one of them, a minority elects nobody") {
    Cluster c(3, false);
    c.start();
    const NodeId first = c.leader();
    c.crash(first);
    REQUIRE(c.run_until([&] { return c.leader() != kNobody; }, 5s));
    const NodeId second = c.leader();
    c.crash(second);
    c.run(10s);
    CHECK(c.leader() == kNobody);
    c.boot(first);
    CHECK(c.run_until([&] { return c.leader() != kNobody; }, 20s));
}

TEST_CASE("a partition between two nodes that both reach the witness leaves the leader where it is") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const Epoch epoch = c.reg(leader).acceptor().promised();
    c.cut(kOne, kTwo);
    c.run(10s);
    CHECK(c.leads(leader));
    CHECK_FALSE(c.may_run(other(leader)));
    c.heal();
    REQUIRE(c.run_until([&] { return c.may_run(other(leader)); }, 5s));
    CHECK(c.reg(leader).acceptor().promised() == epoch);
}

TEST_CASE("a voter that promised a higher epoch is won back without a gap in the leader's lease") {
    Cluster c(3, false);
    c.start();
    const NodeId leader = c.leader();
    const NodeId strayed = leader == kThree ? kTwo : kThree;
    c.isolate(strayed);
    c.run(5s);
    const Epoch high = Epoch::make(c.reg(leader).acceptor().promised().counter() + 5, strayed);
    REQUIRE(c.leads(leader));
    c.reg(strayed).on_message(kOne == leader ? kTwo : kOne,
                              Prepare{Epoch::make(high.counter(), kOne == leader ? kTwo : kOne),
                                      {kOne == leader ? kTwo : kOne, boot_of(kOne == leader ? kTwo : kOne, 1)},
                                      false},
                              c.now_of(strayed));
    REQUIRE(c.reg(strayed).acceptor().promised() > c.reg(leader).acceptor().promised());
    c.heal();
    c.run_until(
        [&] {
            REQUIRE(c.may_run(leader));
            return false;
        },
        3s);
    CHECK(c.leads(leader));
    CHECK(c.reg(strayed).leader() == leader);
    CHECK(c.may_run(strayed));
}

TEST_CASE("a clock gap voids the lease until a renewal sent afterwards is acknowledged") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    for (const NodeId n : {leader, other(leader)}) {
        c.reg(n).on_pause(c.now_of(n));
        CHECK_FALSE(c.may_run(n));
        CHECK(c.run_until([&] { return c.may_run(n); }, 1s));
    }
}

TEST_CASE("an accept counts for the leader only once it is durable") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    c.crash(kWitnessId);
    c.upkeep = false;
    c.member(other(leader)).slow_disk = true;
    c.also = [](Document& d) { d.cluster_stopped = true; };
    c.run(500ms);
    CHECK(c.reg(leader).busy());
    c.member(other(leader)).slow_disk = false;
    c.run(100ms);
    CHECK_FALSE(c.reg(leader).busy());
    CHECK(c.reg(leader).chosen().cluster_stopped);
}

TEST_CASE("a node that left the cluster gets no lease, the one that stays leads alone") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const NodeId leaver = other(leader);
    c.also = [&](Document& d) { d.nodes[leaver].leaving = Leaving::kStopDaemon; };
    c.run(500ms);
    c.also = [&](Document& d) { d.nodes[leaver].state = NodeState::kLeft; };
    c.run(kTiming.hold + 500ms);
    CHECK_FALSE(c.may_run(leaver));
    CHECK(c.reg(leader).chosen().voter(leaver)->weight == 0);
    c.crash(leaver);
    c.crash(kWitnessId);
    c.run(5s);
    CHECK(c.leads(leader));
    // Who left while others stayed never starts alone, not even with the witness.
    c.crash(leader);
    c.boot(leaver);
    c.boot(kWitnessId);
    c.reg(leaver).cancel_startup_wait();
    c.run(15s);
    CHECK_FALSE(c.leads(leaver));
}

TEST_CASE("a person's word starts the standby of two nodes without its quorum, and the forced document wins") {
    Cluster c(2, false);
    c.start();
    const NodeId holder = c.reg(kOne).chosen().voter(kOne)->weight == 2 ? kOne : kTwo;
    const NodeId standby = other(holder);
    c.crash(holder);
    c.run(5s);
    REQUIRE_FALSE(c.leads(standby));
    CHECK_FALSE(c.reg(standby).force_start({}, c.now_of(standby)).has_value());  // nobody has confirmed that it is down
    REQUIRE(c.reg(standby).force_start({holder}, c.now_of(standby)).has_value());
    REQUIRE(c.run_until([&] { return c.leads(standby); }, 5s));
    CHECK(c.reg(standby).acceptor().promised().counter() >= kForcedStep);
    CHECK(c.reg(standby).chosen().node(holder).state == NodeState::kFenced);
    c.boot(holder);
    CHECK(c.run_until([&] { return c.reg(holder).document() == c.reg(standby).document() && c.may_run(holder); }, 10s));
}

TEST_CASE("a node that is heard cannot be confirmed down") {
    Cluster c(2, false);
    c.reg(kOne).on_message(kTwo,
                           Heartbeat{{kTwo, boot_of(kTwo, 1)}, true, true, false, {}, {}, {}, {}, {}, {}, {}, 0, false},
                           c.now_of(kOne));
    const Status done = c.reg(kOne).force_start({kTwo}, c.now_of(kOne));
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code == ErrorCode::kRefused);
}

TEST_CASE("two live incarnations of one node id both get no lease") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const NodeId twin = other(leader);
    const bool lost = c.run_until(
        [&] {
            Heartbeat second;
            second.incarnation = {twin, boot_of(twin, 77)};
            second.joining = false;
            c.reg(leader).on_message(twin, second, c.now_of(leader));
            return !c.may_run(twin);
        },
        5s);
    CHECK(lost);
    CHECK(c.reg(leader).peers().alive_twice(twin, 1s, c.now_of(leader)));
}

TEST_CASE("a node with another timing gets no lease") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    LeaseRequest request{1, {other(leader), boot_of(other(leader), 1)}, Hash{9}};
    c.member(leader).out.messages.clear();
    c.reg(leader).on_message(other(leader), request, c.now_of(leader));
    CHECK(c.member(leader).out.messages.empty());
    c.run(10ms);
    CHECK(c.said(leader, Reason::kTimingMismatch));
}

TEST_CASE("all nodes have left: the cluster starts at once when all are heard, and waits for a missing one") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    c.also = [&](Document& d) {
        for (auto& [node, entry] : d.nodes) entry.state = NodeState::kLeft;
    };
    c.run(3s);
    for (const NodeId n : {kOne, kTwo, kWitnessId}) c.crash(n);
    c.boot(leader);
    c.boot(kWitnessId);
    c.run(20s);
    CHECK(c.leader() == kNobody);
    CHECK(c.reg(leader).startup().waiting_for.find("Waits for") != std::string::npos);
    c.boot(other(leader));
    CHECK(c.run_until([&] { return c.leader() != kNobody; }, 5s));
}

TEST_CASE("the witness votes and never leads: what only a candidate or a leader says is ignored from it") {
    Cluster c(2, true);
    c.start();
    const NodeId follower = other(c.leader());
    const Incarnation witness{kWitnessId, boot_of(kWitnessId, 1)};
    const Epoch high = Epoch::make(c.reg(follower).acceptor().promised().counter() + 9, kWitnessId);
    Document document = c.reg(follower).document();
    document.version = {high, 0};
    document.leader = witness;
    const Hash digest = c.reg(follower).timing().digest;
    const std::vector<Message> words = {PreVote{high, witness, false},
                                        Prepare{high, witness, false},
                                        Accept{document.version, encode(document), digest},
                                        Renew{high, 1, digest, {}},
                                        LeaseGrant{1, high, 5s, {}},
                                        HandOver{high, follower},
                                        Release{high, follower}};
    const Epoch promised = c.reg(follower).acceptor().promised();
    const Version version = c.reg(follower).document().version;
    for (const Message& word : words) {
        INFO(name_of(word));
        CHECK_FALSE(may_send(kWitnessId, word));
        CHECK(may_send(kOne, word));
        c.reg(follower).on_message(kWitnessId, word, c.now_of(follower));
        CHECK(c.member(follower).out.messages.empty());
        CHECK(c.reg(follower).acceptor().promised() == promised);
        CHECK(c.reg(follower).document().version == version);
        CHECK(c.reg(follower).leader() == c.leader());
    }
    for (const Message& word : {Message(StartGroup{}), Message(StopGroup{}), Message(NodeReport{}), Message(LeaseRequest{}),
                                Message(OperatorRequest{}), Message(OperatorReply{})})
        CHECK_FALSE(may_send(kWitnessId, word));
    for (const Message& word : {Message(Heartbeat{}), Message(PreVoteReply{}), Message(PrepareReply{}), Message(AcceptReply{}),
                                Message(RenewAck{}), Message(FetchDocument{}), Message(DocumentIs{})})
        CHECK(may_send(kWitnessId, word));
}

TEST_CASE("a voter that acknowledges what was never proposed does not count, and the leader goes on") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    const Acceptor& own = c.reg(leader).acceptor();
    const Version wrong{own.promised(), c.reg(leader).document().version.seq + 99};
    const Voter voter = *c.reg(leader).chosen().voter(other(leader));
    for (int i = 0; i < 2; ++i)
        c.reg(leader).on_message(other(leader), RenewAck{own.promised(), 1, true, own.promised(), wrong, voter.id, voter.nonce},
                                 c.now_of(leader));
    c.run(1s);
    CHECK(c.leads(leader));
    const auto& said = c.member(leader).said;
    CHECK(std::count_if(said.begin(), said.end(), [](const Decision& d) { return d.reason == Reason::kStoreMismatch; }) == 1);
}

TEST_CASE("a clock gap right after another one voids the lease again") {
    Cluster c(2, true);
    c.start();
    const NodeId leader = c.leader();
    for (int i = 0; i < 2; ++i) {
        c.reg(leader).on_pause(c.now_of(leader));
        CHECK_FALSE(c.may_run(leader));
        REQUIRE(c.run_until([&] { return c.may_run(leader); }, 1s));
    }
}

TEST_CASE("neither the witness nor an impossible number in a heartbeat drives the epochs up") {
    Cluster c(2, true);
    c.start();
    const NodeId survivor = other(c.leader());
    const uint64_t before = c.reg(survivor).acceptor().promised().counter();
    Heartbeat beat;
    beat.incarnation = {kWitnessId, boot_of(kWitnessId, 1)};
    beat.epoch = Epoch::make(before + 1000, kOne);
    c.reg(survivor).on_message(kWitnessId, beat, c.now_of(survivor));
    beat.incarnation = {c.leader(), boot_of(c.leader(), 1)};
    beat.epoch = Epoch::make(before + (1ULL << 41U), kOne);
    c.reg(survivor).on_message(c.leader(), beat, c.now_of(survivor));
    c.crash(c.leader());
    REQUIRE(c.run_until([&] { return c.leads(survivor); }, 10s));
    CHECK(c.reg(survivor).acceptor().promised().counter() < before + 1000);
}
