// Two ends of a peer channel in one process, over loopback, with certificates of a CA made for the test.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/pki.h"
#include "common/host/boot_clock.h"
#include "mirror-driver/io/channel.h"
#include "tests/support/temporary_directory.h"

namespace kagami::testing {

extern const Uuid kChannelCluster;
constexpr uint64_t kDiskBytes = uint64_t{64} << 20U;

runtime::PeerIdentity node(uint16_t number, const Uuid& cluster = kChannelCluster);
// A port of 127.0.0.1 that nobody uses now.
uint16_t free_port();

struct Received {
    mirror::ConnectionId connection;
    mirror::Frame frame;
    Bytes payload;
};

// One end and what its handlers saw. `held` payloads keep their buffers.
class End {
 public:
    // Node 1 (dials) or node 2 (listens), over the given paths; the certificate is issued by `ca`.
    End(uint16_t number, const runtime::Credential& ca, uint16_t port, std::vector<mirror_link::Path> paths,
        uint32_t large_buffers = 4);
    void use_certificate(const runtime::Credential& ca, const runtime::PeerIdentity& identity,
                         const runtime::Validity& validity = runtime::valid_for(runtime::kNodeLifetime));
    void open();
    void close() { channel.reset(); }
    void send(mirror::FrameType type, uint64_t seq, const Bytes& data = {});
    void release_held();
    bool up() const { return connection.value != 0; }

    mirror::ChannelSettings settings;
    mirror::Buffers buffers;
    std::unique_ptr<mirror::PeerChannel> channel;
    mirror::ConnectionId connection;  // 0 = down
    std::string network;
    std::vector<std::string> downs;
    std::deque<Received> received;
    std::vector<mirror::BufferId> held;
    bool hold = false;
    std::function<void(mirror::Frame&)> on_frame;  // instead of all that

 private:
    void take(mirror::ConnectionId from, mirror::Frame& frame);
    TemporaryDirectory pki_;
};

// One path: node 1 is 127.0.INDEX.1, node 2 is 127.0.INDEX.2.
mirror_link::Path path_of(uint16_t number, int index, const std::string& network);

// Runs both until the condition holds; false when it does not within the limit.
bool run_until(std::initializer_list<End*> ends, const std::function<bool()>& condition, Duration limit = 10s);
// At least this long.
void run_for(std::initializer_list<End*> ends, Duration length);

struct Couple {
    runtime::Credential ca = runtime::create_ca(kChannelCluster).value();
    uint16_t port = free_port();
    End dialler{1, ca, port, {path_of(1, 1, "mirror")}};
    End acceptor{2, ca, port, {path_of(2, 1, "mirror")}};
    void connect();
    bool run(const std::function<bool()>& condition, Duration limit = 10s) {
        return run_until({&dialler, &acceptor}, condition, limit);
    }
    bool both_up() const { return dialler.up() && acceptor.up(); }
};

Bytes pattern(size_t length, uint8_t seed);

}  // namespace kagami::testing
