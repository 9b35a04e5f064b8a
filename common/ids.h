// Identities as tagged types, so that a node id is never passed where an epoch is meant.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kagami {

template <typename Value, typename Tag>
struct Tagged {
    Value value{};
    auto operator<=>(const Tagged&) const = default;
};

// 1 to 32 are nodes, kWitnessId is the witness; 0 is nobody. Never reused within a cluster.
using NodeId = Tagged<uint16_t, struct NodeIdTag>;
constexpr NodeId kNobody{0};
constexpr NodeId kWitnessId{1000};

using Uuid = std::array<uint8_t, 16>;
using BootId = Uuid;      // /proc/sys/kernel/random/boot_id
using Hash = std::array<uint8_t, 32>;
using Nonce = Tagged<uint64_t, struct NonceTag>;  // 0 = never admitted

// A ballot of the register: counter << 16 | node id. Source: protocol.md 3.
struct Epoch {
    uint64_t value = 0;
    static constexpr Epoch make(uint64_t counter, NodeId node) { return {counter << 16U | node.value}; }
    constexpr uint64_t counter() const { return value >> 16U; }
    constexpr NodeId node() const { return NodeId{static_cast<uint16_t>(value & 0xffffU)}; }
    auto operator<=>(const Epoch&) const = default;
};

// Names one document, and, in a group's entry, one permission to start (a token). Ordered as chosen.
struct Version {
    Epoch epoch;
    uint64_t seq = 0;
    auto operator<=>(const Version&) const = default;
};
using Token = Version;

// A node within one boot of its kernel. A daemon that restarts within the boot keeps it.
struct Incarnation {
    NodeId node;
    BootId boot{};
    auto operator<=>(const Incarnation&) const = default;
};

std::string to_string(NodeId node);            // "node 1"; names come from the configuration
std::string to_string(Epoch epoch);            // "5@1": counter 5 by node 1
std::string to_string(Version version);        // "5@1.12"
std::string to_string(const Uuid& uuid);       // 8-4-4-4-12
std::string to_hex(const uint8_t* data, size_t length_bytes);
std::optional<Uuid> parse_uuid(std::string_view text);
// `[A-Za-z0-9][A-Za-z0-9_-]{0,30}`: names of clusters, nodes, networks, groups, resources, monitors.
bool valid_name(std::string_view name);

}  // namespace kagami
