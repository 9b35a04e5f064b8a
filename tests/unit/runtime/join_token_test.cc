#include "cluster-daemon/runtime/join_token.h"

#include <catch2/catch.hpp>

using namespace kagami;
using namespace kagami::runtime;
using std::chrono::hours;

namespace {

const Uuid kCluster = parse_uuid("11111111-2222-3333-4444-555555555555").value();
const PeerIdentity kNode2{kCluster, Role::kNode, NodeId{2}, "node2"};
const PeerIdentity kWitness{kCluster, Role::kWitness, kWitnessId, "witness"};

std::string token_text(const Validity& validity = valid_for(kTokenLifetime)) {
    const Credential ca = create_ca(kCluster).value();
    return encode_join_token(make_join_token(ca, kNode2, {"10.77.1.1:29001", "[fd00::1]:29001"}, validity).value())
        .value();
}

}  // namespace

TEST_CASE("a token read back names the cluster, the addresses and who its holder becomes") {
    const Credential ca = create_ca(kCluster).value();
    for (const PeerIdentity& becomes : {kNode2, kWitness}) {
        const JoinToken made = make_join_token(ca, becomes, {"10.77.1.1:29001"}).value();
        const std::string text = encode_join_token(made).value();
        CHECK(text.size() < 2000);
        const auto read = decode_join_token("  " + text + "\n");
        REQUIRE(read);
        CHECK(identity_after_join(read->info.identity) == becomes);
        CHECK(read->addresses == made.addresses);
        CHECK(read->serial() == made.serial());
        CHECK(certificate_hash(read->ca_pem).value() == certificate_hash(ca.certificate_pem).value());
        CHECK(check_key_matches(read->credential, "it"));
    }
}

TEST_CASE("two tokens never have the same serial number") {
    const Credential ca = create_ca(kCluster).value();
    CHECK(make_join_token(ca, kNode2, {"a:1"})->serial() != make_join_token(ca, kNode2, {"a:1"})->serial());
}

TEST_CASE("an expired token is refused by name") {
    const auto now = std::chrono::system_clock::now();
    const auto refused = decode_join_token(token_text({now - hours(2), now - hours(1)}));
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, Catch::Contains("expired on"));
    CHECK_THAT(refused.error().remedy, Catch::Contains("kagami token"));
}

TEST_CASE("a token with any character changed, cut off or added is refused") {
    const std::string text = token_text();
    for (size_t i = 0; i < text.size(); i += 7) {
        std::string changed = text;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK_FALSE(decode_join_token(changed));
        CHECK_FALSE(decode_join_token(text.substr(0, i)));
    }
    CHECK_FALSE(decode_join_token(text + "A"));
    CHECK_FALSE(decode_join_token(text + "AAAA"));
    CHECK_FALSE(decode_join_token(text + "="));
    CHECK_FALSE(decode_join_token(std::string(1 << 20, 'A')));
    CHECK_FALSE(decode_join_token("kagami-join-1."));
    CHECK(decode_join_token(text));
}

TEST_CASE("a token whose certificate has another role or another CA is refused") {
    const Credential ca = create_ca(kCluster).value();
    JoinToken token = make_join_token(ca, kNode2, {"a:1"}).value();
    token.credential = issue(ca, kNode2).value();
    CHECK_THAT(decode_join_token(encode_join_token(token).value()).error().message, Catch::Contains("role join"));
    token = make_join_token(ca, kNode2, {"a:1"}).value();
    token.ca_pem = create_ca(kCluster)->certificate_pem;
    CHECK_THAT(decode_join_token(encode_join_token(token).value()).error().message,
               Catch::Contains("not issued by this cluster's CA"));
    token.ca_pem = token.credential.certificate_pem;
    CHECK_FALSE(decode_join_token(encode_join_token(token).value()));
}

TEST_CASE("tokens are made only for nodes and the witness, with usable addresses") {
    const Credential ca = create_ca(kCluster).value();
    CHECK_FALSE(make_join_token(ca, {kCluster, Role::kAdmin, kNobody, "alice"}, {"a:1"}));
    CHECK_FALSE(make_join_token(ca, {kCluster, Role::kWitness, NodeId{1}, "w"}, {"a:1"}));
    CHECK_FALSE(make_join_token(ca, kNode2, {}));
    CHECK_FALSE(make_join_token(ca, kNode2, {"no-port"}));
    CHECK_FALSE(make_join_token(ca, kNode2, {"a b:1"}));
    CHECK_FALSE(make_join_token(ca, kNode2, std::vector<std::string>(17, "a:1")));
}
