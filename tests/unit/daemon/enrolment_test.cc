#include "cluster-daemon/runtime/daemon/enrolment.h"

#include <catch2/catch.hpp>

#include "common/files.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/daemon/sample.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::TemporaryDirectory;

namespace {

constexpr Uuid kCluster = {1, 2, 3, 4};

// node1 after `kagami init`: it holds the CA key.
struct FirstNode {
    TemporaryDirectory directory;
    engine::Document document = engine::genesis(kCluster, *kagami::testing::sample_config(), kagami::testing::sample_packed());
    std::shared_ptr<const config::Config> config = kagami::testing::sample_config();
    Credential ca = *create_ca(kCluster);

    FirstNode() {
        REQUIRE(make_private_directory(directory / "pki"));
        REQUIRE(save_ca(directory / "pki", ca));
        REQUIRE(save_key_material(directory / "pki", ca.certificate_pem, *issue(ca, {kCluster, Role::kNode, NodeId{1}, "node1"})));
    }
    Enrolment enrolment() {
        return Enrolment(directory / "pki", directory.path(), [this] { return std::pair(document, config); });
    }
};

JoinAttempt attempt_with(const JoinToken& token, const std::string& csr) {
    return {identity_after_join(token.info.identity), token.serial(), csr};
}

}  // namespace

TEST_CASE("a token names who its holder becomes and the addresses of the node that made it") {
    FirstNode node;
    const auto issued = node.enrolment().create_token("node2", 10min);
    REQUIRE(issued);
    const auto token = decode_join_token(issued->text);
    REQUIRE(token);
    CHECK(token->info.identity.node == NodeId{2});
    CHECK(token->addresses == std::vector<std::string>{"10.0.1.1:29001", "10.0.2.1:29001"});
    const auto witness = decode_join_token(node.enrolment().create_token("witness", 10min)->text);
    CHECK(identity_after_join(witness->info.identity).role == Role::kWitness);
}

TEST_CASE("a machine that the configuration does not have gets no token") {
    FirstNode node;
    const auto issued = node.enrolment().create_token("node7", 10min);
    REQUIRE_FALSE(issued);
    CHECK(issued.error().code == ErrorCode::kNotFound);
    CHECK(issued.error().message == "no node is named node7 in the configuration");
}

TEST_CASE("a node without the CA key says where tokens are made") {
    FirstNode node;
    REQUIRE(::unlink((node.directory / "pki/ca.key").c_str()) == 0);
    const auto issued = node.enrolment().create_token("node2", 10min);
    REQUIRE_FALSE(issued);
    CHECK(issued.error().code == ErrorCode::kRefused);
    CHECK(issued.error().remedy == "run the command on the node where `kagami init` was run");
    CHECK_FALSE(node.enrolment().holds_ca_key());
}

TEST_CASE("a token works once, also across a restart of the daemon, and a holder gets its certificate and the present document") {
    FirstNode node;
    const auto token = decode_join_token(node.enrolment().create_token("node2", 10min)->text);
    const auto key = create_key();
    const auto csr = create_csr(*key, "node2");
    const auto answer = node.enrolment().admit(attempt_with(*token, *csr));
    REQUIRE(answer);
    const auto info = verify_certificate(answer->certificate_pem, answer->ca_pem, kCluster, "answer");
    REQUIRE(info);
    CHECK(info->identity == PeerIdentity{kCluster, Role::kNode, NodeId{2}, "node2"});
    CHECK(engine::decode_document(answer->bootstrap).value() == node.document);

    const auto again = node.enrolment().admit(attempt_with(*token, *csr));
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ErrorCode::kRefused);
    CHECK(again.error().message == "this token has been used already");

    const auto other = decode_join_token(node.enrolment().create_token("node2", 10min)->text);
    CHECK(node.enrolment().admit(attempt_with(*other, *csr)));
}

TEST_CASE("when used tokens cannot be remembered nobody is admitted") {
    FirstNode node;
    const auto token = decode_join_token(node.enrolment().create_token("node2", 10min)->text);
    REQUIRE(make_private_directory(node.directory / "used-tokens"));  // a directory in the file's place
    CHECK_FALSE(node.enrolment().admit(attempt_with(*token, *create_csr(*create_key(), "node2"))));
}
