#include "cluster-daemon/runtime/pki.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/files.h"
#include "tests/support/temporary_directory.h"

using namespace kagami;
using namespace kagami::runtime;
using kagami::testing::TemporaryDirectory;
using std::chrono::hours;

namespace {

const Uuid kCluster = parse_uuid("11111111-2222-3333-4444-555555555555").value();
const Uuid kOther = parse_uuid("99999999-2222-3333-4444-555555555555").value();

PeerIdentity node(uint16_t number, const Uuid& cluster = kCluster) {
    return {cluster, Role::kNode, NodeId{number}, "node" + std::to_string(number)};
}

Validity expired() {
    const auto now = std::chrono::system_clock::now();
    return {now - hours(48), now - hours(1)};
}
Validity in_the_future() {
    const auto now = std::chrono::system_clock::now();
    return {now + hours(48), now + hours(96)};
}

struct Pki {
    TemporaryDirectory dir;
    std::string path = dir / "pki";
    Credential ca = create_ca(kCluster).value();
    void save(const Credential& own) const { REQUIRE(save_key_material(path, ca.certificate_pem, own)); }
};

void check_refused(const Result<KeyMaterial>& loaded, const std::string& reason) {
    REQUIRE_FALSE(loaded);
    CHECK_THAT(loaded.error().message, Catch::Contains(reason));
    CHECK_FALSE(loaded.error().remedy.empty());
}

}  // namespace

TEST_CASE("an identity survives the way into a certificate and back for every role") {
    const Credential ca = create_ca(kCluster).value();
    const std::vector<PeerIdentity> identities{
        {kCluster, Role::kNode, NodeId{1}, "node1"},       {kCluster, Role::kNode, NodeId{32}, "n"},
        {kCluster, Role::kWitness, kWitnessId, "witness"}, {kCluster, Role::kAdmin, kNobody, "alice"},
        {kCluster, Role::kOperator, kNobody, "bob"},       {kCluster, Role::kViewer, kNobody, "carol"},
        {kCluster, Role::kJoin, NodeId{2}, "node2"},       {kCluster, Role::kJoin, kWitnessId, "witness"},
    };
    for (const PeerIdentity& identity : identities) {
        const auto issued = issue(ca, identity);
        REQUIRE(issued);
        const auto info = verify_certificate(issued->certificate_pem, ca.certificate_pem, kCluster, "it");
        REQUIRE(info);
        CHECK(info->identity == identity);
        CHECK(info->serial.size() == 32);
        CHECK(check_key_matches(*issued, "it"));
    }
}

TEST_CASE("identities that are not spelled exactly right are refused") {
    const std::string uuid = to_string(kCluster);
    for (const std::string& uri : {std::string(),
                                   "kagami:" + uuid,
                                   "kagami:" + uuid + "/node/1",
                                   "kagami:" + uuid + "/node/1/",
                                   "kagami:" + uuid + "/node/01/node1",
                                   "kagami:" + uuid + "/node/+1/node1",
                                   "kagami:" + uuid + "/node/0/node1",
                                   "kagami:" + uuid + "/node/33/node1",
                                   "kagami:" + uuid + "/node/65537/node1",
                                   "kagami:" + uuid + "/node/1/no de",
                                   "kagami:" + uuid + "/node/1/node1/x",
                                   "kagami:" + uuid + "/root/0/me",
                                   "kagami:" + uuid + "/admin/1/alice",
                                   "kagami:" + uuid + "/witness/1/w",
                                   "kagami:" + uuid + "/join/0/x",
                                   "KAGAMI:" + uuid + "/node/1/node1",
                                   "http:" + uuid + "/node/1/node1",
                                   "kagami:" + uuid.substr(1) + "/node/1/node1",
                                   "kagami:" + uuid + "/node/1/" + std::string(32, 'x'),
                                   "kagami:" + uuid + "/node/1/node1" + std::string(1, '\0')}) {
        CAPTURE(uri);
        CHECK_FALSE(parse_identity(uri));
    }
    CHECK(parse_identity("kagami:" + uuid + "/node/1/node1"));
}

TEST_CASE("a certificate is not issued for an impossible identity or by another cluster's CA") {
    const Credential ca = create_ca(kCluster).value();
    CHECK_FALSE(issue(ca, {kCluster, Role::kNode, NodeId{1}, "a,URI:b"}));
    CHECK_FALSE(issue(ca, {kCluster, Role::kNode, kWitnessId, "node"}));
    CHECK_FALSE(issue(ca, node(1, kOther)));
}

TEST_CASE("verification refuses a wrong CA, an expired, an early and a foreign certificate, each with its reason") {
    const Credential ca = create_ca(kCluster).value();
    const Credential stranger = create_ca(kCluster).value();  // even with the same cluster uuid in its name
    const auto verify = [&](const Credential& certificate, const Uuid& cluster) {
        const auto result = verify_certificate(certificate.certificate_pem, ca.certificate_pem, cluster, "it");
        REQUIRE_FALSE(result);
        CHECK_FALSE(result.error().remedy.empty());
        return result.error().message;
    };
    CHECK_THAT(verify(issue(stranger, node(1)).value(), kCluster), Catch::Contains("not issued by this cluster's CA"));
    CHECK_THAT(verify(issue(ca, node(1), expired()).value(), kCluster), Catch::Contains("expired on 20"));
    CHECK_THAT(verify(issue(ca, node(1), in_the_future()).value(), kCluster), Catch::Contains("valid only from"));
    CHECK_THAT(verify(issue(ca, node(1)).value(), kOther), Catch::Contains("belongs to cluster 11111111"));
    CHECK_THAT(verify(ca, kCluster), Catch::Contains("identity"));  // the CA itself speaks for nobody
    const Credential leaf = issue(ca, node(1)).value();
    CHECK_FALSE(cluster_of_ca(leaf.certificate_pem));
}

TEST_CASE("a leaf certificate cannot issue others") {
    const Credential ca = create_ca(kCluster).value();
    const Credential leaf = issue(ca, node(1)).value();
    CHECK_FALSE(issue(leaf, node(2)));
}

TEST_CASE("a signed request gets the issuer's identity, whatever it asks for") {
    const Credential ca = create_ca(kCluster).value();
    const std::string key = create_key().value();
    const std::string csr = create_csr(key, "node1").value();
    const auto signed_pem = sign_csr(ca, csr, node(2));
    REQUIRE(signed_pem);
    CHECK(inspect_certificate(*signed_pem)->identity == node(2));
    CHECK(check_key_matches({*signed_pem, key}, "it"));
    CHECK_FALSE(check_key_matches({*signed_pem, create_key().value()}, "it"));
}

TEST_CASE("damaged, oversized and RSA requests are refused") {
    const Credential ca = create_ca(kCluster).value();
    std::string csr = create_csr(create_key().value(), "node2").value();
    CHECK_FALSE(sign_csr(ca, "", node(2)));
    CHECK_FALSE(sign_csr(ca, std::string(1 << 20, 'A'), node(2)));
    CHECK_FALSE(sign_csr(ca, csr.substr(0, csr.size() / 2), node(2)));
    const size_t middle = csr.size() / 2;
    csr[middle] = csr[middle] == 'A' ? 'B' : 'A';
    CHECK_FALSE(sign_csr(ca, csr, node(2)));
    // openssl req -new -newkey rsa:2048 -nodes -subj /CN=x
    CHECK_FALSE(sign_csr(ca,
                         "-----BEGIN CERTIFICATE REQUEST-----\n"
                         "MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP\n"
                         "ADCCAQoCggEBAKyfdemi3RHF0+7a2Yf6Ui5r59x6OcEYMQCDdysBxTdOXaFOMp/A\n"
                         "JDfi66w50ROdWgw3zj8KYGse//lsCRPQKPmXMWM+akXhvaI8kyMQyIrBpr1uQu1u\n"
                         "0mcmVyswp9O1gGqWtsY3Hz11rUA8Eye7Af6zOrr9eIgrmlpP6eko31OK/bmDcU/P\n"
                         "+aa271wTZWrP2qZXMoKn20tQm8OG0/rDo9C5epNgxYsuzAeZHolThvxcUivQL9ah\n"
                         "J2G/0TPm2+aXsP4JWTiDjwRkWCSP24lI80O6wGOoTCZWgTPEhUW5ajBPmqSEMDxv\n"
                         "mod3m7+nOmWlkClm/vzulDKxg+yu0IxgE6sCAwEAAaAAMA0GCSqGSIb3DQEBCwUA\n"
                         "A4IBAQBIFndEwd/vmGsnKCEOacO2bd7zpyM8opFRpU0Co5K0I9TYdlCM8Z9BJPg3\n"
                         "OkT5jTuArW8wUfeG780Y1XP/ufqC2NdJrzizBfJZDtT02/i7+qW+yiuTLVW5NmrF\n"
                         "Hblwzf1fqGm6/CQ5jRMwrFDhnEXmIHBs+jTvTViLY5DQ1iSam4rRHUAPDC+j3bVZ\n"
                         "sGaJu+nhtkS3uqdFiWC/ovQHaEwiho7Oa7kecZFD3ufA1quaMcDCBYNfKa3z639q\n"
                         "dDLWpi+sxEd2cfciHi7TktTEN65jNFjBVapD4C2rGQusWvE4bwriQHCGPmpatClS\n"
                         "Fh/zM87QnynT4Yflx1lf5hmoShiU\n"
                         "-----END CERTIFICATE REQUEST-----\n",
                         node(2)));
}

TEST_CASE("saved key material loads again, with private modes") {
    const Pki pki;
    pki.save(issue(pki.ca, node(1)).value());
    const auto loaded = load_key_material(pki.path, kCluster);
    REQUIRE(loaded);
    CHECK(loaded->info.identity == node(1));
    for (const char* name : {"/ca.crt", "/node.crt", "/node.key"}) {
        struct stat info{};
        REQUIRE(::stat((pki.path + name).c_str(), &info) == 0);
        CHECK((info.st_mode & 0777U) == 0600);
    }
}

TEST_CASE("loading refuses a key that others can read, and names the remedy") {
    const Pki pki;
    pki.save(issue(pki.ca, node(1)).value());
    REQUIRE(::chmod((pki.path + "/node.key").c_str(), 0640) == 0);
    check_refused(load_key_material(pki.path), "node.key: others than its owner");
}

TEST_CASE("loading refuses expired, foreign and mismatched files") {
    const Pki pki;
    pki.save(issue(pki.ca, node(1), expired()).value());
    check_refused(load_key_material(pki.path), "expired on");
    pki.save(issue(create_ca(kCluster).value(), node(1)).value());
    check_refused(load_key_material(pki.path), "not issued by this cluster's CA");
    pki.save({issue(pki.ca, node(1)).value().certificate_pem, create_key().value()});
    check_refused(load_key_material(pki.path), "belongs to another certificate");
    pki.save(issue(pki.ca, node(1)).value());
    check_refused(load_key_material(pki.path, kOther), "not to this cluster 99999999");
}

TEST_CASE("loading refuses missing, truncated and linked files") {
    const Pki pki;
    check_refused(load_key_material(pki.path), "ca.crt");
    const Credential own = issue(pki.ca, node(1)).value();
    pki.save(own);
    REQUIRE(write_file_atomically(pki.path + "/node.crt", own.certificate_pem.substr(0, 200)));
    check_refused(load_key_material(pki.path), "node.crt: is not a certificate");
    pki.save({own.certificate_pem, "not a key"});
    check_refused(load_key_material(pki.path), "is not a private key");
    pki.save(own);
    REQUIRE(::rename((pki.path + "/node.key").c_str(), (pki.path + "/elsewhere").c_str()) == 0);
    REQUIRE(::symlink("elsewhere", (pki.path + "/node.key").c_str()) == 0);
    check_refused(load_key_material(pki.path), "node.key");
}

TEST_CASE("the CA key is kept beside the certificate and its absence says where to go") {
    const Pki pki;
    REQUIRE(save_ca(pki.path, pki.ca));
    const auto loaded = load_ca(pki.path);
    REQUIRE(loaded);
    CHECK(issue(*loaded, node(3)));
    REQUIRE(::unlink((pki.path + "/ca.key").c_str()) == 0);
    const auto absent = load_ca(pki.path);
    REQUIRE_FALSE(absent);
    CHECK_THAT(absent.error().remedy, Catch::Contains("kagami init"));
}
