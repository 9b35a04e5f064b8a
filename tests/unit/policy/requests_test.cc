#include "tests/unit/policy/scene.h"

using namespace kagami;
using namespace kagami::engine;
using namespace kagami::engine::test;

namespace {

// The reply to a request that must be refused.
OperatorReply refused(Scene& s, OperatorVerb verb, const std::string& subject, NodeId node = kNobody) {
    s.settle();
    const Document before = s.document;
    s.ask(verb, subject, node);
    s.settle();
    CHECK(s.document == before);
    CHECK(s.said(Reason::kOperatorRefused));
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK(s.last_reply().code != 0);
    CHECK_FALSE(s.last_reply().remedy.empty());
    return s.last_reply();
}

std::shared_ptr<config::Config> copy(const Scene& s) {
    return std::make_shared<config::Config>(s.config);
}

}  // namespace

TEST_CASE("an unknown group or node is refused with the nearest name") {
    Scene s(2, {"web", "database"});
    s.run_on(n1, "web");
    s.run_on(n1, "database");
    const OperatorReply group = refused(s, OperatorVerb::kGroupMove, "databse");
    CHECK(group.code == static_cast<uint8_t>(ErrorCode::kNotFound));
    CHECK(group.remedy == "did you mean \"database\"?");
    CHECK(refused(s, OperatorVerb::kNodeShutdown, "mode2").remedy == "did you mean \"node2\"?");
    CHECK(refused(s, OperatorVerb::kGroupStart, "qqq").remedy.rfind("groups: ", 0) == 0);
}

TEST_CASE(
    "a move is refused to where the group runs, to a node that is no member or isolated, and of a group that is not "
    "started") {
    Scene s;
    s.run_on(n1);
    CHECK(refused(s, OperatorVerb::kGroupMove, "web", n1).message == "group web already runs on node1");
    s.node(n2).isolated = true;
    CHECK(refused(s, OperatorVerb::kGroupMove, "web", n2).message ==
          "group web cannot move to node2: isolated until it is returned");
    CHECK(refused(s, OperatorVerb::kGroupMove, "web").message.find("no other node") != std::string::npos);
    s.node(n2).isolated = false;
    s.lose(n2);
    CHECK(refused(s, OperatorVerb::kGroupMove, "web", n2).message == "group web cannot move to node2: not heard");
    s.entry() = GroupEntry{};
    s.entry().held = true;
    CHECK(refused(s, OperatorVerb::kGroupMove, "web").message == "group web is not started");
}

TEST_CASE("a start is refused when it is started, when its owner may still run it, or nothing is ready") {
    Scene s;
    s.run_on(n2);
    CHECK(refused(s, OperatorVerb::kGroupStart, "web").message == "group web is already started on node2");
    s.node(n2).armed = false;
    s.lose(n2);
    CHECK(refused(s, OperatorVerb::kGroupStart, "web").remedy.find("confirm-down node2") != std::string::npos);
    s.startup_complete = false;
    CHECK(refused(s, OperatorVerb::kGroupStart, "web").code == static_cast<uint8_t>(ErrorCode::kNoQuorum));
}

TEST_CASE("a start of a group that could not be stopped is refused") {
    Scene s;
    s.run_on(n1);
    s.entry().goal = Goal::kStopped;
    s.entry().held = true;
    s.report_state(n1, GroupState::kStopFailed);
    CHECK(refused(s, OperatorVerb::kGroupStart, "web").message.find("may have effects") != std::string::npos);
}

TEST_CASE("a stopped group is held until a person starts it, and the start is answered when it is active") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kAccepted);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.owner() == kNobody);
    s.ask(OperatorVerb::kGroupStart, "web", n2);
    s.settle();
    CHECK(s.owner() == n2);
    CHECK_FALSE(s.entry().held);
    s.report_state(n2, GroupState::kStarting);
    s.settle();
    CHECK(s.replies.empty());
    s.report_state(n2, GroupState::kActive);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.replies.back().first == n2);  // to where it was asked
}

TEST_CASE("a start that fails for good is answered as failed with its cause") {
    Scene s;
    s.entry().held = true;
    s.settle();
    s.ask(OperatorVerb::kGroupStart, "web");
    s.settle();
    s.report_state(n1, GroupState::kStartFailed);
    s.reported(n1).failed = true;
    s.reported(n1).cause = "resource nginx: exit status 1";
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message.find("exit status 1") != std::string::npos);
    SECTION("and can be tried again in place") {
        const Token token = s.entry().token;
        s.ask(OperatorVerb::kGroupStart, "web");
        s.settle();
        s.report_state(n1, GroupState::kStopped);
        s.settle();
        CHECK(s.owner() == n1);
        CHECK(s.entry().token > token);
    }
}

TEST_CASE("a command that never ends is answered in time") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kGroupStop, "web");
    const PolicyOutput out = s.settle();
    REQUIRE(out.wake_at);
    s.now += 1h;
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().code == static_cast<uint8_t>(ErrorCode::kTimedOut));
}

TEST_CASE("a stop of a stopped group is done at once") {
    Scene s;
    s.entry().held = true;
    s.settle();
    s.ask(OperatorVerb::kGroupStop, "web");
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
}

TEST_CASE(
    "nodes: what is no member is not shut down, what is not isolated is not returned, what lives is not confirmed "
    "down") {
    Scene s;
    s.run_on(n1);
    CHECK(refused(s, OperatorVerb::kNodeReturn, "node2").message == "node2 is not isolated");
    CHECK(refused(s, OperatorVerb::kConfirmDown, "node2").message.find("is alive") != std::string::npos);
    s.lose(n2);
    CHECK(refused(s, OperatorVerb::kNodeShutdown, "node2").message.find("not a member") != std::string::npos);
}

TEST_CASE("a shutdown that a failed stop holds up is answered as failed, and goes on when the group is stopped") {
    Scene s;
    s.group().nodes = {n2};
    s.run_on(n2);
    s.settle();
    SECTION("of the node") {
        s.ask(OperatorVerb::kNodeShutdown, "node2");
    }
    SECTION("of the cluster") {
        s.ask(OperatorVerb::kClusterStop);
    }
    s.settle();
    s.report_state(n2, GroupState::kStopFailed);
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kFailed);
    CHECK(s.last_reply().message.find("group web could not be stopped on node2") != std::string::npos);
    s.leaving = {n1, n2};
    s.report_state(n2, GroupState::kStopped);
    s.settle();
    CHECK(s.node(n2).state == NodeState::kLeft);
}

TEST_CASE("nodes that obey a stop of the cluster are not taken to wish it when a person takes it back") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    s.leaving = {n1, n2};
    s.ask(OperatorVerb::kClusterStart);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    for (const NodeId id : {n1, n2}) CHECK(out.next->node(id).leaving == Leaving::kNo);
}

TEST_CASE("a start of the cluster cancels a stop that is under way") {
    Scene s;
    s.run_on(n1);
    s.settle();
    s.ask(OperatorVerb::kClusterStop);
    s.settle();
    CHECK(s.document.cluster_stopped);
    s.ask(OperatorVerb::kClusterStart);
    s.settle();
    CHECK_FALSE(s.document.cluster_stopped);
    s.report_state(n1, GroupState::kStopped);
    s.settle();
    CHECK(s.owner() == n1);
}

TEST_CASE("a configuration is refused when it is invalid, made from another one, or a node could not take it") {
    Scene s;
    s.run_on(n1);
    CHECK(refused(s, OperatorVerb::kConfigApply, "").code == static_cast<uint8_t>(ErrorCode::kUsage));
    const auto same = copy(s);
    s.parse_config = [same](const Bytes&) { return same; };
    s.settle();
    s.ask(OperatorVerb::kConfigApply);
    s.requests.back().request.expected = Hash{1};
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kRefused);
    CHECK(s.last_reply().message.find("has changed") != std::string::npos);
    s.lose(n2);
    CHECK(refused(s, OperatorVerb::kConfigApply, "").remedy.find("--without node2") != std::string::npos);
}

TEST_CASE("a configuration may add a group while others run") {
    Scene s(2, {"web", "old"});
    s.run_on(n1, "web");
    s.run_on(n1, "old");
    const auto more = copy(s);
    more->groups.push_back(more->groups.front());
    more->groups.back().name = "new";
    s.parse_config = [more](const Bytes&) { return more; };
    s.ask(OperatorVerb::kConfigApply);
    s.requests.back().request.bundle = {9, 9};
    PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK(out.next->groups.contains("new"));
    CHECK(out.next->config.version == s.document.config.version + 1);
    CHECK(out.next->config.packed == Bytes{9, 9});
    s.choose(*out.next);
    s.config = *more;
    s.settle();
    CHECK(s.last_reply().outcome == OperatorOutcome::kDone);
    CHECK(s.owner("new") == n1);
}

TEST_CASE("a stopped group may be removed") {
    Scene s(2, {"web", "old"});
    s.run_on(n1, "web");
    s.entry("old").held = true;
    const auto without = copy(s);
    without->groups.pop_back();
    s.parse_config = [without](const Bytes&) { return without; };
    s.ask(OperatorVerb::kConfigApply);
    const PolicyOutput out = s.plan();
    REQUIRE(out.next);
    CHECK_FALSE(out.next->groups.contains("old"));
}
