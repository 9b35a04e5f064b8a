#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "cluster-daemon/runtime/peer_channel.h"
#include "cluster-daemon/runtime/peer_credentials.h"
#include "proto/peer.grpc.pb.h"

namespace kagami::runtime {
namespace {

constexpr int kReplyLimitBytes = 4 << 20;
constexpr int kConnectMilliseconds = 3000;

IdentityCheck any_server_of(const Uuid& cluster) {
    return [cluster](const PeerIdentity& server) -> Status {
        if (server.cluster == cluster && (server.role == Role::kNode || server.role == Role::kWitness)) return {};
        return fail(ErrorCode::kRefused,
                    "the machine that answered is " + to_uri(server) + ", not a node of this cluster");
    };
}

grpc::ChannelArguments channel_arguments() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // a token is good for one request
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMilliseconds);
    arguments.SetMaxReceiveMessageSize(kReplyLimitBytes);
    return arguments;
}

ErrorCode code_of(uint32_t value) {
    const bool known =
        value >= static_cast<uint32_t>(ErrorCode::kFailed) && value <= static_cast<uint32_t>(ErrorCode::kDegraded);
    return known ? static_cast<ErrorCode>(value) : ErrorCode::kFailed;
}

tl::unexpected<Error> call_error(const std::string& address, const grpc::Status& status) {
    const std::string message = address + ": " + status.error_message();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
        return fail(ErrorCode::kUnreachable, message,
                    "check that a node of the cluster runs there and that port 29001/tcp is open");
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
        return fail(ErrorCode::kTimedOut, message,
                    "the token may have been used: look at `kagami status` there, or make a new one");
    return fail(ErrorCode::kRefused, message, "make a new token with `kagami token`");
}

Result<JoinAnswer> ask(const JoinToken& token, const std::string& address, const std::string& csr_pem,
                       Duration timeout) {
    const auto credentials =
        client_credentials(token.ca_pem, token.credential, any_server_of(token.info.identity.cluster));
    const auto stub = peer::Peer::NewStub(grpc::CreateCustomChannel(address, credentials, channel_arguments()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    peer::JoinRequest request;
    request.set_csr_pem(csr_pem);
    peer::JoinReply reply;
    const grpc::Status status = stub->Join(&context, request, &reply);
    if (!status.ok()) return call_error(address, status);
    if (reply.has_refusal())
        return fail(code_of(reply.refusal().code()), reply.refusal().message(), reply.refusal().remedy());
    const std::string& bootstrap = reply.joined().bootstrap();
    return JoinAnswer{reply.joined().certificate_pem(), reply.joined().ca_pem(),
                      Bytes(bootstrap.begin(), bootstrap.end())};
}

Status check_answer(const JoinToken& token, const JoinAnswer& answer) {
    if (certificate_hash(answer.ca_pem) != certificate_hash(token.ca_pem))
        return fail(ErrorCode::kRefused, "the answer names another CA than the join token");
    const auto info =
        verify_certificate(answer.certificate_pem, token.ca_pem, token.info.identity.cluster, "the new certificate");
    if (!info) return tl::unexpected(info.error());
    const PeerIdentity promised = identity_after_join(token.info.identity);
    if (info->identity != promised)
        return fail(ErrorCode::kRefused,
                    "the new certificate is for " + to_uri(info->identity) + ", not for " + to_uri(promised));
    return {};
}

}  // namespace

Result<JoinAnswer> join_with_token(const JoinToken& token, const std::string& csr_pem, Duration timeout) {
    Result<JoinAnswer> answer = fail(ErrorCode::kUsage, "the join token names no address");
    for (const std::string& address : token.addresses) {
        answer = ask(token, address, csr_pem, timeout);
        if (answer || answer.error().code != ErrorCode::kUnreachable) break;
    }
    if (!answer) return answer;
    if (const Status checked = check_answer(token, *answer); !checked) return tl::unexpected(checked.error());
    return answer;
}

}  // namespace kagami::runtime
