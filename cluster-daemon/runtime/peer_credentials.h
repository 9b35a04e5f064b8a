// gRPC credentials for mutual TLS 1.3 inside one cluster: for the .cc files of the peer channel, which include gRPC
// themselves.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/runtime/pki.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
class ServerContextBase;
}  // namespace grpc

namespace kagami::runtime {

// Asked at the end of a TLS handshake, before any HTTP/2 is read; the chain to the CA has been checked by then.
using IdentityCheck = std::function<Status(const PeerIdentity&)>;

// gRPC 1.51 cannot be told a minimal TLS version. With this one cipher suite for TLS 1.2, which needs a pre-shared key
// that nobody has, only TLS 1.3 is left. gRPC's own log is silenced too, unless GRPC_VERBOSITY asks for it: a stranger
// could fill it, a line a connection. Must run before the process uses gRPC for the first time; later calls do nothing.
void prepare_grpc();

std::shared_ptr<grpc::ChannelCredentials> client_credentials(const std::string& ca_pem, const Credential& own,
                                                             IdentityCheck check);
std::shared_ptr<grpc::ServerCredentials> server_credentials(const std::string& ca_pem, const Credential& own,
                                                            IdentityCheck check);

// Who is on the other side of a call.
Result<CertificateInfo> caller_of(const grpc::ServerContextBase& context);

}  // namespace kagami::runtime
