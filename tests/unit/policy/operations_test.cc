// Resources, monitors, time-outs, final actions.
#include "tests/unit/policy/asking.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// web: disk, then fip and app (after disk), then site (after app); runs on node1.
struct Stack : Scene {
    Stack() {
        group().resources = {resource("disk"), resource("fip", {"disk"}), resource("app", {"disk"}),
                             resource("site", {"app"})};
        run_on(n1);
        for (const char* name : {"disk", "fip", "app", "site"})
            report_resource(*this, n1, name, ResourceState::kOnline);
        settle();
    }
};

struct Watched : Scene {
    Watched() : Scene(3) {
        for (const char* name : {"m-all", "m-first"}) {
            config::Monitor monitor;
            monitor.type = "dummy";
            monitor.name = name;
            monitor.values[n1];
            if (monitor.name == "m-all") monitor.values[n2];
            config.monitors.push_back(monitor);
        }
        run_on(n1);
        settle();
    }
};

}  // namespace

TEST_CASE("a resource that others come after is stopped only with them") {
    Stack s;
    const OperatorReply reply = refusal_of(s, request_of(OperatorVerb::kResourceStop, "disk"));
    CHECK(reply.message == "resource disk is needed by what comes after it in group web: app, fip, site");
    CHECK(reply.remedy == "stop that first, or all together: `kagami resource stop disk --force`");
    OperatorRequest all = request_of(OperatorVerb::kResourceStop, "app");
    all.force = true;
    CHECK(answer_to(s, all).outcome == OperatorOutcome::kAccepted);
    CHECK(s.last_reply().message == "Of group web on node1 is stopped: app, site.");
    CHECK(s.entry().stopped_resources == std::set<std::string>{"app", "site"});
    report_resource(s, n1, "app", ResourceState::kOffline);
    s.settle();
    CHECK(s.replies.empty());
    report_resource(s, n1, "site", ResourceState::kOffline);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.last_reply().message == "app, site are stopped.");
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStop, "app")).message == "resource app is stopped already");
    const OperatorReply late = refusal_of(s, request_of(OperatorVerb::kResourceStart, "site"));
    CHECK(late.message == "resource site comes after what is stopped in group web: app");
    OperatorRequest back = request_of(OperatorVerb::kResourceStart, "site");
    back.force = true;
    CHECK(answer_to(s, back).outcome == OperatorOutcome::kAccepted);
    CHECK(s.entry().stopped_resources.empty());
    report_resource(s, n1, "app", ResourceState::kOnline);
    report_resource(s, n1, "site", ResourceState::kOnline);
    s.settle();
    CHECK(s.last_reply().message == "app, site are started.");
}

TEST_CASE("a resource is handled only while its group is active, and refused by name when there is none") {
    Stack s;
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStop, "fop")).remedy.find("fip") != std::string::npos);
    const OperatorReply online = refusal_of(s, request_of(OperatorVerb::kResourceStart, "fip"));
    CHECK(online.message == "resource fip is started already");
    report_resource(s, n1, "fip", ResourceState::kOnlineFailure);
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStart, "fip")).message ==
          "resource fip was not stopped by a person");
    s.report_state(n1, GroupState::kStarting);
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStop, "fip")).message ==
          "group web is not active, so its resources are not handled singly");
    s.entry() = GroupEntry{};
    s.entry().held = true;
    CHECK(refusal_of(s, request_of(OperatorVerb::kResourceStop, "fip")).remedy.find("kagami group start web") !=
          std::string::npos);
}

TEST_CASE("a resource that cannot be stopped, a group that stops meanwhile and a stop that never ends are answered") {
    Stack s;
    answer_to(s, request_of(OperatorVerb::kResourceStop, "fip"));
    SECTION("the stop fails") {
        report_resource(s, n1, "fip", ResourceState::kOfflineFailure, "exit status 1");
        s.settle();
        CHECK(s.last_reply().message == "resource fip could not be stopped: exit status 1");
    }
    SECTION("the group stops") {
        s.ask(OperatorVerb::kGroupStop, "web");
        s.settle();
        const auto& first = s.replies.back().second;
        CHECK(first.outcome == OperatorOutcome::kFailed);
        CHECK(first.message == "group web was stopped meanwhile, with fip");
    }
    SECTION("it never ends") {
        s.now += 1h;
        s.settle();
        CHECK(s.last_reply().code == static_cast<uint8_t>(ErrorCode::kTimedOut));
    }
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
}

TEST_CASE("stopped resources belong to one run of their group") {
    Stack s;
    answer_to(s, request_of(OperatorVerb::kResourceStop, "fip"));
    CHECK(s.entry().stopped_resources == std::set<std::string>{"fip"});
    change_leader(s, n2);
    s.settle();
    CHECK(s.entry().stopped_resources == std::set<std::string>{"fip"});
    s.ask(OperatorVerb::kGroupMove, "web", n2);
    s.settle();
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK(s.entry().stopped_resources.empty());
}

TEST_CASE("monitors are suspended one or all, on one node or everywhere, and resumed") {
    Watched s;
    CHECK(answer_to(s, request_of(OperatorVerb::kMonitorSuspend, "m-all", n2)).outcome == OperatorOutcome::kDone);
    CHECK(s.last_reply().message == "Monitor m-all is suspended on node2: it does not check.");
    CHECK(s.document.monitors.at("m-all").suspended == std::set<NodeId>{n2});
    CHECK(s.said(Reason::kMonitorSuspended));
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorSuspend, "m-all", n2)).message ==
          "monitor m-all is suspended on node2 already");
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorResume, "m-all", n1)).message ==
          "monitor m-all is not suspended on node1");
    CHECK(answer_to(s, request_of(OperatorVerb::kMonitorSuspend)).message ==
          "Every monitor is suspended: it does not check.");
    CHECK(s.document.monitors.at("m-all").suspended == std::set<NodeId>{n1, n2});
    CHECK(s.document.monitors.at("m-first").suspended == std::set<NodeId>{n1});
    CHECK(answer_to(s, request_of(OperatorVerb::kMonitorResume)).outcome == OperatorOutcome::kDone);
    CHECK(s.document.monitors.empty());
    CHECK(s.said(Reason::kMonitorResumed));
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorResume)).message == "no monitor is suspended");
}

TEST_CASE("a dummy failure is switched on and off, counters are cleared each time") {
    Watched s;
    CHECK(answer_to(s, request_of(OperatorVerb::kMonitorDummyOn, "m-all", n1)).message ==
          "Monitor m-all is told to report a failure on node1: it reports a failure, whatever it finds.");
    CHECK(s.document.monitors.at("m-all").dummy_failure == std::set<NodeId>{n1});
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorDummyOn, "m-all", n1)).remedy.find("unfail") !=
          std::string::npos);
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorDummyOff, "m-first")).message ==
          "monitor m-first is not told to report a failure");
    answer_to(s, request_of(OperatorVerb::kMonitorDummyOff, "m-all"));
    CHECK(s.document.monitors.empty());
    answer_to(s, request_of(OperatorVerb::kMonitorClear, "m-all"));
    answer_to(s, request_of(OperatorVerb::kMonitorClear));
    CHECK(s.document.monitors.at("m-all").cleared == 2);
    CHECK(s.document.monitors.at("m-first").cleared == 1);
    CHECK(s.said(Reason::kCountersCleared));
}

TEST_CASE("a monitor that is unknown, or does not run on the node, is refused by name") {
    Watched s;
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorSuspend, "m-al")).remedy == "did you mean \"m-all\"?");
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorSuspend, "m-first", n2)).message ==
          "monitor m-first does not run on node2");
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorSuspend, "", NodeId{9})).message == "there is no such node");
    s.config.monitors.clear();
    CHECK(refusal_of(s, request_of(OperatorVerb::kMonitorSuspend)).message == "there are no monitors");
}

TEST_CASE("an order has ended when the nodes act on it, or after a while with those named that do not") {
    Watched s;
    s.ask(OperatorVerb::kMonitorSuspend, "m-all");
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    const Version before = s.document.version;
    s.choose(*out.next);
    PolicyInput input = s.input();
    input.facts[n3].report->version = before;
    PolicyOutput next = s.policy.plan(input);
    CHECK(next.replies.empty());
    REQUIRE(next.wake_at);
    s.now += 1min;
    input = s.input();
    input.facts[n3].report->version = before;
    next = s.policy.plan(input);
    REQUIRE(next.replies.size() == 1);
    CHECK(next.replies[0].second.outcome == OperatorOutcome::kDone);
    CHECK(next.replies[0].second.message == "Monitor m-all is suspended: it does not check. Not known of node3 yet.");
}

TEST_CASE("time-outs are multiplied for a while, counted down by whoever leads, and set back") {
    Watched s;
    OperatorRequest request = request_of(OperatorVerb::kTimeoutRatio);
    request.amount = 3;
    CHECK(refusal_of(s, request).remedy.find("--for") != std::string::npos);
    request.minutes = 30 * 24 * 60 + 1;
    CHECK(refusal_of(s, request).code == static_cast<uint8_t>(ErrorCode::kUsage));
    request.minutes = 2;
    request.amount = 10001;
    CHECK(refusal_of(s, request).message == "time-outs can be multiplied by 10000 at most");
    request.amount = 3;
    CHECK(answer_to(s, request).message == "The time-outs are multiplied by 3.");
    CHECK(s.document.timeout_ratio == TimeoutRatio{3, 2});
    s.now += 1min;
    s.settle();
    CHECK(s.document.timeout_ratio == TimeoutRatio{3, 1});
    change_leader(s, n2);
    s.settle();
    s.now += 59s;
    s.settle();
    CHECK(s.document.timeout_ratio.ratio == 3);
    s.now += 1s;
    s.settle();
    CHECK(s.document.timeout_ratio == TimeoutRatio{});
    CHECK(s.said(Reason::kTimeoutRatioOver));
    request.amount = 1;
    CHECK(refusal_of(s, request).message == "the time-outs are as configured");
    request.amount = 5;
    answer_to(s, request);
    request.amount = 1;
    CHECK(answer_to(s, request).message == "The time-outs are as configured.");
}

TEST_CASE("a person's command may take longer while time-outs are multiplied") {
    Stack s;
    s.document.timeout_ratio = {10, 60};
    answer_to(s, request_of(OperatorVerb::kResourceStop, "fip"));
    s.now += 30min;
    s.settle();
    CHECK(s.replies.empty());
    s.now += 2h;
    s.settle();
    CHECK(s.last_reply().code == static_cast<uint8_t>(ErrorCode::kTimedOut));
}

TEST_CASE("counts of final actions are cleared, of one node or of all") {
    Watched s;
    answer_to(s, request_of(OperatorVerb::kFinalActionsClear, "", n2));
    CHECK(s.node(n2).final_actions_cleared == 1);
    CHECK(s.node(n1).final_actions_cleared == 0);
    CHECK(answer_to(s, request_of(OperatorVerb::kFinalActionsClear)).message ==
          "The count of final actions of every node is 0.");
    CHECK(s.node(n2).final_actions_cleared == 2);
    CHECK(refusal_of(s, request_of(OperatorVerb::kFinalActionsClear, "", NodeId{8})).message ==
          "there is no such node");
    s.reboot(n2, 2);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kMember);
    CHECK(s.node(n2).final_actions_cleared == 2);
}
