// What a person asked for over the control socket, as a request to the engine. Pure. Words, numbers and the names of
// nodes are judged here, because the engine's requests have no room for wrong ones; whether the thing may be done, and
// whether a group, resource, monitor or mirror of that name exists, is for the leader to say, which knows the newest
// configuration.
#pragma once

#include <memory>
#include <string>

#include "cluster-daemon/engine/messages.h"
#include "common/config/config.h"

namespace kagami::control::v1 {
class ChangeOptions;
class ClusterStartRequest;
class ClusterStopRequest;
class ConfigApplyRequest;
class FailoverRequest;
class GroupMoveRequest;
class GroupRequest;
class MaintenanceRequest;
class MirrorRequest;
class MonitorRequest;
class NodeRequest;
class ResourceRequest;
class TimeoutRatioRequest;
}  // namespace kagami::control::v1

namespace kagami::runtime {

constexpr uint32_t kMaxMinutes = 30 * 24 * 60;  // of whatever ends by itself
constexpr uint32_t kMaxTimeoutRatio = 10'000;
constexpr uint32_t kMaxConfirmSeconds = 24 * 60 * 60;

class RequestReader {
 public:
    using Read = Result<engine::OperatorRequest>;
    // `config` may be null: then no node has a name.
    RequestReader(std::shared_ptr<const config::Config> config, NodeId self)
        : config_(std::move(config)), self_(self) {}

    Read group_start(const control::v1::GroupRequest& in) const;
    Read group_stop(const control::v1::GroupRequest& in) const;
    Read group_move(const control::v1::GroupMoveRequest& in) const;
    Read node_shutdown(const control::v1::NodeRequest& in) const;
    Read node_return(const control::v1::NodeRequest& in) const;
    Read confirm_down(const std::string& node, const control::v1::ChangeOptions& options) const;
    Read cluster_start(const control::v1::ClusterStartRequest& in) const;
    Read cluster_stop(const control::v1::ClusterStopRequest& in) const;
    Read mirror(engine::OperatorVerb verb, const control::v1::MirrorRequest& in) const;
    Read resource(engine::OperatorVerb verb, const control::v1::ResourceRequest& in) const;
    Read monitor(const control::v1::MonitorRequest& in) const;
    Read failover(const control::v1::FailoverRequest& in) const;
    Read maintenance(const control::v1::MaintenanceRequest& in) const;
    Read leader_move(const control::v1::NodeRequest& in) const;
    Read timeout_ratio(const control::v1::TimeoutRatioRequest& in) const;
    Read clear_final_actions(const control::v1::NodeRequest& in) const;
    Read config_confirm(const control::v1::ChangeOptions& options) const;
    Read config_apply(const control::v1::ConfigApplyRequest& in, Bytes packed) const;

 private:
    // An empty name stays nobody.
    Result<NodeId> node(const std::string& name) const;
    // An empty name is this node.
    Result<std::string> node_or_self(const std::string& name) const;
    Read with_node(engine::OperatorRequest request, const std::string& node) const;

    std::shared_ptr<const config::Config> config_;
    NodeId self_;
};

}  // namespace kagami::runtime
