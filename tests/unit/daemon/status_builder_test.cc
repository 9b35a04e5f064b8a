#include "cluster-daemon/runtime/daemon/status_builder.h"

#include <catch2/catch.hpp>

#include "proto/control.pb.h"
#include "tests/unit/daemon/healthy.h"

using namespace kagami;
using namespace kagami::runtime;
using namespace kagami::testing;
namespace proto = control::v1;

namespace {

proto::Status status_of(const StatusInput& input) {
    proto::Status status;
    build_status(input, status);
    return status;
}

}  // namespace

TEST_CASE("a healthy cluster is told in the words of the field, without an alert") {
    const proto::Status status = status_of(healthy());
    CHECK(status.cluster_name() == "sample");
    CHECK(status.answering_node() == "node1");
    CHECK(status.leader() == "node1");
    CHECK(status.cluster_state() == "Online");
    REQUIRE(status.nodes_size() == 2);
    CHECK(status.nodes(0).state() == "Online");
    CHECK(status.nodes(0).lease_left_ms() == 1500);
    CHECK(status.nodes(1).state() == "Online");
    CHECK(status.nodes(1).witness_state() == "Normal");
    CHECK(status.witness().state() == "Normal");
    REQUIRE(status.groups_size() == 1);
    CHECK(status.groups(0).state() == "Online");
    CHECK(status.groups(0).current_node() == "node1");
    CHECK(status.groups(0).safety_class() == "B");
    CHECK(status.groups(0).resources(0).state() == "Online");
    CHECK(status.groups(0).resources(0).detail() == "10.0.1.100/24");
    CHECK(status.monitors(0).state() == "Normal");
    CHECK(status.monitors(0).recovery().restarts() == 1);
    CHECK(status.arbitration().majority() == 2);
    CHECK(status.guard().state() == "Normal");
    CHECK(status.alerts_size() == 0);
}

TEST_CASE("a silent member is Unknown until its promises have run out, and then Offline with a remedy") {
    StatusInput input = healthy();
    input.snapshot.peers[kNode2.node].heard_at = kNow - 1min;
    CHECK(status_of(input).nodes(1).state() == "Unknown");
    input.snapshot.document.nodes[kNode2.node].state = engine::NodeState::kLost;
    const proto::Status status = status_of(input);
    CHECK(status.nodes(1).state() == "Offline");
    CHECK(status.nodes(1).message() == "lost: not heard until its promises had run out");
    REQUIRE(status.alerts_size() == 1);
    CHECK(status.alerts(0).subject() == "node node2");
    CHECK_FALSE(status.alerts(0).remedy().empty());
}

TEST_CASE("a group whose owner is not heard is Unknown, and the reason is told") {
    StatusInput input = healthy();
    input.snapshot.document.groups["web"].owner = kNode2;
    input.snapshot.peers[kNode2.node].heard_at = kNow - 1min;
    const proto::Status status = status_of(input);
    CHECK(status.groups(0).state() == "Unknown");
    CHECK(status.groups(0).resources(0).state() == "Unknown");
    CHECK(status.groups(0).message().find("node2 is not heard") == 0);
}

TEST_CASE("a group that failed to start is in Error with the script's own words and an alert") {
    StatusInput input = healthy();
    auto report = web_report(engine::GroupState::kStartFailed, engine::ResourceState::kOnlineFailure);
    report.cause = "resource nginx: start.sh exited with status 3: no licence";
    input.snapshot.own_report.groups = {report};
    const proto::Status status = status_of(input);
    CHECK(status.groups(0).state() == "Error");
    CHECK(status.groups(0).message() == report.cause);
    CHECK(status.alerts(0).severity() == "ERROR");
    CHECK(status.alerts(0).message() == report.cause);
}

TEST_CASE("messages of reports that are not UTF-8 do not cost the whole status") {
    StatusInput input = healthy();
    auto report = web_report(engine::GroupState::kStartFailed, engine::ResourceState::kOnlineFailure);
    report.cause = "nginx: M\xfcller";
    for (auto& resource : report.resources) resource.message = "cut \xe6\x9d";
    input.snapshot.own_report.groups = {report};
    input.snapshot.own_report.monitors = {{"nginx-alive", engine::MonitorState::kError, "\xff", 1, 0}};
    const proto::Status status = status_of(input);
    CHECK(status.groups(0).message() == "nginx: M?ller");
    CHECK(status.groups(0).resources(0).message() == "cut ??");
    REQUIRE(status.monitors_size() == 1);
    CHECK(status.monitors(0).message() == "?");
    CHECK(status.monitors(0).nodes(0).message() == "?");
    CHECK(proto::Status().ParseFromString(status.SerializeAsString()));
}

TEST_CASE("without a majority or a guard the answering node says so loudly") {
    StatusInput input = healthy();
    input.snapshot.quorum = false;
    input.snapshot.run_until = Instant{};
    input.guard.alive = false;
    const proto::Status status = status_of(input);
    CHECK(status.arbitration().state() == "Error");
    CHECK(status.guard().state() == "Off");
    REQUIRE(status.alerts_size() == 2);
    CHECK(status.alerts(0).severity() == "ERROR");
    CHECK(status.alerts(1).subject() == "guard");
}

TEST_CASE("an isolated node is Suspend and says how it comes back") {
    StatusInput input = healthy();
    input.snapshot.document.nodes[kNode2.node].isolated = true;
    const proto::Status status = status_of(input);
    CHECK(status.nodes(1).state() == "Suspend");
    CHECK(status.nodes(1).message() == "isolated: runs no groups until `kagami node return node2`");
}

TEST_CASE("why names each candidate with its reason, and nothing for an unknown name") {
    StatusInput input = healthy();
    input.snapshot.document.groups["web"].failed_on = {NodeId{2}};
    proto::WhyAnswer answer;
    REQUIRE(build_why(input, "web", answer));
    CHECK(answer.state() == "Online on node1");
    REQUIRE(answer.candidates_size() == 2);
    CHECK(answer.candidates(0).eligible());
    CHECK_FALSE(answer.candidates(1).eligible());
    CHECK(answer.candidates(1).reason() == "the group failed there before");
    CHECK_FALSE(build_why(input, "nothing", answer));
}

TEST_CASE("the situation of a group changes with its state and its place") {
    StatusInput input = healthy();
    CHECK(group_situations(input).at("web") == "Online on node1");
    input.snapshot.document.groups["web"].owner.reset();
    input.snapshot.own_report.groups.clear();
    CHECK(group_situations(input).at("web") == "Offline");
}
