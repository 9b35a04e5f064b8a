// What persons set for a while, as the status and its alerts tell it.
#include <catch2/catch.hpp>

#include <algorithm>

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

const proto::Alert* alert_with(const proto::Status& status, const std::string& remedy) {
    const auto at = std::find_if(status.alerts().begin(), status.alerts().end(),
                                 [&](const auto& a) { return a.remedy() == remedy; });
    return at == status.alerts().end() ? nullptr : &*at;
}

void edit(StatusInput& input, const std::function<void(config::Config&)>& change) {
    auto config = std::make_shared<config::Config>(*input.snapshot.config);
    change(*config);
    input.snapshot.config = config;
}

}  // namespace

TEST_CASE("the failover switch is Active, Disabled, Latched, or Pending while a path has shown nothing yet") {
    StatusInput input = healthy();
    CHECK(status_of(input).failover().state() == "Active");
    input.paths.push_back({NodeId{2}, "net2", "10.0.2.1", "10.0.2.2"});
    CHECK(status_of(input).failover().state() == "Pending");
    CHECK(status_of(input).failover().why() == "the path to node2 on network net2 is still being checked");
    input.snapshot.document.failover = {false, false, "by root"};
    proto::Status status = status_of(input);
    CHECK(status.failover().state() == "Disabled");
    REQUIRE(alert_with(status, "`kagami failover on`") != nullptr);
    CHECK(alert_with(status, "`kagami failover on`")->message().find("(by root)") != std::string::npos);
    input.snapshot.document.failover.latched = true;
    CHECK(status_of(input).failover().state() == "Latched");
}

TEST_CASE("maintenance of the cluster, a node and a group is shown with its end and how to end it sooner") {
    StatusInput input = healthy();
    input.snapshot.document.maintenance = {engine::MaintenanceKind::kObserve, 12};
    input.snapshot.document.nodes[NodeId{2}].maintenance = {engine::MaintenanceKind::kUnmanaged, 5};
    input.snapshot.document.groups["web"].maintenance = {engine::MaintenanceKind::kObserve, 1};
    const proto::Status status = status_of(input);
    CHECK(status.maintenance().kind() == "observe");
    CHECK(status.maintenance().left_ms() == 12 * 60'000);
    CHECK(status.nodes(1).maintenance().kind() == "unmanaged");
    CHECK(status.nodes(1).flags(0) == "UNMANAGED");
    CHECK(status.groups(0).maintenance().left_ms() == 60'000);
    CHECK(alert_with(status, "`kagami maintenance end`") != nullptr);
    CHECK(alert_with(status, "`kagami maintenance end --node node2`") != nullptr);
    CHECK(alert_with(status, "`kagami maintenance end --group web`") != nullptr);
    CHECK_FALSE(status_of(healthy()).has_maintenance());
}

TEST_CASE("a configuration that waits to be confirmed says when it goes back, and to what") {
    StatusInput input = healthy();
    input.snapshot.document.config.version = 8;
    input.snapshot.document.unconfirmed.emplace();
    input.snapshot.document.unconfirmed->previous.version = 7;
    input.snapshot.document.unconfirmed->seconds_left = 90;
    const proto::Status status = status_of(input);
    CHECK(status.unconfirmed().version() == 8);
    CHECK(status.unconfirmed().left_ms() == 90'000);
    const proto::Alert* alert = alert_with(status, "if all is well: `kagami config confirm`");
    REQUIRE(alert != nullptr);
    CHECK(alert->message() == "configuration 8 is not confirmed: in 90 s the cluster goes back to configuration 7");
}

TEST_CASE("the ratio of time-outs is shown only when it is not 1") {
    StatusInput input = healthy();
    CHECK_FALSE(status_of(input).has_timeout_ratio());
    input.snapshot.document.timeout_ratio = {3, 20};
    const proto::Status status = status_of(input);
    CHECK(status.timeout_ratio().ratio() == 3);
    CHECK(status.timeout_ratio().left_ms() == 20 * 60'000);
    CHECK(alert_with(status, "`kagami timeout-ratio reset`") != nullptr);
}

TEST_CASE("a node shows its role, its machine and its final actions; at the limit it is an alert") {
    StatusInput input = healthy();
    input.snapshot.own_report.final_actions = 3;
    input.snapshot.own_report.memory_free_mib = 512;
    input.snapshot.own_report.disk_free_mib = 4096;
    edit(input, [](config::Config& c) {
        c.minimum_memory_mib = 1024;
        c.server_groups = {{"east", {NodeId{1}}}};
    });
    const proto::Status status = status_of(input);
    CHECK(status.nodes(0).role() == "LEADER");
    CHECK(status.nodes(1).role() == "MEMBER");
    CHECK(status.nodes(0).server_group() == "east");
    CHECK(status.nodes(0).memory_free_mib() == 512);
    CHECK(status.nodes(0).final_actions_limit() == 3);
    CHECK(alert_with(status, "mend what fails there, then `kagami node clear-final-actions node1`") != nullptr);
    CHECK(alert_with(status, "free memory there") != nullptr);
    CHECK(alert_with(status, "free disk space there") == nullptr);
    CHECK(status.server_groups(0).nodes(0) == "node1");
}

TEST_CASE("a node that reboots as planned is no fault, and its groups say that they wait for it") {
    StatusInput input = healthy();
    input.snapshot.document.nodes[NodeId{2}].reserved_minutes = 7;
    input.snapshot.document.nodes[NodeId{2}].state = engine::NodeState::kLeft;
    input.snapshot.peers.erase(NodeId{2});
    auto& web = input.snapshot.document.groups["web"];
    web.owner.reset();
    web.last_owner = NodeId{2};
    input.snapshot.own_report.groups.clear();
    const proto::Status status = status_of(input);
    CHECK(status.nodes(1).reserved_left_ms() == 7 * 60'000);
    CHECK(status.nodes(1).flags(0) == "RESERVED");
    CHECK(status.groups(0).waiting().find("waits: it waits for node2, which reboots as planned") == 0);
    CHECK(status.groups(0).previous_node() == "node2");
    for (const auto& alert : status.alerts()) CHECK(alert.severity() != "ERROR");
}

TEST_CASE("a group without a place names every obstacle, in the status and in an alert") {
    StatusInput input = healthy();
    auto& web = input.snapshot.document.groups["web"];
    web.owner.reset();
    web.failed_on = {NodeId{1}};
    input.snapshot.document.nodes[NodeId{2}].isolated = true;
    input.snapshot.own_report.groups.clear();
    const proto::Status status = status_of(input);
    CHECK(status.groups(0).state() == "Offline");
    CHECK(status.groups(0).waiting() ==
          "waits for a place: node1: the group failed there before; node2: isolated until it is returned");
    CHECK(status.groups(0).message() == status.groups(0).waiting());
    CHECK(alert_with(status, "`kagami why web` says more") != nullptr);
}

TEST_CASE("a group that has to start after another one waits for it by name") {
    StatusInput input = healthy();
    edit(input, [](config::Config& c) {
        config::Group ups = c.groups[0];
        ups.name = "ups";
        ups.kind = config::GroupKind::kManagement;
        c.groups[0].start_wait.groups = {"ups"};
        c.groups.push_back(ups);
    });
    input.snapshot.document.groups["ups"] = {};
    input.snapshot.document.groups["web"].owner.reset();
    input.snapshot.own_report.groups.clear();
    const proto::Status status = status_of(input);
    CHECK(status.groups(0).state() == "Online Pending");
    CHECK(status.groups(0).waiting() == "waits for group ups to start");
    CHECK(status.groups(1).kind() == "management");
}

TEST_CASE("a resource that a person stopped is held, and says after what it starts") {
    StatusInput input = healthy();
    input.snapshot.document.groups["web"].stopped_resources = {"nginx"};
    edit(input, [](config::Config& c) { c.groups[0].resources[1].after = {"fip1"}; });
    const proto::Status status = status_of(input);
    CHECK_FALSE(status.groups(0).resources(0).held());
    CHECK(status.groups(0).resources(1).held());
    CHECK(status.groups(0).resources(1).after(0) == "fip1");
    CHECK(alert_with(status, "`kagami resource start nginx`") != nullptr);
    proto::WhyAnswer answer;
    REQUIRE(build_why(input, "nginx", answer));
    CHECK(answer.subject() == "resource nginx");
    CHECK(answer.sentence().find("stopped by a person") == 0);
}

TEST_CASE("a monitor shows on each node what persons set, whether it is late, and what its recovery has used") {
    StatusInput input = healthy();
    input.snapshot.document.monitors["nginx-alive"].suspended = {NodeId{1}};
    input.snapshot.own_report.monitors[0].late = true;
    input.snapshot.own_report.monitors[0].scripts = 2;
    proto::Status status = status_of(input);
    REQUIRE(status.monitors(0).nodes_size() == 1);
    CHECK(status.monitors(0).nodes(0).suspended());
    CHECK(status.monitors(0).nodes(0).late());
    CHECK(status.monitors(0).nodes(0).recovery().scripts() == 2);
    CHECK(status.monitors(0).nodes(0).recovery().restarts_limit() == 3);
    CHECK(alert_with(status, "`kagami monitor resume nginx-alive`") != nullptr);
    input.snapshot.document.monitors["nginx-alive"] = {{}, {NodeId{1}}, 0};
    status = status_of(input);
    CHECK(status.monitors(0).nodes(0).dummy_failure());
    CHECK(alert_with(status, "`kagami monitor unfail nginx-alive`") != nullptr);
}

TEST_CASE("a guard that is not armed is a warning, but not on a node that a person took out of management") {
    StatusInput input = healthy();
    input.guard.armed = false;
    CHECK(status_of(input).alerts(0).severity() == "WARN");
    input.snapshot.document.nodes[NodeId{1}].maintenance = {engine::MaintenanceKind::kUnmanaged, 5};
    const proto::Status status = status_of(input);
    for (const auto& alert : status.alerts()) CHECK(alert.severity() == "INFO");
}

TEST_CASE("what is worst stands first among the alerts") {
    StatusInput input = healthy();
    input.snapshot.document.maintenance = {engine::MaintenanceKind::kObserve, 12};
    input.snapshot.document.failover.on = false;
    input.guard.alive = false;
    const proto::Status status = status_of(input);
    REQUIRE(status.alerts_size() == 3);
    CHECK(status.alerts(0).severity() == "ERROR");
    CHECK(status.alerts(1).severity() == "WARN");
    CHECK(status.alerts(2).severity() == "INFO");
}
