// A change of configuration that takes a while: what happens to groups that were not running when it was asked for.
#include "common/hash.h"
#include "tests/unit/policy/asking.h"
#include "tests/unit/policy/mirrored.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// web runs on node1 and takes its time to stop; late is held by a person when the change is asked for.
struct SlowChange : Scene {
    SlowChange() : Scene(2, {"web", "late"}) {
        document.config.packed = {0};
        document.config.hash = sha256(document.config.packed);
        wanted = config;
        wanted.groups[0].resources.push_back(resource("more"));
        parse_config = [this](const Bytes& packed) {
            return std::make_shared<const config::Config>(packed == Bytes{1} ? wanted : former);
        };
        former = config;
        run_on(n1, "web");
        entry("late").held = true;
        settle();
    }
    void follow() {
        for (int i = 0; i < 20; ++i) {
            const PolicyOutput out = plan();
            decisions.insert(decisions.end(), out.decisions.begin(), out.decisions.end());
            if (!out.next) return;
            choose(*out.next);
            config = document.config.packed == Bytes{1} ? wanted : former;
        }
        FAIL("the policy never comes to rest");
    }
    void apply() {
        ask(OperatorVerb::kConfigApply);
        requests.back().request.bundle = {1};
        follow();
        REQUIRE(document.pending);
    }
    void start_late(NodeId where) {
        ask(OperatorVerb::kGroupStart, "late", where);
        follow();
        REQUIRE(owner("late") == where);
        report_state(where, GroupState::kActive, "late");
        follow();
    }

    config::Config former, wanted;
};

}  // namespace

TEST_CASE("a group that is started during a change that removes it is stopped before it is removed") {
    SlowChange s;
    s.wanted.groups.pop_back();
    s.apply();
    s.start_late(n2);
    s.report_state(n1, GroupState::kStopped, "web");
    s.follow();
    REQUIRE(s.document.config.version == 1);  // it may have effects
    CHECK(s.entry("late").goal == Goal::kStopped);
    s.report_state(n2, GroupState::kStopped, "late");
    s.follow();
    CHECK(s.document.config.packed == Bytes{1});
    CHECK_FALSE(s.document.groups.contains("late"));
    CHECK(s.owner("web") == n1);
}

TEST_CASE("a group that is started during a change where it may not be afterwards moves with the change") {
    SlowChange s;
    s.wanted.groups[1].nodes = {n1};
    s.apply();
    s.start_late(n2);
    s.report_state(n1, GroupState::kStopped, "web");
    s.follow();
    REQUIRE(s.document.config.version == 1);
    s.report_state(n2, GroupState::kStopped, "late");
    s.follow();
    CHECK(s.document.config.packed == Bytes{1});
    CHECK(s.owner("late") == n1);
}

TEST_CASE("no group is placed by the former configuration in the document that installs another one") {
    SlowChange s;
    s.wanted.groups[1].nodes = {n2};
    s.apply();
    s.report_state(n1, GroupState::kStopped, "web");
    while (s.document.config.packed != Bytes{1}) {
        s.entry("late").held = false;  // wanted from now on
        s.entry("late").owner.reset();
        const PolicyOutput out = s.plan();
        REQUIRE(out.next);
        if (out.next->config.packed == Bytes{1}) CHECK_FALSE(out.next->groups.at("late").owner);
        s.choose(*out.next);
    }
    s.config = s.wanted;
    s.follow();
    CHECK(s.owner("late") == n2);
}

TEST_CASE("a new leader that still waits for nodes does not forget which groups a change has to start again") {
    SlowChange s;
    s.config.groups[0].start = config::StartAttribute::kManual;
    s.former = s.config;
    s.wanted.groups[0].start = config::StartAttribute::kManual;
    s.apply();
    s.report_state(n1, GroupState::kStopped, "web");
    while (!(s.document.pending && s.document.pending->installed)) {
        const PolicyOutput out = s.plan();
        REQUIRE(out.next);
        s.choose(*out.next);
    }
    s.config = s.wanted;
    s.policy.reset();
    s.startup_complete = false;
    s.follow();
    CHECK(s.owner("web") == kNobody);
    s.startup_complete = true;
    s.follow();
    CHECK(s.owner("web") == n1);
}

TEST_CASE("time-outs at their limits, multiplied by the largest ratio, give no time limit in the past") {
    Scene s;
    for (int i = 0; i < 20; ++i) {
        config::Resource slow = resource("slow" + std::to_string(i));
        slow.activate_timeout = slow.deactivate_timeout = 24h;
        slow.on_activation_failure.retry = slow.on_deactivation_failure.retry = 99;
        s.group().resources.push_back(slow);
    }
    s.document.timeout_ratio = {10000, 60};
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    REQUIRE(s.replies.size() == 1);
    CHECK(s.last_reply().outcome == OperatorOutcome::kAccepted);
    s.now += 1h;
    s.settle();
    CHECK(s.replies.empty());
}

TEST_CASE("persons cannot fill the document so far that a takeover would find no room in it") {
    Scene s;
    s.document.config.packed.resize(size_t{192} * 1024);
    s.run_on(n1);
    for (int i = 0; i < 1024; ++i) {
        s.add_monitor("monitor-with-a-long-name-" + std::to_string(i));
        s.config.monitors.back().values[n1];
        s.config.monitors.back().values[n2];
    }
    s.settle();
    const Document before = s.document;
    s.ask(OperatorVerb::kMonitorSuspend);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK(s.last_reply().message.find("the cluster document has no room for it") == 0);
    CHECK_FALSE(s.last_reply().remedy.empty());
    CHECK(s.document == before);
    s.ask(OperatorVerb::kMonitorSuspend, "monitor-with-a-long-name-7");
    s.settle();
    CHECK(s.document.monitors.size() == 1);
}
