// Dry runs: the answer says what would follow; nothing is changed, said or remembered.
#include "tests/unit/policy/asking.h"
#include "tests/unit/policy/mirrored.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

OperatorReply rehearsal_of(Scene& s, OperatorRequest request) {
    s.settle();
    const Document before = s.document;
    request.dry_run = true;
    const OperatorReply reply = answer_to(s, request);
    CHECK(s.document == before);
    CHECK(s.decisions.empty());
    CHECK(s.replies.size() == 1);
    CHECK(s.settle().replies.empty());
    return reply;
}

bool tells(const OperatorReply& reply, const std::string& text) {
    return reply.outcome == OperatorOutcome::kDone && reply.message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a dry run of a command tells what it would do and does nothing") {
    Scene s(3, {"web", "db"});
    s.group("web").resources = {resource("app")};
    report_resource(s, n1, "app", ResourceState::kOnline);
    config::Monitor monitor;
    monitor.type = "dummy";
    monitor.name = "m1";
    monitor.values[n1];
    s.config.monitors.push_back(monitor);
    s.run_on(n1, "web");
    s.run_on(n2, "db");
    const auto told = [&](OperatorRequest request) { return rehearsal_of(s, request); };
    CHECK(tells(told(request_of(OperatorVerb::kGroupMove, "web", n3)), "group web moves from node1 to node3."));
    CHECK(tells(told(request_of(OperatorVerb::kGroupStop, "web")), "group web stops on node1."));
    const OperatorReply leaves = told(request_of(OperatorVerb::kNodeShutdown, "node1"));
    CHECK(tells(leaves, "node1 leaves the cluster"));
    CHECK(tells(leaves, "Group web moves to node2 from node1: the node leaves the cluster."));
    CHECK(tells(told(request_of(OperatorVerb::kClusterStop)), "Group db stops on node2"));
    CHECK(tells(told(request_of(OperatorVerb::kClusterStart)), "The cluster starts."));
    CHECK(tells(told(request_of(OperatorVerb::kResourceStop, "app")), "is stopped: app"));
    CHECK(tells(told(request_of(OperatorVerb::kMonitorSuspend)), "Every monitor is suspended"));
    CHECK(tells(told(request_of(OperatorVerb::kMonitorDummyOn, "m1")), "told to report a failure"));
    CHECK(tells(told(request_of(OperatorVerb::kMonitorClear, "m1")), "cleared"));
    CHECK(tells(told(request_of(OperatorVerb::kFailoverOff)), "Failover is switched off"));
    CHECK(tells(told(request_of(OperatorVerb::kFailoverForce)), "Group web moves to node2 from node1"));
    CHECK(tells(told(request_of(OperatorVerb::kLeaderMove, "", n2)), "The leadership goes from node1 to node2"));
    CHECK(tells(told(request_of(OperatorVerb::kFinalActionsClear)), "begins anew"));
    OperatorRequest timed = request_of(OperatorVerb::kTimeoutRatio);
    timed.amount = 2;
    timed.minutes = 5;
    CHECK(tells(told(timed), "multiplied by 2 for 5 min"));
    timed = request_of(OperatorVerb::kMaintenanceBegin);
    timed.maintenance = MaintenanceKind::kObserve;
    timed.minutes = 5;
    CHECK(tells(told(timed), "Maintenance of the cluster (observe) begins, for 5 min"));
}

TEST_CASE("a dry run of what is refused is refused, with the same words") {
    Scene s;
    s.run_on(n1);
    for (const OperatorVerb verb :
         {OperatorVerb::kGroupStart, OperatorVerb::kGroupMove, OperatorVerb::kNodeReturn, OperatorVerb::kConfirmDown,
          OperatorVerb::kConfigApply, OperatorVerb::kConfigConfirm, OperatorVerb::kResourceStart,
          OperatorVerb::kResourceStop, OperatorVerb::kMonitorSuspend, OperatorVerb::kFailoverOn,
          OperatorVerb::kMaintenanceBegin, OperatorVerb::kMaintenanceEnd, OperatorVerb::kTimeoutRatio,
          OperatorVerb::kMirrorForce, OperatorVerb::kMirrorResync}) {
        const OperatorRequest request = request_of(verb, verb == OperatorVerb::kGroupStart ? "web" : "nonsense");
        const OperatorReply dry = rehearsal_of(s, request);
        const OperatorReply real = refusal_of(s, request);
        CHECK(dry.outcome == OperatorOutcome::kRefused);
        CHECK(dry.message == real.message);
        CHECK(dry.remedy == real.remedy);
        CHECK(dry.code == real.code);
    }
}

TEST_CASE("a dry run leaves out what would happen anyway") {
    Scene s;
    s.run_on(n1);
    s.entry().storm = 1;
    s.settle();
    s.reboot(n2, 2);  // is admitted by the same plan
    s.ask(OperatorVerb::kFailoverOff);
    s.requests.back().request.dry_run = true;
    const PolicyOutput out = s.plan();
    REQUIRE(out.replies.size() == 1);
    CHECK(out.replies[0].second.message.find("member") == std::string::npos);
    CHECK(out.replies[0].second.message.find("Failover is switched off") != std::string::npos);
    REQUIRE(out.next);
    CHECK(out.next->failover.on);
    CHECK(out.next->names({n2, boot_of(n2, 2)}));
}

TEST_CASE("a dry run of a mirror's force tells what would be copied and changes no record") {
    Mirrored s;
    s.record().replicas[n2].standing = mirror::Standing::kStale;
    CHECK(tells(rehearsal_of(s, request_of(OperatorVerb::kMirrorForce, "md1", n1)), "is declared the latest"));
}

TEST_CASE("a dry run of a configuration lists what restarts") {
    Scene s(2, {"web", "old"});
    s.group("web").resources = {resource("app")};
    s.run_on(n1, "web");
    s.run_on(n2, "old");
    auto wanted = std::make_shared<config::Config>(s.config);
    wanted->groups[0].resources.push_back(resource("more"));
    wanted->groups.pop_back();
    s.parse_config = [wanted](const Bytes&) { return wanted; };
    OperatorRequest request = request_of(OperatorVerb::kConfigApply);
    request.bundle = {1};
    CHECK(tells(rehearsal_of(s, request), "it restarts group web, and stops group old for good"));
    CHECK(s.document.config.version == 1);
}
