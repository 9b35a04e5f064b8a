// What persons order about mirrors: what is done, what is refused and why. protocol.md 9.
#include "tests/unit/policy/mirrored.h"

namespace kagami::engine::test {

using mirror::DiskState;
using mirror::Generation;
using mirror::Hold;
using mirror::Standing;
using mirror::WishKind;

namespace {

void expect_refusal(Mirrored& s, const std::string& message, const std::string& remedy) {
    const mirror::Record before = s.record();
    s.settle();
    CHECK(s.record() == before);
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK(s.last_reply().message == message);
    CHECK(s.last_reply().remedy == remedy);
}

void expect_done(Mirrored& s, const std::string& message) {
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.last_reply().message == message);
}

void stop_group(Mirrored& s) {
    s.entry().owner.reset();
    s.entry().goal = Goal::kStopped;
    s.entry().held = true;
    s.reported(n1).state = GroupState::kStopped;
    s.replica(n1).role = mirror::Role::kSecondary;
}

}  // namespace

TEST_CASE("orders about a mirror that does not exist are refused with the nearest name") {
    Mirrored s;
    s.ask(OperatorVerb::kMirrorResync, "md2");
    expect_refusal(s, "there is no mirror \"md2\"", "did you mean \"md1\"?");
}

TEST_CASE("force: a stale copy is declared the latest while nothing runs") {
    Mirrored s;
    stop_group(s);
    s.record().replicas[n2].standing = Standing::kStale;
    s.ask(OperatorVerb::kMirrorForce, "md1", n2);
    expect_done(s, "Mirror md1: the copy of node2 is the latest.");
    CHECK(s.standing(n2) == Standing::kCurrent);
    CHECK(s.standing(n1) == Standing::kSuspect);
    CHECK(s.record().generation.counter == 2);
    CHECK(s.sentence(Reason::kMirrorForced) ==
          "Mirror md1: the copy of node2 was declared the latest by alice (before: node1 current, node2 stale); the "
          "others "
          "are copied from it in full.");
}

TEST_CASE("force: a disk that the register does not know is taken as it is") {
    Mirrored s;
    stop_group(s);
    s.record().replicas[n2].standing = Standing::kStale;
    s.replica(n1).nonce = Nonce{5};
    s.replica(n1).next_nonce = Nonce{9};
    s.wish(n1, WishKind::kAttach);
    s.ask(OperatorVerb::kMirrorForce, "md1", n1);
    s.settle();
    CHECK(s.record().replicas[n1].nonce == Nonce{5});
    CHECK(s.record().replicas[n1].next_nonce == Nonce{9});
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.record().generation.counter == 2);
}

TEST_CASE("force: an incomplete copy starts once a person has declared it the latest") {
    Mirrored s;
    stop_group(s);
    s.record().replicas[n2].standing = Standing::kSuspect;
    s.replica(n2).disk = DiskState::kInconsistent;
    s.ask(OperatorVerb::kMirrorForce, "md1", n2);
    s.settle();
    CHECK(judge(s.input(), s.document, s.group(), n2).fitness == Fitness::kFit);
    CHECK(s.sentence(Reason::kMirrorForced) ==
          "Mirror md1: the copy of node2 was declared the latest by alice (before: node1 current, node2 suspect, its "
          "data "
          "incomplete); the others are copied from it in full.");
}

TEST_CASE(
    "force: allowed beside a proof that the owner has ended, refused beside a start asked for at the same moment") {
    Mirrored s;
    SECTION("the owner is lost") {
        s.record().replicas[n2].standing = Standing::kStale;
        s.self = n2;
        s.lose(n1);
        s.facts[n1].may_run_until = s.now;
        s.settle();
        CHECK(s.owner() == n1);
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.standing(n1) == Standing::kSuspect);
    }
    SECTION("a start") {
        stop_group(s);
        s.ask(OperatorVerb::kGroupStart, "web", n1);
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        s.settle();
        CHECK(s.owner() == n1);
        CHECK(s.record().current_count() == 2);
    }
}

TEST_CASE("force: names the copy to construct a mirror from") {
    Scene s;
    s.add_mirror();
    s.settle();
    s.new_disk(n2);
    s.ask(OperatorVerb::kMirrorForce, "md1", n2);
    s.settle();
    CHECK(s.record().generation.counter == 1);
    CHECK(s.standing(n2) == Standing::kCurrent);
    CHECK(s.standing(n1) == Standing::kSuspect);
}

TEST_CASE("force: while the group runs on that node the other copy is made anew") {
    Mirrored s;
    s.ask(OperatorVerb::kMirrorForce, "md1", n1);
    s.settle();
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.standing(n2) == Standing::kSuspect);
    CHECK(s.record().generation.counter == 2);  // an add that was asked for before is void
}

TEST_CASE("force is refused where the named copy cannot count") {
    Mirrored s;
    SECTION("no node") {
        s.ask(OperatorVerb::kMirrorForce, "md1");
        expect_refusal(s, "the node whose copy of mirror md1 shall count is not named",
                       "name one of the servers of group web");
    }
    SECTION("a node without a copy") {
        s.ask(OperatorVerb::kMirrorForce, "md1", n3);
        expect_refusal(s, "node 3 has no copy of mirror md1", "name one of the servers of group web");
    }
    SECTION("not reported") {
        stop_group(s);
        s.replicas[n2].clear();
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        expect_refusal(s, "node2's disk of mirror md1 is not known: its mirror driver has not reported it",
                       "start the cluster's services on node2");
    }
    SECTION("not attached") {
        stop_group(s);
        s.replica(n2).disk = DiskState::kNone;
        s.replica(n2).message = "/dev/sdb1 is mounted";
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        expect_refusal(s, "node2's disk of mirror md1 is not attached: /dev/sdb1 is mounted",
                       "repair what keeps it from being attached");
    }
    SECTION("failed") {
        stop_group(s);
        s.replica(n2).disk = DiskState::kFailed;
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        expect_refusal(s, "node2's disk of mirror md1 failed",
                       "repair or replace it and run `kagami mirror init md1` there, or name another copy");
    }
}

TEST_CASE("force is refused while the group or the copy is in use otherwise") {
    Mirrored s;
    const std::string stop = "stop it first with `kagami group stop web`";
    SECTION("the group runs elsewhere") {
        s.ask(OperatorVerb::kMirrorForce, "md1", n2);
        expect_refusal(s, "group web runs, or may run, on node1 with its own copy of mirror md1", stop);
    }
    SECTION("a copy is just becoming current") {
        s.record().replicas[n2].standing = Standing::kStale;
        s.replica(n2).disk = DiskState::kInconsistent;
        s.replica(n1).mode = mirror::Mode::kJoining;
        s.ask(OperatorVerb::kMirrorForce, "md1", n1);
        expect_refusal(s, "a copy of mirror md1 is becoming current at this moment", "try again in a few seconds");
    }
    SECTION("it runs on a copy that is not current") {
        s.record().replicas[n1].standing = Standing::kSuspect;
        s.replica(n2).disk = DiskState::kFailed;
        s.ask(OperatorVerb::kMirrorForce, "md1", n1);
        expect_refusal(s, "group web runs on node1 although its copy of md1 is not current", stop);
    }
}

TEST_CASE("resync ends a cancellation") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    s.ask(OperatorVerb::kMirrorCancel, "md1");
    expect_done(s, "Mirror md1: nothing is copied until `kagami mirror resync`.");
    CHECK(s.record().hold == Hold::kCancelled);
    s.ask(OperatorVerb::kMirrorResync, "md1");
    expect_done(s, "Mirror md1: the resync begins when its nodes are connected.");
    CHECK(s.record().hold == Hold::kNone);
    CHECK(s.standing(n2) == Standing::kStale);
}

TEST_CASE("resync with force makes the copy anew") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    s.record().hold = GENERATE(Hold::kNone, Hold::kCancelled, Hold::kBroken);
    s.ask(OperatorVerb::kMirrorResync, "md1");
    s.requests.back().request.force = true;
    expect_done(s, "Mirror md1: the resync begins when its nodes are connected.");
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.standing(n2) == Standing::kSuspect);
    CHECK(s.record().hold == Hold::kNone);
}

TEST_CASE("break has ended when the other copy is not current any more") {
    Mirrored s;
    s.ask(OperatorVerb::kMirrorBreak, "md1");
    s.settle();
    CHECK(s.record().hold == Hold::kBroken);
    CHECK(s.last_reply().outcome == OperatorOutcome::kAccepted);
    s.wish(n1, WishKind::kSolo);
    expect_done(s, "Mirror md1 is broken: it goes on alone.");
    s.ask(OperatorVerb::kMirrorRejoin, "md1");
    expect_done(s, "Mirror md1 replicates again.");
    CHECK(s.record().hold == Hold::kNone);
}

TEST_CASE("break of a mirror that is not used is done at once; without an answer of the driver it fails") {
    Mirrored s;
    SECTION("not used") {
        stop_group(s);
        s.ask(OperatorVerb::kMirrorBreak, "md1");
        expect_done(s, "Mirror md1 is broken: it replicates no more when it is used again.");
        CHECK(s.record().current_count() == 2);
    }
    SECTION("no answer") {
        s.ask(OperatorVerb::kMirrorBreak, "md1");
        s.settle();
        s.now += 1h;
        s.settle();
        CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    }
    SECTION("joined again meanwhile") {
        s.ask(OperatorVerb::kMirrorBreak, "md1");
        s.settle();
        s.ask(OperatorVerb::kMirrorRejoin, "md1");
        s.settle();
        CHECK(std::any_of(s.replies.begin(), s.replies.end(), [](const auto& r) {
            return r.second.message == "Mirror md1 was joined again before it was broken.";
        }));
    }
}

TEST_CASE("orders to copy that do not fit the mirror's state are refused with what to do instead") {
    Mirrored s;
    SECTION("resync: nothing to copy") {
        s.ask(OperatorVerb::kMirrorResync, "md1");
        expect_refusal(s, "every copy of mirror md1 is current: there is nothing to copy",
                       "for a full copy all the same: `kagami mirror force md1` with the node to copy from");
    }
    SECTION("resync: broken") {
        s.record().hold = Hold::kBroken;
        s.ask(OperatorVerb::kMirrorResync, "md1");
        expect_refusal(s, "mirror md1 is broken: nothing is replicated",
                       "join it again with `kagami mirror rejoin md1`");
    }
    SECTION("cancel: nothing to cancel") {
        s.ask(OperatorVerb::kMirrorCancel, "md1");
        expect_refusal(s, "mirror md1 has no resync to cancel: every copy is current",
                       "to stop the replication: `kagami mirror break md1`");
    }
    SECTION("cancel: cancelled") {
        s.record().hold = Hold::kCancelled;
        s.ask(OperatorVerb::kMirrorCancel, "md1");
        expect_refusal(s, "mirror md1 has its resync cancelled already", "go on with `kagami mirror resync md1`");
    }
    SECTION("cancel: broken") {
        s.record().hold = Hold::kBroken;
        s.ask(OperatorVerb::kMirrorCancel, "md1");
        expect_refusal(s, "mirror md1 is broken: nothing is replicated",
                       "join it again with `kagami mirror rejoin md1`");
    }
}

TEST_CASE("orders to break or join that do not fit the mirror's state are refused with what to do instead") {
    Mirrored s;
    SECTION("break: broken") {
        s.record().hold = Hold::kBroken;
        s.ask(OperatorVerb::kMirrorBreak, "md1");
        expect_refusal(s, "mirror md1 is broken already", "join it again with `kagami mirror rejoin md1`");
    }
    SECTION("rejoin: not broken") {
        s.ask(OperatorVerb::kMirrorRejoin, "md1");
        expect_refusal(s, "mirror md1 is not broken", "there is nothing to join again");
    }
    SECTION("rejoin: cancelled") {
        s.record().hold = Hold::kCancelled;
        s.ask(OperatorVerb::kMirrorRejoin, "md1");
        expect_refusal(s, "mirror md1 is not broken: its resync was cancelled",
                       "go on with `kagami mirror resync md1`");
    }
    SECTION("not constructed") {
        s.document.mirrors.erase("md1");
        s.replicas.clear();
        s.settle();
        s.ask(GENERATE(OperatorVerb::kMirrorResync, OperatorVerb::kMirrorCancel, OperatorVerb::kMirrorBreak,
                       OperatorVerb::kMirrorRejoin),
              "md1");
        expect_refusal(s, "mirror md1 has not been constructed: waits for node1's disk and node2's disk",
                       "bring all its disks, or name the copy to begin with: `kagami mirror force md1`");
    }
}

}  // namespace kagami::engine::test
