// The control service (proto/control.proto) on the daemon's Unix socket: reading verbs from a snapshot, changes as
// requests to the engine. The socket is 0600 in a 0700 directory of root: whoever can connect is root. Answers come on
// gRPC's threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/runtime/daemon/status_builder.h"
#include "common/config/bundle.h"

namespace kagami::runtime {

struct LogLine {
    std::string node;  // whose journal it is from; empty: this node's
    int64_t unix_ms = 0;
    engine::Level level = engine::Level::kInfo;
    std::string subject;
    std::string code;
    std::string message;
    std::string epoch;
    std::vector<std::string> inputs;
};
struct LogQuery {
    int64_t since_unix_ms = 0;
    size_t limit = 200;
    engine::Level minimum = engine::Level::kInfo;
    std::string subject;  // a bare name; empty = all
};
// The journals of all nodes that answered, as one.
struct GatheredLog {
    std::vector<LogLine> lines;       // oldest first, each with its node
    std::vector<std::string> silent;  // nodes that did not answer
};
// What another member says of a draft of a configuration.
struct ConfigVerdict {
    std::string node;
    bool answered = false;
    std::vector<std::string> problems;  // none = it is good there
};
struct ConfigRecord {
    uint64_t version = 0;
    std::string hash;
    int64_t unix_ms = 0;
    std::string person;
    std::string comment;
};
struct IssuedToken {
    std::string text;
    std::string node;
    int64_t expires_unix_ms = 0;
};

struct UserMessage;  // journal.h
struct DoctorFacts;  // doctor.h

// What the service asks of the daemon; each may be called from any thread.
struct ControlBackend {
    using ReplyHandler = std::function<void(const engine::OperatorReply&)>;
    std::string own_name;  // of the answering node
    std::function<StatusInput()> status;
    std::function<engine::Snapshot()> snapshot;  // a part of it, without asking the mirror driver
    // Hands the request to the engine under a fresh id and returns that id; `reply` runs for each answer, on the
    // engine's thread.
    std::function<uint64_t(engine::OperatorRequest, ReplyHandler reply)> ask;
    std::function<void(uint64_t id)> forget;  // nobody waits for this request any more
    // Asks every node, each from where `since` says (by name) or the query; blocks for about a second at most.
    std::function<GatheredLog(const LogQuery&, const std::map<std::string, int64_t>& since)> log;
    std::function<Result<std::vector<ConfigRecord>>(size_t limit)> config_history;  // newest first
    std::function<Result<Bytes>(uint64_t version)> config_version;                  // packed
    std::function<std::vector<ConfigVerdict>(const Bytes& packed)>
        confirm_config;  // of every other member; blocks for some seconds
    std::function<Status(const UserMessage&)> notify;
    std::function<void(control::v1::Statistics&)> statistics;
    std::function<DoctorFacts()> doctor;  // blocks for about a second at most
    std::function<Result<IssuedToken>(const std::string& node, Duration valid)> create_token;
};

class ControlServer {
 public:
    static Result<std::unique_ptr<ControlServer>> start(const std::string& socket_path, ControlBackend backend);
    ~ControlServer();

 private:
    struct Impl;
    explicit ControlServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kagami::runtime
