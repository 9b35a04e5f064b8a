#include <catch2/catch.hpp>
#include <fstream>

#include "cluster-daemon/engine/engine.h"
#include "cluster-daemon/runtime/join_token.h"
#include "cluster-daemon/runtime/peer_channel.h"
#include "cluster-daemon/runtime/register_store.h"
#include "common/config/bundle.h"
#include "tests/component/cli/bench.h"

using namespace kagami;
using namespace kagami::cli;

TEST_CASE("init makes keys and the register of a new cluster, once") {
    Bench bench;
    bench.write("etc/cluster.toml", kValidToml);
    bench.write("etc/scripts/web/thing/start.sh", "#!/bin/sh\n");
    REQUIRE(bench.run({"init", "--node", "node2"}) == 0);
    const auto cluster = parse_uuid(bench.out.substr(0, 36));
    REQUIRE(cluster);
    CHECK(bench.err.find("this machine is node2") != std::string::npos);
    CHECK(bench.err.find("kagami token node1 ") != std::string::npos);
    CHECK(bench.err.find("kagami token witness ") != std::string::npos);

    const auto keys = runtime::load_key_material(bench.places.etc + "/pki", *cluster);
    REQUIRE(keys);
    CHECK(keys->info.identity == runtime::PeerIdentity{*cluster, runtime::Role::kNode, NodeId{2}, "node2"});
    CHECK(runtime::load_ca(bench.places.etc + "/pki"));

    const auto store =
        runtime::RegisterStore::open(bench.places.state + "/voter.store", runtime::StoreKind::kVoter, *cluster);
    REQUIRE(store);
    const auto state = engine::decode_durable_state(store->loaded().payload);
    REQUIRE(state);
    CHECK(state->voter.node == NodeId{2});
    const auto document = engine::decode_document(state->document);
    REQUIRE(document);
    CHECK(document->cluster == *cluster);
    const auto bundle = config::unpack(document->config.packed);
    REQUIRE(bundle);
    CHECK(bundle->text == kValidToml);
    CHECK(bundle->scripts.contains("web/thing/start.sh"));

    CHECK(bench.run({"init", "--node", "node1"}) == 4);
    CHECK(bench.out.empty());
    CHECK(bench.err.find("belongs to a cluster already") != std::string::npos);
    CHECK(runtime::load_key_material(bench.places.etc + "/pki", *cluster)->info.identity.name == "node2");
}

TEST_CASE("init refuses a broken configuration and an unknown node, and leaves nothing behind") {
    Bench bench;
    bench.write("etc/cluster.toml", kValidToml + "x = 1\n");
    CHECK(bench.run({"init", "--node", "node1"}) == 2);
    bench.write("etc/cluster.toml", kValidToml);
    CHECK(bench.run({"init", "--node", "node11"}) == 3);
    CHECK(bench.err == "kagami: no node is called \"node11\"\n  did you mean \"node1\"?\n");
    CHECK(bench.run({"init"}) == 3);
    CHECK(bench.err.find("say which one it is with --node") != std::string::npos);
    CHECK(bench.run({"init", "--config", bench.root / "none.toml", "--node", "node1"}) == 3);
    CHECK_FALSE(std::filesystem::exists(bench.places.etc + "/pki"));
    CHECK_FALSE(std::filesystem::exists(bench.places.state));
}

TEST_CASE("join refuses what is no token, and leaves the machine free to join") {
    Bench bench;
    CHECK(bench.run_piping({"join", "-"}, "") == 2);
    CHECK(bench.err == "kagami: there is no token on standard input\n  run: kagami join - < FILE\n");
    CHECK(bench.run_piping({"join", "-"}, "not a token\n") != 0);
    CHECK_FALSE(bench.err.empty());
    CHECK(bench.run_piping({"join", "-"}, std::string(100000, 'x')) == 2);
    CHECK(bench.run({"join", bench.root / "none"}) == 3);
    CHECK_FALSE(std::filesystem::exists(bench.places.etc + "/pki"));
    CHECK_FALSE(std::filesystem::exists(bench.places.state + "/voter.store"));
}

TEST_CASE("join with a good token and nobody there is unreachable, and can be repeated") {
    Bench bench;
    const Uuid cluster{1, 2, 3};
    const auto ca = runtime::create_ca(cluster);
    REQUIRE(ca);
    const auto token =
        runtime::make_join_token(*ca, {cluster, runtime::Role::kNode, NodeId{2}, "node2"}, {"127.0.0.1:1"});
    REQUIRE(token);
    const auto text = runtime::encode_join_token(*token);
    REQUIRE(text);
    CHECK(bench.run_piping({"join", "-"}, *text + "\n") == 7);
    CHECK(bench.run({"join", bench.write("token", *text)}) == 7);
    CHECK_FALSE(std::filesystem::exists(bench.places.etc + "/pki/node.crt"));
}

namespace {

// The first node as far as joining goes: signs what the token's holder asks for and hands out the document.
class FirstNode {
 public:
    explicit FirstNode(const Places& places) {
        const std::string pki = places.etc + "/pki";
        const auto keys = runtime::load_key_material(pki);
        REQUIRE(keys);
        ca_ = *runtime::load_ca(pki);
        cluster = keys->info.identity.cluster;
        const auto store =
            runtime::RegisterStore::open(places.state + "/voter.store", runtime::StoreKind::kVoter, cluster);
        REQUIRE(store);
        document_ = engine::decode_durable_state(store->loaded().payload)->document;
        runtime::PeerCallbacks callbacks;
        callbacks.on_message = [](NodeId, const Bytes&) {};
        callbacks.on_connected = [](NodeId, size_t) {};
        callbacks.on_disconnected = [](NodeId, const std::string&) {};
        callbacks.on_refused = [](const std::string&) {};
        callbacks.on_join = [this](const runtime::JoinAttempt& attempt, const runtime::JoinReplier& reply) {
            const auto certificate = runtime::sign_csr(ca_, attempt.csr_pem, attempt.becomes);
            if (!certificate) return reply(tl::unexpected(certificate.error()));
            reply(runtime::JoinAnswer{*certificate, ca_.certificate_pem, document_});
        };
        runtime::PeerNetworkOptions options;
        options.keys = *keys;
        options.listen = {address};
        auto started = runtime::PeerNetwork::start(std::move(options), std::move(callbacks));
        REQUIRE(started);
        network_ = std::move(*started);
    }
    std::string token_for(const runtime::PeerIdentity& becomes) const {
        return *runtime::encode_join_token(*runtime::make_join_token(ca_, becomes, {address}));
    }
    Uuid cluster{};
    const std::string address = "127.7.7.7:29341";

 private:
    runtime::Credential ca_;
    Bytes document_;
    std::unique_ptr<runtime::PeerNetwork> network_;
};

}  // namespace

TEST_CASE("a token makes a machine a node, another the witness, each with keys and the document of the cluster") {
    Bench first;
    first.write("etc/cluster.toml", kValidToml);
    REQUIRE(first.run({"init", "--node", "node1"}) == 0);
    const FirstNode node1(first.places);
    const auto check_joined = [&](const runtime::PeerIdentity& becomes) {
        Bench machine;
        CHECK(machine.run_piping({"join", "-"}, node1.token_for(becomes) + "\n") == 0);
        CHECK(machine.err.find("This machine is " + becomes.name) != std::string::npos);
        const auto keys = runtime::load_key_material(machine.places.etc + "/pki", node1.cluster);
        REQUIRE(keys);
        CHECK(keys->info.identity == becomes);
        const auto store = runtime::RegisterStore::open(machine.places.state + "/voter.store",
                                                        runtime::StoreKind::kVoter, node1.cluster);
        REQUIRE(store);
        CHECK(engine::decode_durable_state(store->loaded().payload)->voter.node == becomes.node);
    };
    check_joined({node1.cluster, runtime::Role::kNode, NodeId{2}, "node2"});
    check_joined({node1.cluster, runtime::Role::kWitness, kWitnessId, "witness"});
}

TEST_CASE("a machine of a cluster does not join another") {
    Bench bench;
    bench.write("state/voter.store", "");
    CHECK(bench.run_piping({"join", "-"}, "whatever") == 4);
}
