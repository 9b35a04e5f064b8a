// How machines become nodes: one-time tokens are made, and certificate requests of their holders signed, on the node that holds the CA key
// (the one of `kagami init`). A token's serial is remembered before the certificate leaves, so a token works once.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "cluster-daemon/engine/document.h"
#include "cluster-daemon/runtime/daemon/control_server.h"
#include "cluster-daemon/runtime/peer_channel.h"
#include "common/config/config.h"

namespace kagami::runtime {

class Enrolment {
 public:
    using Present = std::function<std::pair<engine::Document, std::shared_ptr<const config::Config>>()>;  // what is chosen now
    Enrolment(std::string key_directory, const std::string& state_directory, Present present);

    Result<IssuedToken> create_token(const std::string& name, Duration valid);
    Result<JoinAnswer> admit(const JoinAttempt& attempt);
    bool holds_ca_key() const;

 private:
    Status remember(const std::string& serial);

    std::string key_directory_;
    std::string used_path_;
    Present present_;
    std::mutex mutex_;
};

constexpr uint16_t kPeerPort = 29001;      // tcp, gRPC
constexpr uint16_t kDatagramPort = 29002;  // udp

}  // namespace kagami::runtime
