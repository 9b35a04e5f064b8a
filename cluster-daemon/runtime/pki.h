// Keys and certificates of a cluster: its own CA, one certificate for each node, witness and person, all EC P-256.
//
// An identity is the one URI in the certificate's subject alternative name: kagami:CLUSTER-UUID/ROLE/NUMBER/NAME
// (docs/formats/pki.md). Invariants: identity and role come from the issuer, never from a request (CSR); a certificate
// without exactly one such name is refused; a private key is stored 0600 and one that others can read is refused. Left
// to others: who may do what with a role (the callers), and which join tokens were used (the caller of sign_csr).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/result.h"

namespace kagami::runtime {

enum class Role {
    kNode,     // NUMBER 1 to 32
    kWitness,  // NUMBER 1000
    kAdmin,    // people: NUMBER 0
    kOperator,
    kViewer,
    kJoin,  // may only ask for the certificate of the node or witness that NUMBER and NAME say; lives an hour
};

struct PeerIdentity {
    Uuid cluster{};
    Role role = Role::kViewer;
    NodeId node;
    std::string name;
    bool operator==(const PeerIdentity&) const = default;
};

std::string_view role_name(Role role);
std::string to_uri(const PeerIdentity& identity);
Result<PeerIdentity> parse_identity(std::string_view uri);

using WallTime = std::chrono::system_clock::time_point;
struct Validity {
    WallTime from;
    WallTime until;
};
// From a day ago (clocks of a new node may be behind) until `length` from now.
Validity valid_for(std::chrono::seconds length);
constexpr std::chrono::hours kCaLifetime{24 * 365 * 20};
constexpr std::chrono::hours kNodeLifetime{24 * 365 * 10};

// A certificate with its private key, both as PEM text.
struct Credential {
    std::string certificate_pem;
    std::string key_pem;
};

struct CertificateInfo {
    PeerIdentity identity;
    std::string serial;  // lower-case hex
    Validity validity;
};

Result<Credential> create_ca(const Uuid& cluster, const Validity& validity = valid_for(kCaLifetime));
Result<Credential> issue(const Credential& ca, const PeerIdentity& identity,
                         const Validity& validity = valid_for(kNodeLifetime));
Result<std::string> create_key();
Result<std::string> create_csr(const std::string& key_pem, const std::string& name);
// Checks the request's own signature and the kind of its key; everything else in it is ignored.
Result<std::string> sign_csr(const Credential& ca, const std::string& csr_pem, const PeerIdentity& identity,
                             const Validity& validity = valid_for(kNodeLifetime));

// Reads who a certificate names. Says nothing about who issued it: see verify_certificate.
Result<CertificateInfo> inspect_certificate(const std::string& certificate_pem);
// Issued by this CA, valid now, and of this cluster; `what` names it in messages ("/etc/kagami/pki/node.crt").
Result<CertificateInfo> verify_certificate(const std::string& certificate_pem, const std::string& ca_pem,
                                           const Uuid& cluster, const std::string& what);
Status check_key_matches(const Credential& credential, const std::string& what);
// The cluster that a CA certificate stands for; refuses what is not a CA.
Result<Uuid> cluster_of_ca(const std::string& ca_pem);
// sha256 of the CA certificate's DER bytes.
Result<Hash> certificate_hash(const std::string& certificate_pem);

// What a node needs to speak: DIR/{ca.crt,node.crt,node.key}.
struct KeyMaterial {
    std::string ca_pem;
    Credential own;
    CertificateInfo info;
};
Status save_key_material(const std::string& directory, const std::string& ca_pem, const Credential& own);
// Verified as above; with `cluster`, a certificate of another cluster is refused.
Result<KeyMaterial> load_key_material(const std::string& directory, const std::optional<Uuid>& cluster = std::nullopt);
// DIR/ca.key beside DIR/ca.crt, on the node of `kagami init` only.
Status save_ca(const std::string& directory, const Credential& ca);
Result<Credential> load_ca(const std::string& directory);

}  // namespace kagami::runtime
