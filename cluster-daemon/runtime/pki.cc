#include "cluster-daemon/runtime/pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <charconv>
#include <ctime>
#include <memory>

#include "common/assert.h"
#include "common/files.h"
#include "common/hash.h"

namespace kagami::runtime {
namespace {

template <auto Free>
struct Deleter {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;

constexpr size_t kPemLimitBytes = 16384;
constexpr std::string_view kScheme = "kagami:";
constexpr std::string_view kCaPrefix = "kagami ";  // a CA's common name: "kagami CLUSTER-UUID"
constexpr const char* kRejoin =
    "make a token with `kagami token` on the node that holds the CA key, and run `kagami join` here again";

tl::unexpected<Error> library_error(const std::string& what) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return fail(what + (reason == nullptr ? "" : std::string(": ") + reason));
}

Bio reader(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

template <typename Write>
Result<std::string> written(Write&& write, const char* what) {
    const Bio out(BIO_new(BIO_s_mem()));
    if (!out || write(out.get()) != 1) return library_error(what);
    char* data = nullptr;
    const long length = BIO_get_mem_data(out.get(), &data);
    return std::string(data, static_cast<size_t>(length));
}

Result<std::string> to_pem(X509* certificate) {
    return written([&](BIO* out) { return PEM_write_bio_X509(out, certificate); }, "cannot write a certificate");
}
Result<std::string> to_pem(EVP_PKEY* key) {
    return written([&](BIO* out) { return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); },
                   "cannot write a key");
}

int no_passphrase(char*, int, int, void*) {
    return 0;
}

Result<Certificate> read_certificate(const std::string& pem, const std::string& what) {
    if (pem.size() > kPemLimitBytes) return fail(what + ": is too large for a certificate");
    Certificate certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!certificate) return fail(what + ": is not a certificate", kRejoin);
    return certificate;
}

Result<Key> read_key(const std::string& pem, const std::string& what) {
    if (pem.size() > kPemLimitBytes) return fail(what + ": is too large for a key");
    Key key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!key) return fail(what + ": is not a private key", kRejoin);
    return key;
}

Result<Key> new_key() {
    Key key(EVP_EC_gen("P-256"));
    if (!key) return library_error("cannot make a key");
    return key;
}

bool set_time(ASN1_TIME* field, WallTime time) {
    return ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(time)) != nullptr;
}

bool set_random_serial(X509* certificate) {
    std::array<uint8_t, 16> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return false;
    random[0] = static_cast<uint8_t>((random[0] & 0x7fU) | 0x40U);  // positive, and always of full length
    const Number number(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
    return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_common_name(X509_NAME* name, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// The parts that a CA and a leaf have in common; `issuer` is null for a CA, which is its own.
Result<Certificate> blank_certificate(X509* issuer, EVP_PKEY* subject_key, const std::string& common_name,
                                      const Validity& validity) {
    Certificate certificate(X509_new());
    if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        !set_random_serial(certificate.get()) ||
        !set_common_name(X509_get_subject_name(certificate.get()), common_name) ||
        X509_set_issuer_name(certificate.get(),
                             X509_get_subject_name(issuer == nullptr ? certificate.get() : issuer)) != 1 ||
        !set_time(X509_getm_notBefore(certificate.get()), validity.from) ||
        !set_time(X509_getm_notAfter(certificate.get()), validity.until) ||
        X509_set_pubkey(certificate.get(), subject_key) != 1 ||
        !add_extension(certificate.get(), nullptr, NID_subject_key_identifier, "hash"))
        return library_error("cannot build a certificate");
    return certificate;
}

Result<std::string> build_leaf(const Credential& ca, EVP_PKEY* subject_key, const PeerIdentity& identity,
                               const Validity& validity) {
    const std::string uri = to_uri(identity);
    if (const auto valid = parse_identity(uri); !valid) return tl::unexpected(valid.error());
    const auto cluster = cluster_of_ca(ca.certificate_pem);
    if (!cluster) return tl::unexpected(cluster.error());
    if (*cluster != identity.cluster)
        return fail("the CA belongs to cluster " + to_string(*cluster) + ", not to that of " + uri);
    const auto issuer = read_certificate(ca.certificate_pem, "the CA certificate");
    const auto issuer_key = read_key(ca.key_pem, "the CA key");
    if (!issuer) return tl::unexpected(issuer.error());
    if (!issuer_key) return tl::unexpected(issuer_key.error());
    auto leaf = blank_certificate(issuer->get(), subject_key, identity.name, validity);
    if (!leaf) return tl::unexpected(leaf.error());
    X509* const certificate = leaf->get();
    if (!add_extension(certificate, issuer->get(), NID_authority_key_identifier, "keyid:always") ||
        !add_extension(certificate, issuer->get(), NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(certificate, issuer->get(), NID_key_usage, "critical,digitalSignature") ||
        !add_extension(certificate, issuer->get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(certificate, issuer->get(), NID_subject_alt_name, "URI:" + uri) ||
        X509_sign(certificate, issuer_key->get(), EVP_sha256()) == 0)
        return library_error("cannot issue a certificate for " + uri);
    return to_pem(certificate);
}

WallTime to_wall_time(const ASN1_TIME* time) {
    std::tm fields{};
    if (ASN1_TIME_to_tm(time, &fields) != 1) return {};
    return std::chrono::system_clock::from_time_t(::timegm(&fields));
}

std::string date(WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm fields{};
    ::gmtime_r(&seconds, &fields);
    std::array<char, 40> text{};
    const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &fields);
    return {text.data(), length};
}

std::string serial_of(const X509* certificate) {
    const Number number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    if (!number) return "";
    Bytes raw(static_cast<size_t>(BN_num_bytes(number.get())));
    BN_bn2bin(number.get(), raw.data());
    return to_hex(raw.data(), raw.size());
}

Result<std::string> only_uri(X509* certificate, const std::string& what) {
    const Names names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    if (!names || sk_GENERAL_NAME_num(names.get()) != 1)
        return fail(what + ": does not carry exactly one identity of a Kagami cluster", kRejoin);
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), 0);
    if (name->type != GEN_URI)
        return fail(what + ": its subject alternative name is not a URI of a Kagami cluster", kRejoin);
    const ASN1_IA5STRING* const uri = name->d.uniformResourceIdentifier;
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                       static_cast<size_t>(ASN1_STRING_length(uri)));
}

Result<CertificateInfo> inspect(X509* certificate, const std::string& what) {
    const auto uri = only_uri(certificate, what);
    if (!uri) return tl::unexpected(uri.error());
    const auto identity = parse_identity(*uri);
    if (!identity) return fail(what + ": " + identity.error().message, kRejoin);
    return CertificateInfo{
        *identity,
        serial_of(certificate),
        {to_wall_time(X509_get0_notBefore(certificate)), to_wall_time(X509_get0_notAfter(certificate))}};
}

Status chain_error(int error, X509* certificate, const std::string& what) {
    switch (error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return fail(ErrorCode::kRefused,
                        what + ": expired on " + date(to_wall_time(X509_get0_notAfter(certificate))), kRejoin);
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return fail(ErrorCode::kRefused,
                        what + ": is valid only from " + date(to_wall_time(X509_get0_notBefore(certificate))),
                        "set this machine's clock");
        default:
            return fail(ErrorCode::kRefused,
                        what + ": was not issued by this cluster's CA (" + X509_verify_cert_error_string(error) + ")",
                        kRejoin);
    }
}

Status check_chain(X509* certificate, X509* ca, const std::string& what) {
    const Store store(X509_STORE_new());
    const StoreContext context(X509_STORE_CTX_new());
    if (!store || !context || X509_STORE_add_cert(store.get(), ca) != 1 ||
        X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) != 1)
        return library_error(what + ": cannot be verified");
    if (X509_verify_cert(context.get()) == 1) return {};
    ERR_clear_error();
    return chain_error(X509_STORE_CTX_get_error(context.get()), X509_STORE_CTX_get_current_cert(context.get()), what);
}

bool is_p256(EVP_PKEY* key) {
    std::array<char, 32> group{};
    return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
           std::string_view(group.data()) == "prime256v1";
}

Result<std::string> read_pem_file(const std::string& path, FileAccess access) {
    return read_file(path, kPemLimitBytes, access);
}

bool number_fits_role(Role role, NodeId node) {
    const bool is_node = node.value >= 1 && node.value <= 32;
    switch (role) {
        case Role::kNode: return is_node;
        case Role::kWitness: return node == kWitnessId;
        case Role::kJoin: return is_node || node == kWitnessId;
        case Role::kAdmin:
        case Role::kOperator:
        case Role::kViewer: return node == kNobody;
    }
    return false;
}

constexpr std::array kRoles{Role::kNode, Role::kWitness, Role::kAdmin, Role::kOperator, Role::kViewer, Role::kJoin};

// Takes the text up to the next '/', and the slash.
std::string_view next_part(std::string_view& rest) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    return part;
}

}  // namespace

std::string_view role_name(Role role) {
    switch (role) {
        case Role::kNode: return "node";
        case Role::kWitness: return "witness";
        case Role::kAdmin: return "admin";
        case Role::kOperator: return "operator";
        case Role::kViewer: return "viewer";
        case Role::kJoin: return "join";
    }
    return "unknown";
}

std::string to_uri(const PeerIdentity& identity) {
    return std::string(kScheme) + to_string(identity.cluster) + "/" + std::string(role_name(identity.role)) + "/" +
           std::to_string(identity.node.value) + "/" + identity.name;
}

Result<PeerIdentity> parse_identity(std::string_view uri) {
    const auto refused = [] { return fail("its subject alternative name is not an identity of a Kagami cluster"); };
    if (uri.size() > 128 || !uri.starts_with(kScheme)) return refused();
    std::string_view rest = uri.substr(kScheme.size());
    const auto cluster = parse_uuid(next_part(rest));
    const std::string_view role_text = next_part(rest);
    const std::string_view number_text = next_part(rest);
    PeerIdentity identity;
    if (!cluster || !valid_name(rest)) return refused();
    identity.cluster = *cluster;
    identity.name = std::string(rest);
    const auto number =
        std::from_chars(number_text.data(), number_text.data() + number_text.size(), identity.node.value);
    if (number.ec != std::errc{}) return refused();
    for (const Role role : kRoles) {
        identity.role = role;
        // The comparison of the whole text refuses any second spelling of one identity.
        if (role_name(role) == role_text && number_fits_role(role, identity.node) && to_uri(identity) == uri)
            return identity;
    }
    return refused();
}

Validity valid_for(std::chrono::seconds length) {
    const WallTime now = std::chrono::system_clock::now();
    return {now - std::chrono::hours(24), now + length};
}

Result<Credential> create_ca(const Uuid& cluster, const Validity& validity) {
    const auto key = new_key();
    if (!key) return tl::unexpected(key.error());
    auto built = blank_certificate(nullptr, key->get(), std::string(kCaPrefix) + to_string(cluster), validity);
    if (!built) return tl::unexpected(built.error());
    X509* const certificate = built->get();
    if (!add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        X509_sign(certificate, key->get(), EVP_sha256()) == 0)
        return library_error("cannot make the CA certificate");
    auto certificate_pem = to_pem(certificate);
    auto key_pem = to_pem(key->get());
    if (!certificate_pem) return tl::unexpected(certificate_pem.error());
    if (!key_pem) return tl::unexpected(key_pem.error());
    return Credential{std::move(*certificate_pem), std::move(*key_pem)};
}

Result<Credential> issue(const Credential& ca, const PeerIdentity& identity, const Validity& validity) {
    const auto key = new_key();
    if (!key) return tl::unexpected(key.error());
    auto certificate_pem = build_leaf(ca, key->get(), identity, validity);
    auto key_pem = to_pem(key->get());
    if (!certificate_pem) return tl::unexpected(certificate_pem.error());
    if (!key_pem) return tl::unexpected(key_pem.error());
    return Credential{std::move(*certificate_pem), std::move(*key_pem)};
}

Result<std::string> create_key() {
    const auto key = new_key();
    if (!key) return tl::unexpected(key.error());
    return to_pem(key->get());
}

Result<std::string> create_csr(const std::string& key_pem, const std::string& name) {
    const auto key = read_key(key_pem, "the new key");
    if (!key) return tl::unexpected(key.error());
    const Request request(X509_REQ_new());
    if (!request || !set_common_name(X509_REQ_get_subject_name(request.get()), name) ||
        X509_REQ_set_pubkey(request.get(), key->get()) != 1 ||
        X509_REQ_sign(request.get(), key->get(), EVP_sha256()) == 0)
        return library_error("cannot make a certificate request");
    return written([&](BIO* out) { return PEM_write_bio_X509_REQ(out, request.get()); },
                   "cannot write a certificate request");
}

Result<std::string> sign_csr(const Credential& ca, const std::string& csr_pem, const PeerIdentity& identity,
                             const Validity& validity) {
    if (csr_pem.size() > kPemLimitBytes) return fail("the certificate request is too large");
    const Request request(PEM_read_bio_X509_REQ(reader(csr_pem).get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!request) return fail("the certificate request is not readable");
    EVP_PKEY* const key = X509_REQ_get0_pubkey(request.get());
    if (key == nullptr || !is_p256(key)) return fail("the certificate request does not carry an EC P-256 key");
    const bool signed_by_its_key = X509_REQ_verify(request.get(), key) == 1;
    ERR_clear_error();
    if (!signed_by_its_key) return fail("the certificate request is not signed with its own key");
    return build_leaf(ca, key, identity, validity);
}

Result<CertificateInfo> inspect_certificate(const std::string& certificate_pem) {
    const auto certificate = read_certificate(certificate_pem, "the certificate");
    if (!certificate) return tl::unexpected(certificate.error());
    return inspect(certificate->get(), "the certificate");
}

Result<CertificateInfo> verify_certificate(const std::string& certificate_pem, const std::string& ca_pem,
                                           const Uuid& cluster, const std::string& what) {
    const auto certificate = read_certificate(certificate_pem, what);
    if (!certificate) return tl::unexpected(certificate.error());
    const auto ca = read_certificate(ca_pem, "the CA certificate");
    if (!ca) return tl::unexpected(ca.error());
    if (const Status chain = check_chain(certificate->get(), ca->get(), what); !chain)
        return tl::unexpected(chain.error());
    auto info = inspect(certificate->get(), what);
    if (info && info->identity.cluster != cluster)
        return fail(ErrorCode::kRefused,
                    what + ": belongs to cluster " + to_string(info->identity.cluster) + ", not to this cluster " +
                        to_string(cluster),
                    kRejoin);
    return info;
}

Status check_key_matches(const Credential& credential, const std::string& what) {
    const auto certificate = read_certificate(credential.certificate_pem, what);
    if (!certificate) return tl::unexpected(certificate.error());
    const auto key = read_key(credential.key_pem, "the key of " + what);
    if (!key) return tl::unexpected(key.error());
    const bool match = X509_check_private_key(certificate->get(), key->get()) == 1;
    ERR_clear_error();
    if (!match)
        return fail(ErrorCode::kRefused, what + ": the private key beside it belongs to another certificate", kRejoin);
    return {};
}

Result<Uuid> cluster_of_ca(const std::string& ca_pem) {
    const auto ca = read_certificate(ca_pem, "the CA certificate");
    if (!ca) return tl::unexpected(ca.error());
    std::array<char, 80> name{};
    const int length =
        X509_NAME_get_text_by_NID(X509_get_subject_name(ca->get()), NID_commonName, name.data(), name.size());
    const std::string_view text(name.data(), static_cast<size_t>(length < 0 ? 0 : length));
    if (X509_check_ca(ca->get()) != 1 || !text.starts_with(kCaPrefix))
        return fail("the CA certificate is not that of a Kagami cluster");
    const auto cluster = parse_uuid(text.substr(kCaPrefix.size()));
    if (!cluster) return fail("the CA certificate does not name a cluster");
    return *cluster;
}

Result<Hash> certificate_hash(const std::string& certificate_pem) {
    const auto certificate = read_certificate(certificate_pem, "the certificate");
    if (!certificate) return tl::unexpected(certificate.error());
    Hash hash{};
    unsigned length = 0;
    if (X509_digest(certificate->get(), EVP_sha256(), hash.data(), &length) != 1)
        return library_error("cannot hash a certificate");
    KAGAMI_ASSERT(length == hash.size(), "sha256 has 32 bytes");
    return hash;
}

Status save_key_material(const std::string& directory, const std::string& ca_pem, const Credential& own) {
    if (const Status made = make_private_directory(directory); !made) return made;
    if (const Status saved = write_file_atomically(directory + "/node.key", own.key_pem); !saved) return saved;
    if (const Status saved = write_file_atomically(directory + "/node.crt", own.certificate_pem); !saved) return saved;
    return write_file_atomically(directory + "/ca.crt", ca_pem);
}

Result<KeyMaterial> load_key_material(const std::string& directory, const std::optional<Uuid>& cluster) {
    const std::string certificate_path = directory + "/node.crt";
    const auto ca = read_pem_file(directory + "/ca.crt", FileAccess::kAnyone);
    const auto certificate = read_pem_file(certificate_path, FileAccess::kAnyone);
    const auto key = read_pem_file(directory + "/node.key", FileAccess::kOwnerOnly);
    for (const auto* file : {&ca, &certificate, &key})
        if (!*file) return tl::unexpected(file->error());
    const auto own_cluster = cluster_of_ca(*ca);
    if (!own_cluster) return fail(directory + "/ca.crt: " + own_cluster.error().message, kRejoin);
    const auto info = verify_certificate(*certificate, *ca, cluster.value_or(*own_cluster), certificate_path);
    if (!info) return tl::unexpected(info.error());
    KeyMaterial material{*ca, {*certificate, *key}, *info};
    if (const Status match = check_key_matches(material.own, certificate_path); !match)
        return tl::unexpected(match.error());
    return material;
}

Status save_ca(const std::string& directory, const Credential& ca) {
    if (const Status made = make_private_directory(directory); !made) return made;
    if (const Status saved = write_file_atomically(directory + "/ca.key", ca.key_pem); !saved) return saved;
    return write_file_atomically(directory + "/ca.crt", ca.certificate_pem);
}

Result<Credential> load_ca(const std::string& directory) {
    auto key = read_pem_file(directory + "/ca.key", FileAccess::kOwnerOnly);
    if (!key && key.error().code == ErrorCode::kNotFound)
        return fail(ErrorCode::kNotFound, directory + "/ca.key: this node does not hold the CA key",
                    "run this on the node where `kagami init` was run");
    auto certificate = read_pem_file(directory + "/ca.crt", FileAccess::kAnyone);
    if (!key) return tl::unexpected(key.error());
    if (!certificate) return tl::unexpected(certificate.error());
    Credential ca{std::move(*certificate), std::move(*key)};
    if (const Status match = check_key_matches(ca, directory + "/ca.crt"); !match) return tl::unexpected(match.error());
    return ca;
}

}  // namespace kagami::runtime
