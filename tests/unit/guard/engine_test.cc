#include "cluster-daemon/guard/guard_engine.h"

#include <catch2/catch.hpp>

#include "tests/unit/guard/world.h"

using namespace kagami;
using namespace kagami::guard;
using namespace kagami::guard::test;

namespace {

// A group `db` that has run for a second under a lease, which ends in a second.
World running(GroupKind kind = GroupKind::kData) {
    World w;
    w.add("db", kind);
    w.renew();
    w.run(1s);
    return w;
}
World suspended() {
    World w = running();
    w.run(2s);
    return w;
}

}  // namespace

TEST_CASE(
    "under a lease nothing is done to a group, and the guard looks every T_guard / 2 and exactly at the deadline") {
    World w = running();
    CHECK(w.ordered("db") == GroupOrders{});
    CHECK(w.state("db") == GroupState::kRunning);
    CHECK(w.orders.pet);
    CHECK(w.orders.wake_at == w.now + kGuard / 2);
    w.run(w.plan.terms.deadline - w.now - 1ms);
    CHECK(w.step().wake_at == w.plan.terms.deadline);
    CHECK(w.runs("db"));
}

TEST_CASE("at the deadline a data group is frozen and its addresses are withdrawn, then reported as suspended") {
    World w = running();
    w.now = w.plan.terms.deadline;
    w.step();
    CHECK(w.ordered("db") == GroupOrders{.freeze = true, .withdraw = true});
    CHECK(w.state("db") == GroupState::kSuspending);
    CHECK_FALSE(w.orders.pet);  // not yet seen done
    w.run(100ms);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK(w.reported("db")->begun_at == w.plan.terms.deadline);
    CHECK(w.reported("db")->done_at <= w.plan.terms.deadline + kGuard);
    CHECK(w.machine("db").addresses == 0);
    CHECK(w.machine("db").populated);
    CHECK(w.orders.pet);
}

TEST_CASE(
    "at the deadline a strict group is killed at once, its addresses withdrawn, and unmounted when its processes are "
    "gone") {
    World w = running(GroupKind::kStrict);
    w.now = w.plan.terms.deadline;
    w.step();
    CHECK(w.ordered("db") == GroupOrders{.kill = true, .withdraw = true, .abort = true});
    w.now += 1ms;
    w.step();
    CHECK(w.ordered("db").unmount);
    CHECK(w.ordered("db").abort);  // what is stalled would hold up the unmounting as well
    w.run(100ms);
    CHECK(w.state("db") == GroupState::kKilled);
    CHECK_FALSE(w.ordered("db").abort);
    CHECK_FALSE(w.machine("db").mounted);
    CHECK(w.machine("db").addresses == 0);
    CHECK(w.orders.pet);
}

TEST_CASE("without any lease a group is suspended as soon as it is on the page") {
    World w;
    w.add("db");
    w.publish();
    w.run(10ms);
    CHECK(w.state("db") == GroupState::kSuspended);
}

TEST_CASE("a lease that cannot be true is no lease") {
    World w = running();
    SECTION("longer than T_hold after it was sent") {
        w.plan.terms.deadline = w.now + 1h;
        w.publish();
        w.run(kHold);
    }
    SECTION("sent in the future") {
        w.plan.terms.lease_sent_at = w.now + 1s;
        w.plan.terms.deadline = w.now + 3s;
        w.publish();
        w.run(10ms);
    }
    SECTION("granted to another boot of this machine") {
        w.plan.terms.boot = {9};
        w.renew();
        w.run(10ms);
    }
    SECTION("on a page that cannot be believed") {
        w.damage();
        w.run(10ms);
        CHECK(w.report().plan_readable == 0);
    }
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK_FALSE(w.runs("db"));
}

TEST_CASE("a suspended group is resumed by verdict resume under a lease sent after the suspension began") {
    World w = suspended();
    w.group("db").verdict = Verdict::kResume;
    w.renew();
    w.step();
    CHECK(w.ordered("db") == GroupOrders{.thaw = true, .restore = 3});
    CHECK(w.state("db") == GroupState::kResumed);
    CHECK(w.runs("db"));
    CHECK(w.machine("db").addresses == 3);
    w.run(1s);
    CHECK(w.ordered("db") == GroupOrders{});
    w.run(2s);  // the verdict still stands on the page, but no lease was sent after this suspension
    CHECK(w.state("db") == GroupState::kSuspended);
}

TEST_CASE("a suspended group stays so without verdict, without deadline, or with a lease sent before the suspension") {
    World w = suspended();
    const Instant begun = w.reported("db")->begun_at;
    SECTION("no verdict") {
        w.renew();
    }
    SECTION("the deadline has passed") {
        w.group("db").verdict = Verdict::kResume;
        w.plan.terms.lease_sent_at = begun + 1ms;
        w.plan.terms.deadline = w.now;
        w.publish();
    }
    SECTION("the renewal was sent before") {
        w.group("db").verdict = Verdict::kResume;
        w.plan.terms.lease_sent_at = begun;
        w.plan.terms.deadline = w.now + 500ms;
        w.publish();
    }
    w.run(100ms);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK_FALSE(w.runs("db"));
}

TEST_CASE("resuming gives back exactly the addresses that were taken") {
    World w = running();
    w.machine("db").addresses = 2;  // the first one is not activated
    w.run(2s);
    w.group("db").verdict = Verdict::kResume;
    w.renew();
    w.step();
    CHECK(w.ordered("db").restore == 2);
    w.machine("db").addresses = 0;  // deactivated meanwhile
    w.run(3s);
    w.renew();
    w.step();
    CHECK(w.state("db") == GroupState::kResumed);
    CHECK(w.ordered("db").restore == 0);
}

TEST_CASE("a process that appears while a kill is being finished is killed as well") {
    World w = running();
    w.group("db").verdict = Verdict::kKill;
    w.renew();
    w.step();
    w.now += 1ms;
    w.step();
    CHECK(w.ordered("db").unmount);
    w.machine("db").populated = true;
    w.now += 1ms;
    w.step();
    CHECK(w.state("db") == GroupState::kKilling);
    CHECK(w.ordered("db").kill);
    w.run(10ms);
    CHECK(w.state("db") == GroupState::kKilled);
}

TEST_CASE("what a predecessor reported counts only for the first plan") {
    World w = suspended();
    w.group("db").verdict = Verdict::kResume;
    w.restart();
    w.renew();
    w.step();
    w.machine("db").populated = false;
    w.step();
    const auto groups = w.plan.groups;
    w.remove("db");
    w.renew();
    CHECK_FALSE(w.reported("db"));
    w.plan.groups = groups;
    w.group("db").verdict = Verdict::kNone;
    w.machine("db").populated = true;
    w.renew();
    w.step();
    CHECK(w.state("db") == GroupState::kRunning);
}

TEST_CASE("verdict kill kills, suspended or not, lease or not") {
    World w = running();
    SECTION("running under a lease") {}
    SECTION("suspended") {
        w.run(2s);
    }
    w.group("db").verdict = Verdict::kKill;
    w.renew();
    w.run(50ms);
    CHECK(w.state("db") == GroupState::kKilled);
    CHECK_FALSE(w.machine("db").populated);
    CHECK_FALSE(w.machine("db").freeze_wanted);  // so that the next start is not born frozen
    CHECK(w.machine("db").addresses == 0);
}

TEST_CASE("a suspension that lasts a minute becomes a kill") {
    World w = suspended();
    w.run(kSuspensionLimit - 2s);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK_FALSE(w.ordered("db").abort);  // until then its mirror disks may come back
    w.run(2s);
    CHECK(w.state("db") == GroupState::kKilled);
}

TEST_CASE("a kill is never called off") {
    World w = running();
    w.kills_work = false;
    w.group("db").verdict = Verdict::kKill;
    w.renew();
    w.step();
    w.now += 10ms;
    w.group("db").verdict = Verdict::kResume;
    w.renew();
    w.step();
    CHECK(w.state("db") == GroupState::kKilling);
    CHECK(w.ordered("db").kill);
}

TEST_CASE("what is not killed and unmounted within T_kill fails, is tried on, and is never petted again") {
    World w = running(GroupKind::kStrict);
    SECTION("a process that does not die") {
        w.kills_work = false;
    }
    SECTION("a mount that stays busy") {
        w.unmounts_work = false;
    }
    SECTION("an address that stays") {
        w.withdrawals_work = false;
    }
    w.now = w.plan.terms.deadline;
    w.run(kKill);
    CHECK(w.state("db") == GroupState::kKilling);
    CHECK_FALSE(w.orders.reset);
    w.run(20ms);
    CHECK(w.state("db") == GroupState::kKillFailed);
    CHECK(w.orders.reset);
    CHECK_FALSE(w.orders.pet);
    w.kills_work = w.unmounts_work = w.withdrawals_work = true;
    w.renew();
    w.run(100ms);
    CHECK(w.state("db") == GroupState::kKilled);
    CHECK(w.report().condemned == 1);
    CHECK_FALSE(w.orders.pet);
}

TEST_CASE("what is not suspended within T_guard is never petted again, lease or not") {
    World w = running();
    w.freeze_takes = kGuard + 50ms;
    w.now = w.plan.terms.deadline;
    w.run(kGuard);
    CHECK_FALSE(w.orders.reset);
    w.run(1s);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK(w.orders.reset);
    w.renew();
    w.step();
    CHECK_FALSE(w.orders.pet);
    w.restart();  // a successor knows it too
    w.step();
    CHECK_FALSE(w.orders.pet);
    CHECK_FALSE(w.orders.arm);
}

TEST_CASE("time in which the guard itself could not run is not held against a suspension or a kill") {
    World w = running();
    const bool killing = GENERATE(false, true);
    w.kills_work = false;
    w.freeze_takes = 10s;
    w.group("db").verdict = killing ? Verdict::kKill : Verdict::kNone;
    w.publish();
    w.now = w.plan.terms.deadline;
    w.step();
    w.now += 3s;  // the machine stood still
    w.step();
    CHECK(w.report().condemned == 0);
    CHECK(w.state("db") == (killing ? GroupState::kKilling : GroupState::kSuspending));
    w.run(kKill);
    CHECK(w.report().condemned == 1);
}

TEST_CASE("a machine without lease and without groups is petted; one whose guard knows no plan is not") {
    World w;
    w.publish();
    CHECK(w.step().pet);
    World blank;
    CHECK_FALSE(blank.step().arm);
    CHECK_FALSE(blank.step().pet);
    CHECK(blank.orders.wake_at > blank.now);
}

TEST_CASE("armed as soon as the plan says so, disarmed only when it no longer does and no group is left") {
    World w;
    w.plan.terms.armed = 0;
    w.publish();
    CHECK_FALSE(w.step().arm);
    w.plan.terms.armed = 1;
    w.publish();
    CHECK(w.step().arm);
    w.add("db");
    w.plan.terms.armed = 0;
    w.renew();
    CHECK(w.step().arm);  // the group is still there
    CHECK(w.orders.pet);
    w.damage();
    CHECK(w.step().arm);
    SECTION("the group has left the plan, its processes not") {
        w.remove("db");
        w.renew();
        CHECK(w.step().arm);
        w.machine("db").populated = false;
        CHECK(w.step().arm);  // suspended while the page was damaged: it has addresses and mounts to be seen gone
        w.run(50ms);
    }
    SECTION("the group was killed") {
        w.group("db").verdict = Verdict::kKill;
        w.renew();
        w.run(50ms);
    }
    CHECK_FALSE(w.orders.arm);
}

TEST_CASE("leases are kept whether armed or not") {
    World w;
    w.plan.terms.armed = 0;
    w.add("db");
    w.renew();
    w.run(kHold + 100ms);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK_FALSE(w.orders.pet);
}

TEST_CASE("a gap in any clock makes the lease suspect until one that was sent after the gap") {
    World w = running();
    w.group("db").verdict = Verdict::kResume;
    w.renew();
    w.step();
    const auto before = w.plan.terms;
    SECTION("all clocks jumped: the machine stood still") {
        w.now += kHold / 4 + 1ms;
    }
    SECTION("BOOTTIME alone: suspend to memory") {
        w.now += kHold / 4 + 1ms;
        w.monotonic_lag = w.raw_lag = kHold / 4 + 1ms;
    }
    SECTION("MONOTONIC alone") {
        w.monotonic_lag = -kHold;
    }
    SECTION("RAW went back") {
        w.raw_lag = 1s;
    }
    w.step();
    CHECK(w.report().pauses == 1);
    CHECK(w.state("db") == GroupState::kSuspending);
    w.now += 10ms;
    w.plan.terms.lease_sent_at = before.lease_sent_at;
    w.plan.terms.deadline = before.deadline;
    w.publish();  // an acknowledgement that was under way during the gap
    w.run(50ms);
    CHECK(w.state("db") == GroupState::kSuspended);
    w.renew();
    w.step();
    CHECK(w.state("db") == GroupState::kResumed);
}

TEST_CASE("a step of T_hold / 4 is no gap") {
    World w = running();
    w.now += kHold / 4;
    w.step();
    CHECK(w.report().pauses == 0);
    CHECK(w.state("db") == GroupState::kRunning);
}

TEST_CASE("a guard that restarts leaves suspended what is suspended and running what has a lease") {
    World w = suspended();
    SECTION("with its predecessor's report") {
        const auto was = w.reported("db");
        w.restart();
        w.run(50ms);
        CHECK(w.reported("db")->begun_at == was->begun_at);
        CHECK(w.state("db") == GroupState::kSuspended);
        w.group("db").verdict = Verdict::kResume;
        w.renew();
        w.step();
        CHECK(w.machine("db").addresses == 3);
    }
    SECTION("without, from what it sees") {
        w.engine.emplace(kBoot, nullptr);
        w.renew();  // a lease, but no verdict since it looked
        w.run(50ms);
        CHECK(w.state("db") == GroupState::kSuspended);
        w.group("db").verdict = Verdict::kResume;
        w.renew();
        w.step();
        CHECK(w.state("db") == GroupState::kResumed);
        CHECK(w.machine("db").addresses == 3);
    }
    CHECK(w.runs("db"));
    for (int i = 0; i < 3; ++i) {
        w.renew();
        w.restart();
        w.run(100ms);
        CHECK(w.ordered("db") == GroupOrders{});
        CHECK(w.runs("db"));
    }
}

TEST_CASE("a guard that restarts goes on with what its predecessor had begun") {
    World w = running();
    SECTION("a kill") {
        w.kills_work = false;
        w.group("db").verdict = Verdict::kKill;
        w.renew();
        w.step();
        w.now += kKill * 2;
        w.kills_work = true;
        w.group("db").verdict = Verdict::kNone;
        w.renew();
        w.restart();
        w.step();
        CHECK(w.ordered("db").kill);
        w.run(20ms);
        CHECK(w.state("db") == GroupState::kKilled);
        CHECK(w.orders.pet);  // its successor had its own T_kill: nobody petted in between
        w.restart();
        w.run(20ms);
        CHECK(w.state("db") == GroupState::kKilled);
    }
    SECTION("a suspension, of which it withdrew the addresses without saying so") {
        w.now = w.plan.terms.deadline;
        w.step();
        w.machine("db").freeze_wanted = false;
        w.restart();
        w.run(50ms);
        CHECK(w.state("db") == GroupState::kSuspended);
        w.group("db").verdict = Verdict::kResume;
        w.renew();
        w.step();
        CHECK(w.machine("db").addresses == 3);
    }
    SECTION("but not with the report of another boot") {
        GuardReport other = w.report();
        other.boot = {7};
        other.condemned = 1;
        w.engine.emplace(kBoot, &other);
        w.publish();
        CHECK(w.step().pet);
    }
}

TEST_CASE("a group that leaves the plan stays guarded until its cgroup is empty") {
    World w = running();
    w.remove("db");
    w.renew();
    w.run(500ms);
    CHECK(w.state("db") == GroupState::kRunning);
    SECTION("it is suspended at the deadline, and killed when it has ended meanwhile") {
        w.run(2s);
        CHECK(w.state("db") == GroupState::kSuspended);
        w.machine("db").populated = false;
        w.run(100ms);
        CHECK(w.state("db") == GroupState::kKilled);
    }
    SECTION("it is forgotten when it has ended") {
        w.machine("db").populated = false;
    }
    w.step();
    w.renew();
    CHECK_FALSE(w.reported("db"));
}

TEST_CASE("an unmanaged node: what runs is let go, what is suspended is not, and nothing is armed") {
    World w;
    w.add("web");
    w.add("db");
    w.renew();
    w.run(1s);
    REQUIRE(w.orders.arm);
    SECTION("all runs: without a lease nothing is suspended, and the watchdog is off") {
        w.plan.groups.clear();
        w.plan.terms.deadline = {};
        w.plan.terms.armed = 0;
        w.plan.terms.unmanaged = 1;
        w.publish();
        w.run(1h);
        CHECK(w.runs("web"));
        CHECK(w.runs("db"));
        CHECK(w.report().groups.size() == 0);
        CHECK_FALSE(w.orders.arm);
        CHECK_FALSE(w.orders.reset);
        // Managed again, under a lease: guarded as before.
        w.plan.terms.unmanaged = 0;
        w.plan.terms.armed = 1;
        w.add("web");
        w.renew();
        w.run(100ms);
        CHECK(w.orders.arm);
        CHECK(w.state("web") == GroupState::kRunning);
        w.run(5s);
        CHECK(w.state("web") == GroupState::kSuspended);
    }
    SECTION("suspended: it stays so, until the minute of a suspension is over") {
        w.run(3s);
        REQUIRE(w.state("web") == GroupState::kSuspended);
        w.plan.groups.clear();
        w.plan.terms.armed = 0;
        w.plan.terms.unmanaged = 1;
        w.publish();
        w.run(2min);
        CHECK_FALSE(w.machine("web").populated);
        CHECK_FALSE(w.orders.arm);
    }
}

TEST_CASE("128 groups are guarded") {
    World w;
    for (int i = 0; i < 128; ++i) w.add(("g" + std::to_string(i)).c_str());
    w.renew();
    w.run(1s);
    CHECK(w.report().plan_readable);
    w.run(3s);
    for (int i = 0; i < 128; ++i) CHECK(w.state("g" + std::to_string(i)) == GroupState::kSuspended);
}

TEST_CASE("a newer token takes over a running group, and kills what is left of a suspended one") {
    World w = running();
    SECTION("running") {
        w.group("db").token.seq = 2;
        w.renew();
        w.run(100ms);
        CHECK(w.state("db") == GroupState::kRunning);
        CHECK(w.runs("db"));
    }
    SECTION("suspended") {
        w.run(2s);
        w.group("db").token.seq = 2;
        w.group("db").verdict = Verdict::kResume;
        w.renew();
        w.step();
        CHECK(w.ordered("db").kill);
        w.run(50ms);
        CHECK(w.reported("db")->token.seq == 1);
        CHECK(w.state("db") == GroupState::kKilled);
        w.renew();
        w.machine("db").populated = true;  // the start under the new token
        w.run(50ms);
        CHECK(w.state("db") == GroupState::kRunning);
    }
    CHECK(w.reported("db")->token.seq == 2);
}

TEST_CASE("a killed group that has processes again is killed again, or runs under verdict resume and a later lease") {
    World w = running(GroupKind::kStrict);
    w.run(2s);
    REQUIRE(w.state("db") == GroupState::kKilled);
    w.machine("db").populated = true;
    SECTION("without") {
        w.renew();
        w.run(50ms);
        CHECK(w.state("db") == GroupState::kKilled);
        CHECK_FALSE(w.machine("db").populated);
    }
    SECTION("with") {
        w.group("db").verdict = Verdict::kResume;
        w.renew();
        w.run(50ms);
        CHECK(w.state("db") == GroupState::kRunning);
        CHECK(w.machine("db").populated);
    }
}

TEST_CASE("a group that others froze counts as suspended, one just thawed does not") {
    World w = running();
    w.machine("db").freeze_wanted = true;  // the daemon did, while it saw no guard
    w.machine("db").frozen_from = w.now;
    w.step();
    CHECK(w.state("db") == GroupState::kSuspending);
    w.run(50ms);
    w.group("db").verdict = Verdict::kResume;
    w.renew();
    w.step();
    CHECK(w.state("db") == GroupState::kResumed);
    w.machine("db").freeze_wanted = true;  // the kernel still says frozen
    w.machine("db").frozen_from = w.now;
    w.now += 1ms;
    w.step();
    CHECK(w.state("db") == GroupState::kResumed);
}

TEST_CASE("a suspended group that others thawed, or whose address came back, is suspended again") {
    World w = suspended();
    SECTION("thawed") {
        w.machine("db").freeze_wanted = false;
    }
    SECTION("address") {
        w.machine("db").addresses = 1;
    }
    w.run(kGuard);
    CHECK(w.state("db") == GroupState::kSuspended);
    CHECK_FALSE(w.runs("db"));
    CHECK(w.machine("db").addresses == 0);
    CHECK(w.orders.pet);
}

TEST_CASE("a plan that finds no room beside groups that still run leases nothing") {
    World w;
    for (size_t i = 0; i < kMaxGroups; ++i) w.add(("old" + std::to_string(i)).c_str());
    w.renew();
    w.step();
    w.plan.groups.clear();
    w.add("new");
    w.renew();
    w.run(50ms);
    CHECK_FALSE(w.reported("new"));
    CHECK(w.state("old0") == GroupState::kSuspended);
    for (size_t i = 0; i < kMaxGroups; ++i) w.machine("old" + std::to_string(i)).populated = false;
    w.run(50ms);
    w.renew();
    w.renew();
    w.run(50ms);
    CHECK(w.state("new") == GroupState::kRunning);
}
