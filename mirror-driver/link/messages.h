// What kagamid and kagami-mirrord say to each other: /run/kagami/mirror.sock, SOCK_SEQPACKET, one message a packet,
// canonical bytes (common/coder.h). The driver listens and serves one daemon at a time (a newer connection replaces an
// older one) and any number of askers (`kagami mirror dump` and tests use kAsk only).
// The daemon sends its whole mind anew after each connect: Welcome, Configure, then an Authority per mirror. The driver
// answers with a Report per mirror, then one per change. Nothing here is trusted beyond root: the socket is 0600.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/codec.h"
#include "common/mirror.h"
#include "common/result.h"

namespace kagami::mirror_link {

constexpr const char* kDefaultSocket = "/run/kagami/mirror.sock";
constexpr size_t kMaxMessageBytes = size_t{128} << 10U;
constexpr uint32_t kMaxMirrors = 64;
constexpr uint32_t kMaxPaths = 8;
constexpr uint32_t kMaxWarnings = 16;
constexpr size_t kMaxPathBytes = 255;  // of device, metadata and directory paths; longer texts are cut when written

// ---- daemon -> driver ----
struct Welcome {
    Uuid cluster{};
    NodeId self;
    BootId boot{};
    std::string pki_directory;  // node.crt, node.key, ca.crt
    bool operator==(const Welcome&) const = default;
};
struct Path {  // a mirror disk connect: one network, in order of priority
    std::string network;
    std::string own_address;
    std::string peer_address;
    bool operator==(const Path&) const = default;
};
struct MirrorConfig {
    std::string name;   // of the md resource: unique in the cluster
    std::string group;  // in the guard's page
    NodeId peer;
    std::string peer_name;
    std::string data;      // block device or file of fixed size
    std::string metadata;
    uint16_t port = 29011;  // on own and peer address; each mirror has its own
    std::vector<Path> paths;
    bool automatic_resync = true;
    bool operator==(const MirrorConfig&) const = default;
};
struct Configure {  // the whole list: what is missing is detached (when it is secondary), what is new is attached
    std::vector<MirrorConfig> mirrors;
    bool operator==(const Configure&) const = default;
};
enum class Verb : uint8_t { kPromote, kDemote, kResync, kStatus };
struct Ask {
    uint64_t id = 0;
    Verb verb = Verb::kStatus;
    std::string mirror;
    bool operator==(const Ask&) const = default;
};

// ---- driver -> daemon ----
struct MirrorStatus {  // what a person sees of one mirror on this node, beyond its report
    mirror::Report report;
    std::string device;     // "/dev/loop3"; empty = not promoted
    std::string front_end;  // "fuse-loop"
    std::string data;
    std::string metadata;
    std::string peer_message;  // what the handshake decided, or why there is no connection
    std::string network;       // of the connection in use; empty = none
    bool full = false;         // of the resync under way, as the next ones
    uint64_t total_bytes = 0;
    uint64_t done_bytes = 0;
    Duration elapsed{};
    Duration remaining{};  // negative = not known
    uint64_t bytes_per_second = 0;
    std::string stall;
    uint64_t writes = 0, reads = 0, flushes = 0, written_bytes = 0, read_bytes = 0, sent_bytes = 0, received_bytes = 0;
    uint64_t copied_bytes = 0;  // by resyncs since the driver's start
    Duration longest_stall{};
    std::vector<std::string> warnings;  // memory not locked, no TLS offload ...: named, as mirror.md 2 asks
    bool operator==(const MirrorStatus&) const = default;
};
struct Answer {  // to Ask
    uint64_t id = 0;
    bool ok = false;
    bool not_yet = false;  // not ok, but worth asking again: the authority for it may be on its way
    std::string message;
    std::string remedy;
    MirrorStatus status;  // kStatus, and kPromote when ok
    bool operator==(const Answer&) const = default;
};

using Message = std::variant<Welcome, Configure, mirror::Authority, Ask, mirror::Report, Answer>;
Bytes encode(const Message& message);
// Beyond the codec's bounds: names of mirrors are valid names (they become directories) and unique in Configure, paths
// are absolute, ports are not 0. kUsage otherwise.
Result<Message> decode_message(std::span<const uint8_t> packet);

}  // namespace kagami::mirror_link
