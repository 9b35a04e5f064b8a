#include "mirror-driver/io/channel/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <utility>

namespace kagami::mirror {
namespace {

using Bio = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;

constexpr const char* kSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr long kMaxChainBytes = 16384;

Bio reader(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int no_passphrase(char*, int, int, void*) {
    return 0;
}

bool use_own(SSL_CTX* context, const runtime::Credential& own) {
    const Certificate certificate(
        PEM_read_bio_X509(reader(own.certificate_pem).get(), nullptr, no_passphrase, nullptr));
    const Key key(PEM_read_bio_PrivateKey(reader(own.key_pem).get(), nullptr, no_passphrase, nullptr));
    return certificate && key && SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
           SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

// Replaces OpenSSL's own chain check, so that one place in the product decides what a valid certificate is.
int verify(X509_STORE_CTX* store, void* argument) {
    const auto* const impl = static_cast<const TlsContext::Impl*>(argument);
    auto* const tls = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const Status checked = impl->check(X509_STORE_CTX_get0_cert(store));
    if (checked) return 1;
    *static_cast<std::string*>(SSL_get_app_data(tls)) = checked.error().message;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

bool set_rules(SSL_CTX* context, TlsContext::Impl* impl) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(context, verify, impl);
    SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_ciphersuites(context, kSuites) == 1 && use_own(context, impl->keys.own);
}

std::vector<int64_t> version_of(const std::string& pki_directory) {
    std::vector<int64_t> version;
    for (const char* const name : {"/ca.crt", "/node.crt", "/node.key"}) {
        struct stat found{};
        if (::stat((pki_directory + name).c_str(), &found) != 0) found = {};
        version.insert(version.end(), {static_cast<int64_t>(found.st_ino), int64_t{found.st_mtim.tv_sec},
                                       int64_t{found.st_mtim.tv_nsec}});
    }
    return version;
}

}  // namespace

std::string tls_error_text() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "" : reason;
}

Status TlsContext::Impl::check(X509* certificate) const {
    const Bio out(BIO_new(BIO_s_mem()));
    if (certificate == nullptr || !out || PEM_write_bio_X509(out.get(), certificate) != 1)
        return fail(ErrorCode::kRefused, "the certificate shown cannot be read: " + tls_error_text());
    char* data = nullptr;
    const long length = BIO_get_mem_data(out.get(), &data);
    const auto info = runtime::verify_certificate(std::string(data, static_cast<size_t>(length)), keys.ca_pem, cluster,
                                                  "the certificate shown");
    if (!info) return tl::unexpected(info.error());
    if (info->identity.role != runtime::Role::kNode || info->identity.node != peer)
        return fail(ErrorCode::kRefused, "the certificate shown is that of " + runtime::to_uri(info->identity) +
                                             ", not of " + to_string(peer));
    return {};
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::load(const std::string& pki_directory, const Uuid& cluster, NodeId self,
                                                     NodeId peer) {
    auto version = version_of(pki_directory);  // before they are read
    auto keys = runtime::load_key_material(pki_directory, cluster);
    if (!keys) return tl::unexpected(keys.error());
    const runtime::PeerIdentity& own = keys->info.identity;
    if (own.role != runtime::Role::kNode || own.node != self)
        return fail(ErrorCode::kRefused,
                    pki_directory + "/node.crt: is that of " + runtime::to_uri(own) + ", not of " + to_string(self),
                    "restart kagamid, so that it names this node's own identity");
    auto impl = std::make_unique<Impl>();
    impl->context.reset(SSL_CTX_new(TLS_method()));
    impl->keys = std::move(*keys);
    impl->pki_directory = pki_directory;
    impl->version = std::move(version);
    impl->cluster = cluster;
    impl->self = self;
    impl->peer = peer;
    if (!impl->context || !set_rules(impl->context.get(), impl.get()))
        return fail("TLS cannot be set up: " + tls_error_text(), "install the libssl3 package of the distribution");
    return std::unique_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

// Handshakes under way hold the former SSL_CTX, and check by impl_: so that stays where it is.
void TlsContext::refresh() {
    if (version_of(impl_->pki_directory) == impl_->version) return;
    auto renewed = load(impl_->pki_directory, impl_->cluster, impl_->self, impl_->peer);
    if (!renewed) return;
    Impl& fresh = *(*renewed)->impl_;
    SSL_CTX_set_cert_verify_callback(fresh.context.get(), verify, impl_.get());
    impl_->context = std::move(fresh.context);
    impl_->keys = std::move(fresh.keys);
    impl_->version = std::move(fresh.version);
}

}  // namespace kagami::mirror
