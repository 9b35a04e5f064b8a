// Listens on the node's own cluster addresses, and on nothing else, and hands accepted connections on.
// Why not gRPC's own listener: it cannot bind to an address that is not there yet, shares its port with a second
// process (SO_REUSEPORT), and has no limit on connections. The limit here is the number of the accepted descriptor: the
// kernel always gives the lowest free one, so a number above the limit means that the process holds that many files
// already, and the connection is closed at once. A flood of connections can so never take the descriptors that stores
// and heartbeats need; established streams are not touched.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/files.h"
#include "common/result.h"

namespace kagami::runtime {

class PeerAcceptor {
 public:
    struct Accepted {
        int listener_fd = -1;
        UniqueFd connection;  // non-blocking, TCP_NODELAY
    };
    // `on_accepted` is called on the acceptor's own thread.
    static Result<std::unique_ptr<PeerAcceptor>> listen(const std::vector<std::string>& addresses, int descriptor_limit,
                                                        std::function<void(Accepted)> on_accepted);
    ~PeerAcceptor();
    PeerAcceptor(const PeerAcceptor&) = delete;
    PeerAcceptor& operator=(const PeerAcceptor&) = delete;

    std::vector<std::string> addresses() const;
    uint64_t turned_away() const { return turned_away_; }

 private:
    PeerAcceptor() = default;
    void run();
    void accept_from(int listener_fd);

    std::vector<UniqueFd> listeners_;
    UniqueFd stop_;
    int descriptor_limit_ = 0;
    std::function<void(Accepted)> on_accepted_;
    std::atomic<uint64_t> turned_away_{0};
    std::thread thread_;
};

}  // namespace kagami::runtime
