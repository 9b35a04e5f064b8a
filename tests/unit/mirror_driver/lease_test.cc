#include <catch2/catch.hpp>

#include "cluster-daemon/guard/guard_page.h"
#include "mirror-driver/driver/lease_reader.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::mirror;

namespace {

constexpr BootId kBoot{7};

// A guard's page with one group, and what a driver reads from it.
struct Page {
    testing::TemporaryDirectory folder;
    std::string path = folder.path() + "/guard.page";
    guard::GuardPageWriter<guard::GuardPlan> writer = std::move(*guard::GuardPageWriter<guard::GuardPlan>::open(path.c_str()));
    guard::GuardPlan plan;
    Token token{{1}, 4};
    Instant now{1000s};
    LeaseReader reader{path, "db", kBoot};

    Page() {
        plan.terms.boot = kBoot;
        plan.terms.t_hold = 2s;
        plan.terms.t_guard = 200ms;
        plan.terms.t_kill = 500ms;
        plan.terms.lease_sent_at = now;
        plan.terms.deadline = now + 2s;
        guard::GuardGroup group;
        group.name = "db";
        group.cgroup = "db";
        group.token = token;
        plan.groups.push_back(group);
    }
    Instant until() {
        REQUIRE(writer.publish(plan));
        return reader.until(token, now);
    }
};

}  // namespace

TEST_CASE("a mirror may acknowledge until the deadline of its group's token, and not once that is condemned") {
    Page page;
    CHECK(page.until() == page.now + 2s);
    SECTION("another token") {
        page.plan.groups[0].token.seq = 5;
    }
    SECTION("condemned") {
        page.plan.groups[0].verdict = guard::Verdict::kKill;
    }
    SECTION("not on the page") {
        page.plan.groups.clear();
    }
    SECTION("another boot") {
        page.plan.terms.boot = BootId{8};
    }
    CHECK(page.until() == Instant{});
}

TEST_CASE("on an unmanaged node a mirror goes on as long as the page says so") {
    Page page;
    page.plan.groups.clear();
    page.plan.terms.deadline = {};
    page.plan.terms.unmanaged = 1;
    for (int i = 0; i < 200; ++i, page.now += 1s) CHECK(page.until() > page.now + 1min);
    const Instant told = page.until();
    page.now += 1ms;
    CHECK(page.until() == told);  // not another one at every look
    page.plan.terms.unmanaged = 0;
    CHECK(page.until() == Instant{});
}
