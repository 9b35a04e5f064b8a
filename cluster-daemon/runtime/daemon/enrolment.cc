#include "cluster-daemon/runtime/daemon/enrolment.h"

#include <fmt/format.h>

#include <sstream>

#include "common/files.h"

namespace kagami::runtime {
namespace {

constexpr size_t kMaxUsedBytes = size_t{4} * 1024 * 1024;

std::vector<std::string> control_addresses(const config::Config& config, const config::Node& node) {
    std::vector<std::string> addresses;
    for (const config::Network& network : config.networks) {
        const auto at = node.address.find(network.name);
        if (network.control && at != node.address.end()) addresses.push_back(fmt::format("{}:{}", at->second, kPeerPort));
    }
    return addresses;
}

Result<PeerIdentity> identity_of(const config::Config& config, const Uuid& cluster, const std::string& name) {
    if (name == "witness") {
        if (config.arbitration.option != config::ArbitrationOption::kWitness) {
            return fail(ErrorCode::kUsage, "this cluster's arbitration does not use a witness", "set option = \"witness\" under [arbitration]");
        }
        return PeerIdentity{cluster, Role::kWitness, kWitnessId, name};
    }
    const config::Node* node = config.node(std::string_view(name));
    if (node == nullptr) {
        return fail(ErrorCode::kNotFound, fmt::format("no node is named {} in the configuration", name), "`kagami status` lists the nodes; for the witness say `witness`");
    }
    return PeerIdentity{cluster, Role::kNode, node->id, name};
}

}  // namespace

Enrolment::Enrolment(std::string key_directory, const std::string& state_directory, Present present)
    : key_directory_(std::move(key_directory)), used_path_(state_directory + "/used-tokens"), present_(std::move(present)) {}

bool Enrolment::holds_ca_key() const { return load_ca(key_directory_).has_value(); }

Result<IssuedToken> Enrolment::create_token(const std::string& name, Duration valid) {
    const auto ca = load_ca(key_directory_);
    if (!ca) {
        return fail(ErrorCode::kRefused, "this node does not hold the cluster's CA key, so it cannot make tokens",
                    "run the command on the node where `kagami init` was run");
    }
    const auto [document, config] = present_();
    if (!config) return fail("the configuration in force cannot be read", "look at `kagami log`");
    const auto becomes = identity_of(*config, document.cluster, name);
    if (!becomes) return tl::unexpected<Error>(becomes.error());
    const auto own = load_key_material(key_directory_);
    if (!own) return tl::unexpected<Error>(own.error());
    const config::Node* self = config->node(own->info.identity.node);
    if (self == nullptr) return fail("this node is not in the configuration in force", "look at `kagami config show`");
    // Only the holder of the CA key can answer: its own addresses.
    const std::vector<std::string> addresses = control_addresses(*config, *self);
    const auto token = make_join_token(*ca, *becomes, addresses, valid_for(std::chrono::duration_cast<std::chrono::seconds>(valid)));
    if (!token) return tl::unexpected<Error>(token.error());
    const auto text = encode_join_token(*token);
    if (!text) return tl::unexpected<Error>(text.error());
    const auto expires = token->info.validity.until.time_since_epoch();
    return IssuedToken{*text, name, std::chrono::duration_cast<std::chrono::milliseconds>(expires).count()};
}

Status Enrolment::remember(const std::string& serial) {
    const std::lock_guard lock(mutex_);
    auto used = read_file(used_path_, kMaxUsedBytes, FileAccess::kOwnerOnly);
    if (!used && used.error().code != ErrorCode::kNotFound) return tl::unexpected<Error>(used.error());
    const std::string known = used ? *used : "";
    std::istringstream lines(known);
    for (std::string line; std::getline(lines, line);) {
        if (line == serial) return fail(ErrorCode::kRefused, "this token has been used already", "make a new one with `kagami token`");
    }
    return write_file_atomically(used_path_, known + serial + "\n");
}

Result<JoinAnswer> Enrolment::admit(const JoinAttempt& attempt) {
    const auto ca = load_ca(key_directory_);
    if (!ca) return fail(ErrorCode::kRefused, "this node does not hold the cluster's CA key", "join through the node where the token was made");
    const auto [document, config] = present_();
    if (!config) return fail("this node is too busy to answer now", "try again with the same token");
    const auto certificate = sign_csr(*ca, attempt.csr_pem, attempt.becomes);
    if (!certificate) return tl::unexpected<Error>(certificate.error());
    // Last: what failed before leaves the token good.
    if (Status remembered = remember(attempt.token_serial); !remembered) return tl::unexpected<Error>(remembered.error());
    return JoinAnswer{*certificate, ca->certificate_pem, engine::encode(document)};
}

}  // namespace kagami::runtime
