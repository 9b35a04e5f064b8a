// The control service (proto/control.proto) on the daemon's Unix socket: reading verbs from a snapshot, changes as requests to the engine.
// The socket is 0600 in a 0700 directory of root: whoever can connect is root. Answers come on gRPC's threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster-daemon/engine/io.h"
#include "cluster-daemon/runtime/daemon/status_builder.h"
#include "common/config/bundle.h"

namespace kagami::runtime {

struct LogLine {
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

// What the service asks of the daemon; each may be called from any thread.
struct ControlBackend {
    using ReplyHandler = std::function<void(const engine::OperatorReply&)>;
    std::string own_name;  // of the answering node
    std::function<StatusInput()> status;
    std::function<engine::Snapshot()> snapshot;  // a part of it, without asking the mirror driver
    // Hands the request to the engine under a fresh id and returns that id; `reply` runs for each answer, on the engine's thread.
    std::function<uint64_t(engine::OperatorRequest, ReplyHandler reply)> ask;
    std::function<void(uint64_t id)> forget;  // nobody waits for this request any more
    std::function<std::vector<LogLine>(const LogQuery&)> log;                   // oldest first
    std::function<Result<std::vector<ConfigRecord>>(size_t limit)> config_history;  // newest first
    std::function<Result<Bytes>(uint64_t version)> config_version;                  // packed
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
