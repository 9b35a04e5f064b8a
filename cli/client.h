// The control service of the daemon on this machine, one blocking call each. Errors carry the exit code: kUnreachable
// when nobody answers, and whatever code the daemon refuses with. A client lives for one command.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/result.h"
#include "common/time.h"
#include "proto/control.pb.h"

namespace kagami::cli {

namespace pb = control::v1;

class Client {
 public:
    // Looks at the socket first, so that a missing daemon and missing rights are told apart.
    static Result<std::unique_ptr<Client>> connect(const std::string& socket_path);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    Result<pb::Status> status();
    Status watch(const std::function<void(const pb::Status&)>& show);  // until the stream breaks
    Result<pb::Paths> paths();
    Result<pb::WhyAnswer> why(const pb::WhyRequest& request);
    Status log(const pb::LogRequest& request, const std::function<void(const pb::LogEntry&)>& show);
    Result<pb::ConfigCheckAnswer> config_check(const pb::ConfigCheckRequest& request);
    Result<pb::ConfigVersion> config_show(const pb::ConfigShowRequest& request);
    Result<pb::ConfigHistoryAnswer> config_history(const pb::ConfigHistoryRequest& request);
    Result<pb::Token> create_token(const pb::TokenRequest& request);
    Result<pb::SimulateAnswer> simulate(const pb::SimulateRequest& request);
    Result<pb::DoctorAnswer> doctor();
    Result<pb::Statistics> statistics();
    Status notify(const pb::NotifyRequest& request);
    // Of the calls above that are no stream; 10 s unless said.
    void limit_reads(Duration limit);

    // Changes. `show` sees every piece of progress; a refusal is also the returned error.
    using Show = std::function<void(const pb::Progress&)>;
    Status group_start(const pb::GroupRequest& request, const Show& show);
    Status group_stop(const pb::GroupRequest& request, const Show& show);
    Status group_move(const pb::GroupMoveRequest& request, const Show& show);
    Status node_shutdown(const pb::NodeRequest& request, const Show& show);
    Status node_return(const pb::NodeRequest& request, const Show& show);
    Status cluster_start(const pb::ClusterStartRequest& request, const Show& show);
    Status cluster_stop(const pb::ClusterStopRequest& request, const Show& show);
    Status resource_start(const pb::ResourceRequest& request, const Show& show);
    Status resource_stop(const pb::ResourceRequest& request, const Show& show);
    Status monitor_control(const pb::MonitorRequest& request, const Show& show);
    Status failover_control(const pb::FailoverRequest& request, const Show& show);
    Status maintenance_control(const pb::MaintenanceRequest& request, const Show& show);
    Status leader_move(const pb::NodeRequest& request, const Show& show);
    Status set_timeout_ratio(const pb::TimeoutRatioRequest& request, const Show& show);
    Status clear_final_actions(const pb::NodeRequest& request, const Show& show);
    Status mirror_resync(const pb::MirrorRequest& request, const Show& show);
    Status mirror_force(const pb::MirrorRequest& request, const Show& show);
    Status mirror_cancel(const pb::MirrorRequest& request, const Show& show);
    Status mirror_break(const pb::MirrorRequest& request, const Show& show);
    Status mirror_rejoin(const pb::MirrorRequest& request, const Show& show);
    Status config_apply(const pb::ConfigApplyRequest& request, const Show& show);
    Status config_confirm(const pb::ConfigConfirmRequest& request, const Show& show);

 private:
    struct Connection;
    explicit Client(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> connection_;
};

}  // namespace kagami::cli
