// A control service on a Unix socket that answers what a test put in and remembers what it was asked.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/control.pb.h"

namespace kagami::cli {

namespace pb = control::v1;

struct Answers {
    pb::Status status;
    std::vector<pb::Progress> progress;  // of every change
    std::vector<pb::Progress> dry_run_progress;
    pb::ConfigCheckAnswer check;
    pb::TokenAnswer token;
    pb::ConfigVersion config;
    std::vector<pb::LogEntry> log;
};

struct Asked {
    std::vector<std::string> calls;  // "GroupMove", dry runs as "GroupMove dry"
    pb::GroupMoveRequest group_move;
    pb::NodeRequest node;
    pb::MirrorRequest mirror;
    pb::ClusterStartRequest cluster_start;
    pb::ConfigApplyRequest apply;
    pb::LogRequest log;
    pb::TokenRequest token;
};

class FakeDaemon {
 public:
    explicit FakeDaemon(const std::string& socket_path);
    ~FakeDaemon();
    Answers answers;
    Asked asked;

 private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace kagami::cli
