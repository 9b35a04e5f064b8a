#include "tests/component/runtime/peer_fixture.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <catch2/catch.hpp>

#include "cluster-daemon/runtime/socket_address.h"

namespace kagami::testing {

using namespace runtime;

const Uuid kTestCluster = parse_uuid("11111111-2222-3333-4444-555555555555").value();
const Uuid kOtherCluster = parse_uuid("99999999-2222-3333-4444-555555555555").value();

namespace {

template <typename T>
std::unique_ptr<T, void (*)(T*)> owned(T* object, void (*free)(T*)) {
    REQUIRE(object != nullptr);
    return {object, free};
}
auto pem_reader(const std::string& text) {
    return std::unique_ptr<BIO, int (*)(BIO*)>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
}
auto read_certificate(const std::string& pem) {
    return owned(PEM_read_bio_X509(pem_reader(pem).get(), nullptr, nullptr, nullptr), X509_free);
}
auto read_key(const std::string& pem) {
    return owned(PEM_read_bio_PrivateKey(pem_reader(pem).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
}

UniqueFd connect_to(const std::string& address) {
    const SocketAddress target = parse_socket_address(address).value();
    UniqueFd fd(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(fd.get(), target.get(), target.length_bytes) == 0);
    const timeval limit{5, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

bool is_settings_frame(const unsigned char* data, int length) {
    return length == 9 && data[3] == 4;
}

}  // namespace

PeerIdentity node_identity(uint16_t number, const std::string& name) {
    return {kTestCluster, Role::kNode, NodeId{number}, name.empty() ? "node" + std::to_string(number) : name};
}

Bytes bytes(const std::string& text) {
    return {text.begin(), text.end()};
}

Member::Member(const Credential& ca, const PeerIdentity& identity)
    : Member(ca.certificate_pem, issue(ca, identity).value()) {}

Member::Member(std::string ca_pem, Credential own) {
    options.keys.ca_pem = std::move(ca_pem);
    // A forged certificate may be unreadable for our own code; the network needs to believe in itself all the same.
    const auto info = inspect_certificate(own.certificate_pem);
    options.keys.info = info ? *info : CertificateInfo{node_identity(2), "", {}};
    if (options.keys.info.identity.role != Role::kWitness) options.keys.info.identity.role = Role::kNode;
    options.keys.info.identity.cluster = kTestCluster;
    options.keys.own = std::move(own);
    options.timing.attempt_timeout = 400ms;
    options.timing.backoff_first = 10ms;
    options.timing.backoff_cap = 100ms;
    record_callbacks();
}

void Member::record_callbacks() {
    const auto note = [this](std::vector<std::string>& list, const std::string& what) {
        const std::lock_guard lock(mutex_);
        list.push_back(what);
    };
    callbacks.on_message = [this](NodeId from, const Bytes& message) {
        const std::lock_guard lock(mutex_);
        received_[from.value].emplace_back(message.begin(), message.end());
    };
    callbacks.on_connected = [=, this](NodeId peer, size_t) { note(events_, "up " + std::to_string(peer.value)); };
    callbacks.on_disconnected = [=, this](NodeId peer, const std::string&) {
        note(events_, "down " + std::to_string(peer.value));
    };
    callbacks.on_refused = [=, this](const std::string& sentence) { note(refusals_, sentence); };
}

void Member::start(const std::string& listen) {
    options.listen = {listen};
    auto started = PeerNetwork::start(options, callbacks);
    if (!started) FAIL(started.error().message);
    network = std::move(*started);
}

void Member::knows(const std::vector<const Member*>& others) {
    options.peers.clear();
    for (const Member* other : others) options.peers.push_back(other->entry());
    network->set_peers(options.peers);
}

PeerEntry Member::entry() const {
    const PeerIdentity& identity = options.keys.info.identity;
    return {identity.node, identity.name, {address()}};
}

PeerStatus Member::status_of(uint16_t node) const {
    for (const PeerStatus& status : network->status())
        if (status.node.value == node) return status;
    return {};
}

std::vector<std::string> Member::received_from(uint16_t node) const {
    const std::lock_guard lock(mutex_);
    const auto found = received_.find(node);
    return found == received_.end() ? std::vector<std::string>{} : found->second;
}
std::vector<std::string> Member::events() const {
    const std::lock_guard lock(mutex_);
    return events_;
}
std::vector<std::string> Member::refusals() const {
    const std::lock_guard lock(mutex_);
    return refusals_;
}

Relay::Relay(std::string target)
    : target_(std::move(target)), listener_(std::move(open_bound_socket(SOCK_STREAM, "127.0.0.1:0").value())) {
    REQUIRE(::listen(listener_.get(), 16) == 0);
    thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
    stopping_ = true;
    thread_.join();
}

std::string Relay::address() const {
    return bound_address(listener_.get());
}

void Relay::accept_one() {
    UniqueFd in(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const SocketAddress target = parse_socket_address(target_).value();
    UniqueFd out(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (in.valid() && ::connect(out.get(), target.get(), target.length_bytes) == 0)
        connections_.emplace_back(std::move(in), std::move(out));
}

void Relay::run() {
    const auto pass = [](int from, int to) {
        char piece[65536];
        const ssize_t got = ::recv(from, piece, sizeof piece, MSG_DONTWAIT);
        if (got > 0) ::send(to, piece, static_cast<size_t>(got), MSG_NOSIGNAL);
        if (got == 0) ::shutdown(to, SHUT_WR);
    };
    while (!stopping_) {
        pollfd wait{listener_.get(), POLLIN, 0};
        ::poll(&wait, 1, 1);
        if (frozen_) continue;
        if ((wait.revents & POLLIN) != 0) accept_one();
        for (const auto& [in, out] : connections_) {
            pass(in.get(), out.get());
            pass(out.get(), in.get());
        }
    }
}

Credential forge(const Credential& ca, const std::string& san) {
    Credential forged = issue(ca, node_identity(2)).value();
    const auto certificate = read_certificate(forged.certificate_pem);
    const auto issuer_key = read_key(ca.key_pem);
    X509_EXTENSION_free(
        X509_delete_ext(certificate.get(), X509_get_ext_by_NID(certificate.get(), NID_subject_alt_name, -1)));
    if (!san.empty()) {
        const auto extension =
            owned(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, san.c_str()), X509_EXTENSION_free);
        REQUIRE(X509_add_ext(certificate.get(), extension.get(), -1) == 1);
    }
    REQUIRE(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) > 0);
    const auto out = std::unique_ptr<BIO, int (*)(BIO*)>(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(PEM_write_bio_X509(out.get(), certificate.get()) == 1);
    char* data = nullptr;
    const long length = BIO_get_mem_data(out.get(), &data);
    forged.certificate_pem.assign(data, static_cast<size_t>(length));
    return forged;
}

bool reaches_http2(const std::string& address, const RawClient& client) {
    const auto context = owned(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const auto ca = read_certificate(client.ca_pem);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_max_proto_version(context.get(), client.max_tls_version);
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    if (client.credential != nullptr) {
        const auto certificate = read_certificate(client.credential->certificate_pem);
        const auto key = read_key(client.credential->key_pem);
        REQUIRE(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
    }
    const UniqueFd fd = connect_to(address);
    const auto tls = owned(SSL_new(context.get()), SSL_free);
    SSL_set_fd(tls.get(), fd.get());
    unsigned char head[9];
    const bool settings =
        SSL_connect(tls.get()) == 1 && is_settings_frame(head, SSL_read(tls.get(), head, sizeof head));
    ERR_clear_error();
    return settings;
}

std::string plain_answer(const std::string& address, const std::string& sent) {
    const UniqueFd fd = connect_to(address);
    [[maybe_unused]] const ssize_t written = ::send(fd.get(), sent.data(), sent.size(), MSG_NOSIGNAL);
    std::string answer;
    char piece[4096];
    for (;;) {
        const ssize_t got = ::recv(fd.get(), piece, sizeof piece, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) FAIL("the server kept the connection open");
        if (got <= 0) return answer;
        answer.append(piece, static_cast<size_t>(got));
    }
}

}  // namespace kagami::testing
