// A one-time join token: text that lets one machine become one named node (or the witness) of one cluster, for a short
// time. It carries the CA certificate (so the joiner trusts nothing it fetched), a certificate of role join with its
// key, and where to ask. It is a secret: hand it over by stdin or file, never in argv. docs/formats/join-token.md Left
// to others: that it is used once (its serial() is remembered by whoever signs), and the conversation (peer_channel.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster-daemon/runtime/pki.h"

namespace kagami::runtime {

constexpr std::chrono::hours kTokenLifetime{1};

struct JoinToken {
    std::string ca_pem;
    Credential credential;               // role join
    std::vector<std::string> addresses;  // "10.77.1.1:29001", in order of preference
    CertificateInfo info;                // of the credential: identity.node and .name say who the holder becomes
    const std::string& serial() const { return info.serial; }
};

// `becomes` has role node or witness.
Result<JoinToken> make_join_token(const Credential& ca, const PeerIdentity& becomes, std::vector<std::string> addresses,
                                  const Validity& validity = valid_for(kTokenLifetime));
Result<std::string> encode_join_token(const JoinToken& token);
// Refuses damaged, foreign and expired tokens.
Result<JoinToken> decode_join_token(std::string_view text);
// The identity that the holder of a join certificate gets.
PeerIdentity identity_after_join(const PeerIdentity& join);

}  // namespace kagami::runtime
