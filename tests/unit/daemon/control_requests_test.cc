#include "cluster-daemon/runtime/daemon/control_requests.h"

#include <catch2/catch.hpp>

#include "proto/control.pb.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;
using engine::OperatorVerb;
namespace proto = control::v1;

namespace {

const RequestReader& reader() {
    static const RequestReader kReader(kagami::testing::sample_config(), NodeId{1});
    return kReader;
}

void refused(const RequestReader::Read& read, ErrorCode code, const std::string& remedy) {
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == code);
    CHECK(read.error().remedy.find(remedy) != std::string::npos);
}

}  // namespace

TEST_CASE("every option of a change reaches the engine") {
    proto::GroupRequest in;
    in.set_group("web");
    in.set_node("node2");
    in.mutable_options()->set_dry_run(true);
    in.mutable_options()->set_force(true);
    in.mutable_options()->set_person("alice");
    const auto request = reader().group_start(in);
    REQUIRE(request.has_value());
    CHECK(request->verb == OperatorVerb::kGroupStart);
    CHECK(request->node == NodeId{2});
    CHECK(request->dry_run);
    CHECK(request->force);
    CHECK(request->person == "alice");
}

TEST_CASE("a node that nobody knows is refused with the nearest name") {
    proto::NodeRequest in;
    in.set_node("nodee2");
    refused(reader().node_return(in), ErrorCode::kNotFound, "node2");
    refused(reader().leader_move(in), ErrorCode::kNotFound, "node2");
    refused(reader().clear_final_actions(in), ErrorCode::kNotFound, "node2");
    refused(RequestReader(nullptr, NodeId{1}).leader_move(in), ErrorCode::kNotFound, "no configuration");
}

TEST_CASE("an empty node is this one where a node is meant, and everybody where all may be") {
    const proto::NodeRequest nobody;
    CHECK(reader().node_shutdown(nobody)->subject == "node1");
    CHECK(reader().leader_move(nobody)->node == kNobody);
    CHECK(reader().clear_final_actions(nobody)->node == kNobody);
}

TEST_CASE("groups wait only for a node that reboots, and not for ever") {
    proto::NodeRequest in;
    in.set_reserve_minutes(10);
    refused(reader().node_shutdown(in), ErrorCode::kUsage, "node reboot --reserve");
    in.set_reboot(true);
    REQUIRE(reader().node_shutdown(in).has_value());
    CHECK(reader().node_shutdown(in)->minutes == 10);
    CHECK(reader().node_shutdown(in)->reboot);
    in.set_reserve_minutes(kMaxMinutes + 1);
    refused(reader().node_shutdown(in), ErrorCode::kUsage, std::to_string(kMaxMinutes));
}

TEST_CASE("the words of a maintenance are judged with a suggestion") {
    proto::MaintenanceRequest in;
    in.set_scope("grup");
    refused(reader().maintenance(in), ErrorCode::kUsage, "group");
    in.set_scope("group");
    refused(reader().maintenance(in), ErrorCode::kUsage, "name the group");
    in.set_subject("web");
    in.set_kind("obsrve");
    refused(reader().maintenance(in), ErrorCode::kUsage, "observe");
    in.set_kind("observe");
    refused(reader().maintenance(in), ErrorCode::kUsage, "name the minutes");
    in.set_minutes(30);
    const auto request = reader().maintenance(in);
    REQUIRE(request.has_value());
    CHECK(request->verb == OperatorVerb::kMaintenanceBegin);
    CHECK(request->scope == engine::MaintenanceScope::kGroup);
    CHECK(request->maintenance == engine::MaintenanceKind::kObserve);
    CHECK(request->minutes == 30);
    in.set_end(true);
    CHECK(reader().maintenance(in)->verb == OperatorVerb::kMaintenanceEnd);
}

TEST_CASE("a ratio of time-outs has bounds and an end") {
    proto::TimeoutRatioRequest in;
    refused(reader().timeout_ratio(in), ErrorCode::kUsage, "1 to 10000");
    in.set_ratio(10'001);
    refused(reader().timeout_ratio(in), ErrorCode::kUsage, "1 to 10000");
    in.set_ratio(3);
    refused(reader().timeout_ratio(in), ErrorCode::kUsage, "name the minutes");
    in.set_minutes(5);
    CHECK(reader().timeout_ratio(in)->amount == 3);
    in.set_ratio(1);
    in.set_minutes(0);
    CHECK(reader().timeout_ratio(in).has_value());
}

TEST_CASE("a stopped cluster's machines shut down or reboot, not both") {
    proto::ClusterStopRequest in;
    in.set_halt(true);
    CHECK(reader().cluster_stop(in)->halt);
    in.set_reboot(true);
    refused(reader().cluster_stop(in), ErrorCode::kUsage, "one of the two");
}

TEST_CASE("each word for a monitor or the switch is its own verb, and one from the future is refused") {
    proto::MonitorRequest in;
    const OperatorVerb verbs[] = {OperatorVerb::kMonitorSuspend, OperatorVerb::kMonitorResume,
                                  OperatorVerb::kMonitorDummyOn, OperatorVerb::kMonitorDummyOff,
                                  OperatorVerb::kMonitorClear};
    for (int action = 0; action < 5; ++action) {
        in.set_action(static_cast<proto::MonitorRequest::Action>(action));
        CHECK(reader().monitor(in)->verb == verbs[action]);
    }
    in.set_action(static_cast<proto::MonitorRequest::Action>(17));
    refused(reader().monitor(in), ErrorCode::kUsage, "same version");
    proto::FailoverRequest failover;
    failover.set_action(proto::FailoverRequest::FORCE);
    CHECK(reader().failover(failover)->verb == OperatorVerb::kFailoverForce);
    failover.set_action(static_cast<proto::FailoverRequest::Action>(17));
    refused(reader().failover(failover), ErrorCode::kUsage, "same version");
}

TEST_CASE("force of the options makes no full resync") {
    proto::MirrorRequest in;
    in.mutable_options()->set_force(true);
    CHECK_FALSE(reader().mirror(OperatorVerb::kMirrorForce, in)->force);
    CHECK_FALSE(reader().mirror(OperatorVerb::kMirrorResync, in)->force);
    in.set_full(true);
    CHECK(reader().mirror(OperatorVerb::kMirrorResync, in)->force);
}

TEST_CASE("the hash that a configuration was made from is 64 hexadecimal digits or nothing") {
    proto::ConfigApplyRequest in;
    in.set_confirm_within_seconds(120);
    CHECK(reader().config_apply(in, {1})->amount == 120);
    in.set_expected_hash("12");
    CHECK_FALSE(reader().config_apply(in, {1}).has_value());
    in.set_expected_hash(std::string(64, 'x'));
    CHECK_FALSE(reader().config_apply(in, {1}).has_value());
    in.set_expected_hash(std::string(64, 'a'));
    CHECK(reader().config_apply(in, {1})->expected ==
          Hash{0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
               0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa});
    in.set_confirm_within_seconds(kMaxConfirmSeconds + 1);
    CHECK_FALSE(reader().config_apply(in, {1}).has_value());
}
