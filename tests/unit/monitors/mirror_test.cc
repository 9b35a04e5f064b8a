// mdw and mdnw on a fake machine: every word that a mirror's report can say.
#include <catch2/catch.hpp>

#include "common/host/fake_host.h"
#include "monitors/monitor.h"
#include "tests/support/type_values.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using mirror::DiskState;
using mirror::Mode;
using mirror::Role;

namespace {

struct Bench {
    host::FakeHost fake;
    Context context;
    std::unique_ptr<Monitor> monitor;
    mirror::Report& report = fake.mirrors.reports["md1"];

    explicit Bench(const std::string& word, const testing::Texts& values = {}) {
        const Type* type = find(word);
        REQUIRE(type != nullptr);
        monitor = type->make(fake.host);
        context = {"watch", "web", "md1", testing::type_values(type->description, values), {}, "", fake.time + 60s};
        report.mirror = "md1";
        report.role = Role::kPrimary;
        report.disk = DiskState::kConsistent;
        report.mode = Mode::kConnected;
        report.connected = true;
    }
    Finding look() { return monitor->check(context).value(); }
};

}  // namespace

TEST_CASE("mdw is normal with two current copies alone") {
    Bench b("mdw");
    CHECK(b.look().health == Health::kNormal);
    CHECK(b.look().message == "md1: both copies are up to date");
    b.report.message = "memory of the driver is not locked";
    CHECK(b.look().health == Health::kCaution);
}

TEST_CASE("mdw cautions while one copy serves alone") {
    for (const Mode mode : {Mode::kIdle, Mode::kStalled, Mode::kSolo, Mode::kSyncing, Mode::kJoining}) {
        Bench b("mdw");
        b.report.mode = mode;
        CHECK(b.look().health == Health::kCaution);
    }
    Bench b("mdw");
    b.report.mode = Mode::kSyncing;
    b.report.percent = 42;
    b.report.dirty_bytes = 3U << 20U;
    b.report.message = "slow network";
    CHECK(b.look().message ==
          "md1: the other copy is being brought up to date, 42 %, 3 MiB are to be copied: slow network");
    b.report.mode = Mode::kSolo;
    CHECK_THAT(b.look().message, Contains("this node alone holds the data"));
}

TEST_CASE("mdw calls what does not serve an error, at once when it cannot pass") {
    Bench b("mdw");
    const Instant begin = b.fake.time;
    b.report.mode = Mode::kHalted;
    CHECK(b.look().health == Health::kError);
    b.report.disk = DiskState::kFailed;
    b.report.role = Role::kSecondary;
    b.report.message = "/dev/sdb1: Input/output error";
    CHECK(b.look().health == Health::kError);
    CHECK(b.look().message == "md1: the disk of this node has failed: /dev/sdb1: Input/output error");
    CHECK(b.fake.time == begin);
}

TEST_CASE("mdw gives a restarted driver some seconds, and no more") {
    for (const DiskState disk : {DiskState::kNone, DiskState::kNew, DiskState::kInconsistent, DiskState::kConsistent}) {
        Bench b("mdw");
        b.report.role = Role::kSecondary;
        b.report.disk = disk;
        const Instant begin = b.fake.time;
        CHECK(b.look().health == Health::kError);
        CHECK(b.fake.time - begin >= 5s);
        CHECK(b.fake.time - begin < 6s);
    }
    Bench back("mdw");
    back.report.role = Role::kDetached;
    back.report.disk = DiskState::kNone;
    back.fake.host.oversleep = [&](Duration pause) {
        back.fake.time += pause;
        back.report.role = Role::kPrimary;
        back.report.disk = DiskState::kConsistent;
        return Duration(0);
    };
    CHECK(back.look().health == Health::kNormal);
    Bench hurried("mdw");
    hurried.report.role = Role::kDetached;
    hurried.context.deadline = hurried.fake.time + 1s;
    CHECK(hurried.look().health == Health::kError);
    CHECK(hurried.fake.time < hurried.context.deadline);
}

TEST_CASE("mdnw tells a lost connection, as a caution unless it shall be an error") {
    for (const bool error : {false, true}) {
        Bench b("mdnw", {{"error", {error ? "true" : "false"}}});
        CHECK(b.look().health == Health::kNormal);
        b.report.connected = false;
        CHECK(b.look().health == (error ? Health::kError : Health::kCaution));
        CHECK(b.look().message == "md1: no connection between the mirror drivers");
        b.report.message = "node2 does not answer on lan";
        CHECK(b.look().message == "md1: no connection between the mirror drivers: node2 does not answer on lan");
    }
}

TEST_CASE("mdw and mdnw subscribe to reports, and a mirror that is not known is an error") {
    for (const char* word : {"mdw", "mdnw"}) {
        Bench b(word);
        int calls = 0;
        const auto handle = b.monitor->subscribe(b.context, [&] { ++calls; });
        CHECK(calls == 1);
        b.fake.mirrors.changed.call();
        CHECK(calls == 2);
        b.context.target_resource = "md9";
        CHECK_FALSE(b.monitor->check(b.context));
    }
}
