// minimum_memory and minimum_disk.
#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

Scene short_scene() {
    Scene s(2, {"a", "b"});
    s.config.minimum_memory_mib = 400;
    s.memory = {{n1, 2000}, {n2, 2000}};
    s.run_on(n1, "a");
    s.run_on(n1, "b");
    s.settle();
    return s;
}

void wait(Scene& s, Duration d) {
    s.now += d;
    s.settle();
}

}  // namespace

TEST_CASE("the groups of a node that stays below the threshold go to one that is above, all in one commit") {
    Scene s = short_scene();
    s.memory[n1] = 300;
    s.settle();
    CHECK(s.entry("a").target == kNobody);  // a moment of need moves nothing
    s.now += 10s;
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.at("a").target == n2);
    CHECK(out.next->groups.at("b").target == n2);
    const auto moved = std::find_if(out.decisions.begin(), out.decisions.end(),
                                    [](const Decision& d) { return d.subject == "group a"; });
    REQUIRE(moved != out.decisions.end());
    CHECK(moved->sentence ==
          "Group a moves to node2 from node1: on node1, less memory is free there than minimum_memory (400 MiB) "
          "demands.");
}

TEST_CASE("the other node needs a quarter more than the threshold: nothing goes to and fro") {
    Scene s = short_scene();
    s.memory = {{n1, 300}, {n2, 450}};
    s.settle();
    wait(s, 10s);
    CHECK(s.entry("a").target == kNobody);
    REQUIRE_FALSE(s.rejected(Reason::kGroupNoPlace).empty());
    CHECK(s.rejected(Reason::kGroupNoPlace)[0] ==
          "node2: less memory is free there than minimum_memory (400 MiB) and a quarter more demands");
    s.memory[n2] = 500;
    s.settle();
    CHECK(s.entry("a").target == n2);
}

TEST_CASE("a node that recovers in time keeps its groups; disk space counts as well; 0 is not measured") {
    Scene s = short_scene();
    SECTION("recovers") {
        s.memory[n1] = 300;
        s.settle();
        s.memory[n1] = 400;
        wait(s, 9s);
        s.memory[n1] = 300;
        s.settle();
        wait(s, 9s);
        CHECK(s.entry("a").target == kNobody);
    }
    SECTION("disk space") {
        s.config.minimum_disk_mib = 1000;
        s.disk = {{n1, 900}, {n2, 5000}};
        s.settle();
        wait(s, 10s);
        CHECK(s.entry("a").target == n2);
        CHECK(s.sentence(Reason::kNodeShort) ==
              "node1 is short: less disk space is free there than minimum_disk (1000 MiB) demands. Its groups go to a "
              "node with more. Find out what uses it, or lower the limit.");
    }
    SECTION("not measured") {
        s.memory[n1] = 0;
        s.settle();
        wait(s, 20s);
        CHECK(s.entry("a").target == kNobody);
    }
}

TEST_CASE("a node below is taken only when there is no other: a service there is better than none") {
    Scene s(3);
    s.config.minimum_memory_mib = 400;
    s.memory = {{n1, 300}, {n2, 2000}, {n3, 2000}};
    SECTION("another one is there") {
        s.settle();
        CHECK(s.owner() == n2);
        CHECK(s.rejected(Reason::kGroupPlaced)[0] ==
              "node1: less memory is free there than minimum_memory (400 MiB) demands");
    }
    SECTION("none is") {
        s.silence(n2);
        s.silence(n3);
        s.settle();
        CHECK(s.owner() == n1);
    }
}

TEST_CASE("the storm brake and manual failover hold for shortages, too") {
    Scene s = short_scene();
    s.group("a").failover = config::FailoverAttribute::kManual;
    s.config.failovers_per_hour = 1;
    s.entry("b").storm = 1;
    s.memory[n1] = 300;
    s.settle();
    wait(s, 10s);
    CHECK(s.entry("a").target == kNobody);
    CHECK(s.entry("b").target == kNobody);
    CHECK(s.said(Reason::kGroupStormBrake));
}

TEST_CASE("what a node reports is rounded down: one that has enough never looks short, whatever the numbers are") {
    CHECK(coarse_mib(0) == 0);
    CHECK(coarse_mib(15) == 15);
    CHECK(coarse_mib(1000) == 960);
    for (const uint64_t minimum : {1U, 17U, 100U, 600U, 1000U, 1023U, 4097U, 1000000U}) {
        Scene s = short_scene();
        s.config.minimum_memory_mib = minimum;
        s.memory = {{n1, coarse_mib(minimum)}, {n2, 1U << 30U}};
        s.settle();
        wait(s, 10s);
        CHECK(s.entry("a").target == kNobody);
        if (minimum < 16) continue;
        s.memory[n1] = coarse_mib(minimum - minimum / 8);
        s.settle();
        wait(s, 10s);
        CHECK(s.entry("a").target == n2);
    }
}

TEST_CASE("failback does not return to a node that has barely enough") {
    Scene s = short_scene();
    s.group("a").failback = true;
    s.run_on(n2, "a");
    s.memory[n1] = 450;
    s.settle();
    CHECK(s.entry("a").target == kNobody);
    s.memory[n1] = 500;
    s.settle();
    CHECK(s.entry("a").target == n1);
}
