// Who votes with which weight, start-up conditions, and the arithmetic of node leases.
#include <catch2/catch.hpp>

#include "tests/unit/engine/cluster_harness.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::testing;

namespace {

Document running(int nodes, bool witness) {
    Document d = document_of(nodes, witness);
    for (auto& [node, entry] : d.nodes) entry = {NodeState::kMember, boot_of(node, 1), true, false, 0, Leaving::kNo, {}, 0, 0};
    return d;
}

VoterFacts facts_of(const Document& d, std::set<NodeId> voting) {
    VoterFacts f;
    f.self = kOne;
    f.voting = std::move(voting);
    f.witness_configured = d.voter(kWitnessId) != nullptr;
    for (const Voter& v : d.voters) {
        if (!f.voting.contains(v.id.node)) continue;
        Heartbeat beat;
        beat.incarnation = {v.id.node, boot_of(v.id.node, 1)};
        beat.voter = v.id;
        beat.nonce = v.nonce;
        f.heartbeats[v.id.node] = beat;
    }
    return f;
}

int weight(const Document& d, NodeId node) {
    return d.voter(node)->weight;
}

int total(const Document& d) {
    int sum = 0;
    for (const Voter& v : d.voters) sum += v.weight;
    return sum;
}

std::set<VoterId> ids(std::initializer_list<NodeId> nodes) {
    std::set<VoterId> set;
    for (const NodeId n : nodes) set.insert({n, 0});
    return set;
}

StartupFacts startup_of(const Document& d, NodeId self, std::set<NodeId> heard) {
    StartupFacts f;
    f.document = &d;
    f.self = {self, boot_of(self, 2)};
    f.heard = std::move(heard);
    f.wait_left = 300s;
    return f;
}

}  // namespace

TEST_CASE("initial weights are odd: a tie holder, a witness for an even number, none for an odd one") {
    CHECK(total(document_of(1, false)) == 1);
    CHECK(weight(document_of(2, false), kOne) == 2);
    CHECK(total(document_of(2, true)) == 3);
    CHECK(total(document_of(3, true)) == 3);
    CHECK(total(document_of(4, true)) == 5);
    CHECK(total(document_of(4, false)) == 5);
}

TEST_CASE("while the voters change both sets must agree") {
    Document d = document_of(2, true);
    d.previous_voters = d.voters;
    d.voters[0].weight = 2;
    d.voters[2].weight = 0;
    CHECK_FALSE(is_quorum(d, ids({kOne})));
    CHECK_FALSE(is_quorum(d, ids({kTwo, kWitnessId})));
    CHECK(is_quorum(d, ids({kOne, kTwo})));
    d.previous_voters.clear();
    CHECK(is_quorum(d, ids({kOne})));
}

TEST_CASE("a witness that is given up loses its weight to the owner of the groups, only while both nodes vote") {
    Document d = running(2, true);
    d.groups["web"].owner = Incarnation{kTwo, boot_of(kTwo, 1)};
    VoterFacts facts = facts_of(d, {kOne, kTwo});
    Document next = d;
    keep_voters(next, facts);
    CHECK(next == d);  // it is only silent so far
    facts.witness_given_up = true;
    const auto said = keep_voters(next, facts);
    CHECK(weight(next, kWitnessId) == 0);
    CHECK(weight(next, kTwo) == 2);
    CHECK(next.previous_voters == d.voters);
    REQUIRE(said.size() == 1);
    CHECK(said[0].reason == Reason::kWitnessLost);

    Document alone = d;
    VoterFacts one = facts_of(d, {kOne});
    one.witness_given_up = true;
    keep_voters(alone, one);
    CHECK(alone == d);
}

TEST_CASE("the next commit settles a change of voters, and the witness gets its weight back when it votes") {
    Document d = running(2, true);
    d.voters[0].weight = 2;
    d.voters[2].weight = 0;
    d.previous_voters = document_of(2, true).voters;
    Document next = d;
    keep_voters(next, facts_of(d, {kOne, kTwo, kWitnessId}));
    CHECK(next.previous_voters.empty());
    CHECK(next.voters == d.voters);
    const auto said = keep_voters(next, facts_of(next, {kOne, kTwo, kWitnessId}));
    CHECK(total(next) == 3);
    CHECK(weight(next, kWitnessId) == 1);
    REQUIRE(said.size() == 1);
    CHECK(said[0].reason == Reason::kWitnessRestored);
}

TEST_CASE("who leaves gives its weight away beforehand and gets it back when it returns; total weight stays odd") {
    for (const int nodes : {2, 3, 4, 5}) {
        for (const bool witness : {false, true}) {
            Document d = running(nodes, witness);
            std::set<NodeId> all = voting_nodes(d);
            d.nodes[kTwo].leaving = Leaving::kHalt;
            keep_voters(d, facts_of(d, all));
            CHECK(weight(d, kTwo) == 0);
            CHECK(total(d) % 2 == 1);
            d.previous_voters.clear();
            d.nodes[kTwo] = running(nodes, witness).nodes[kTwo];
            keep_voters(d, facts_of(d, all));
            CHECK(weight(d, kTwo) >= 1);
            CHECK(total(d) % 2 == 1);
        }
    }
}

TEST_CASE("the tie weight follows the groups, and stays when nothing tips the balance") {
    Document d = running(2, false);
    Document next = d;
    keep_voters(next, facts_of(d, {kOne, kTwo}));
    CHECK(next == d);
    next.groups["web"].owner = Incarnation{kTwo, boot_of(kTwo, 1)};
    keep_voters(next, facts_of(d, {kOne}));
    CHECK(weight(next, kOne) == 2);  // node 2 cannot agree
    keep_voters(next, facts_of(d, {kOne, kTwo}));
    CHECK(weight(next, kTwo) == 2);
    CHECK(weight(next, kOne) == 1);
}

TEST_CASE("a node that was added is listened to at once and votes once it is a member; a removed one is gone") {
    Document d = running(2, true);
    d.nodes[kThree] = NodeEntry{};
    keep_voters(d, facts_of(d, {kOne, kTwo, kWitnessId}));
    REQUIRE(d.voter(kThree) != nullptr);
    CHECK(weight(d, kThree) == 0);
    CHECK(weight(d, kWitnessId) == 1);
    CHECK(total(d) == 3);
    keep_voters(d, facts_of(d, {kOne, kTwo, kWitnessId}));
    CHECK(d.previous_voters.empty());
    d.nodes[kThree].state = NodeState::kMember;
    d.nodes[kThree].boot = boot_of(kThree, 1);
    keep_voters(d, facts_of(d, {kOne, kTwo, kThree, kWitnessId}));
    CHECK(weight(d, kThree) == 1);
    CHECK(weight(d, kWitnessId) == 0);
    CHECK(total(d) == 3);
    CHECK_FALSE(d.previous_voters.empty());
    keep_voters(d, facts_of(d, {kOne, kTwo, kThree, kWitnessId}));
    d.nodes[kTwo].state = NodeState::kLeft;
    keep_voters(d, facts_of(d, {kOne, kThree, kWitnessId}));
    keep_voters(d, facts_of(d, {kOne, kThree, kWitnessId}));
    CHECK(weight(d, kTwo) == 0);
    d.nodes.erase(kTwo);
    keep_voters(d, facts_of(d, {kOne, kThree, kWitnessId}));
    CHECK(d.voter(kTwo) == nullptr);
    CHECK(weight(d, kThree) == 1);
    CHECK(total(d) == 3);
}

TEST_CASE("the nodes of a new cluster vote before they were ever admitted") {
    Document d = document_of(3, false);
    const Document before = d;
    keep_voters(d, facts_of(d, {kOne, kTwo, kThree}));
    CHECK(d.voters == before.voters);
}

TEST_CASE("a nonce is admitted beside the present one and replaces it once the voter uses it") {
    Document d = running(2, true);
    VoterFacts facts = facts_of(d, {kOne, kTwo, kWitnessId});
    facts.heartbeats[kTwo].next_nonce = Nonce{42};
    keep_voters(d, facts);
    CHECK(d.voter(kTwo)->next_nonce == Nonce{42});
    facts.heartbeats[kTwo].nonce = Nonce{42};
    facts.heartbeats[kTwo].next_nonce = {};
    keep_voters(d, facts);
    CHECK(d.voter(kTwo)->nonce == Nonce{42});
    CHECK(d.voter(kTwo)->next_nonce == Nonce{});
    CHECK(d.previous_voters.empty());  // the same voters
}

TEST_CASE("a voter with a foreign nonce is replaced, when the others alone can choose that") {
    Document d = running(2, true);
    d.voters[1].nonce = Nonce{5};
    VoterFacts facts = facts_of(d, {kOne, kWitnessId});
    Heartbeat lost = facts.heartbeats[kOne];
    lost.incarnation.node = kTwo;
    lost.voter = {kTwo, 0};
    lost.nonce = {};
    lost.next_nonce = Nonce{9};
    facts.heartbeats[kTwo] = lost;
    Document next = d;
    keep_voters(next, facts);
    CHECK(next.voter(kTwo)->id == VoterId{kTwo, 1});
    CHECK(next.voter(kTwo)->nonce == Nonce{9});
    CHECK(next.previous_voters == d.voters);
    Document stuck = d;
    facts.voting = {kOne};
    keep_voters(stuck, facts);
    CHECK(stuck == d);
}

TEST_CASE("a node that was removed and comes back with the store of its former membership votes under a new id") {
    Document d = running(3, false);
    VoterFacts facts = facts_of(d, {kOne, kTwo});
    for (Voter& v : d.voters)
        if (v.id.node == kThree) v = {{kThree, 0}, 0, {}, {}};  // as it was added
    Heartbeat& heard = facts.heartbeats[kThree];
    heard.incarnation = {kThree, boot_of(kThree, 1)};
    heard.voter = {kThree, 2};
    heard.nonce = Nonce{77};
    heard.next_nonce = Nonce{78};
    keep_voters(d, facts);
    REQUIRE(d.voter(kThree) != nullptr);
    CHECK(d.voter(kThree)->id == VoterId{kThree, 3});
    CHECK(d.voter(kThree)->nonce == Nonce{78});
}

TEST_CASE("start-up: each row of protocol.md 8") {
    Outbox names;
    Document d = document_of(2, true);
    SECTION("nobody is heard") {
        CHECK_FALSE(judge_startup(startup_of(d, kOne, {}), names).may_contend);
    }
    SECTION("all are heard: at once") {
        CHECK(judge_startup(startup_of(d, kOne, {kTwo, kWitnessId}), names).may_contend);
    }
    SECTION("both nodes without the witness: at once") {
        CHECK(judge_startup(startup_of(d, kOne, {kTwo}), names).may_contend);
    }
    SECTION("through the witness only after the wait or its cancellation") {
        StartupFacts f = startup_of(d, kOne, {kWitnessId});
        const StartupVerdict waits = judge_startup(f, names);
        CHECK_FALSE(waits.may_contend);
        CHECK(waits.waiting_for.find("node 2") != std::string::npos);
        CHECK(waits.waiting_for.find("300 s") != std::string::npos);
        f.wait_over = true;
        CHECK(judge_startup(f, names).may_contend);
    }
    SECTION("without a witness the tie weight alone is never enough") {
        const Document tie = document_of(2, false);
        StartupFacts f = startup_of(tie, kOne, {});
        f.wait_over = true;
        CHECK_FALSE(judge_startup(f, names).may_contend);
    }
    SECTION("the last to leave starts alone at once, nobody else does") {
        d.last_standing = LastStanding{kOne, Epoch::make(3, kOne)};
        CHECK(judge_startup(startup_of(d, kOne, {}), names).may_contend);
        CHECK_FALSE(judge_startup(startup_of(d, kTwo, {}), names).may_contend);
    }
    SECTION("a leader is heard: waits to be admitted") {
        StartupFacts f = startup_of(d, kOne, {kTwo, kWitnessId});
        f.leader = kTwo;
        CHECK_FALSE(judge_startup(f, names).may_contend);
        CHECK(judge_startup(f, names).waiting_for.find("admitted") != std::string::npos);
    }
    SECTION("who has just left does not come back by itself") {
        StartupFacts f = startup_of(d, kOne, {kTwo, kWitnessId});
        f.left_in_this_run = true;
        CHECK_FALSE(judge_startup(f, names).may_contend);
    }
    SECTION("a member of this boot is not starting up") {
        d.nodes[kOne] = {NodeState::kMember, boot_of(kOne, 2), true, false, 0, Leaving::kNo, {}, 0, 0};
        CHECK(judge_startup(startup_of(d, kOne, {}), names).complete);
    }
}

TEST_CASE("a node lease counts from the send time, only with a document as new as the grant names") {
    Document d = running(2, true);
    d.version = {Epoch::make(3, kOne), 4};
    d.leader = {kOne, boot_of(kOne, 1)};
    Ledger ledger(initial_state(kTwo, d));
    const Instant t{5000s};
    const Incarnation self{kTwo, boot_of(kTwo, 1)};
    Acceptor acceptor(ledger, self, t, 1);
    Outbox out;
    RunLease lease(acceptor, self, out);
    lease.ask(kOne, t);
    REQUIRE(out.messages.size() == 1);
    const uint64_t stamp = std::get<LeaseRequest>(out.messages[0].message).stamp;
    LeaseGrant grant{stamp, d.version.epoch, 2s, d.version};

    lease.on_grant(kOne, {stamp + 1, grant.epoch, 2s, d.version}, t + 1ms);  // never asked
    CHECK(lease.run_until() == Instant{});
    lease.on_grant(kTwo, grant, t + 1ms);  // not from the leader of that epoch
    CHECK(lease.run_until() == Instant{});
    lease.on_grant(kOne, {stamp, grant.epoch, 2s, {d.version.epoch, 5}}, t + 1ms);  // stale document here
    CHECK(lease.run_until() == Instant{});
    lease.on_grant(kOne, {stamp, grant.epoch, 100s, d.version}, t + 500ms);  // never longer than T_hold
    CHECK(lease.run_until() == t + 2s);
    CHECK(lease.sent_at() == t);
    lease.on_grant(kOne, {stamp, grant.epoch, -5s, d.version}, t + 500ms);
    CHECK(lease.run_until() == t + 2s);

    lease.on_pause(t + 600ms);
    lease.on_grant(kOne, grant, t + 601ms);  // asked before the gap
    CHECK(lease.run_until() == Instant{});
    lease.ask(kOne, t + 700ms);
    lease.on_grant(kOne, {std::get<LeaseRequest>(out.messages[1].message).stamp, grant.epoch, 1s, d.version},
                   t + 701ms);
    CHECK(lease.run_until() == t + 1700ms);
}

TEST_CASE("grants are remembered by incarnation, and everybody counts as running after a restart") {
    Grants grants;
    const Incarnation a{kOne, boot_of(kOne, 1)};
    const Incarnation b{kOne, boot_of(kOne, 2)};
    grants.given(a, Instant(10s));
    CHECK(grants.may_run_until(a) == Instant(10s));
    CHECK(grants.may_run_until(b) == Instant{});
    grants.everybody_until(Instant(12s));
    CHECK(grants.may_run_until(a) == Instant(12s));
    CHECK(grants.may_run_until(b) == Instant(12s));
}
