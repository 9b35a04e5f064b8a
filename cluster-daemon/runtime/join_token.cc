#include "cluster-daemon/runtime/join_token.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "common/codec.h"
#include "common/hash.h"

namespace kagami::runtime {
namespace {

constexpr std::string_view kPrefix = "kagami-join-1.";
constexpr size_t kTextLimit = 8192;
constexpr size_t kPartLimitBytes = 4096;
constexpr uint32_t kAddressLimit = 16;
constexpr size_t kAddressLimitBytes = 80;
constexpr const char* kAgain = "copy the whole text again, or make a new token with `kagami token`";

Result<Bytes> pem_to_der(const std::string& pem) {
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                           BIO_free_all);
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;
    if (!in || PEM_read_bio(in.get(), &name, &header, &data, &length) != 1) {
        ERR_clear_error();
        return fail("cannot read PEM text");
    }
    Bytes der(data, data + length);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return der;
}

std::string der_to_pem(const char* name, const Bytes& der) {
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
    if (!out || PEM_write_bio(out.get(), name, "", der.data(), static_cast<long>(der.size())) <= 0) return "";
    char* data = nullptr;
    const long length = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<size_t>(length)};
}

std::string base64url(const Bytes& data) {
    std::string text((data.size() + 2) / 3 * 4 + 1, '\0');
    text.resize(static_cast<size_t>(
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data.data(), static_cast<int>(data.size()))));
    text.erase(std::find(text.begin(), text.end(), '='), text.end());
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::optional<Bytes> from_base64url(std::string_view url_text) {
    std::string text(url_text);
    if (text.find_first_of("+/=") != std::string::npos || text.size() % 4 == 1) return std::nullopt;
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    const size_t padding = (4 - text.size() % 4) % 4;
    text.append(padding, '=');
    Bytes data(text.size() / 4 * 3);
    const int length = EVP_DecodeBlock(data.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    if (length < 0) return std::nullopt;
    data.resize(static_cast<size_t>(length) - padding);
    return data;
}

bool valid_address(const std::string& address) {
    const size_t colon = address.rfind(':');
    return colon != std::string::npos && colon > 0 && colon + 1 < address.size() &&
           std::all_of(address.begin(), address.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

tl::unexpected<Error> damaged() {
    return fail(ErrorCode::kUsage, "the join token is incomplete or damaged", kAgain);
}

// The bytes without their checksum, or nothing.
std::optional<Bytes> checked_body(std::string_view text) {
    text = trimmed(text);
    if (text.size() > kTextLimit || !text.starts_with(kPrefix)) return std::nullopt;
    auto body = from_base64url(text.substr(kPrefix.size()));
    if (!body || body->size() < 4) return std::nullopt;
    const std::span whole(*body);
    ByteReader tail(whole.last(4));
    if (crc32c(whole.first(whole.size() - 4)) != tail.u32()) return std::nullopt;
    body->resize(body->size() - 4);
    return body;
}

Result<JoinToken> verified(JoinToken token) {
    const auto cluster = cluster_of_ca(token.ca_pem);
    if (!cluster) return fail(ErrorCode::kUsage, "the join token: " + cluster.error().message, kAgain);
    auto info = verify_certificate(token.credential.certificate_pem, token.ca_pem, *cluster, "the join token");
    if (!info) return fail(info.error().code, info.error().message, "make a new token with `kagami token`");
    if (info->identity.role != Role::kJoin)
        return fail(ErrorCode::kRefused, "the join token does not carry the role join", kAgain);
    if (const Status match = check_key_matches(token.credential, "the join token"); !match)
        return tl::unexpected(match.error());
    token.info = std::move(*info);
    return token;
}

}  // namespace

Result<JoinToken> make_join_token(const Credential& ca, const PeerIdentity& becomes, std::vector<std::string> addresses,
                                  const Validity& validity) {
    PeerIdentity holder = becomes;
    holder.role = Role::kJoin;
    if (identity_after_join(holder) != becomes)
        return fail(ErrorCode::kUsage, "a join token is for a node or the witness, not for " + to_uri(becomes));
    if (addresses.empty() || addresses.size() > kAddressLimit)
        return fail(ErrorCode::kUsage, "a join token needs 1 to 16 addresses");
    for (const std::string& address : addresses)
        if (!valid_address(address) || address.size() > kAddressLimitBytes)
            return fail(ErrorCode::kUsage, "\"" + address + "\" is not an address with a port",
                        "write it as 10.77.1.1:29001");
    auto credential = issue(ca, holder, validity);
    if (!credential) return tl::unexpected(credential.error());
    auto info = inspect_certificate(credential->certificate_pem);
    if (!info) return tl::unexpected(info.error());
    return JoinToken{ca.certificate_pem, std::move(*credential), std::move(addresses), std::move(*info)};
}

Result<std::string> encode_join_token(const JoinToken& token) {
    ByteWriter out;
    for (const std::string* pem : {&token.ca_pem, &token.credential.certificate_pem, &token.credential.key_pem}) {
        const auto der = pem_to_der(*pem);
        if (!der) return tl::unexpected(der.error());
        out.bytes(*der);
    }
    out.u32(static_cast<uint32_t>(token.addresses.size()));
    for (const std::string& address : token.addresses) out.string(address);
    out.u32(crc32c(out.view()));
    return std::string(kPrefix) + base64url(out.view());
}

Result<JoinToken> decode_join_token(std::string_view text) {
    const auto body = checked_body(text);
    if (!body) return damaged();
    ByteReader in(*body);
    JoinToken token;
    token.ca_pem = der_to_pem("CERTIFICATE", in.bytes(kPartLimitBytes));
    token.credential.certificate_pem = der_to_pem("CERTIFICATE", in.bytes(kPartLimitBytes));
    token.credential.key_pem = der_to_pem("PRIVATE KEY", in.bytes(kPartLimitBytes));
    for (uint32_t left = in.count(kAddressLimit); left > 0; --left)
        token.addresses.push_back(in.string(kAddressLimitBytes));
    if (!in.finished() || token.addresses.empty() ||
        !std::all_of(token.addresses.begin(), token.addresses.end(), valid_address))
        return damaged();
    return verified(std::move(token));
}

PeerIdentity identity_after_join(const PeerIdentity& join) {
    PeerIdentity identity = join;
    identity.role = join.node == kWitnessId ? Role::kWitness : Role::kNode;
    return identity;
}

}  // namespace kagami::runtime
