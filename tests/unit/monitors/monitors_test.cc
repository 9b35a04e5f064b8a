#include <catch2/catch.hpp>
#include <set>

#include "common/host/fake_host.h"
#include "monitors/monitor.h"
#include "tests/support/type_values.h"

using namespace kagami;
using namespace kagami::monitors;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

namespace {

struct MonitorFixture {
    host::FakeHost fake;
    Context context;
    std::unique_ptr<Monitor> monitor;

    explicit MonitorFixture(const std::string& word, const testing::Texts& values = {}) {
        const Type* type = find(word);
        REQUIRE(type != nullptr);
        monitor = type->make(fake.host);
        context = {"watch", "web", "nginx", testing::type_values(type->description, values), {}, "", fake.time + 60s};
    }
    Health health() { return monitor->check(context).value().health; }
    std::string message() { return monitor->check(context).value().message; }
};

struct ProcessFixture : MonitorFixture {
    ProcessFixture() : MonitorFixture("pidw") {}
    std::vector<int>& living() { return fake.scripts.living[{"web", "nginx"}]; }
    void started(int main) { fake.scripts.starts[{"web", "nginx"}] = {true, main, false}; }
};

}  // namespace

TEST_CASE("every monitor type has a word, a summary and helped parameters") {
    std::set<std::string_view> words;
    for (const Type& type : registry()) {
        INFO(type.description.word);
        CHECK(words.insert(type.description.word).second);
        CHECK_FALSE(type.description.summary.empty());
        for (const auto& known : type.description.parameters) {
            CHECK_THAT(std::string(known.help), Catch::Matchers::EndsWith("."));
            if (known.check != nullptr && !known.default_text.empty()) CHECK(known.check(known.default_text));
        }
    }
    CHECK(words == std::set<std::string_view>{"pidw", "fipw", "miiw", "ipw", "mdw", "mdnw", "userw", "genw", "diskw",
                                              "psw", "arpw", "mtw", "httpw", "resw"});
    CHECK(find("pidw")->description.needs_target);
    CHECK(find("fipw")->description.needs_target);
    CHECK_FALSE(find("miiw")->description.needs_target);
    CHECK(find("nonsense") == nullptr);
}

TEST_CASE("pidw is normal while the main process lives, whatever becomes of its workers") {
    ProcessFixture process;
    process.living() = {10, 11, 12};
    process.started(10);
    CHECK(process.health() == Health::kNormal);
    CHECK_THAT(process.message(), Equals("process 10 of web.nginx is alive"));
    process.living() = {10, 13};
    CHECK(process.health() == Health::kNormal);
}

TEST_CASE("pidw tells the death of the main process, with and without others left, and a service that never was") {
    ProcessFixture process;
    process.started(10);
    process.living() = {11, 12};
    CHECK(process.health() == Health::kError);
    CHECK_THAT(process.message(), Equals("main process 10 of web.nginx has ended, 2 others are left"));
    process.living() = {};
    CHECK(process.health() == Health::kError);
    CHECK_THAT(process.message(), Equals("process 10 of web.nginx has ended, none is left"));
    process.started(0);
    CHECK_THAT(process.message(), Contains("left no process to watch"));
    CHECK(process.health() == Health::kError);
    process.fake.scripts.starts.clear();
    CHECK_THAT(process.message(), Equals("no process of web.nginx is left"));
    process.living() = {11};
    CHECK(process.health() == Health::kNormal);
}

TEST_CASE("pidw calls back at the end of one of the oldest processes until its handle goes") {
    ProcessFixture process;
    for (int pid = 10; pid < 30; ++pid) process.living().push_back(pid);
    int changes = 0;
    auto handle = process.monitor->subscribe(process.context, [&] { ++changes; });
    CHECK(changes == 1);  // what happened before is not told otherwise
    process.fake.processes.end(10);
    CHECK(changes == 2);
    process.fake.processes.end(17);
    CHECK(changes == 3);
    process.fake.processes.end(18);
    CHECK(changes == 3);
    handle.reset();
    process.fake.processes.end(10);
    CHECK(changes == 3);
}

TEST_CASE("pidw passes an unreachable script helper on") {
    ProcessFixture process;
    process.fake.scripts.broken = Error{ErrorCode::kUnreachable, "the script helper does not answer", ""};
    CHECK(process.monitor->check(process.context).error().code == ErrorCode::kUnreachable);
    CHECK(process.monitor->subscribe(process.context, [] {}) == nullptr);
}

TEST_CASE("fipw tells an address that has gone, and a lost link only when asked to") {
    MonitorFixture fipw("fipw");
    fipw.context.target_values = config::Values(testing::Texts{{"address", {"FD00:0::100/64"}}});
    CHECK(fipw.health() == Health::kError);
    CHECK_THAT(fipw.message(),
               Equals("address fd00::100 of nginx is not on this node any more: another program has removed it"));
    fipw.fake.network.known_addresses = {{"fd00::100", 64, "eth0"}};
    CHECK(fipw.health() == Health::kNormal);
    fipw.fake.network.known_links = {{"eth0", 2, true, false}};
    CHECK(fipw.health() == Health::kNormal);
    fipw.context.values = testing::type_values(find("fipw")->description, {{"link_check", {"true"}}});
    CHECK_THAT(fipw.message(), Contains("interface eth0 of address fd00::100 has no link"));
    fipw.context.target_values = {};
    CHECK(fipw.monitor->check(fipw.context).error().code == ErrorCode::kUsage);
}

TEST_CASE("fipw and miiw call back at changes of the network") {
    for (const std::string word : {"fipw", "miiw"}) {
        MonitorFixture fixture(word);
        int changes = 0;
        auto handle = fixture.monitor->subscribe(fixture.context, [&] { ++changes; });
        CHECK(changes == 1);
        fixture.fake.network.changed.call();
        CHECK(changes == 2);
        handle.reset();
        CHECK(fixture.fake.network.changed.size() == 0);
    }
}

TEST_CASE("miiw tells a missing interface, one that is down and one without link") {
    MonitorFixture miiw("miiw", testing::Texts{{"interface", {"eth0"}}});
    CHECK(miiw.health() == Health::kNormal);
    miiw.fake.network.known_links = {{"eth0", 2, true, false}};
    CHECK_THAT(miiw.message(), Contains("has no link"));
    CHECK(miiw.health() == Health::kError);
    miiw.fake.network.known_links = {{"eth0", 2, false, false}};
    CHECK_THAT(miiw.message(), Contains("is down"));
    CHECK(miiw.health() == Health::kError);
    miiw.fake.network.known_links = {};
    CHECK_THAT(miiw.message(), Contains("there is no interface eth0"));
    CHECK(miiw.health() == Health::kError);
}

TEST_CASE("miiw asks the driver when told to, and says when that does not tell") {
    MonitorFixture miiw("miiw", testing::Texts{{"interface", {"eth0"}}, {"ethtool", {"true"}}});
    CHECK(miiw.health() == Health::kNormal);
    CHECK_THAT(miiw.message(), Contains("its driver does not tell"));
    miiw.fake.network.ethtool["eth0"] = true;
    CHECK_THAT(miiw.message(), Equals("interface eth0 has a link"));
    miiw.fake.network.ethtool["eth0"] = false;
    CHECK(miiw.health() == Health::kError);
    CHECK_THAT(miiw.message(), Contains("the driver of interface eth0 sees no link"));
}

TEST_CASE("ipw is normal when one answers, an error that names all when none does") {
    MonitorFixture ipw("ipw", testing::Texts{{"addresses", {"10.0.0.1", "10.0.0.2", "10.0.0.3"}}});
    ipw.fake.network.answering = {"10.0.0.2"};
    CHECK_THAT(ipw.message(), Equals("10.0.0.2 answers"));
    CHECK(ipw.fake.network.calls == std::vector<std::string>{"ping 10.0.0.1", "ping 10.0.0.2"});
    ipw.fake.network.answering = {};
    CHECK(ipw.health() == Health::kError);
    CHECK_THAT(ipw.message(), Equals("no answer to a ping: 10.0.0.1, 10.0.0.2, 10.0.0.3"));
    ipw.fake.network.broken = Error{ErrorCode::kFailed, "no route", ""};
    CHECK_THAT(ipw.message(), Contains("no route, no route"));
}

TEST_CASE("ipw with rule all wants each of them, and names those that are silent") {
    MonitorFixture ipw("ipw", testing::Texts{{"addresses", {"10.0.0.1", "10.0.0.2", "10.0.0.3"}}, {"rule", {"all"}}});
    ipw.fake.network.answering = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
    CHECK_THAT(ipw.message(), Equals("3 addresses answer"));
    CHECK(ipw.health() == Health::kNormal);
    ipw.fake.network.answering = {"10.0.0.1", "10.0.0.3"};
    CHECK(ipw.health() == Health::kError);
    CHECK_THAT(ipw.message(), Equals("no answer to a ping: 10.0.0.2"));
    ipw.context.values = testing::type_values(find("ipw")->description, {{"addresses", {}}});
    CHECK(ipw.monitor->check(ipw.context).error().code == ErrorCode::kUsage);
}

TEST_CASE("ipw shares the time that is left") {
    MonitorFixture ipw("ipw", testing::Texts{{"addresses", {"10.0.0.1", "10.0.0.2"}}});
    CHECK(ipw.health() == Health::kError);
    CHECK(ipw.fake.network.waits == std::vector<Duration>{5s, 5s});
    ipw.fake.network.waits.clear();
    ipw.context.deadline = ipw.fake.time + 4s;
    CHECK(ipw.health() == Health::kError);
    CHECK(ipw.fake.network.waits == std::vector<Duration>{2s, 4s});
    ipw.fake.network.waits.clear();
    ipw.context.deadline = ipw.fake.time - 1s;
    CHECK(ipw.health() == Health::kError);
    CHECK(ipw.fake.network.waits == std::vector<Duration>{0s, 0s});
}

TEST_CASE("userw takes the worse of its own lateness and the guard's") {
    MonitorFixture userw("userw", testing::Texts{{"limit", {"100ms"}}});
    userw.fake.lateness = 10ms;
    CHECK(userw.health() == Health::kNormal);
    CHECK_THAT(userw.message(), Equals("the daemon runs 10 ms late, the limit is 100ms"));
    userw.fake.lateness = 80ms;
    CHECK(userw.health() == Health::kCaution);
    userw.fake.lateness = 100ms;
    CHECK(userw.health() == Health::kError);
    userw.fake.lateness = 0ms;
    userw.fake.host.guard_lateness = [] { return std::optional<Duration>(150ms); };
    CHECK(userw.health() == Health::kError);
    CHECK_THAT(userw.message(), Contains("the guard runs 150 ms late, the limit is 100ms"));
    userw.fake.host.guard_lateness = [] { return std::optional<Duration>(); };
    CHECK(userw.health() == Health::kNormal);
}

TEST_CASE("userw measures the work that it is told to do, and only that") {
    MonitorFixture idle("userw", testing::Texts{{"limit", {"100ms"}}});
    CHECK(idle.health() == Health::kNormal);
    CHECK(idle.fake.checks.loads.empty());
    MonitorFixture thread("userw", testing::Texts{{"make_thread", {"true"}}});
    CHECK(thread.health() == Health::kNormal);
    CHECK(thread.fake.checks.loads.at(0).directory.empty());
    CHECK(thread.fake.checks.loads.at(0).thread);
    MonitorFixture userw("userw", testing::Texts{{"limit", {"100ms"}}, {"write_bytes", {"10000"}}});
    CHECK(userw.health() == Health::kNormal);
    CHECK(userw.fake.checks.loads.at(0).directory == "/var/lib/kagami");
    CHECK(userw.fake.checks.loads.at(0).write_bytes == 10000);
    userw.fake.checks.on_carry = [&] { userw.fake.time += 120ms; };
    CHECK(userw.health() == Health::kError);
    CHECK_THAT(userw.message(), Contains("work of a new process ends 120 ms late, the limit is 100ms"));
    userw.fake.checks.broken = Error{ErrorCode::kTimedOut, "/var/lib/kagami: no answer within 60 s", ""};
    CHECK(userw.monitor->check(userw.context).error().code == ErrorCode::kTimedOut);
}
