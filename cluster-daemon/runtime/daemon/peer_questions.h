// What this daemon asks the daemons of the other nodes for a person, and answers them: lines of the journal, how they
// are, and whether a draft of a configuration is good there. Nothing of the cluster's safety depends on it: a question
// or an answer may be lost, and is then missing. Bounds: an answer has at most kMaxAnswerBytes (of a log the oldest
// lines give way); kMaxWaiting questions of others wait at most, further ones are dropped; answers are made on a thread
// of their own, never on the engine's or gRPC's. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster-daemon/runtime/daemon/control_server.h"
#include "common/codec.h"

namespace kagami::runtime {

constexpr size_t kMaxAnswerBytes = size_t{256} * 1024;
constexpr size_t kMaxWaitingQuestions = 16;
constexpr size_t kMaxAnswerLines = 1000;
constexpr size_t kMaxProblems = 20;

// How another node is, as its daemon says.
struct PeerHealth {
    int64_t unix_ms = 0;
    std::string binary_version;
    std::string configuration_hash;
    bool guard_alive = false;
    bool guard_armed = false;
    std::string watchdog;
    int64_t certificate_until_unix_ms = 0;
    // Of the asking node: its own clock at the question and at the answer.
    int64_t asked_unix_ms = 0;
    int64_t answered_unix_ms = 0;
};

enum class PeerWord : uint8_t { kQuestion, kAnswer };

class PeerQuestions {
 public:
    struct Hands {
        std::function<bool(NodeId to, PeerWord word, const Bytes& content)> send;   // false: not connected
        std::function<std::vector<LogLine>(const LogQuery&)> log;                   // of this node
        std::function<PeerHealth()> health;                                         // of this node
        std::function<std::vector<std::string>(const Bytes& packed)> check_config;  // why it cannot be in force here
        std::function<int64_t()> unix_ms;
    };
    explicit PeerQuestions(Hands hands);
    ~PeerQuestions();
    PeerQuestions(const PeerQuestions&) = delete;
    PeerQuestions& operator=(const PeerQuestions&) = delete;

    void receive(NodeId from, PeerWord word, std::span<const uint8_t> content);
    // All block up to `patience`; a node that is not in the answer did not answer.
    std::map<NodeId, std::vector<LogLine>> ask_log(const std::map<NodeId, LogQuery>& queries, Duration patience);
    std::map<NodeId, PeerHealth> ask_health(const std::vector<NodeId>& nodes, Duration patience);
    // Of each its problems with the draft; none = it is good there.
    std::map<NodeId, std::vector<std::string>> ask_config(const std::vector<NodeId>& nodes, const Bytes& packed,
                                                          Duration patience);
    void stop();  // nothing is answered any more, and who waits goes on

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
