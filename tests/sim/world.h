// The simulated cluster: nodes, witness, networks, one agenda, one source of chance, one observer who sees everything
// (checker.h). A person's hands are methods here: power, cables, images of disks, commands. What happened is kept for
// the story of a failure.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/mirror_pair.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"
#include "tests/sim/setup.h"

namespace kagami::sim {

// Ways to break the world behind the engine's back: each must be noticed by the checker (tests/sim/mutants_test.cc).
enum class Mutation {
    kNone,
    kLateGuard,       // suspends far too late
    kLyingDisk,       // confirms writes that are not durable yet
    kImpatientShell,  // sends before the write is durable
    kForgedNonce,     // a restored store carries the present nonce
    kWildClock,       // rates differ by 5 %
    kDeafGuard,       // the guard does not suspend at all
    kAmnesia,         // a lost store comes back as if it had never been lost: same voter, same nonces, nothing promised
    // ... and of mirrors
    kForgedAck,      // the peer's answer comes although the write never went out
    kForgedSolo,     // the driver acknowledges alone, nobody has chosen that
    kEarlyMetadata,  // metadata count as durable before they are
    kDroppedBits,    // the bitmap is never written
    kUnflushedData,  // flushes of the data disk do nothing
    kOldFrames,      // frames of an ended connection are delivered in the next one
    kForgedDisk,     // an older image of a replica carries the present nonces
    kNoLease,        // the driver ignores the guard's page
};

struct WorldOptions {
    uint64_t seed = 1;
    std::string toml;
    bool calm = false;  // small fixed delays, exact clocks: for stories
    size_t paths = 2;
    bool hardware_watchdog = false;  // resets a machine that stands still
    double max_skew = 0.005;
    bool drivers = true;  // of mirrors; false: a story tells what they report
    Mutation mutation = Mutation::kNone;
    bool verbose = false;
};

class World {
 public:
    explicit World(WorldOptions options);

    const WorldOptions& options() const { return options_; }
    Queue& queue() { return queue_; }
    Random& random() { return random_; }
    Network& network() { return network_; }
    Checker& checker() { return checker_; }
    const Checker& checker() const { return checker_; }
    const config::Config& config() const { return *packed_.config; }
    const Packed& packed() const { return packed_; }
    const engine::Timing& timing() const { return timing_; }
    Moment now() const { return queue_.now(); }
    bool calm() const { return options_.calm; }

    size_t count() const { return nodes_.size(); }     // the witness counted in
    size_t configured() const { return configured_; }  // without it
    Node& at(size_t slot) { return *nodes_[slot]; }
    const Node& at(size_t slot) const { return *nodes_[slot]; }
    Node* find(NodeId id);
    Node* witness() { return configured_ < nodes_.size() ? nodes_.back().get() : nullptr; }
    std::string name(NodeId id) const { return packed_.config->node_name(id); }
    Node* leader();  // who leads with a valid lease now

    void boot_all(Duration spread);
    void cut(NodeId a, NodeId b, bool on, bool one_way = false);
    void isolate(NodeId node, bool on);
    void heal_network();
    // Puts an image of the node's store back (only while its daemon is not running); false: no image that old.
    bool restore_store(Node& node, Moment taken);
    void lose_store(Node& node);
    // A person's command at the node's control socket; returns the request's id.
    uint64_t ask(Node& node, engine::OperatorRequest request);

    const std::vector<std::unique_ptr<MirrorPair>>& mirrors() { return mirrors_; }
    MirrorPair* mirror(const std::string& name);

    void run_until(Moment end);

    // The story.
    void note(const Node& node, const engine::Decision& decision);
    void note_fault(const std::string& text);
    void note_mirror(NodeId node, const std::string& text);
    void note_message(NodeId from, NodeId to, const char* name);
    void note_reply(const Node& node, const engine::OperatorReply& reply);
    std::string last_lines() const;
    std::function<void(const Node&, const engine::Decision&)> on_decision;
    std::function<void(const Node&, const engine::OperatorReply&)> on_reply;
    uint64_t faults() const { return faults_; }
    uint64_t messages() const { return messages_; }

 private:
    struct Line {
        Moment at;
        NodeId node;
        NodeId peer;
        const char* message = nullptr;
        std::string text;
    };
    void make_mirrors();
    void deliver(size_t from, size_t to, const Bytes& message);
    void keep(std::deque<Line>& lines, Line line);
    std::string show(const Line& line) const;

    WorldOptions options_;
    Packed packed_;
    engine::Timing timing_;
    Queue queue_;
    Random random_;
    size_t configured_;
    Checker checker_;
    Network network_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::deque<Line> story_;
    std::deque<Line> traffic_;
    std::deque<Line> replicas_;
    std::vector<std::unique_ptr<MirrorPair>> mirrors_;
    uint64_t faults_ = 0;
    uint64_t messages_ = 0;
    uint64_t requests_ = 0;
};

}  // namespace kagami::sim
