// A small cluster of PeerNetworks on loopback with ephemeral ports, certificates that no CA of ours would issue, and a
// raw TLS client.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "cluster-daemon/runtime/peer_channel.h"
#include "common/files.h"

namespace kagami::testing {

extern const Uuid kTestCluster;
extern const Uuid kOtherCluster;

runtime::PeerIdentity node_identity(uint16_t number, const std::string& name = "");
Bytes bytes(const std::string& text);

// One member: its network and what its callbacks saw.
class Member {
 public:
    Member(const runtime::Credential& ca, const runtime::PeerIdentity& identity);
    Member(std::string ca_pem, runtime::Credential own);
    runtime::PeerNetworkOptions options;  // change before start()
    runtime::PeerCallbacks callbacks;
    void start(const std::string& listen = "127.0.0.1:0");
    void stop() { network.reset(); }
    void knows(const std::vector<const Member*>& others);
    runtime::PeerEntry entry() const;
    std::string address() const { return network->listening().front(); }
    runtime::PeerStatus status_of(uint16_t node) const;
    bool up(uint16_t node) const { return status_of(node).outgoing == runtime::PeerLinkState::kUp; }

    std::vector<std::string> received_from(uint16_t node) const;
    std::vector<std::string> events() const;  // "up 2", "down 2"
    std::vector<std::string> refusals() const;

    std::unique_ptr<runtime::PeerNetwork> network;

 private:
    void record_callbacks();
    mutable std::mutex mutex_;
    std::map<uint16_t, std::vector<std::string>> received_;
    std::vector<std::string> events_;
    std::vector<std::string> refusals_;
};

// Passes bytes of TCP connections on, until it is frozen: then they stay open and nothing comes through, like a cut
// network.
class Relay {
 public:
    explicit Relay(std::string target);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;
    std::string address() const;
    void freeze() { frozen_ = true; }

 private:
    void run();
    void accept_one();
    std::string target_;
    UniqueFd listener_;
    std::vector<std::pair<UniqueFd, UniqueFd>> connections_;
    std::atomic<bool> frozen_{false};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

// A leaf signed by the CA's key whose subject alternative name is `san` in OpenSSL's syntax ("URI:a,DNS:b"), or none.
runtime::Credential forge(const runtime::Credential& ca, const std::string& san);

struct RawClient {
    std::string ca_pem;                               // trusted for the server's chain
    const runtime::Credential* credential = nullptr;  // null: no client certificate
    int max_tls_version = 0;                          // 0: the newest
};
// True when the server went as far as sending an HTTP/2 SETTINGS frame, that is, accepted this client's handshake.
bool reaches_http2(const std::string& address, const RawClient& client);
// What a server sends back to these bytes on a plain TCP connection, until it closes.
std::string plain_answer(const std::string& address, const std::string& sent);

}  // namespace kagami::testing
