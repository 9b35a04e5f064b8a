// Whose copy is current: wishes, construction, takeover, placement. protocol.md 9.
#include "cluster-daemon/engine/placement.h"
#include "tests/unit/policy/mirrored.h"

namespace kagami::engine::test {

using mirror::DiskState;
using mirror::Generation;
using mirror::Hold;
using mirror::Standing;
using mirror::WishKind;

// ---- entries ----

TEST_CASE("a mirror's entry is made with the resource and goes with it") {
    Scene s;
    s.add_mirror();
    s.settle();
    REQUIRE(s.document.mirrors.contains("md1"));
    CHECK(s.record().uuid != Uuid{});
    CHECK(s.record().generation.none());
    CHECK(s.record().replicas.size() == 2);
    s.group().resources.clear();
    s.settle();
    CHECK(s.document.mirrors.empty());
}

TEST_CASE("a mirror that was removed and configured again is another one") {
    Scene s;
    s.add_mirror();
    s.settle();
    const Uuid first = s.record().uuid;
    s.document.mirrors.clear();
    ++s.document.config.version;
    s.settle();
    CHECK(s.record().uuid != first);
}

TEST_CASE("reports of mirrors that are not configured change nothing") {
    Scene s;
    s.settle();
    const int commits = s.commits;
    s.new_disk(n1, "md9");
    s.settle();
    CHECK(s.document.mirrors.empty());
    CHECK(s.commits == commits);
}

// ---- attach and settle ----

TEST_CASE("a new disk is admitted with its next nonce, and settles") {
    Scene s;
    s.add_mirror();
    const Nonce next = s.new_disk(n1).next_nonce;
    s.settle();
    CHECK(s.record().replicas[n1].next_nonce == next);
    s.replica(n1).nonce = next;
    s.replica(n1).next_nonce = {};
    s.wish(n1, WishKind::kSettle);
    s.settle();
    CHECK(s.record().replicas[n1].nonce == next);
    CHECK(s.record().replicas[n1].next_nonce == Nonce{});
}

TEST_CASE("a disk is admitted by the nonce it holds, or by the one it was about to hold") {
    Mirrored s;
    mirror::RecordReplica& replica = s.record().replicas[n2];
    replica.nonce = Nonce{7};
    replica.next_nonce = Nonce{8};
    s.wish(n2, WishKind::kAttach);
    s.replica(n2).next_nonce = Nonce{9};
    s.replica(n2).nonce = GENERATE(Nonce{7}, Nonce{8});
    s.settle();
    CHECK(s.record().replicas[n2].nonce == s.replica(n2).nonce);
    CHECK(s.record().replicas[n2].next_nonce == Nonce{9});
    CHECK(s.standing(n2) == Standing::kCurrent);
    const int commits = s.commits;
    s.settle();  // the wish is repeated: nothing more
    CHECK(s.commits == commits);
}

TEST_CASE("a disk that the register does not know becomes suspect in the commit that admits it") {
    Mirrored s;
    s.replica(n2).nonce = Nonce{5};
    s.replica(n2).next_nonce = Nonce{9};
    s.wish(n2, WishKind::kAttach);
    s.settle();
    CHECK(s.standing(n2) == Standing::kSuspect);
    CHECK(s.record().replicas[n2].nonce == Nonce{});
    CHECK(s.record().replicas[n2].next_nonce == Nonce{9});
    CHECK(s.record().generation.counter == 1);
    CHECK(s.sentence(Reason::kMirrorSuspect) ==
          "Mirror md1: the disk of node2 is not the one that was last attached, or an older image of it: it is copied "
          "in full.");
}

TEST_CASE("the only current copy is not given up for a disk that the register does not know") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    s.entry().owner.reset();
    s.replica(n1).nonce = Nonce{5};
    s.replica(n1).next_nonce = Nonce{9};
    s.wish(n1, WishKind::kAttach);
    s.settle();
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.record().replicas[n1].nonce != Nonce{5});
    CHECK(s.said(Reason::kMirrorSuspect));
    CHECK(s.obstacle(n1) == "its disk of md1 is not the one that holds the only current copy");
    CHECK(s.owner() == kNobody);
}

TEST_CASE("a wish counts only from the incarnation that the document names") {
    Mirrored s;
    s.wish(n1, WishKind::kSolo);
    PolicyInput in = s.input();
    in.facts[n1].report->incarnation.boot = boot_of(n1, 9);
    const PolicyOutput out = s.policy.plan(in);
    CHECK((!out.next || out.next->mirrors == s.document.mirrors));
}

// ---- construction ----

TEST_CASE("a mirror is constructed once all its disks are there: the first server's copy is current") {
    Scene s;
    s.add_mirror();
    s.new_disk(n1);
    s.settle();
    CHECK(s.record().generation.none());
    CHECK(s.owner() == kNobody);
    CHECK(judge(s.input(), s.document, s.group(), n1).obstacle ==
          "mirror md1 has not been constructed: waits for node2's disk");
    s.new_disk(n2);
    s.settle();
    CHECK(s.record().generation.counter == 1);
    CHECK(s.record().generation.random != Uuid{});
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.standing(n2) == Standing::kSuspect);
    CHECK(s.owner() == n1);
    CHECK(s.said(Reason::kMirrorConstructed));
}

TEST_CASE("initial_copy = false: all copies are current from the beginning") {
    Scene s;
    s.add_mirror();
    s.group().resources[0].values[n1] =
        config::Values(std::map<std::string, std::vector<std::string>>{{"initial_copy", {"false"}}});
    s.new_disk(n1);
    s.new_disk(n2);
    s.settle();
    CHECK(s.record().generation.counter == 1);
    CHECK(s.record().current_count() == 2);
}

TEST_CASE("a mirror is not constructed of unequal, used or absent disks, and says why") {
    Scene s;
    s.add_mirror();
    s.new_disk(n1);
    mirror::Report& other = s.new_disk(n2);
    const auto why = [&] {
        s.settle();
        CHECK(s.record().generation.none());
        return judge(s.input(), s.document, s.group(), n1);
    };
    SECTION("unequal") {
        other.size_bytes = 4096;
        const Candidate candidate = why();
        CHECK(candidate.fitness == Fitness::kUnfit);
        CHECK(candidate.obstacle ==
              "mirror md1 has not been constructed: node1's disk has 1073741824 bytes and node2's "
              "disk has 4096 bytes: they must be equal");
    }
    SECTION("used") {
        other.disk = DiskState::kConsistent;
        CHECK(why().obstacle ==
              "mirror md1 has not been constructed: node2's disk held data before; name the copy to "
              "begin with: `kagami mirror force md1`");
    }
    SECTION("absent") {
        other.disk = DiskState::kNone;
        other.message = "/dev/sdb1 is mounted";
        CHECK(why().obstacle == "mirror md1 has not been constructed: waits for node2's disk (/dev/sdb1 is mounted)");
    }
}

// ---- solo, add, give up ----

TEST_CASE("a primary that has lost its peer goes on alone under the generation it drew") {
    Mirrored s;
    const Generation next = s.wish(n1, WishKind::kSolo).next;
    s.settle();
    CHECK(s.record().generation == next);
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.standing(n2) == Standing::kStale);
    CHECK(s.sentence(Reason::kMirrorSolo) == "Mirror md1 goes on alone on node1: the copy of node2 is stale now.");
    CHECK(s.obstacle(n2) == "its copy of md1 is stale");
}

TEST_CASE("a solo grant needs the present generation, token, owner, standing and disk") {
    Mirrored s;
    mirror::Wish& wish = s.wish(n1, WishKind::kSolo);
    SECTION("another generation") {
        wish.base.random[3] ^= 1;
    }
    SECTION("an older token") {
        wish.token.seq -= 1;
    }
    SECTION("no token") {
        wish.token = {};
    }
    SECTION("no newer generation") {
        wish.next.counter = wish.base.counter;
    }
    SECTION("not current") {
        s.record().replicas[n1].standing = Standing::kStale;
    }
    SECTION("another disk") {
        s.replica(n1).nonce = Nonce{5};
    }
    SECTION("not the owner") {
        s.replica(n2).wish = wish;
        wish = {};
    }
    const mirror::Record before = s.record();
    s.settle();
    CHECK(s.record() == before);
}

TEST_CASE("the last words of an owner that is gone, or has stopped the group, do not cost the copy that lives") {
    Mirrored s;
    s.wish(n1, WishKind::kSolo);
    SECTION("not heard any more") {
        s.input();  // the wish arrived
        s.silence(n1);
        s.now += s.timing.detect;
        s.self = n2;
    }
    SECTION("proven stopped") {
        s.report_state(n1, GroupState::kStopped);
    }
    const PolicyOutput out = s.plan();
    CHECK((!out.next || out.next->mirrors == s.document.mirrors));
    CHECK_FALSE(s.said(Reason::kMirrorSolo));
}

TEST_CASE("the peer is current again when both say that its copy is complete") {
    Mirrored s;
    s.record().replicas[n2].standing = GENERATE(Standing::kStale, Standing::kSuspect, Standing::kUnbuilt);
    s.wish(n1, WishKind::kAdd).peer = n2;
    s.replica(n2).disk = DiskState::kInconsistent;
    s.settle();
    CHECK(s.standing(n2) != Standing::kCurrent);
    s.replica(n2).disk = DiskState::kConsistent;
    s.settle();
    CHECK(s.standing(n2) == Standing::kCurrent);
    CHECK(s.record().generation.counter == 1);
    CHECK(s.sentence(Reason::kMirrorAdded) == "Mirror md1: the copy of node2 is current again.");
}

TEST_CASE("the peer is not added when something has changed since the copy ended") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    mirror::Wish& wish = s.wish(n1, WishKind::kAdd);
    wish.peer = n2;
    SECTION("a solo grant came between") {
        s.record().generation = {2, Uuid{0x33}};
    }
    SECTION("it has another generation") {
        s.replica(n2).generation = {1, Uuid{0x44}};
    }
    SECTION("it has another disk") {
        s.replica(n2).nonce = Nonce{5};
    }
    SECTION("it is being attached") {
        s.replica(n2).wish.kind = WishKind::kAttach;
    }
    SECTION("its disk fails") {
        s.replica(n2).disk = DiskState::kFailed;
    }
    SECTION("it is not there") {
        s.replicas[n2].clear();
    }
    SECTION("the reporter means itself") {
        wish.peer = n1;
    }
    SECTION("nobody has such a copy") {
        wish.peer = n3;
    }
    SECTION("the group has moved on") {
        wish.token.seq -= 1;
    }
    s.settle();
    CHECK(s.standing(n2) == Standing::kStale);
}

TEST_CASE("a standby whose disk failed is not current any more") {
    Mirrored s;
    s.replica(n2).disk = DiskState::kFailed;
    s.wish(n2, WishKind::kGiveUp);
    s.settle();
    CHECK(s.standing(n2) == Standing::kSuspect);
    CHECK(s.owner() == n1);
    CHECK(s.record().generation.counter == 1);
}

TEST_CASE("an owner whose disk failed gives up, and its group fails over") {
    Mirrored s;
    s.replica(n1).disk = DiskState::kFailed;
    s.wish(n1, WishKind::kGiveUp);
    s.settle();
    CHECK(s.standing(n1) == Standing::kSuspect);
    CHECK(s.entry().target == n2);
    CHECK(s.sentence(Reason::kGroupFailover) == "Group web moves to node2 from node1: its disk of md1 failed.");
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.record().generation.counter == 1);  // it reported the group stopped: nothing is missing
}

TEST_CASE("the last current copy is not given up") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    s.replica(n1).disk = DiskState::kFailed;
    s.wish(n1, WishKind::kGiveUp);
    s.settle();
    CHECK(s.standing(n1) == Standing::kCurrent);
    CHECK(s.sentence(Reason::kMirrorFailed) == "Mirror md1: the disk of node1 failed, and no other copy is current.");
}

// ---- takeover ----

TEST_CASE("a takeover leaves the former owner's copy behind, in the one commit that assigns the group") {
    Mirrored s;
    s.lose(n1);
    s.self = n2;
    s.facts[n1].may_run_until = s.now;
    const int before = s.commits;
    s.settle();
    CHECK(s.commits == before + 1);
    CHECK(s.owner() == n2);
    CHECK(s.standing(n1) == Standing::kStale);
    CHECK(s.standing(n2) == Standing::kCurrent);
    CHECK(s.record().generation.counter == 2);
    CHECK(s.record().generation.random != Uuid{0x11});
    CHECK(s.sentence(Reason::kMirrorTakenOver) ==
          "Mirror md1 goes on with the copy of node2: the copy of node1 is stale now.");
}

TEST_CASE("a planned move leaves all copies current") {
    Mirrored s;
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    s.report_state(n1, GroupState::kStopped);
    s.replica(n1).role = mirror::Role::kSecondary;
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.record().current_count() == 2);
    CHECK(s.record().generation.counter == 1);
}

TEST_CASE("a group that finds no place after a crash takes its mirrors over when it does") {
    Mirrored s;
    s.lose(n1);
    s.self = n2;
    s.replica(n2).disk = DiskState::kNone;
    s.reboot(n1, 2);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.entry().crashed);
    CHECK(s.record().generation.counter == 1);
    s.replica(n2).disk = DiskState::kConsistent;
    s.now += s.timing.hold;  // it has waited for the first server's driver
    s.settle();
    CHECK(s.owner() == n2);
    CHECK_FALSE(s.entry().crashed);
    CHECK(s.standing(n1) == Standing::kStale);
    CHECK(s.record().generation.counter == 2);
}

TEST_CASE("a group does not go where its mirror is stale, and both places say why") {
    Mirrored s;
    s.wish(n1, WishKind::kSolo);
    s.settle();
    s.replica(n1).wish = {};
    s.lose(n1);
    s.self = n2;
    s.facts[n1].may_run_until = s.now;
    s.settle();
    CHECK(s.owner() == n1);  // it resumes when it comes back
    s.reboot(n1, 2);
    s.settle();
    CHECK(s.owner() == kNobody);
    CHECK(s.obstacle(n2) == "its copy of md1 is stale");
    CHECK(s.obstacle(n1) == "its mirror driver has not reported md1 yet");
    mirror::Report& back = s.replica(n1);  // it came back before it had written the new generation down
    back.disk = DiskState::kConsistent;
    back.generation = {1, Uuid{0x11}};
    back.nonce = s.record().replicas[n1].nonce;
    s.settle();
    CHECK(s.owner() == n1);
}

// ---- placement ----

namespace {

void expect_node2(Mirrored& s, Fitness fitness, const std::string& obstacle) {
    const Candidate candidate = judge(s.input(), s.document, s.group(), n2);
    CHECK(candidate.obstacle == obstacle);
    CHECK(candidate.fitness == fitness);
}

}  // namespace

TEST_CASE("every obstacle that a mirror can be has its sentence") {
    Mirrored s;
    mirror::Report& report = s.replica(n2);
    expect_node2(s, Fitness::kFit, "");
    SECTION("no entry") {
        s.document.mirrors.clear();
        expect_node2(s, Fitness::kSoon, "mirror md1 is not in the document yet");
    }
    SECTION("standing") {
        s.record().replicas[n2].standing = Standing::kUnbuilt;
        expect_node2(s, Fitness::kUnfit, "it has no copy of md1 yet");
        s.record().replicas[n2].standing = Standing::kSuspect;
        expect_node2(s, Fitness::kUnfit, "its copy of md1 waits for a full copy");
    }
    SECTION("not reported") {
        s.replicas[n2].clear();
        expect_node2(s, Fitness::kSoon, "its mirror driver has not reported md1 yet");
    }
    SECTION("not attached") {
        report.disk = DiskState::kNone;
        expect_node2(s, Fitness::kSoon, "its disk of md1 is not attached yet");
        report.message = "/dev/sdb1 is mounted";
        expect_node2(s, Fitness::kUnfit, "its disk of md1 is not attached: /dev/sdb1 is mounted");
    }
    SECTION("failed") {
        report.disk = DiskState::kFailed;
        expect_node2(s, Fitness::kUnfit, "its disk of md1 failed");
    }
    SECTION("not admitted") {
        report.nonce = Nonce{5};
        expect_node2(s, Fitness::kSoon, "its disk of md1 is not admitted yet");
    }
    SECTION("incomplete") {
        report.disk = DiskState::kInconsistent;
        expect_node2(s, Fitness::kUnfit, "its copy of md1 is incomplete");
    }
    SECTION("behind the register") {
        report.generation = {};
        expect_node2(s, Fitness::kSoon, "its copy of md1 has not taken on the cluster's generation yet");
        s.record().replicas[n1].standing = Standing::kStale;
        expect_node2(s, Fitness::kFit, "");
    }
    SECTION("of another lineage") {
        report.generation.random[0] ^= 1;
        expect_node2(s, Fitness::kUnfit, "its copy of md1 is of another generation than the cluster's");
    }
}

TEST_CASE("one mirror of several that is not current keeps the whole group away") {
    Mirrored s;
    s.add_mirror("md2");
    s.constructed("md2");
    CHECK(judge(s.input(), s.document, s.group(), n2).fitness == Fitness::kFit);
    s.record("md2").replicas[n2].standing = Standing::kStale;
    CHECK(s.obstacle(n2) == "its copy of md2 is stale");
}

TEST_CASE("the drivers' first reports are waited for before anybody is alarmed") {
    Scene s;
    s.add_mirror();
    s.constructed();
    s.replicas.clear();
    s.settle();
    CHECK_FALSE(s.said(Reason::kGroupNoPlace));
    s.now += s.timing.hold;
    s.settle();
    CHECK(s.said(Reason::kGroupNoPlace));
}

// ---- leadership ----

TEST_CASE("the leadership goes to the owner of mirrors before the owner of more groups") {
    Scene s(2, {"web", "mail", "db"});
    s.add_mirror("md1", "db");
    s.constructed();
    s.run_on(n1, "web");
    s.run_on(n1, "mail");
    s.primary_on(n2, "md1", "db");
    s.settle();
    s.now += s.timing.hold;
    CHECK(s.settle().hand_over_to == n2);
}

// ---- configuration ----

TEST_CASE("a configuration may not take the only current copy away") {
    Mirrored s;
    s.record().replicas[n2].standing = Standing::kStale;
    s.entry().owner.reset();
    s.entry().goal = Goal::kStopped;
    s.entry().held = true;
    auto wanted = std::make_shared<config::Config>(s.config);
    wanted->groups[0].nodes = {n2};
    s.parse_config = [wanted](const Bytes&) { return wanted; };
    s.ask(OperatorVerb::kConfigApply);
    s.settle();
    CHECK(s.last_reply().message == "the change takes the only current copy of mirror md1 away");
    wanted->groups[0].nodes = {n1};
    s.ask(OperatorVerb::kConfigApply);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
}

}  // namespace kagami::engine::test
