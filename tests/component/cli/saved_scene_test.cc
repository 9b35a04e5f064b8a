// A saved status as a snapshot that what_if() takes.
#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>

#include "cli/json.h"
#include "cli/saved_scene.h"
#include "cluster-daemon/engine/what_if.h"
#include "common/config/reader.h"
#include "tests/component/cli/bench.h"

using namespace kagami;
using namespace kagami::cli;

namespace {

constexpr const char* kWell = R"(
cluster_name: "demo" cluster_state: "Online" answering_node: "node1" leader: "node1" epoch: "2@1" quorum: true
document_version: "2@1.7" configuration_version: 1
nodes { name: "node1" id: 1 state: "Online" member_state: "MEMBER" incarnation: "aabbccdd" armed: true lease: true }
nodes { name: "node2" id: 2 state: "Online" member_state: "MEMBER" incarnation: "11223344" armed: true lease: true }
witness { state: "Normal" weight: 1 }
groups { name: "web" state: "Online" current_node: "node1" token: "2@1.5" wanted: true }
monitors { name: "userw" type: "userw" state: "Normal" nodes { node: "node1" state: "Online" } }
failover { state: "Active" }
)";

struct Saved {
    control::v1::Status status;
    std::shared_ptr<config::Config> config;

    Saved() {
        REQUIRE(google::protobuf::TextFormat::ParseFromString(kWell, &status));
        const auto parsed = config::parse(kValidToml, "cluster.toml", bench_types());
        REQUIRE(parsed.config);
        config = std::make_shared<config::Config>(*parsed.config);
    }
    engine::Snapshot scene() const {
        auto made = scene_of(status, config);
        REQUIRE(made);
        return std::move(*made);
    }
    engine::WhatIf ask(const std::string& events) const {
        auto seen = engine::what_if(scene(), events, kSavedAt);
        REQUIRE(seen);
        return std::move(*seen);
    }
};

}  // namespace

TEST_CASE("a node of a saved status that loses power gives its group to the other one") {
    const Saved saved;
    const engine::WhatIf seen = saved.ask("power-off node1");
    REQUIRE(seen.groups.size() == 1);
    CHECK(seen.groups[0].from == NodeId{1});
    CHECK(seen.groups[0].to == NodeId{2});
    CHECK(seen.groups[0].gap > Duration(0));
    const engine::WhatIf other = saved.ask("power-off node2");
    CHECK(other.groups[0].to == NodeId{1});
    CHECK(other.groups[0].gap == Duration(0));
}

TEST_CASE("a mirror disk of a saved status goes only where its copy is current") {
    Saved saved;
    std::string toml = kValidToml;
    toml.insert(toml.find("[[monitor]]"),
                "[[group.resource]]\ntype = \"md\"\nname = \"md1\"\ndata = \"/dev/sdb1\"\nmetadata = \"/dev/sdb2\"\n");
    const auto parsed = config::parse(toml, "cluster.toml", bench_types());
    REQUIRE(parsed.config);
    *saved.config = *parsed.config;
    control::v1::Status with;
    REQUIRE(google::protobuf::TextFormat::ParseFromString(
        R"(mirrors { name: "md1" group: "web" state: "Normal" generation: "7:3f9a02c1" primary: "node1" connected: true
           copies { node: "node1" node_id: 1 role: "primary" standing: "current" disk: "consistent" }
           copies { node: "node2" node_id: 2 role: "secondary" standing: "current" disk: "consistent" } })",
        &with));
    *saved.status.mutable_mirrors() = with.mirrors();
    CHECK(saved.ask("power-off node1").groups[0].to == NodeId{2});
    CHECK_FALSE(saved.ask("power-off node1").data_risk);
    saved.status.mutable_mirrors(0)->mutable_copies(1)->set_standing("stale");
    saved.status.mutable_mirrors(0)->set_connected(false);
    const engine::WhatIf seen = saved.ask("power-off node1");
    CHECK(seen.groups[0].to == kNobody);
    INFO(seen.data_sentence);
    CHECK(seen.data_sentence.find("md1") != std::string::npos);
}

TEST_CASE("what persons have switched is in a saved status, too") {
    Saved saved;
    saved.status.mutable_failover()->set_state("Latched");
    saved.status.mutable_nodes(1)->mutable_maintenance()->set_kind("unmanaged");
    saved.status.mutable_nodes(1)->mutable_maintenance()->set_left_ms(61000);
    saved.status.mutable_monitors(0)->mutable_nodes(0)->set_suspended(true);
    const engine::Snapshot scene = saved.scene();
    CHECK_FALSE(scene.document.failover.on);
    CHECK(scene.document.failover.latched);
    CHECK(scene.document.node(NodeId{2}).maintenance == engine::Maintenance{engine::MaintenanceKind::kUnmanaged, 2});
    CHECK(scene.document.monitors.at("userw").suspended == std::set<NodeId>{NodeId{1}});
    CHECK(scene.document.groups.at("web").token == Version{Epoch::make(2, NodeId{1}), 5});
    CHECK(saved.ask("power-off node1").groups[0].to == kNobody);
}

TEST_CASE("a saved status without a leader, or of another configuration, is refused") {
    Saved saved;
    saved.status.set_leader("");
    CHECK(scene_of(saved.status, saved.config).error().code == ErrorCode::kNoQuorum);
    saved.status.set_leader("node1");
    saved.status.add_groups()->set_name("db");
    CHECK(scene_of(saved.status, saved.config).error().message ==
          "the saved status is of another configuration: it names group db");
}

TEST_CASE("simulate --status reads what status --json has printed") {
    Bench bench;
    const Saved saved;
    const std::string status = bench.write("status.json", json_document("status", saved.status));
    const std::string toml = bench.write("was/cluster.toml", kValidToml);
    CHECK(bench.run({"simulate", "power-off", "node1", "--status", status, "--config", toml}) == 0);
    CHECK(bench.out.find("web    node1  node2  about ") != std::string::npos);
    bench.write("state/active/cluster.toml", kValidToml);
    CHECK(bench.run({"simulate", "power-off node1", "--status", status, "--json"}) == 0);
    CHECK(bench.out.find("\"to\": \"node2\"") != std::string::npos);
    CHECK(bench.run({"simulate", "power-off node9", "--status", status}) != 0);
    CHECK(bench.run({"simulate", "power-off node1", "--status", toml}) == 2);
    CHECK(bench.err.find("save one with: kagami status --json > FILE") != std::string::npos);
    CHECK(bench.run({"simulate", "power-off node1", "--status", bench.root / "none"}) == 3);
}
