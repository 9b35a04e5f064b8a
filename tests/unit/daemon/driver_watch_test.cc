// What is done about a mirror driver that gives no sign of life, and when.
#include <algorithm>
#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/daemon/driver_watch.h"

using namespace kagami;
using namespace kagami::runtime;

namespace {

using Step = DriverWatch::Step;
using Done = std::pair<Duration, DriverWatch::Action>;
constexpr Duration kLimit = 20s;

struct Scene {
    DriverWatch watch;
    std::map<std::string, uint32_t> devices = {{"md1", 41}};
    Instant now{1000s};
    Instant begin = now;
    bool answers = true;
    bool serves = true;
    std::vector<Done> done;  // but questions; since `begin`

    Scene() { watch.set_limits({{"md1", kLimit}, {"md2", kLimit}}); }

    void look() {
        for (const auto& action : watch.look(devices, now)) {
            if (action.step != Step::kAsk) {
                done.emplace_back(now - begin, action);
            } else if (answers) {
                watch.answered(action.mirror, serves);
            }
        }
        now += DriverWatch::kPeriod;
    }
    void run(Duration length) {
        for (const Instant end = now + length; now < end;) look();
    }
    // From here on there is no answer.
    void hang() {
        answers = false;
        watch.answered("md1", serves);
        look();  // sees that last answer, and asks in vain
        begin = now - DriverWatch::kPeriod;
        done.clear();
    }
    // The supervisor has started it again: the question that stands is answered.
    void come_back(bool as_primary) {
        answers = true;
        serves = as_primary;
        for (const auto& [name, connection] : devices) watch.answered(name, serves);
    }
    size_t count(Step step) const {
        return static_cast<size_t>(
            std::count_if(done.begin(), done.end(), [&](const auto& entry) { return entry.second.step == step; }));
    }
};

}  // namespace

TEST_CASE("a driver that answers is left alone for ever, whatever its mirror waits for") {
    Scene s;
    s.serves = GENERATE(true, false);
    s.run(10min);
    CHECK(s.done.empty());
    CHECK_FALSE(s.watch.given_up("md1"));
}

TEST_CASE("a silent driver is killed after a quarter of the limit, again and again, and at the limit the device is aborted once") {
    Scene s;
    s.run(10s);
    s.hang();
    s.run(3min);
    REQUIRE(s.done.size() >= 5);
    for (size_t i = 0; i < 3; ++i) CHECK(s.done[i] == Done(5s * (i + 1), {Step::kKill, "md1", 5s}));
    CHECK(s.done[4] == Done(kLimit, {Step::kAbort, "md1", kLimit}));
    CHECK(s.count(Step::kAbort) == 1);
    CHECK(s.watch.given_up("md1"));
}

TEST_CASE("a killed driver that comes back in time costs nothing more") {
    Scene s;
    s.run(10s);
    s.hang();
    s.run(6s);
    CHECK(s.count(Step::kKill) == 1);
    s.come_back(true);
    s.run(10min);
    CHECK(s.done.size() == 1);
}

TEST_CASE("a driver that waits for the cluster's word after its restart is not aborted") {
    Scene s;
    s.run(10s);
    s.hang();
    s.run(19s);
    s.come_back(false);
    s.run(10min);
    CHECK(s.count(Step::kAbort) == 0);
}

TEST_CASE("a driver that dies again and again without ever serving is given up") {
    Scene s;
    s.run(10s);
    s.hang();
    for (int i = 0; i < 40; ++i) {
        s.come_back(false);
        s.run(1s);
        s.answers = false;
        s.run(2s);
    }
    CHECK(s.count(Step::kAbort) == 1);
    CHECK(s.count(Step::kKill) == 0);  // it dies by itself
}

TEST_CASE("a driver that serves between its deaths is not given up") {
    Scene s;
    s.run(10s);
    s.hang();
    for (int i = 0; i < 40; ++i) {
        s.come_back(true);
        s.run(1s);
        s.answers = false;
        s.run(2s);
    }
    CHECK(s.done.empty());
}

TEST_CASE("given up ends with an answer, and with a new device everything begins anew") {
    Scene s;
    s.run(1s);
    s.hang();
    s.run(25s);
    REQUIRE(s.watch.given_up("md1"));
    SECTION("an answer") {
        s.come_back(false);
        CHECK_FALSE(s.watch.given_up("md1"));
        s.run(10s);
        s.hang();
        s.run(1min);
        CHECK(s.count(Step::kAbort) == 0);  // this device is dead already
    }
    SECTION("a new device") {
        s.devices["md1"] = 42;
        s.look();
        CHECK_FALSE(s.watch.given_up("md1"));
        s.hang();
        s.run(25s);
        CHECK(s.count(Step::kAbort) == 1);
    }
    SECTION("no device") {
        s.devices.clear();
        s.look();
        CHECK_FALSE(s.watch.given_up("md1"));
    }
}

TEST_CASE("a pause of the whole machine is not the driver's silence") {
    Scene s;
    s.run(10s);
    s.answers = false;
    s.look();
    s.now += 10min;
    s.begin = s.now;
    s.look();
    s.look();
    CHECK(s.done.empty());
    s.come_back(true);
    s.run(1min);
    CHECK(s.done.empty());
}

TEST_CASE("one mirror's hung thread is enough, and a kill gives all mirrors their time anew") {
    Scene s;
    s.devices["md2"] = 43;
    s.run(10s);
    s.answers = false;
    s.run(6s);
    CHECK(s.count(Step::kKill) == 1);
    s.watch.answered("md2", true);
    s.run(4500ms);
    CHECK(s.count(Step::kKill) == 2);
    CHECK(s.done.back().second.mirror == "md1");
}

TEST_CASE("a mirror without a device, or that is not configured here, is not watched") {
    Scene s;
    s.answers = false;
    s.devices = {{"md9", 7}};
    s.run(1min);
    CHECK(s.done.empty());
    s.devices = {{"md1", 41}};
    s.run(3s);
    s.watch.set_limits({});
    s.run(1min);
    CHECK(s.done.empty());
}
