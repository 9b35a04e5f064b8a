// Everything a node says to the others: engine messages over gRPC (reliable) or UDP (heartbeats, renewals, leases) by kind, and the keys of
// the UDP channel, handed over on gRPC; and questions of daemons to each other. Frames on gRPC begin with one byte: 1 = engine message,
// 2 = key for datagrams, 3 = question, 4 = answer (proto/peer.proto); others are left aside.
// One thread owns an object, the engine's; what gRPC's threads bring is handed to it by run_on_loop. Callbacks run there, too, but on_join
// and on_word run on threads of gRPC, and tell() may be called from any thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cluster-daemon/engine/messages.h"
#include "cluster-daemon/runtime/daemon/peer_questions.h"
#include "cluster-daemon/runtime/daemon/status_builder.h"
#include "cluster-daemon/runtime/peer_channel.h"
#include "common/config/config.h"

namespace kagami::runtime {

struct PeerLinkCallbacks {
    std::function<void(std::function<void()>)> run_on_loop;
    std::function<void(NodeId from, engine::Message)> on_message;
    std::function<void(NodeId peer, bool connected)> on_connection;
    std::function<void(NodeId from, PeerWord, std::span<const uint8_t> content)> on_word;  // of nodes only; must not block
    std::function<void(JoinAttempt, JoinReplier)> on_join;  // empty: this node signs nothing
};

class PeerLink {
 public:
    static Result<std::unique_ptr<PeerLink>> start(const KeyMaterial& keys, const config::Config& config,
                                                   const engine::Timing& timing, PeerLinkCallbacks callbacks);
    ~PeerLink();

    // Nodes come and go; this node's own addresses stay as they were at the start.
    void set_config(const config::Config& config);
    void send(NodeId to, const engine::Message& message, Instant now);
    bool tell(NodeId to, PeerWord word, const Bytes& content);  // false: not connected
    std::vector<int> descriptors() const;  // poll them for reading, then call receive()
    void receive(Instant now);
    void watch_paths(Instant now);         // now and then: tells gRPC which networks are lost
    std::vector<PathView> paths(Instant now) const;

 private:
    struct Impl;
    explicit PeerLink(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
