#include "cluster-daemon/runtime/peer_credentials.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server_context.h>

#include <cstdlib>
#include <mutex>
#include <utility>

namespace kagami::runtime {
namespace {

using grpc::experimental::ExternalCertificateVerifier;
using grpc::experimental::StaticDataCertificateProvider;
using grpc::experimental::TlsCustomVerificationCheckRequest;

class IdentityVerifier : public ExternalCertificateVerifier {
 public:
    explicit IdentityVerifier(IdentityCheck check) : check_(std::move(check)) {}

    bool Verify(TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
                grpc::Status* sync_status) override {
        const grpc::string_ref pem = request->peer_cert();
        const auto info = inspect_certificate(std::string(pem.data(), pem.size()));
        const Status checked = info ? check_(info->identity) : Status(tl::unexpected(info.error()));
        *sync_status =
            checked ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, checked.error().message);
        return true;
    }
    void Cancel(TlsCustomVerificationCheckRequest*) override {}

 private:
    IdentityCheck check_;
};

std::shared_ptr<StaticDataCertificateProvider> provider(const std::string& ca_pem, const Credential& own) {
    return std::make_shared<StaticDataCertificateProvider>(
        ca_pem, std::vector<grpc::experimental::IdentityKeyCertPair>{{own.key_pem, own.certificate_pem}});
}

void require_both_sides(grpc::experimental::TlsCredentialsOptions& options, IdentityCheck check) {
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_certificate_verifier(ExternalCertificateVerifier::Create<IdentityVerifier>(std::move(check)));
    options.set_check_call_host(false);  // addresses are not names; IdentityVerifier compares the whole identity
}

}  // namespace

void prepare_grpc() {
    static std::once_flag once;
    std::call_once(once, [] {
        ::setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES128-GCM-SHA256", 1);
        ::setenv("GRPC_VERBOSITY", "NONE", 0);
    });
}

std::shared_ptr<grpc::ChannelCredentials> client_credentials(const std::string& ca_pem, const Credential& own,
                                                             IdentityCheck check) {
    prepare_grpc();
    grpc::experimental::TlsChannelCredentialsOptions options;
    options.set_certificate_provider(provider(ca_pem, own));
    options.set_verify_server_certs(true);
    require_both_sides(options, std::move(check));
    return grpc::experimental::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> server_credentials(const std::string& ca_pem, const Credential& own,
                                                            IdentityCheck check) {
    prepare_grpc();
    grpc::experimental::TlsServerCredentialsOptions options(provider(ca_pem, own));
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    require_both_sides(options, std::move(check));
    return grpc::experimental::TlsServerCredentials(options);
}

Result<CertificateInfo> caller_of(const grpc::ServerContextBase& context) {
    const auto auth = context.auth_context();
    if (!auth || !auth->IsPeerAuthenticated()) return fail(ErrorCode::kRefused, "the caller has no certificate");
    const auto pem = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (pem.size() != 1) return fail(ErrorCode::kRefused, "the caller does not show exactly one certificate");
    return inspect_certificate(std::string(pem[0].data(), pem[0].size()));
}

}  // namespace kagami::runtime
